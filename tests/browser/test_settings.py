"""The settings pages and a device's Settings tab in a browser."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visitors, Web
from tests.browser.pages import accessible

PAGES = [
    "/settings/",
    "/settings/profiles/",
    "/settings/profiles/new/",
    "/settings/models/",
    "/settings/models/3303/1.0/",
    "/settings/storage/",
    "/settings/storage/?device=sim-1",
    "/devices/sim-1/?tab=settings",
]


def test_a_profile_with_rows_and_a_rule_with_its_preview(visit: Visitors) -> None:
    page = visit("ada").go("/settings/profiles/")
    page.get_by_role("link", name="New profile").click()
    page.get_by_label("Name").fill("Fast meters")
    page.get_by_label("Path", exact=True).first.fill("/3303/*/5700")
    page.get_by_label("pmax (s)").first.fill("10")
    page.get_by_role("button", name="Add a path").click()
    page.get_by_label("Path", exact=True).nth(1).fill("/3/0/9")
    page.get_by_role("button", name="Add a path").click()
    page.get_by_label("Path", exact=True).nth(2).fill("nonsense")
    page.get_by_role("button", name="Remove row 3").click()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("link", name="Fast meters")).to_be_visible()
    expect(page.locator("li", has_text="Fast meters")).to_contain_text("2 paths")
    row = page.locator("table.rules tbody tr:visible").last
    row.get_by_label("Endpoint pattern").fill("METER-0000?")
    expect(row).to_contain_text("10 devices")
    row.get_by_label("Profile").select_option("Fast meters")
    page.get_by_role("button", name="Save rules").click()
    expect(page.locator("li", has_text="Fast meters")).to_contain_text("10 devices")
    page.get_by_role("link", name="Fast meters").click()
    page.get_by_role("button", name="Delete Fast meters").click()
    page.locator("#confirm").get_by_role("button", name="Go ahead").click()
    expect(page.get_by_role("heading", name="Profiles", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="Fast meters")).to_have_count(0)


def test_a_definition_that_is_wrong_says_where(visit: Visitors) -> None:
    page = visit("ada").go("/settings/models/")
    page.get_by_label("DDF file").set_input_files(
        {"name": "x.xml", "mimeType": "text/xml", "buffer": b"<LWM2M>\n<Objekt/>\n</LWM2M>"}
    )
    page.get_by_role("button", name="Add definition").click()
    expect(page.locator(".form-error")).to_contain_text("object", ignore_case=True)


def test_an_observation_of_ones_own(visit: Visitors, web: Web) -> None:
    page = visit("olga").go("/devices/sim-1/?tab=settings")
    page.get_by_label("Path", exact=True).fill("/3303/7/5700")
    page.get_by_label("pmin").fill("5")
    page.get_by_role("button", name="Observe", exact=True).click()
    row = page.locator("table.wishes tr", has_text="/3303/7/5700")
    expect(row).to_contain_text("pmin 5")
    expect(row).to_contain_text("this device")
    page.get_by_role("link", name="Attributes of /3303/7/5700").click()
    expect(page.get_by_label("pmin")).to_have_value("5")
    row.get_by_role("button").click()
    expect(page.locator("table.wishes")).not_to_contain_text("pmin 5")


@pytest.mark.parametrize("path", PAGES)
def test_accessible_and_no_wider_than_a_phone(visit: Visitors, path: str) -> None:
    accessible(visit("ada", color_scheme="light").go(path))
