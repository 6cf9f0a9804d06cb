"""Acting on devices: panels, answers as they come, the log, many devices at once."""

import re
import time

from playwright.sync_api import Page, expect

from tests.browser.conftest import Visitors, Web

ANSWER = "#panel-answer .command-line"


def opened(visit: Visitors, path: str, *, at: str, name: str = "olga") -> Page:
    """A device's page, with the panel opened by a click on the resource."""
    page = visit(name).go(path)
    page.locator(f'a[data-at="{at}"]').first.click()
    expect(page.locator(".panel")).to_be_visible()
    return page


def test_a_panel_opens_by_keyboard_and_is_in_the_address(visit: Visitors) -> None:
    page = visit("olga").go("/devices/sim-1/")
    link = page.get_by_role("link", name="Lifetime", exact=True)
    link.focus()
    page.keyboard.press("Enter")
    panel = page.get_by_role("region", name="Lifetime /1/0/1")
    expect(panel).to_be_visible()
    expect(link).to_have_attribute("aria-expanded", "true")
    expect(page).to_have_url(re.compile("at=(%2F|/)1"))
    expect(panel.get_by_label("New value")).to_have_value("300")
    expect(panel.get_by_label("New value")).to_have_attribute("max", "86400")
    page.reload()
    expect(panel).to_be_visible()
    panel.get_by_label("New value").focus()
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(link).to_be_focused()
    page.go_back()
    expect(panel).to_be_visible()


def test_the_result_is_on_the_page_within_a_second(visit: Visitors, web: Web) -> None:
    page = opened(visit, "/devices/sim-1/", at="/3/0/0")
    page.get_by_role("button", name="Read", exact=True).click()
    line = page.locator(ANSWER)
    expect(line).to_contain_text("goes out at its turn")
    for state, said in (("sent", "waiting for the device's answer"), ("succeeded", "Acme in 35 ms")):
        web.write("answer", endpoint="sim-1", state=state, value="" if state == "sent" else "Acme")
        began = time.monotonic()
        expect(line).to_contain_text(said, timeout=1_500)
        assert time.monotonic() - began < 1
    expect(line.get_by_role("button", name="Cancel")).to_have_count(0)
    expect(page.locator('[data-cell="panel-commands"] li').first).to_contain_text("Acme")


def test_a_refusal_is_said_in_words(visit: Visitors, web: Web) -> None:
    page = opened(visit, "/devices/sim-1/", at="/1/0/1")
    field = page.get_by_label("New value")
    field.evaluate("(input) => { input.removeAttribute('max'); }")
    field.fill("99999")
    page.get_by_role("button", name="Write", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="99999")).to_contain_text("1..86400")
    field.fill("600")
    page.get_by_role("button", name="Write", exact=True).click()
    expect(page.locator(ANSWER)).to_contain_text("600")
    web.write("answer", endpoint="sim-1", state="failed", reason="4.00 Bad Request: the device does not take the value")
    expect(page.locator(ANSWER)).to_contain_text("does not take the value", timeout=1_500)


def test_what_is_typed_survives_new_values(visit: Visitors, web: Web) -> None:
    page = visit("olga").go("/devices/sim-1/")
    page.locator("details.more-rows", has=page.locator('[data-at="/3/0/14"]')).locator("summary").click()
    page.get_by_role("link", name="UTC Offset").click()
    field = page.get_by_label("New value")
    field.fill("+02:00")
    # a value that was never there changes the rows of the tree
    web.write("value", endpoint="sim-1", path="/3316/0/5700", number=3.25)
    expect(page.locator('[data-cell="v-/3316/0/5700"]')).to_contain_text("3.25", timeout=2_000)
    expect(field).to_have_value("+02:00")
    expect(field).to_be_focused()


def test_a_time_is_typed_in_the_readers_zone(visit: Visitors, web: Web) -> None:
    page = visit("olga", timezone_id="Asia/Tokyo").go("/devices/sim-1/?at=/3/0/13")
    field = page.get_by_label("New value")
    expect(field).to_have_value("2026-11-23T02:00")
    field.fill("2026-11-23T03:00:00")
    page.get_by_role("button", name="Write", exact=True).click()
    expect(page.locator(ANSWER)).to_contain_text("2026-11-22 18:00:00")
    web.write("answer", endpoint="sim-1", state="succeeded")


