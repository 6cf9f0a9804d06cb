"""Every page: accessible in both themes, no sideways scrolling at 360 px, light, and clean of errors."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.conftest import Visitors

PAGES = [
    "/",
    "/devices/",
    "/devices/?search=nothing+like+it",
    "/devices/?status=offline&sort=-last_contact&per_page=25",
    "/devices/sim-1/",
    "/devices/sim-1/?tab=connection",
    "/devices/new/",
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


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/accounts/login/", *PAGES])
def test_accessible(visit: Visitors, path: str, scheme: str) -> None:
    visitor = visit("" if path == "/accounts/login/" else "ada", color_scheme=scheme)
    visitor.expected = ["404 (Not Found)"]
    page = visitor.go(path)
    assert page.locator("html").get_attribute("data-bs-theme") == scheme
    if path == "/devices/sim-1/":
        expect(page.locator("#chart-notes li").first).to_be_visible()
    # what is folded away must be readable too
    page.evaluate("document.querySelectorAll('main details').forEach((one) => { one.open = true; })")
    results = Axe().run(page, options=RULES)
    assert results.violations_count == 0, results.generate_report()


@pytest.mark.parametrize("path", ["/accounts/login/", *PAGES])
def test_usable_at_360_pixels(visit: Visitors, path: str) -> None:
    visitor = visit("" if path == "/accounts/login/" else "ada", viewport={"width": 360, "height": 740})
    visitor.expected = ["404 (Not Found)"]
    page = visitor.go(path)
    if path == "/devices/sim-1/":
        expect(page.locator("#chart-notes li").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    results = Axe().run(page, options=RULES)
    assert results.violations_count == 0, results.generate_report()


@pytest.mark.parametrize("path", ["/accounts/login/", "/", "/devices/", "/devices/sim-1/"])
def test_light_enough(visit: Visitors, path: str) -> None:
    page = visit("" if path == "/accounts/login/" else "ada").go(path)
    page.wait_for_load_state("load")
    bytes_sent = page.evaluate(
        """[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
        .reduce((sum, entry) => sum + entry.transferSize, 0)"""
    )
    assert 1_000 < bytes_sent < 200_000
