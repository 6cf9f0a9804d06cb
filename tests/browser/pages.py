"""What must hold for every page: readable by everybody, on a phone too, and light."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
# bytes over the wire
HEAVIEST = 200_000


def sound(page: Page, *, context: str | None = None) -> None:
    """Nothing that axe-core finds, and no wider than the window."""
    # a chart follows its frame an observer's call later
    page.wait_for_function("() => document.documentElement.scrollWidth <= window.innerWidth")
    results = Axe().run(page, context=context, options=RULES)
    assert results.violations_count == 0, f"{page.url} {page.viewport_size}: {results.generate_report()}"


def accessible(page: Page) -> None:
    """In both themes, without sideways scrolling at 360 pixels, and what is folded away too."""
    page.evaluate("document.querySelectorAll('main details:not(.menu)').forEach((one) => { one.open = true; })")
    for scheme, width in (("light", 1280), ("dark", 1280), ("dark", 360)):
        page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
        page.set_viewport_size({"width": width, "height": 800})
        expect(page.locator("html")).to_have_attribute("data-bs-theme", scheme)
        # an open panel is scrolled to, and the bar at the top then lies on whatever is there
        page.evaluate("window.scrollTo(0, 0)")
        sound(page)


def light(page: Page) -> None:
    """Page, scripts, styles and fonts together, the first time; data that scripts ask for depends on the devices."""
    page.wait_for_load_state("load")
    sent = page.evaluate(
        """[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
        .filter((entry) => !["fetch", "xmlhttprequest"].includes(entry.initiatorType))
        .reduce((sum, entry) => sum + entry.transferSize, 0)"""
    )
    assert 1_000 < sent < HEAVIEST, f"{page.url}: {sent} bytes"
