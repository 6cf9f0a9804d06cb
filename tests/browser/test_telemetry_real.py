"""Charts, logs, alerts and files of real devices: each within seconds on an open page, and one leads to the other."""

import csv
import re
import time
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import Visitor
from tests.support.stack import Stack
from tests.support.waiting import wait_for

PATH = "/3303/0/5700"
SERIES = f"sim-1{PATH}"
LINE = ".logs-lines .ln"
NOTHING = "\N{EN DASH}"
SLOW = 15_000
# milliseconds from the server to the reader's eyes
LATEST = 2_000
# notes when the newest sample is drawn: [its time, now]
WATCH_CHART = """() => {
    window.drawn = [];
    const look = () => {
        const last = window.explore.panels[0].series[0].drawn?.t.at(-1);
        if (last && window.drawn.at(-1)?.[0] !== last) window.drawn.push([last, Date.now()]);
        requestAnimationFrame(look);
    };
    look();
}"""
# notes when a line comes onto the page: [its number, now]
WATCH_LINES = """(selector) => {
    window.lines = new Map([...document.querySelectorAll(selector)].map((one) => [one.item.line.id, null]));
    new MutationObserver(() => {
        for (const one of document.querySelectorAll(selector)) {
            if (!window.lines.has(one.item.line.id)) window.lines.set(one.item.line.id, Date.now());
        }
    }).observe(document.body, { subtree: true, childList: true });
}"""


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole product with two devices that measure and log."""
    stack = Stack(tmp_path_factory.mktemp("telemetry") / "stack")
    try:
        stack.prepare()
        stack.provision("sim-1", "sim-2")
        stack.start_leshan()
        stack.start_sync()
        stack.start_web()
        stack.start_fleet("--logs", "--log-interval", "0.5", "--log-delay", "0.2", "--interval", "0.5", count=2)
        stack.wait_online("sim-1", "sim-2")
        stack.wait_more_samples("sim-1", "sim-2")
        wait_for(lambda: stack.scalar("SELECT count(*) FROM logs_line") > 20, what=stack.log_tails)
        yield stack
    finally:
        stack.stop()


@pytest.fixture(scope="module")
def session(product: Stack) -> str:
    """The administrator's session."""
    key: str = product.administrator().http.cookies["sessionid"]
    return key


