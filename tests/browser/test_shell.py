"""What all pages share: theme, keys, legend, banners."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visitors, Web


def test_the_theme_follows_the_system_until_one_is_chosen(visit: Visitors) -> None:
    visitor = visit("vera", color_scheme="light")
    page = visitor.go("/")
    html = page.locator("html")
    expect(html).to_have_attribute("data-bs-theme", "light")
    page.emulate_media(color_scheme="dark")
    expect(html).to_have_attribute("data-bs-theme", "dark")
    page.locator("details.theme summary").click()
    page.get_by_role("button", name="Light").click()
    expect(html).to_have_attribute("data-bs-theme", "light")
    # on the next page it is there before anything is painted: the stylesheet follows the script
    page.goto(f"{visitor.url}/devices/", wait_until="commit")
    expect(html).to_have_attribute("data-bs-theme", "light")


def test_keys_reach_search_menus_and_content(visit: Visitors) -> None:
    visitor = visit("vera")
    page = visitor.go("/")
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("sim-1")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{visitor.url}/devices/?search=sim-1")
    expect(page.get_by_role("link", name="sim-1", exact=True)).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    menu = page.locator("details.user")
    menu.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(menu.get_by_role("link", name="Change password")).to_be_visible()
    page.keyboard.press("Escape")
    expect(menu.get_by_role("link", name="Change password")).to_be_hidden()


def test_a_click_on_a_status_explains_it(visit: Visitors) -> None:
    page = visit("vera").go("/devices/stolen/")
    page.get_by_role("link", name="Blocked").click()
    dialog = page.get_by_role("dialog", name="What the states mean")
    expect(dialog).to_be_visible()
    expect(dialog.locator(".here")).to_contain_text("credential was revoked")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page).to_have_url(page.url.split("#")[0])


def test_a_lost_connection_is_said_and_taken_back(visit: Visitors, web: Web) -> None:
    visitor = visit("vera")
    visitor.expected = ["ERR_INTERNET_DISCONNECTED", "Failed to load resource", "ERR_NETWORK"]
    page = visitor.go("/devices/sim-1/")
    banner = page.get_by_text("The connection to the server is lost")
    expect(banner).to_be_hidden()
    visitor.context.set_offline(True)
    expect(banner).to_be_visible(timeout=20_000)
    expect(page.locator("html")).to_have_attribute("data-connection", "lost")
    web.write("value", endpoint="sim-1", path="/3303/0/5700", number=33.25)
    visitor.context.set_offline(False)
    expect(banner).to_be_hidden(timeout=30_000)
    # what happened meanwhile is fetched
    expect(page.locator('[data-cell="v-/3303/0/5700"]')).to_contain_text("33.25")


def test_a_banner_says_that_sync_has_died_and_when_it_is_back(visit: Visitors, web: Web) -> None:
    page = visit("vera").go("/")
    banner = page.get_by_text("sync does not run")
    expect(banner).to_be_hidden()
    web.write("sync", alive=False)
    try:
        expect(banner).to_be_visible(timeout=15_000)
        expect(page.locator('[data-cell="p-sync"]')).to_contain_text("Not running", timeout=15_000)
    finally:
        web.write("sync", alive=True)
    expect(banner).to_be_hidden(timeout=15_000)


def test_an_ended_session_is_said(visit: Visitors) -> None:
    visitor = visit("vera")
    page = visitor.go("/events/")
    visitor.context.clear_cookies()
    expect(page.get_by_role("link", name="sign in again")).to_be_visible(timeout=15_000)


@pytest.mark.parametrize("width", [360, 768, 800, 1024, 1201, 1280])
def test_the_whole_bar_is_within_reach_at_any_width(visit: Visitors, web: Web, width: int) -> None:
    web.write("alert_open", rule=web.write("alert_rule", name="Cold room too warm"), endpoint="sim-1")
    page = visit("ada", viewport={"width": width, "height": 800}).go("/alerts/")
    expect(page.locator(".nav-count")).to_be_visible()
    outside = page.locator(".topbar :is(a, input, summary, .nav-count)").evaluate_all(
        """(all) => all.filter((one) => one.checkVisibility()).map((one) => [one, one.getBoundingClientRect()])
        .filter(([one, { left, right }]) => left < 0 || right > document.documentElement.clientWidth
            || !one.contains(document.elementFromPoint((left + right) / 2, one.getBoundingClientRect().top + 8)))
        .map(([one]) => one.outerHTML)"""
    )
    web.write("alerts_clear")
    assert outside == []
    assert page.get_by_role("searchbox", name="Search devices").evaluate("(one) => one.clientWidth") > 120
