"""Alerts in the browser: they come and go by themselves, are chosen and acknowledged, rules are made with a preview."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visitors, Web
from tests.browser.pages import accessible


@pytest.fixture
def rule(web: Web) -> Iterator[int]:
    """A rule; what it found is over at the end."""
    number: int = web.write("alert_rule", name="Cold room too warm")
    yield number
    web.write("alerts_clear")


@pytest.mark.parametrize(
    "path",
    [
        "/alerts/",
        "/alerts/?search=nothing",
        "/alerts/{alert}/",
        "/alerts/rules/",
        "/alerts/rules/{rule}/",
        "/alerts/rules/{rule}/edit/",
        "/alerts/rules/new/",
        "/alerts/channels/",
        "/devices/sim-1/",
        "/",
    ],
)
def test_every_page_is_accessible(visit: Visitors, web: Web, rule: int, path: str) -> None:
    alert = web.write("alert_open", rule=rule, endpoint="sim-1", severity="critical")
    accessible(visit("ada", color_scheme="light").go(path.format(rule=rule, alert=alert)))


def test_they_come_and_go_by_themselves(visit: Visitors, web: Web, rule: int) -> None:
    page = visit("vera").go("/alerts/")
    device = visit("vera").go("/devices/sim-1/")
    rows = page.locator(".alert-row")
    expect(rows).to_have_count(0)
    web.write("alert_open", rule=rule, endpoint="sim-1", severity="critical")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("/3303/9/5700 is 31.5: above 30.")
    expect(page.locator(".nav-count")).to_have_text("1 open")
    expect(device.locator(".device-alerts")).to_contain_text("Cold room too warm")
    # a viewer looks
    expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)
    web.write("alerts_clear")
    expect(rows).to_have_count(0)
    expect(page.locator(".nav-count")).to_have_count(0)
    expect(device.locator(".device-alerts")).to_have_count(0)


def test_what_was_chosen_stays_chosen(visit: Visitors, web: Web, rule: int) -> None:
    for endpoint in ("sim-1", "new"):
        web.write("alert_open", rule=rule, endpoint=endpoint)
    page = visit("olga").go("/alerts/")
    box = page.get_by_role("checkbox", name="Choose the alert of sim-1")
    box.check()
    expect(page.locator("[data-chosen][role=status]")).to_have_text("1 chosen")
    web.write("alert_open", rule=web.write("alert_rule", name="Another"), endpoint="sim-1", minutes=1)
    expect(page.locator(".alert-row")).to_have_count(3)
    expect(page.locator("input[name=id][form=bulk]:checked")).to_have_count(1)
    page.get_by_label("Note").fill("I drive there")
    page.locator("#bulk").get_by_role("button", name="Acknowledge").click()
    expect(page.locator("#alert-answer")).to_have_text("1 alert acknowledged.")
    expect(page.locator(".alert-row").filter(has_text="I drive there")).to_have_count(1)
    expect(page.locator(".nav-count")).to_have_text("2 open")
    # one by its own button
    page.locator(".alert-row").filter(has_text="Another").get_by_role("button", name="Acknowledge").click()
    expect(page.locator(".nav-count")).to_have_text("1 open")


def test_a_rule_says_what_it_would_find(visit: Visitors, web: Web, rule: int) -> None:
    visitor = visit("olga")
    visitor.expected.append("400 (Bad Request)")
    page = visitor.go("/alerts/rules/new/")
    expect(page.locator("#id_endpoints")).to_be_hidden()
    expect(page.locator("#id_status")).to_be_hidden()
    page.locator("#id_name").fill("Browser's rule")
    page.locator("#id_path").fill("/3303/*/5700")
    page.locator("#id_limit").fill("-1000")
    preview = page.locator("#preview")
    expect(preview).to_contain_text("/3303/*/5700 above -1000.")
    expect(preview).to_contain_text("would be open now")
    page.locator("#id_limit").fill("warm")
    expect(preview).to_contain_text("See what is wrong")
    page.get_by_label("Device status").check()
    expect(page.locator("#id_limit")).to_be_hidden()
    page.locator("#id_status").select_option("blocked")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert").filter(has_text="Nothing was saved")).to_be_visible()
    page.get_by_label("Value above or below a limit").check()
    page.locator("#id_limit").fill("")
    page.get_by_label("Device status").check()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("h1")).to_have_text("Browser's rule")
    page.get_by_role("button", name="Delete Browser's rule").click()
    page.get_by_role("button", name="Go ahead").click()
    page.wait_for_url("**/alerts/rules/")
    expect(page.locator("main")).not_to_contain_text("Browser's rule")