def test_a_command_for_a_sleeper_waits_and_is_cancelled(visit: Visitors) -> None:
    page = opened(visit, "/devices/sleeper/", at="/1/0/1")
    page.get_by_role("button", name="Read", exact=True).click()
    line = page.locator(ANSWER)
    expect(line).to_contain_text(re.compile(r"goes out when the device wakes, expected by \d\d:\d\d"))
    expect(page.locator('[data-cell="waiting"]')).to_have_text("1")
    line.get_by_role("button", name="Cancel").click()
    expect(line).to_contain_text("cancelled by olga before anything was sent")


def test_an_action_names_what_will_happen(visit: Visitors, web: Web) -> None:
    page = visit("olga").go("/devices/sim-1/")
    page.locator(".actions > summary").click()
    page.get_by_role("button", name=re.compile("Reboot")).click()
    expect(page.locator("#confirm")).to_contain_text("Reboot of sim-1: The device will restart.")
    page.get_by_role("button", name="Go ahead").click()
    answer = page.locator("#action-answer")
    expect(answer).to_contain_text("Reboot")
    web.write("answer", endpoint="sim-1", state="succeeded")
    expect(answer).to_contain_text("Succeeded", timeout=1_500)


def test_the_log_filters_cancels_and_repeats(visit: Visitors, web: Web) -> None:
    page = visit("olga").go("/devices/sim-1/?tab=commands")
    page.get_by_role("link", name="Failed", exact=True).first.click()
    expect(page).to_have_url(re.compile("state=failed"))
    row = page.locator(".command-row", has_text="4.05 Method Not Allowed")
    row.get_by_role("button", name=re.compile("Repeat")).click()
    page.get_by_role("button", name="Go ahead").click()
    expect(page.locator("#log-answer")).to_contain_text("Queued")
    page.locator("#log-answer").get_by_role("button", name=re.compile("Cancel")).click()
    expect(page.locator("#log-answer")).to_contain_text("cancelled by olga")
    page.goto(f"{web.url}/commands/?by=ada")
    expect(page.locator(".command-row").first).to_contain_text("sim-1")


def test_what_is_confirmed_is_asked_though_the_page_moved_on(visit: Visitors, web: Web) -> None:
    """While the question is open other commands come and go, and the list is drawn anew."""
    page = visit("olga").go("/devices/sim-1/?tab=commands&state=failed")
    row = page.locator(".command-row", has_text="4.05 Method Not Allowed")
    row.get_by_role("button", name=re.compile("Repeat")).click()
    expect(page.locator("#confirm")).to_be_visible()
    # as a refresh does where rows have come
    row.evaluate("(row) => { const next = row.cloneNode(true); row.replaceWith(next); window.htmx.process(next); }")
    page.get_by_role("button", name="Go ahead").click()
    answer = page.locator("#log-answer")
    expect(answer).to_contain_text("Queued")
    answer.get_by_role("button", name=re.compile("Cancel")).click()
    expect(answer).to_contain_text("cancelled by olga")


def test_one_command_for_all_that_fit(visit: Visitors, web: Web) -> None:
    page = visit("olga").go("/devices/?search=meter-0000&per_page=25")
    expect(page.get_by_role("button", name="Command …")).to_be_disabled()
    page.get_by_label("Choose meter-00001").check()
    expect(page.locator("[data-chosen]").last).to_have_text("1 chosen")
    page.get_by_label("all 10 that fit").check()
    page.get_by_role("button", name="Command …").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Command for 10 devices")
    page.get_by_label("Operation").select_option("write")
    page.get_by_label("Path").fill("/1/0/6")
    page.get_by_role("switch").check()
    page.get_by_role("button", name="Go on …").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Write /1/0/6 on 10 devices?")
    page.get_by_role("button", name="Write on 10 devices").click()
    expect(page.locator('[data-cell="bar"]')).to_contain_text("0 of 10 ended")
    expect(page.locator("html")).to_have_attribute("data-connection", "live")
    web.write("batch", count=4)
    expect(page.locator('[data-cell="bar"]')).to_contain_text("40 %", timeout=3_000)
    page.get_by_role("button", name="Cancel the rest").click()
    page.get_by_role("button", name="Go ahead").click()
    expect(page.locator('[data-cell="bar"]')).to_contain_text("100 %")
    expect(page.locator('[data-cell="counts"]')).to_contain_text("Cancelled 6")


def test_a_viewer_sees_no_controls(visit: Visitors) -> None:
    page = opened(visit, "/devices/sim-1/", at="/1/0/1", name="vera")
    expect(page.locator("main button")).to_have_count(0)
    expect(page.locator(".actions")).to_have_count(0)
    page = visit("vera").go("/devices/")
    expect(page.get_by_role("checkbox")).to_have_count(0)
