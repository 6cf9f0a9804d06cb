"""Every page: accessible in both themes, no sideways scrolling at 360 px, light, and clean of errors."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.conftest import Visitors

PAGES = [
    "/",
    "/devices/",
    "/devices/?search=nothing+like+it",
    "/devices/?sort=-last_contact&per_page=25&page=5",
    "/devices/sim-1/",
    "/devices/sim-1/?tab=connection",
    "/devices/sim-1/?at=/1/0/1",
    "/devices/sim-1/?at=/3/0/13",
    "/devices/sim-1/?at=/33000/0/4",
    "/devices/sim-1/?at=/3303/0",
    "/devices/sim-1/?tab=commands",
    "/devices/new/",
    "/commands/",
    "/commands/new/?all=1",
    "/commands/new/?all=1&kind=write&path=/1/0/6",
    "/commands/batches/",
    "/logs/",
    "/devices/sim-1/?tab=logs",
    "/events/",
    "/events/?kind=refused",
    "/events/raw/",
    "/statuses/",
    "/accounts/people/",
    "/accounts/password/change/",
    "/accounts/logout/",
    "/no/such/page/",
]
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.mark.parametrize("path", ["/accounts/login/", *PAGES])
def test_accessible_in_both_themes_and_at_360_pixels(visit: Visitors, path: str) -> None:
    visitor = visit("" if path == "/accounts/login/" else "ada", color_scheme="light")
    visitor.expected = ["404 (Not Found)"]
    page = visitor.go(path)
    html = page.locator("html")
    if path == "/devices/sim-1/":
        expect(page.locator("#chart-notes li").first).to_be_visible()
    # what is folded away must be readable too
    page.evaluate("document.querySelectorAll('main details:not(.menu)').forEach((one) => { one.open = true; })")
    # an open panel is scrolled to, and the bar at the top then lies on whatever is there
    page.evaluate("window.scrollTo(0, 0)")
    for scheme, width in (("light", 1280), ("dark", 1280), ("dark", 360)):
        page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
        page.set_viewport_size({"width": width, "height": 800})
        expect(html).to_have_attribute("data-bs-theme", scheme)
        # a chart follows its frame an observer's call later
        page.wait_for_function("(width) => document.documentElement.scrollWidth <= width", arg=width)
        results = Axe().run(page, options=RULES)
        assert results.violations_count == 0, f"{scheme} {width}: {results.generate_report()}"


@pytest.mark.parametrize("menu", [".actions", ".object-menu"])
def test_open_menus_are_accessible(visit: Visitors, menu: str) -> None:
    page = visit("olga").go("/devices/sim-1/")
    for width in (1280, 360):
        page.set_viewport_size({"width": width, "height": 800})
        page.locator(f"{menu} > summary").first.click()
        expect(page.locator(f"{menu} .menu-panel").first).to_be_visible()
        # a chart follows its frame an observer's call later
        page.wait_for_function("(width) => document.documentElement.scrollWidth <= width", arg=width)
        results = Axe().run(page, context=menu, options=RULES)
        assert results.violations_count == 0, f"{width}: {results.generate_report()}"
        page.keyboard.press("Escape")


@pytest.mark.parametrize("path", ["/accounts/login/", "/", "/devices/", "/devices/sim-1/"])
def test_light_enough(visit: Visitors, path: str) -> None:
    page = visit("" if path == "/accounts/login/" else "ada").go(path)
    page.wait_for_load_state("load")
    bytes_sent = page.evaluate(
        """[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
        .reduce((sum, entry) => sum + entry.transferSize, 0)"""
    )
    assert 1_000 < bytes_sent < 200_000
