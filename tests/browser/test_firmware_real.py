"""Firmware on real devices from the browser: uploaded, rolled out, watched to the end; and told when it fails."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Visitor
from tests.support.firmware import QUICK, Firmware
from tests.support.images import mcuboot_image, plain_image, public_pem, sha256, signing_key
from tests.support.stack import Stack

DEVICES = 12
# one device of the campaign cannot install the image
BAD = "sim-4"
SLOW = 20_000
END = 90_000


@pytest.fixture(scope="module")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firmware]:
    """The whole product with twelve devices."""
    stack = Stack(tmp_path_factory.mktemp("firmware") / "stack")
    scene = Firmware(stack, stall=20, install=30)
    stack.extra_env["FLOWNEXUS_FIRMWARE_HOLD_SECONDS"] = "2"
    try:
        stack.prepare()
        scene.start(*QUICK, count=DEVICES)
        yield scene
    finally:
        stack.stop()


@pytest.fixture
def visitor(browser: Browser, firmware: Firmware) -> Iterator[Visitor]:
    """The administrator, signed in."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    visitor = Visitor(context, firmware.stack.web_url)
    session = firmware.stack.administrator().http.cookies["sessionid"]
    context.add_cookies([{"name": "sessionid", "value": session, "url": firmware.stack.web_url}])
    yield visitor
    context.close()
    assert visitor.complaints() == []


def upload(visitor: Visitor, file: Path, **fields: str) -> Page:
    """The new image's page."""
    page = visitor.go("/firmware/images/")
    page.locator("#image-file").set_input_files(file)
    if fields:
        page.get_by_text("Version, and which devices it is for").click()
    for label, text in fields.items():
        page.get_by_label(label, exact=True).fill(text)
    page.get_by_role("button", name="Upload").click()
    expect(page).to_have_url(re.compile(r"/firmware/images/\d+/\?new=1"), timeout=SLOW)
    return page


def test_from_upload_to_the_last_device(firmware: Firmware, visitor: Visitor, tmp_path: Path) -> None:
    """A signed image, a campaign in two phases, one device that fails and is retried; nobody reloads a page."""
    key = signing_key()
    page = visitor.go("/firmware/keys/")
    page.get_by_label("Name", exact=True).fill("build server")
    page.get_by_label("Or as text").fill(public_pem(key, tmp_path))
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_text("ECDSA P-256")).to_be_visible()

    content = mcuboot_image("2.3.4", tmp_path, key=key, size=200_000)
    file = tmp_path / "app.signed.bin"
    file.write_bytes(content)
    page = upload(visitor, file)
    expect(page.get_by_role("heading", level=1)).to_have_text("2.3.4")
    expect(page.get_by_text("it is signed by “build server”")).to_be_visible()
    expect(page.locator(".hash").first).to_have_text(sha256(content))

    firmware.fault(f"{BAD}:/5=install-failed")
    page.get_by_role("link", name="Start a campaign", exact=True).click()
    page.get_by_label("Phases (%)").fill("25, 100")
    page.get_by_label("Go on above (%)").fill("50")
    page.get_by_label("Stop above (%)").fill("60")
    page.get_by_label("Hold (s)").fill("1")
    expect(page.locator("#preview")).to_contain_text("In 2 phases: 3, then 9.")
    page.get_by_role("button", name="Go on …").click()
    page.get_by_role("button", name="Start the campaign").click()
    page.evaluate("window.stillTheSamePage = true")
    bar = page.locator('[data-cell="bar"]')
    expect(bar).to_contain_text(f"{DEVICES} of {DEVICES} ended", timeout=END)
    expect(page.locator('[data-cell="status"]')).to_have_text("Finished")
    expect(page.locator('[data-cell="counts"]')).to_contain_text(f"Succeeded {DEVICES - 1}")
    failures = page.locator(".failures")
    expect(failures).to_contain_text(BAD)
    expect(failures).to_contain_text("What to do:")
    assert page.evaluate("window.stillTheSamePage") is True

    firmware.fault()
    page.get_by_role("button", name="Retry 1 failed").click()
    page.get_by_role("button", name="Go ahead").click()
    expect(page.locator('[data-cell="counts"]')).to_have_text(re.compile(rf"^\s*Succeeded {DEVICES}\s*$"), timeout=END)
    expect(failures).to_have_count(0)
    for number in range(1, DEVICES + 1):
        said = firmware.said(f"sim-{number}")
        assert (said["version"], said["sha256"]) == ("2.3.4", sha256(content)), said


def test_one_device_is_watched_to_its_end(firmware: Firmware, visitor: Visitor, tmp_path: Path) -> None:
    """Bytes move while the package is sent, and the new version stands on the page at the end."""
    file = tmp_path / "slow.bin"
    file.write_bytes(plain_image("3.0.0", size=300_000))
    upload(visitor, file, Version="3.0.0")
    firmware.fault("sim-1:/5=slow:0.03")
    page = visitor.go("/devices/sim-1/?tab=firmware")
    page.evaluate(
        """() => {
            window.seen = new Set();
            const look = () => {
                const bar = document.querySelector('.update-now progress');
                if (bar) window.seen.add(bar.value);
            };
            new MutationObserver(look).observe(document.body, {subtree: true, childList: true, attributes: true});
        }"""
    )
    page.locator("#id_image").select_option(label="3.0.0 · slow.bin · 293 KiB")
    page.get_by_role("button", name="Update …").click()
    page.get_by_role("button", name="Go ahead").click()
    now = page.locator(".update-now")
    expect(now).to_contain_text(re.compile(r"Sending: .* of 293 KiB · .*/s · about"), timeout=SLOW)
    expect(page.locator('[data-cell="version"]')).to_have_text("3.0.0", timeout=END)
    row = page.locator(".update-row").first
    expect(row).to_contain_text("2.3.4 → 3.0.0", timeout=END)
    expect(row).to_contain_text("Succeeded")
    expect(now).to_have_count(0)
    assert len(page.evaluate("[...window.seen]")) >= 3
    row.get_by_role("link", name="3.0.0", exact=True).click()
    expect(page.locator(".history li")).not_to_have_count(0)


def test_an_update_is_cancelled_in_the_middle(firmware: Firmware, visitor: Visitor) -> None:
    """The device forgets the package, and runs what it ran."""
    image = firmware.plain("4.0.0", size=400_000)
    firmware.fault("sim-2:/5=slow:0.05")
    firmware.ask("sim-2", image)
    page = visitor.go("/devices/sim-2/?tab=firmware")
    expect(page.locator(".update-now")).to_contain_text("Sending", timeout=SLOW)
    page.get_by_role("button", name="Cancel update").click()
    page.get_by_role("button", name="Go ahead").click()
    expect(page.locator("#now-answer")).to_contain_text("is being cancelled")
    expect(page.locator(".update-row").first).to_contain_text("Cancelled", timeout=END)
    expect(page.locator('[data-cell="o-state"]')).to_have_text("0 · Idle", timeout=SLOW)
    assert firmware.said("sim-2")["installs"] == 1