@pytest.fixture
def visitor(browser: Browser, product: Stack, session: str) -> Iterator[Visitor]:
    """The administrator, signed in."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.add_cookies([{"name": "sessionid", "value": session, "url": product.web_url}])
    visitor = Visitor(context, product.web_url)
    yield visitor
    context.close()
    assert visitor.complaints() == []


def lines(page: Page) -> Locator:
    return page.locator(LINE)


def chart(visitor: Visitor, query: str = "range=5m") -> Page:
    page = visitor.go(f"/explore/?s={SERIES}&{query}")
    page.wait_for_selector("#board[data-loads]")
    return page


def point(page: Page, place: int) -> tuple[float, float, float]:
    """Where the sample at this place of the first series is on the screen, and when it was (ms since 1970)."""
    x, y, at = page.evaluate(
        """(place) => {
            const panel = window.explore.panels[0];
            const { drawn } = panel.series[0];
            const index = place < 0 ? drawn.t.length + place : place;
            const box = panel.plot.getBoundingClientRect();
            const { x, y } = panel.chart.scales;
            return [box.left + x.getPixelForValue(drawn.t[index]), box.top + y.getPixelForValue(drawn.y[index]),
                    drawn.t[index]];
        }""",
        place,
    )
    return x, y, at


def test_a_chart_goes_on_by_itself(visitor: Visitor) -> None:
    """Each sample is drawn within two seconds, and the page is never loaded anew."""
    page = chart(visitor)
    page.evaluate("window.stillTheSamePage = true")
    page.evaluate(WATCH_CHART)
    page.wait_for_function("() => window.drawn.length >= 5")
    late = [drawn - measured for measured, drawn in page.evaluate("window.drawn.slice(1)")]
    assert max(late) < LATEST, f"milliseconds from the server to the chart: {late}"
    assert page.evaluate("window.stillTheSamePage") is True


def test_log_lines_come_by_themselves(product: Stack, visitor: Visitor) -> None:
    """Of both devices in one stream, each line within two seconds of its arrival, at the end of the page."""
    page = visitor.go("/logs/")
    expect(lines(page).first).to_be_visible()
    page.evaluate(WATCH_LINES, LINE)
    page.wait_for_function("() => [...window.lines.values()].filter(Boolean).length >= 6")
    seen = {number: at for number, at in page.evaluate("[...window.lines]") if at}
    marks = ", ".join("?" * len(seen))
    received = product.query(f"SELECT id, received FROM logs_line WHERE id IN ({marks})", *seen)
    late = {number: seen[number] - at / 1000 for number, at in received}
    assert len(late) == len(seen)
    assert max(late.values()) < LATEST, f"milliseconds from the server to the page: {late}"
    expect(page.locator("[data-logs-state]")).to_contain_text("following live")
    assert set(page.locator(f"{LINE} .ln-dev").all_text_contents()) == {"sim-1", "sim-2"}


def test_from_a_point_to_its_logs_and_back(visitor: Visitor) -> None:
    """What did the device say when it measured this? And what did it measure when it said that?"""
    page = chart(visitor)
    page.wait_for_function("() => window.explore.panels[0].series[0].drawn.t.length >= 4")
    page.locator("#chart-live").click()
    expect(page.locator("#chart-live")).to_have_attribute("aria-pressed", "false")
    x, y, measured = point(page, -2)
    page.mouse.click(x, y)
    menu = page.get_by_role("dialog", name="What was at this moment")
    menu.get_by_role("link", name="Logs of this moment").click()
    expect(page).to_have_url(re.compile(r"/logs/\?device=sim-1&at="))
    asked = datetime.fromisoformat(parse_qs(urlsplit(page.url).query)["at"][0]).timestamp() * 1000
    assert abs(asked - measured) <= 1
    marker = page.locator(".ln-at")
    expect(marker).to_be_in_viewport()
    expect(lines(page).first).to_be_visible()
    assert set(page.evaluate(f"[...document.querySelectorAll('{LINE}')].map((one) => one.item.line.device)")) == {
        "sim-1"
    }
    # the line nearest to the moment leads back
    nearest = page.locator(f"{LINE}:has(+ .ln-at)")
    logged = nearest.evaluate("(one) => one.item.line.time") / 1000
    assert abs(logged - measured) < 15_000
    nearest.locator(".ln-time").click()
    page.locator(".ln-details").get_by_role("link", name="Charts of this moment").click()
    expect(page).to_have_url(re.compile(r"/devices/sim-1/\?tab=charts&at="))
    page.wait_for_selector("#board[data-loads]")
    small = page.locator(f'[data-small-panel][data-path="{PATH}"]')
    expect(small.locator("[data-last]")).not_to_have_text(NOTHING)
    small.locator("[data-enlarge]").click()
    page.wait_for_selector("#board[data-board=explore][data-loads]")
    begin, end = page.evaluate("window.explore.window()")
    assert begin < logged < end


def test_words_and_the_beginnings_of_hex_are_found(product: Stack, visitor: Visitor) -> None:
    """In what devices have really said."""
    texts = [text for (text,) in product.query("SELECT text FROM logs_line WHERE severity IS NOT NULL")]
    hexes = [match[0] for text in texts if (match := re.search(r"0x[0-9a-f]{3,}", text))]
    words = [match[0] for text in texts if (match := re.search(r"\b[A-Za-z]{6,}\b", text))]
    assert hexes, f"no hex in {texts}"
    page = visitor.go("/logs/")
    box = page.get_by_role("searchbox", name="Text")
    for part in (words[0].upper(), hexes[0][:-1]):
        box.fill(part)
        expect(page).to_have_url(re.compile("search="))
        expect(page.locator(f"{LINE} mark").first).to_have_text(re.compile(re.escape(part), re.IGNORECASE))
        # what comes meanwhile is searched the same way
        found = page.locator(f"{LINE} .ln-text").all_text_contents()
        assert found
        assert all(part.lower() in text.lower() for text in found), found
    box.fill("no device has said this")
    expect(page.locator("[data-logs-nothing]")).to_contain_text("No line fits these filters.")


def test_an_alert_opens_by_a_real_value_and_is_acknowledged(product: Stack, visitor: Visitor) -> None:
    """A rule made in the browser finds what a device measures; list and bar tell it by themselves."""
    page = visitor.go("/alerts/rules/new/")
    page.locator("#id_name").fill("Warmer than ice")
    page.get_by_label("Those with these endpoints").check()
    page.locator("#id_endpoints").fill("sim-2")
    page.locator("#id_path").fill(PATH)
    page.locator("#id_limit").fill("-200")
    expect(page.locator("#preview")).to_contain_text("would be open now")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("h1")).to_have_text("Warmer than ice")
    page = visitor.go("/alerts/")
    row = page.locator(".alert-row").filter(has_text="Warmer than ice")
    expect(row).to_contain_text(re.compile(re.escape(PATH) + r".* is -?\d.*: above -200"), timeout=SLOW)
    expect(row).to_contain_text("sim-2")
    expect(page.locator(".nav-count")).to_have_text("1 open", timeout=SLOW)
    row.get_by_role("button", name="Acknowledge the alert of sim-2").click()
    expect(page.locator("#alert-answer")).to_have_text("1 alert acknowledged.")
    expect(row).to_contain_text("takes care")
    expect(page.locator(".nav-count")).to_have_count(0, timeout=SLOW)
    opened = product.query("SELECT count(*), min(acknowledged_at) FROM alerts_alert")
    assert opened[0][0] == 1
    assert opened[0][1] is not None


def test_all_of_a_device_as_a_file(product: Stack, visitor: Visitor) -> None:
    """From its Charts tab: as many samples as the database holds of the time before the click."""
    page = visitor.go("/devices/sim-1/?tab=charts")
    page.get_by_role("link", name="Export all samples of this device").click()
    expect(page.get_by_label("Devices", exact=True)).to_have_value(re.compile("^sim-1\\s*$"))
    until = int(time.time())
    with page.expect_download() as coming:
        page.get_by_role("link", name="Download CSV").click()
    assert coming.value.suggested_filename.endswith(".csv")
    with coming.value.path().open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["device"] for row in rows} == {"sim-1"}
    stored = product.query(
        "SELECT r.path, count(*) FROM telemetry_sample s JOIN telemetry_series r ON r.id = s.series_id"
        " JOIN devices_device d ON d.id = r.device_id WHERE d.endpoint = 'sim-1' AND s.time < ? GROUP BY r.path",
        (until - 3) * 1_000_000,
    )
    assert stored
    for path, count in stored:
        before = [row for row in rows if row["path"] == path and row["time"] < iso(until - 3)]
        assert len(before) == count, path


def iso(seconds: int) -> str:
    """As the file writes times, without a fraction."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
