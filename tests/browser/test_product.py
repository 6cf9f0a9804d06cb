"""The whole product: a simulated device's value over DTLS, Leshan, sync and the database onto an open page."""

import re
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Visitor
from tests.support.stack import Stack
from tests.support.waiting import wait_for

CELL = '[data-cell="v-/3303/0/5700"]'
# notes when the page shows which value
WATCH = """(selector) => {
    window.shown = [];
    const note = () => {
        const text = document.querySelector(selector).textContent.trim();
        if (window.shown.at(-1)?.[0] !== text) window.shown.push([text, Date.now()]);
    };
    new MutationObserver(note).observe(document.body, {subtree: true, childList: true, characterData: true});
}"""


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole product with two devices that count."""
    stack = Stack(tmp_path_factory.mktemp("product") / "stack")
    try:
        stack.prepare()
        stack.provision("sim-1", "sim-2")
        stack.start_leshan()
        stack.start_sync()
        stack.start_web()
        stack.start_fleet("--counted", "--interval", "0.5", count=2)
        stack.wait_online("sim-1", "sim-2")
        yield stack
    finally:
        stack.stop()


@pytest.fixture
def visitor(browser: Browser, product: Stack) -> Iterator[Visitor]:
    """The administrator, who has typed name and password into the login page."""
    said = re.fullmatch(r"administrator: (\S+) / (\S+)\n", product.manage("administrator", "--reset").stdout)
    assert said is not None
    visitor = Visitor(browser.new_context(), product.web_url)
    page = visitor.page
    page.goto(product.web_url + "/devices/sim-1/")
    page.get_by_label("Username").fill(said[1])
    page.get_by_label("Password").fill(said[2])
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile("/devices/sim-1/$"))
    yield visitor
    visitor.context.close()
    assert visitor.complaints() == []


def number(text: str) -> int | None:
    """The counted value in a cell's text."""
    match = re.match(r"(\d+)", text)
    return int(match[1]) if match else None


def shown(page: Page) -> list[SimpleNamespace]:
    """The values that the page has shown, and when (milliseconds since 1970)."""
    notes = [(number(text), at) for text, at in page.evaluate("window.shown")]
    return [SimpleNamespace(value=value, at=at) for value, at in notes if value is not None]


def test_a_value_is_on_the_open_page_within_two_seconds(product: Stack, visitor: Visitor) -> None:
    """From its arrival at Leshan to the reader's eyes, without a reload."""
    page = visitor.go("/devices/sim-1/")
    expect(page.locator(CELL)).to_be_visible()
    page.evaluate(WATCH, CELL)
    wait_for(lambda: len(shown(page)) >= 6, what=lambda: f"six values on the page: {shown(page)}")
    received = {
        int(value): time / 1000
        for value, time in product.query(
            "SELECT s.number, min(s.time) FROM telemetry_sample s JOIN telemetry_series r ON r.id = s.series_id"
            " JOIN devices_device d ON d.id = r.device_id"
            " WHERE d.endpoint = 'sim-1' AND r.path = '/3303/0/5700' GROUP BY s.number"
        )
    }
    late = {one.value: one.at - received[one.value] for one in shown(page)}
    assert max(late.values()) < 2000, f"milliseconds from Leshan to the page: {late}"
    # and the chart draws them
    drawn = page.evaluate(
        "window.Chart.getChart('chart-canvas').data.datasets[0].data.filter((p) => p.y !== null).length"
    )
    assert drawn >= 6


def test_a_dead_sync_is_said_and_its_return_too(product: Stack, visitor: Visitor) -> None:
    """The banner comes and goes by itself, and so do the values."""
    page = visitor.go("/devices/sim-2/")
    expect(page.locator(CELL)).to_be_visible()
    product.processes["sync"].kill()
    banner = page.get_by_text("Nothing new arrives.")
    expect(banner).to_be_visible(timeout=20_000)
    product.start_sync(ready=False)
    expect(banner).to_be_hidden(timeout=20_000)
    before = number(page.locator(CELL).inner_text())
    wait_for(lambda: number(page.locator(CELL).inner_text()) != before, what="new values after the return")


def test_list_and_overview_tell_the_truth(visitor: Visitor) -> None:
    """Two devices online, with model and firmware version."""
    page = visitor.go("/")
    expect(page.get_by_role("link", name=re.compile(r"Online\s*2"))).to_be_visible()
    page = visitor.go("/devices/")
    row = page.get_by_role("row", name=re.compile("sim-2"))
    expect(row).to_contain_text("Online")
    expect(row).to_contain_text("Simulated Sensor")
    expect(row).to_contain_text("1.0.0")
