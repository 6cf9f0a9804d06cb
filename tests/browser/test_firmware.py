"""Firmware in the browser: uploads, campaigns and updates, on data that a stand-in for sync writes."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visitors, Web
from tests.browser.pages import accessible, light

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def campaign(web: Web) -> int:
    """A campaign of 300 devices that runs, with 12 of each ending badly and well."""
    number: int = web.write("firmware_campaign", name="Meters to 1.4.0", devices=300, failed=12, active=9)
    return number


@pytest.fixture
def moving(web: Web) -> Iterator[int]:
    """An update of sim-1 that downloads."""
    number: int = web.write("firmware_update", endpoint="sim-1", state="downloading")
    yield number
    web.write("firmware_goes_on", update=number, state="cancelled", step="done", code="cancelled", reason="Cancelled.",
              ended_at=0)  # fmt: skip


@pytest.mark.parametrize(
    "path",
    [
        "/firmware/",
        "/firmware/?search=nothing+like+it",
        "/firmware/campaigns/{campaign}/",
        "/firmware/campaigns/{campaign}/?state=failed&code=integrity",
        "/firmware/campaigns/new/?all=1&search=meter&image=1",
        "/firmware/images/",
        "/firmware/images/1/",
        "/firmware/updates/",
        "/firmware/updates/?state=failed&recent=1",
        "/firmware/updates/{update}/",
        "/firmware/keys/",
        "/devices/sim-1/?tab=firmware",
        "/devices/new/?tab=firmware",
        "/",
    ],
)
def test_every_firmware_page_is_accessible(visit: Visitors, campaign: int, moving: int, path: str) -> None:
    accessible(visit("ada", color_scheme="light").go(path.format(campaign=campaign, update=moving)))


@pytest.mark.parametrize(
    "path", ["/firmware/campaigns/{campaign}/", "/firmware/images/", "/devices/sim-1/?tab=firmware"]
)
def test_light_enough(visit: Visitors, campaign: int, path: str) -> None:
    page = visit("ada").go(path.format(campaign=campaign))
    light(page)


# -- images


def file(tmp_path: Path, name: str, size: int) -> Path:
    made = tmp_path / name
    made.write_bytes(os.urandom(size))
    return made


def test_an_upload_is_seen_and_stored(visit: Visitors, tmp_path: Path) -> None:
    page = visit("olga").go("/firmware/images/")
    page.evaluate(
        """() => {
            window.seen = [];
            const words = document.querySelector('[data-upload-words]');
            new MutationObserver(() => window.seen.push(words.textContent)).observe(words, {childList: true});
        }"""
    )
    page.locator("#image-file").set_input_files(file(tmp_path, "big.bin", 20 * MIB))
    expect(page.locator("[data-chosen-file]")).to_have_text("big.bin, 20.0 MiB")
    page.get_by_text("Version, and which devices it is for").click()
    page.get_by_label("Version", exact=True).fill("3.0.0")
    # the page leaves at the end: what was told until then is asked for before
    with page.expect_navigation():
        page.get_by_role("button", name="Upload").click()
        page.wait_for_function("() => window.seen?.some((one) => one.includes('of 20.0 MiB'))")
    expect(page).to_have_url(re.compile(r"/firmware/images/\d+/\?new=1"))
    expect(page.get_by_role("heading", level=1)).to_have_text("3.0.0")
    expect(page.get_by_text("The image was stored")).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("#confirm")).to_contain_text("Delete big.bin?")
    page.get_by_role("button", name="Go ahead").click()
    expect(page).to_have_url(re.compile(r"/firmware/images/$"))
    expect(page.get_by_text("3.0.0")).to_have_count(0)


def test_what_cannot_be_uploaded_is_said_in_place(visit: Visitors, tmp_path: Path) -> None:
    visitor = visit("olga")
    visitor.expected = ["400 (Bad Request)"]
    page = visitor.go("/firmware/images/")
    page.get_by_role("button", name="Upload").click()
    answer = page.locator("[data-upload-answer]")
    expect(answer).to_contain_text("Choose a file first.")
    page.locator("#image-file").set_input_files(file(tmp_path, "none.bin", 0))
    expect(answer).to_contain_text("none.bin is empty")
    page.locator("#image-file").set_input_files(file(tmp_path, "huge.bin", 65 * MIB))
    expect(answer).to_contain_text("images may have 64.0 MiB at most")
    # what only the server knows
    broken = tmp_path / "broken.signed.bin"
    broken.write_bytes(bytes.fromhex("3db8f396") + bytes(60))
    page.locator("#image-file").set_input_files(broken)
    page.get_by_text("Version, and which devices it is for").click()
    page.get_by_label("Note").fill("still here")
    page.get_by_role("button", name="Upload").click()
    expect(answer.get_by_role("alert")).to_contain_text("MCUboot")
    # and nothing of the form is lost
    expect(page.get_by_label("Note")).to_have_value("still here")
    expect(page.get_by_role("button", name="Upload")).to_be_enabled()


def test_a_file_can_be_dropped(visit: Visitors) -> None:
    page = visit("olga").go("/firmware/images/")
    transfer = page.evaluate_handle(
        """() => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(3072)], 'dropped.bin'));
            return transfer;
        }"""
    )
    page.dispatch_event("[data-drop]", "dragover", {"dataTransfer": transfer})
    expect(page.locator("[data-drop]")).to_have_class(re.compile("over"))
    page.dispatch_event("[data-drop]", "drop", {"dataTransfer": transfer})
    expect(page.locator("[data-chosen-file]")).to_have_text("dropped.bin, 3.0 KiB")
    expect(page.locator("[data-drop]")).not_to_have_class(re.compile("over"))


# -- campaigns


def test_the_form_says_what_would_happen_while_it_is_filled_in(visit: Visitors, campaign: int) -> None:
    page = visit("olga", timezone_id="Europe/Vienna").go("/firmware/campaigns/new/")
    summary = page.locator("#preview")
    expect(page.get_by_label("Time zone")).to_have_value("Europe/Vienna")
    expect(summary).to_contain_text("Choose an image")
    page.locator("#id_image").select_option(label="1.4.0 · app-1.4.0.signed.bin · 403 KiB")
    expect(summary).to_contain_text("300 devices get 1.4.0")
    page.get_by_label("Search", exact=True).press_sequentially("meter-0001")
    expect(summary).to_contain_text("10 devices get 1.4.0")
    page.get_by_label("Phases (%)").fill("20, 100")
    expect(summary).to_contain_text("In 2 phases: 2, then 8.")
    page.get_by_label("Named ones").check()
    expect(page.get_by_label("Search", exact=True)).to_be_hidden()
    page.get_by_label("Endpoint names").fill("meter-00001\nsim-1\nnobody")
    expect(summary).to_contain_text("1 device gets 1.4.0")
    expect(summary).to_contain_text("1 of the names are of no device")
    expect(summary).to_contain_text("the device's is 'simulated'")
    assert page.url.endswith("/firmware/campaigns/new/")


def test_a_campaign_from_the_list_of_devices(visit: Visitors, campaign: int) -> None:
    page = visit("olga").go("/devices/?search=meter-0029")
    page.get_by_label("Choose meter-00291").check()
    page.get_by_label("Choose meter-00292").check()
    page.get_by_role("button", name="Update firmware …").click()
    expect(page.get_by_label("Endpoint names")).to_have_value("meter-00291\nmeter-00292")
    page.locator("#id_image").select_option(label="1.4.0 · app-1.4.0.signed.bin · 403 KiB")
    page.get_by_label("Name", exact=True).fill("Two by hand")
    page.get_by_role("button", name="Go on …").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Update 2 devices to 1.4.0?")
    accessible(page)
    page.get_by_role("button", name="Change").click()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Two by hand")
    page.get_by_role("button", name="Go on …").click()
    page.get_by_role("button", name="Start the campaign").click()
    expect(page).to_have_url(re.compile(r"/firmware/campaigns/\d+/$"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Two by hand")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator('[data-cell="status"]')).to_have_text("Paused")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator('[data-cell="status"]')).to_have_text("Running")
    page.locator('[data-cell="buttons"]').get_by_role("button", name="Cancel", exact=True).click()
    expect(page.locator("#confirm")).to_contain_text("2 devices have not ended")
    page.get_by_role("button", name="Go ahead").click()
    expect(page.locator('[data-cell="status"]')).to_have_text("Cancelled")
    expect(page.locator('[data-cell="counts"]')).to_contain_text("Cancelled 2")


def test_a_campaign_moves_by_itself(visit: Visitors, web: Web, campaign: int) -> None:
    page = visit("vera").go(f"/firmware/campaigns/{campaign}/")
    page.evaluate("window.stillTheSamePage = true")
    counts = page.locator('[data-cell="counts"]')
    expect(counts).to_contain_text("Succeeded 12")
    expect(counts).to_contain_text("Failed 12")
    bar = page.locator('[data-cell="bar"]')
    found = re.search(r"(\d+) of 300 ended", bar.inner_text())
    assert found is not None
    ended = int(found[1])
    page.evaluate("document.querySelector('#devices').scrollIntoView({behavior: 'instant'})")
    # where what is read stands in the window: above it a banner may come, and below it rows that have ended are lower
    top = "document.querySelector('#devices').getBoundingClientRect().top"
    before = page.evaluate(top)
    web.write("firmware_advance", campaign=campaign, count=5)
    expect(counts).to_contain_text("Succeeded 17", timeout=5_000)
    expect(bar).to_contain_text(f"{ended + 5} of 300 ended")
    assert page.evaluate("window.stillTheSamePage") is True
    assert page.evaluate(top) == pytest.approx(before, abs=1)
    failures = page.locator(".failures")
    expect(failures).to_contain_text("Integrity check failed")
    expect(failures).to_contain_text("What to do:")
    failures.get_by_role("link", name="3 devices").first.click()
    expect(page).to_have_url(re.compile(r"state=failed&code=.*#devices"))
    expect(page.locator(".update-row")).to_have_count(3)


# -- updates


def test_a_device_s_update_moves_by_itself_to_its_end(visit: Visitors, web: Web, moving: int) -> None:
    page = visit("vera").go("/devices/sim-1/?tab=firmware")
    now = page.locator(f'[data-cell="now-{moving}"]')
    expect(now).to_contain_text("Downloading")
    expect(now).to_contain_text("101 KiB of 403 KiB")
    expect(now).to_contain_text("KiB/s · about")
    web.write("firmware_goes_on", update=moving, bytes_sent=309_504, progress_at=0)
    expect(now).to_contain_text("302 KiB of 403 KiB", timeout=2_000)
    expect(now.locator("progress")).to_have_attribute("value", "75")
    web.write("firmware_goes_on", update=moving, state="updating", step="hold", executes=1, deadline_at=60)
    expect(now.locator("[aria-current=step]")).to_have_text("Updating", timeout=2_000)
    expect(now).to_contain_text("Seeing whether the new firmware stays (until")
    web.write("firmware_goes_on", update=moving, state="failed", step="done", code="rolled-back",
              reason="It went back. What to do: see its log.", ended_at=0)  # fmt: skip
    row = page.locator(".update-row").first
    expect(row).to_contain_text("Rolled back", timeout=2_000)
    expect(row).to_contain_text("What to do: see its log.")
    row.get_by_role("link", name="Rolled back").click()
    expect(page.locator(".history")).to_contain_text("Asked by ada.")
    web.write("firmware_goes_on", update=moving, line="One more line.")
    expect(page.locator(".history")).to_contain_text("One more line.", timeout=2_000)


def test_cancelling_asks_first_and_answers_at_once(visit: Visitors, moving: int) -> None:
    page = visit("olga").go("/devices/sim-1/?tab=firmware")
    page.get_by_role("button", name="Cancel update").click()
    expect(page.locator("#confirm")).to_contain_text("Cancel the update of sim-1?")
    page.get_by_role("button", name="Go ahead").click()
    expect(page.locator("#now-answer")).to_contain_text("is being cancelled")
    expect(page.locator(f'[data-cell="now-{moving}"]')).to_contain_text("Being cancelled", timeout=2_000)
    expect(page.get_by_role("button", name="Cancel update")).to_have_count(0)


def test_a_badge_says_what_it_means(visit: Visitors, moving: int) -> None:
    page = visit("vera").go(f"/firmware/updates/{moving}/")
    page.locator('a[data-legend="update-downloading"]').click()
    here = page.locator("#legend .here")
    expect(here).to_contain_text("The package is on its way to the device")
