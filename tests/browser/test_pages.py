"""Every page: accessible in both themes, no sideways scrolling at 360 px, light, and clean of errors."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visitors
from tests.browser.pages import accessible, light, sound

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


@pytest.mark.parametrize("path", ["/accounts/login/", *PAGES])
def test_accessible_in_both_themes_and_at_360_pixels(visit: Visitors, path: str) -> None:
    visitor = visit("" if path == "/accounts/login/" else "ada", color_scheme="light")
    visitor.expected = ["404 (Not Found)"]
    page = visitor.go(path)
    if path == "/devices/sim-1/":
        expect(page.locator("#chart-notes li").first).to_be_visible()
    accessible(page)


@pytest.mark.parametrize("menu", [".actions", ".object-menu"])
def test_open_menus_are_accessible(visit: Visitors, menu: str) -> None:
    page = visit("olga").go("/devices/sim-1/")
    for width in (1280, 360):
        page.set_viewport_size({"width": width, "height": 800})
        page.locator(f"{menu} > summary").first.click()
        expect(page.locator(f"{menu} .menu-panel").first).to_be_visible()
        sound(page, context=menu)
        page.keyboard.press("Escape")


@pytest.mark.parametrize(
    "path",
    [
        "/accounts/login/",
        "/",
        "/devices/",
        "/devices/sim-1/",
        "/devices/sim-1/?tab=charts",
        "/devices/sim-1/?tab=logs",
        "/logs/",
        "/map/",
        "/alerts/",
        "/export/",
    ],
)
def test_light_enough(visit: Visitors, path: str) -> None:
    light(visit("" if path == "/accounts/login/" else "ada").go(path))
