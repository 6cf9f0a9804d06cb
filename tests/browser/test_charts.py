"""Explore, dashboards and the Charts tab: what is drawn, how one moves in time, and what is kept in the address."""

import csv
import io
import itertools
import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Download, Page, Request, Route, expect

from tests.browser.conftest import Visitors, Web
from tests.browser.pages import accessible, light

HOUR = 3600_000
DAY = 24 * HOUR
PATH = "/3303/0/5700"
DASH = "\N{EN DASH}"
DRAWN = """(index) => window.explore.panels[index].series.map((one) => one.drawn && ({
    key: one.key, level: one.drawn.level, aggregated: one.drawn.aggregated, width: one.drawn.width,
    rows: Array.from(one.drawn.t, (t, i) => [t, ...["low", "high", "y", "count"].map((name) => one.drawn[name][i])]),
    gaps: one.drawn.gaps, other: one.drawn.other, cuts: Array.from(one.drawn.cuts()),
}))"""


def now() -> float:
    return time.time() * 1000


def iso(at: float) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat().replace("+00:00", "Z")


def explore(*keys: str, **more: str) -> str:
    return "/explore/?" + "&".join(
        [*(f"s={key}" for key in keys), *(f"{name}={value}" for name, value in more.items())]
    )


def loads(page: Page) -> int:
    return int(page.locator("#board").get_attribute("data-loads") or 0)


def opened(visit: Visitors, path: str, *, who: str = "olga", **options: Any) -> Page:
    page = visit(who, **options).go(path)
    page.wait_for_selector("#board[data-loads]")
    return page


def drawn(page: Page, panel: int = 0) -> list[Any]:
    found: list[Any] = page.evaluate(DRAWN, panel)
    return found


def window(page: Page) -> list[float]:
    found: list[float] = page.evaluate("window.explore.window()")
    return found


def after_load(page: Page) -> None:
    """Until what is shown has been read for the window as it is now."""
    page.wait_for_function(
        """() => { const { live, fixed, range, shown } = window.explore;
        if (live) return shown.live && Math.abs(shown.end - shown.start - range) < 1500;
        return shown.start === fixed[0] && shown.end === fixed[1]; }"""
    )


def plot(page: Page, share: float, height: float = 0.5) -> tuple[float, float]:
    """A place in the first chart: shares of the time shown and of the plot's height."""
    area = page.evaluate(
        """() => { const panel = window.explore.panels[0]; const box = panel.plot.getBoundingClientRect();
        const { left, top, width, height } = panel.chart.chartArea;
        return [box.left + left, box.top + top, width, height]; }"""
    )
    return area[0] + area[2] * share, area[1] + area[3] * height


def drag(page: Page, start: float, end: float) -> None:
    page.mouse.move(*plot(page, start))
    page.mouse.down()
    page.mouse.move(*plot(page, (start + end) / 2))
    page.mouse.move(*plot(page, end))
    page.mouse.up()


@pytest.fixture(scope="module")
def waves(web: Web) -> None:
    """Two days of a sample every ten seconds, and devices with a few samples each."""
    web.write("chart_wave", endpoint="wave-1", path=PATH, seconds=2 * 86400, every=10)
    web.write("chart_wave", endpoint="wave-2", path=PATH, seconds=86400, every=60, level=40)
    web.write("chart_wave", endpoint="wave-1", path="/3323/0/5700", seconds=3600, every=30, level=1000)


def test_series_are_found_by_words_and_keys(visit: Visitors, waves: None) -> None:
    page = opened(visit, "/explore/")
    box = page.get_by_role("combobox")
    box.fill("wave-1 temperature")
    expect(page.get_by_role("option")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator("[data-legend] tbody tr")).to_have_count(1)
    box.fill("wave")
    expect(page.get_by_role("option", name=re.compile("wave-2"))).to_be_visible()
    chosen = page.get_by_role("option").filter(has_text="wave-1").filter(has_text=PATH)
    expect(chosen).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowUp")
    active = page.locator(f"#{box.get_attribute('aria-activedescendant')}")
    expect(active).to_be_visible()
    page.get_by_role("option", name=re.compile("wave-2")).click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("listbox")).to_be_hidden()
    expect(page).to_have_url(re.compile(re.escape(f"s=wave-1{PATH}&s=wave-2{PATH}&range=1h")))
    box.fill("nothing like it")
    expect(page.get_by_role("option")).to_contain_text("Nothing matches")
    page.reload()
    expect(page.locator("[data-legend] tbody tr")).to_have_count(2)


def test_zooming_fetches_finer_data_and_back_undoes_it(visit: Visitors, waves: None) -> None:
    page = opened(visit, explore(f"wave-1{PATH}", range="24h"))
    coarse = drawn(page)[0]
    assert coarse["aggregated"]
    assert len(coarse["rows"]) <= 2000
    assert any(low < mean < high for _, low, high, mean, _ in coarse["rows"])
    begin, end = window(page)
    drag(page, 0.4, 0.45)
    after_load(page)
    fine = drawn(page)[0]
    assert not fine["aggregated"]
    start, stop = window(page)
    assert abs(start - (begin + 0.4 * DAY)) < 0.01 * DAY
    assert abs((stop - start) - 0.05 * DAY) < 0.005 * DAY
    assert all(start - 1 <= row[0] <= stop + 1 for row in fine["rows"])
    assert len(fine["rows"]) == pytest.approx((stop - start) / 10_000, abs=2)
    expect(page.locator("#chart-live-text")).to_have_text("Go live")
    zoomed = page.url
    assert "from=" in zoomed
    page.go_back()
    after_load(page)
    expect(page.locator('input[name="range"]:checked')).to_have_value("24h")
    assert drawn(page)[0]["aggregated"]
    # what was seen can be sent to somebody
    page.goto(zoomed)
    page.wait_for_selector("#board[data-loads]")
    assert window(page) == pytest.approx([start, stop], abs=1)
    assert end > stop


def test_the_wheel_zooms_and_the_keys_move(visit: Visitors, waves: None) -> None:
    page = opened(visit, explore(f"wave-1{PATH}", range="6h"))
    page.mouse.move(*plot(page, 0.5))
    page.mouse.wheel(0, -400)
    after_load(page)
    start, end = window(page)
    assert end - start < 5.9 * HOUR
    expect(page).to_have_url(re.compile("from="))
    page.locator("[data-plot]").focus()
    page.keyboard.press("ArrowLeft")
    after_load(page)
    assert window(page)[0] == pytest.approx(start - (end - start) / 4, abs=2)
    page.get_by_role("button", name="Later").click()
    after_load(page)
    assert window(page)[0] > start
    page.keyboard.down("Shift")
    drag(page, 0.3, 0.6)
    page.keyboard.up("Shift")
    after_load(page)
    page.get_by_role("button", name="Go live").click()
    expect(page.locator("#chart-live-text")).to_have_text(re.compile("Live|Paused"))


def test_what_is_drawn_stays_until_the_new_is_there(visit: Visitors, waves: None) -> None:
    page = opened(visit, explore(f"wave-1{PATH}", range="24h"))
    held: list[Route] = []
    page.route("**/api/v1/chart?*", lambda route: held.append(route))
    with page.expect_request("**/api/v1/chart?*"):
        page.get_by_role("button", name="Zoom in").click()
    assert len(drawn(page)[0]["rows"]) > 100
    for route in held:
        route.continue_()
    page.unroute("**/api/v1/chart?*")
    after_load(page)


def test_gaps_are_gaps_and_say_why(visit: Visitors, web: Web) -> None:
    at = now() - 2 * HOUR
    steps = [at + 10_000 * i for i in range(360)]
    down = [at + 1_000_000, at + 1_600_000]
    web.write(
        "chart_samples", endpoint="gappy", path=PATH,
        samples=[[one, 20 + i % 7] for i, one in enumerate(steps) if not down[0] < one < down[1]],
    )  # fmt: skip
    web.write("chart_down", start=down[0], end=down[1], reason="Leshan refused the connection")
    page = opened(visit, explore(f"gappy{PATH}", **{"from": iso(at - 60_000), "to": iso(at + HOUR + 1_000_000)}))
    one = drawn(page)[0]
    server = [gap for gap in one["gaps"] if gap["reason"] == "server"]
    assert len(server) == 1
    cut = next(i for i, row in enumerate(one["rows"]) if row[0] >= down[1] - 10_000)
    assert one["cuts"][cut] == 1
    reasons = page.locator("[data-reasons]")
    expect(reasons).to_contain_text("our server was not listening")
    start, end = window(page)
    page.mouse.move(*plot(page, ((down[0] + down[1]) / 2 - start) / (end - start)))
    expect(page.locator(".plot-tip")).to_contain_text("our server was not listening")
    expect(page.locator(".plot-tip .tip-gap")).to_contain_text("10 min")


def test_what_is_no_number_is_a_mark_and_breaks_nothing(visit: Visitors, web: Web) -> None:
    at = now() - 10 * 60_000
    values = [1e308, -1e308, "NaN", 5, "Infinity", "-Infinity", 7, 8, 5e-324, 0]
    web.write("chart_samples", endpoint="odd", path=PATH, samples=[[at + i * 30_000, v] for i, v in enumerate(values)])
    page = opened(visit, explore(f"odd{PATH}", range="15m"))
    expect(page.locator("[data-reasons]")).to_contain_text("3 samples are no number")
    assert [text for _, text in drawn(page)[0]["other"]] == ["NaN", "Infinity", "-Infinity"]
    start, end = window(page)
    page.mouse.move(*plot(page, (at + 60_000 - start) / (end - start), 0.98))
    expect(page.locator(".plot-tip")).to_contain_text("no number: NaN")
    page.get_by_label("5 min", exact=True).check()
    page.get_by_label("1 y", exact=True).check()
    expect(page.locator("[data-legend] tbody td").nth(4)).to_have_text("7 + 3")


INK = """([at, value]) => {
  const { chart } = window.explore.panels[0];
  const ratio = chart.currentDevicePixelRatio;
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const scratch = Object.assign(document.createElement("canvas"), { width: 1, height: 7 });
  const pen = scratch.getContext("2d", { willReadFrequently: true });
  const seen = (paint) => {
    pen.fillStyle = css("--fn-surface");
    pen.fillRect(0, 0, 1, 7);
    paint();
    const { data } = pen.getImageData(0, 0, 1, 7);
    return Array.from({ length: 7 }, (_, i) => Array.from(data.slice(4 * i, 4 * i + 3)));
  };
  const place = (scale, one) => Math.round(scale.getPixelForValue(one) * ratio);
  const [left, top] = [place(chart.scales.x, at), place(chart.scales.y, value)];
  return {
    blank: seen(() => {})[0],
    tone: seen(() => { pen.fillStyle = css("--fn-series-1"); pen.fillRect(0, 0, 1, 7); })[0],
    rows: seen(() => pen.drawImage(chart.canvas, left, top - 3, 1, 7, 0, 0, 1, 7)),
  };
}"""


def luminance(colour: list[float]) -> float:
    """WCAG 2.2, relative luminance."""
    linear = [one / 255 / 12.92 if one / 255 <= 0.04045 else ((one / 255 + 0.055) / 1.055) ** 2.4 for one in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_band_is_plain_to_see_and_hides_no_line(visit: Visitors, web: Web, scheme: str) -> None:
    start = now() - 20 * HOUR
    many = range(19 * 240)
    web.write("chart_samples", endpoint="flat", path=PATH, samples=[[start + i * 15_000, 33] for i in many])
    web.write("chart_samples", endpoint="broad", path=PATH, samples=[[start + i * 15_000, 100 * (i % 2)] for i in many])
    page = opened(visit, explore(f"flat{PATH}", f"broad{PATH}", range="24h"), color_scheme=scheme)
    assert all(one["aggregated"] for one in drawn(page))
    at = start + 10 * HOUR + 7 * 60_000
    band = page.evaluate(INK, [at, 71])
    below, seen = luminance(band["blank"]), luminance(band["rows"][3])
    assert (max(below, seen) + 0.05) / (min(below, seen) + 0.05) > 1.55
    # the other line, drawn before it
    line = page.evaluate(INK, [at, 33])
    away = [sum((a - b) ** 2 for a, b in zip(one, line["tone"], strict=True)) ** 0.5 for one in line["rows"]]
    assert min(away) < 25


def test_a_row_without_values_says_where_they_are(visit: Visitors, web: Web, waves: None) -> None:
    ahead = datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC).timestamp() * 1000
    away = now() - 3 * DAY - HOUR
    web.write("chart_samples", endpoint="ahead", path=PATH, samples=[[ahead + i * 60_000, i] for i in range(12)])
    web.write("chart_samples", endpoint="ahead", path="/3303/1/5700", samples=[[ahead, "NaN"]])
    web.write("chart_samples", endpoint="away", path=PATH, samples=[[away - i * 60_000, i] for i in range(3)])
    web.write("chart_samples", endpoint="apart", path=PATH, samples=[[away, 1], [ahead, 2]])
    series = [f"wave-1{PATH}", f"ahead{PATH}", "ahead/3303/1/5700", f"away{PATH}", f"apart{PATH}"]
    page = opened(visit, explore(*series, range="1h"), locale="en-GB", timezone_id="UTC")
    rows = page.locator("[data-legend] tbody tr")
    notes = rows.locator("[data-elsewhere]")
    said = [
        "no values here; 12 values from 19 Jan 2038 on",
        "no values here; 1 value at 19 Jan 2038",
        "no values here; newest: 3 days ago",
        "no values here; newest: 19 Jan 2038",
    ]
    expect(notes.locator("span")).to_have_text(said)
    expect(rows.first.locator("[data-elsewhere]")).to_have_count(0)
    # the way there is a step of the history
    page.get_by_role("button", name=f"Go to the values of ahead{PATH}").click()
    expect(rows.nth(1).locator("td").nth(4)).to_have_text("12")
    expect(rows.nth(1).locator("[data-elsewhere]")).to_have_count(0)
    assert window(page)[0] < ahead < window(page)[1]
    expect(page).to_have_url(re.compile("from=2038-01-19"))
    expect(rows.nth(3).locator("[data-elsewhere]")).to_contain_text("newest: 3 days ago")
    rows.nth(3).get_by_role("button", name="Go to the values").click()
    expect(rows.nth(3).locator("td").nth(4)).to_have_text("3")
    page.go_back()
    page.go_back()
    expect(notes.locator("span")).to_have_text(said)
    accessible(page)


def test_two_units_take_two_axes_and_a_third_a_chart_below(visit: Visitors, web: Web, waves: None) -> None:
    page = opened(visit, explore("sim-1/3303/0/5700", "sim-1/3/0/9", f"wave-2{PATH}", range="1h"))
    titles = page.evaluate("Object.values(window.explore.panels[0].chart.options.scales).map((s) => s.title?.text)")
    assert titles == [None, "°C", "%"] or titles[1:] == ["°C", "%"]
    problem = page.locator("[data-problem]").first
    expect(problem).to_contain_text("A chart has two axes: 1 series in no unit is not drawn here.")
    problem.get_by_role("button", name="Show them in a chart below").click()
    expect(page.locator("[data-panel]")).to_have_count(2)
    expect(page).to_have_url(re.compile(re.escape(f"s2=wave-2{PATH}")))
    expect(page.locator("[data-panel]").nth(1).locator("[data-legend] tbody td").nth(4)).not_to_have_text(DASH)
    # plots below each other begin and end at the same places
    page.wait_for_function(
        """() => { const areas = window.explore.panels.map((panel) => panel.chart.chartArea);
        return Math.abs(areas[0].left - areas[1].left) < 1.5 && Math.abs(areas[0].right - areas[1].right) < 1.5; }"""
    )
    page.reload()
    expect(page.locator("[data-panel]")).to_have_count(2)


def test_a_new_value_arrives_alone(visit: Visitors, web: Web) -> None:
    at = now()
    web.write("chart_samples", endpoint="tail", path=PATH, samples=[[at - 60_000 + i * 1000, i] for i in range(58)])
    page = opened(visit, explore(f"tail{PATH}", range="5m"))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/api/v1/chart?" in request.url else None)
    before = loads(page)
    web.write("value", endpoint="tail", path=PATH, number=77.125)
    expect(page.locator("[data-legend] tbody td").nth(3)).to_have_text(re.compile("77.125"), timeout=5_000)
    assert drawn(page)[0]["rows"][-1][3] == 77.125
    assert loads(page) == before, "all of it was read again"
    start = float(parse_qs(urlsplit(asked[0]).query)["start"][0])
    assert now() - start < 60_000, "more than the tail was asked for"
    # it slides, until somebody looks at something
    page.mouse.move(5, 5)
    first = window(page)[1]
    page.wait_for_function("(first) => window.explore.window()[1] > first + 500", arg=first)
    page.mouse.move(*plot(page, 0.5))
    expect(page.locator("#chart-live-text")).to_have_text("Paused while you look")
    held = window(page)
    web.write("value", endpoint="tail", path=PATH, number=78.5)
    expect(page.locator("[data-legend] tbody td").nth(3)).to_have_text(re.compile("78.5"), timeout=5_000)
    assert window(page) == held
    page.mouse.move(5, 5)
    expect(page.locator("#chart-live-text")).to_have_text("Live")


def test_the_tail_of_buckets_is_what_a_reload_gives(visit: Visitors, web: Web) -> None:
    web.write("chart_wave", endpoint="tail-2", path=PATH, seconds=86400, every=15)
    page = opened(visit, explore(f"tail-2{PATH}", range="24h"))
    assert drawn(page)[0]["aggregated"]
    web.write("value", endpoint="tail-2", path=PATH, number=300.5)
    expect(page.locator("[data-legend] tbody td").nth(2)).to_have_text("300.5", timeout=5_000)
    tail = drawn(page)[0]["rows"][-1]
    assert tail[2] == 300.5
    page.evaluate("window.explore.load()")
    whole = {row[0]: row for row in drawn(page)[0]["rows"]}
    assert whole[tail[0]][1:] == pytest.approx(tail[1:])


def test_a_series_that_is_not_there_yet_appears(visit: Visitors, web: Web) -> None:
    page = opened(visit, explore("new/3303/0/5700", range="5m"))
    expect(page.locator("[data-problem]")).to_contain_text("There is no series “new/3303/0/5700” yet")
    web.write("value", endpoint="new", path=PATH, number=3.5)
    expect(page.locator("[data-legend] tbody td").nth(3)).to_have_text("3.5", timeout=10_000)
    expect(page.locator("[data-problem]")).to_be_hidden()


def test_events_are_on_the_time_axis(visit: Visitors, web: Web, waves: None) -> None:
    at = now() - 30 * 60_000
    web.write("chart_event", endpoint="wave-2", at=at, text="Registered from 192.0.2.1")
    page = opened(visit, explore(f"wave-2{PATH}", range="1h"))
    expect(page.locator("[data-reasons]")).to_contain_text("registrations: 1")
    start, end = window(page)
    x, y = plot(page, (at - start) / (end - start), 0)
    page.mouse.move(x, y - 8)
    expect(page.locator(".plot-tip")).to_contain_text("Registered from 192.0.2.1")
    page.mouse.click(x, y - 8)
    expect(page.get_by_role("dialog").get_by_role("link", name=re.compile("Registered from"))).to_be_visible()


def test_a_click_tells_what_was_then_and_leads_to_the_logs(visit: Visitors, waves: None) -> None:
    page = opened(visit, explore(f"wave-1{PATH}", range="1h"))
    page.mouse.click(*plot(page, 0.5))
    menu = page.get_by_role("dialog", name="What was at this moment")
    link = menu.get_by_role("link", name="Logs of this moment")
    expect(link).to_be_focused()
    asked = parse_qs(urlsplit(link.get_attribute("href") or "").query)
    assert asked["device"] == ["wave-1"]
    start, end = window(page)
    moment = datetime.fromisoformat(asked["at"][0]).timestamp() * 1000
    assert moment == pytest.approx((start + end) / 2, abs=20_000)
    menu.get_by_role("button", name="Mark this moment").click()
    expect(page).to_have_url(re.compile(r"at=\d{4}"))
    expect(menu).to_be_hidden()
    # a link from a line of the logs: the moment is the middle
    page.goto(page.url.split("/explore/")[0] + explore(f"wave-1{PATH}", at=asked["at"][0]))
    page.wait_for_selector("#board[data-loads]")
    assert sum(window(page)) / 2 == pytest.approx(moment, abs=1000)
    page.locator("[data-plot]").focus()
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator("[data-read]")).to_contain_text("wave-1")
    page.keyboard.press("Enter")
    expect(link).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("[data-plot]")).to_be_focused()


def test_a_series_is_hidden_and_the_table_says_the_same(visit: Visitors, waves: None) -> None:
    page = opened(visit, explore(f"wave-1{PATH}", f"wave-2{PATH}", range="15m"))
    toggle = page.locator("[data-toggle]").first
    toggle.click()
    expect(toggle).to_have_attribute("aria-pressed", "false")
    expect(page).to_have_url(re.compile(re.escape(f"hide=wave-1{PATH}")))
    page.get_by_text("Values as a table").click()
    table = page.get_by_role("region", name="Values as a table")
    expect(table).to_contain_text("wave-2")
    expect(table).not_to_contain_text("wave-1")
    page.reload()
    expect(page.locator("[data-toggle]").first).to_have_attribute("aria-pressed", "false")


def saved(page: Page, label: str) -> Download:
    page.get_by_label("More for this chart").first.click()
    with page.expect_download() as download:
        page.get_by_role("button", name=label).first.click()
    return download.value


def test_csv_is_what_is_drawn(visit: Visitors, waves: None, tmp_path: Path) -> None:
    at = now() - 6 * HOUR
    page = opened(visit, explore(f"wave-1{PATH}", f"wave-2{PATH}", **{"from": iso(at), "to": iso(at + 5 * HOUR)}))
    download = saved(page, "What is shown (CSV)")
    assert re.fullmatch(r"2-devices_2-series_\d{8}T\d{4}-\d{8}T\d{4}\.csv", download.suggested_filename)
    download.save_as(tmp_path / "shown.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "shown.csv").read_text())))
    for one in drawn(page):
        device = one["key"].split("/")[0]
        mine = [row for row in rows if row["device"] == device]
        assert len(mine) == len(one["rows"])
        for row, (t, low, high, mean, count) in zip(mine, one["rows"], strict=True):
            assert datetime.fromisoformat(row["time"]).timestamp() * 1000 == pytest.approx(t, abs=0.01)
            assert float(row["value"]) == mean
            if one["aggregated"]:
                assert [float(row["min"]), float(row["max"]), int(row["count"])] == [low, high, count]
                assert float(row["bucket_seconds"]) * 1000 == one["width"]
            else:
                assert row["kind"] == "sample"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_picture_is_a_chart_on_its_background(visit: Visitors, waves: None, tmp_path: Path, scheme: Any) -> None:
    page = opened(visit, explore(f"wave-1{PATH}", range="1h", t="Hall"), color_scheme=scheme)
    download = saved(page, "Picture (PNG)")
    assert download.suggested_filename.startswith("Hall_")
    download.save_as(tmp_path / "chart.png")
    data = (tmp_path / "chart.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert len(data) > 8_000
    colours = page.evaluate(
        """async (bytes) => {
            const image = await createImageBitmap(new Blob([new Uint8Array(bytes)], { type: "image/png" }));
            const canvas = new OffscreenCanvas(image.width, image.height);
            const ctx = canvas.getContext("2d");
            ctx.drawImage(image, 0, 0);
            const { data } = ctx.getImageData(0, 0, image.width, image.height);
            const found = new Set();
            for (let i = 0; i < data.length; i += 4) found.add(data.slice(i, i + 4).join());
            return { corner: [...data.slice(0, 4)], colours: found.size };
        }""",
        list(data),
    )
    assert colours["corner"] == ([255, 255, 255, 255] if scheme == "light" else [26, 30, 38, 255])
    assert colours["colours"] > 20


def test_dashboards_are_saved_shared_and_changed(visit: Visitors, web: Web, waves: None) -> None:
    web.write("dashboards_clear")
    page = opened(visit, explore(f"wave-1{PATH}", range="6h", s2=f"wave-2{PATH}", t="Hall", t2="Yard"))
    page.get_by_role("button", name="Save as dashboard…").click()
    page.get_by_label("Name").fill("Morning round")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Morning round")
    page.wait_for_selector("#board[data-loads]")
    expect(page.locator("[data-panel] h2")).to_have_text(["Hall", "Yard"])
    expect(page.locator("[data-legend] tbody td").nth(4)).not_to_have_text(DASH)
    expect(page.locator('input[name="range"]:checked')).to_have_value("6h")
    # one range for all of them, in the address
    page.get_by_label("1 h", exact=True).check()
    expect(page).to_have_url(re.compile("range=1h"))
    dashboard = page.url.split("?")[0]
    # more charts, another order, another name, a copy, and away
    page.goto(page.url.split("/dashboards/")[0] + explore("sim-1/3/0/9", range="24h", t="Battery"))
    page.wait_for_selector("#board[data-loads]")
    page.get_by_role("button", name="Add to dashboard…").click()
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("[data-panel] h2")).to_have_text(["Hall", "Yard", "Battery"])
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Move chart 3 up").click()
    expect(page.locator("[data-panel] h2")).to_have_text(["Hall", "Battery", "Yard"])
    expect(page.get_by_label("Shown at first")).to_have_value("6h")
    page.get_by_label("Remove chart 1").click()
    expect(page.locator("[data-panel] h2")).to_have_text(["Battery", "Yard"])
    page.get_by_label("Title of chart 1").fill("Cells")
    page.get_by_role("button", name="Save title").first.click()
    expect(page.locator("[data-panel] h2")).to_have_text(["Cells", "Yard"])
    page.get_by_label("Name").fill("Evening round")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Evening round")
    page.get_by_role("button", name="Duplicate").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Evening round (copy)")
    page.get_by_role("button", name="Delete …").click()
    page.get_by_role("button", name="Go ahead").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Dashboards")
    expect(page.locator("main .rows li")).to_have_count(1)
    # a viewer sees it and changes nothing
    other = opened(visit, urlsplit(dashboard).path, who="vera")
    expect(other.locator("[data-panel] h2")).to_have_text(["Cells", "Yard"])
    expect(other.get_by_role("link", name="Edit")).to_have_count(0)
    other.get_by_role("link", name="Open in Explore").first.click()
    expect(other.locator("[data-title]").first).to_have_value("Cells")


def test_the_device_has_all_its_series_as_small_charts(visit: Visitors, waves: None) -> None:
    page = opened(visit, "/devices/wave-1/?tab=charts")
    expect(page.locator("[data-small-panel]")).to_have_count(2)
    expect(page.locator("[data-last]").first).not_to_have_text(DASH)
    page.get_by_label("1 h", exact=True).check()
    expect(page).to_have_url(re.compile("tab=charts&range=1h"))
    page.get_by_label("24 h", exact=True).check()
    expect(page).to_have_url(re.compile("tab=charts&range=24h"))
    page.get_by_label("1 h", exact=True).check()
    page.get_by_role("link", name=re.compile("Temperature")).click()
    expect(page).to_have_url(re.compile(re.escape(f"/explore/?s=wave-1{PATH}&range=1h")))
    page = visit("vera").go("/devices/stolen/?tab=charts")
    expect(page.locator("main")).to_contain_text("No numbers have come from this device yet")


def test_the_day_of_the_clock_change_has_the_readers_hours(visit: Visitors, web: Web) -> None:
    midnight = datetime(2026, 10, 24, 22, tzinfo=UTC).timestamp() * 1000  # 25 October 00:00 in Berlin
    hours = 25  # that day has two hours from 02:00 to 03:00
    web.write(
        "chart_samples", endpoint="clock", path=PATH,
        samples=[[midnight + i * 600_000, i % 9] for i in range(6 * hours)],
    )  # fmt: skip
    page = opened(
        visit, explore(f"clock{PATH}", **{"from": iso(midnight), "to": iso(midnight + 6 * HOUR)}),
        timezone_id="Europe/Berlin", locale="en-GB", viewport={"width": 1400, "height": 900},
    )  # fmt: skip
    labels = page.evaluate("window.explore.panels[0].chart.scales.x.ticks.map((tick) => [tick.value, tick.label])")
    texts = {round((value - midnight) / HOUR, 2): label for value, label in labels}
    assert texts[2.0][0] == texts[3.0][0] == "02:00"
    assert texts[3.0][1] == "CET"
    assert texts[4.0][0] == "03:00"
    expect(page.locator("#chart-span")).to_have_text("25 Oct 2026, 00:00 CEST \N{EN DASH} 05:00 CET")
    page.goto(
        page.url.split("/explore/")[0]
        + explore(f"clock{PATH}", **{"from": iso(midnight), "to": iso(midnight + 3 * DAY)})
    )
    page.wait_for_selector("#board[data-loads]")
    labels = page.evaluate("window.explore.panels[0].chart.scales.x.ticks.map((tick) => [tick.value, tick.label])")
    days = [value for value, label in labels if label[0] == "00:00"]
    assert [(b - a) / HOUR for a, b in itertools.pairwise(days)] == [25, 24]


def test_a_free_range_is_checked_and_shown(visit: Visitors, waves: None) -> None:
    page = opened(visit, explore(f"wave-1{PATH}", range="1h"), timezone_id="Europe/Berlin")
    page.get_by_text("From \N{EN DASH} to").click()
    page.get_by_label("From", exact=True).fill("2026-11-20T10:00:00")
    page.get_by_label("To", exact=True).fill("2026-11-20T09:00:00")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_text("swap them")).to_be_visible()
    page.get_by_label("To", exact=True).fill("2026-11-20T11:00:00")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page).to_have_url(re.compile(re.escape("from=2026-11-20T09:00:00.000Z&to=2026-11-20T10:00:00.000Z")))
    expect(page.locator(".plot-say")).to_contain_text("No values in this range. The newest is of")
    page.get_by_role("button", name="Go there").click()
    after_load(page)
    assert drawn(page)[0]["rows"]


def test_a_failed_answer_is_said_and_tried_again(visit: Visitors, waves: None) -> None:
    visitor = visit("olga")
    visitor.expected = ["500"]
    visitor.context.route(
        "**/api/v1/chart?*", lambda route: route.fulfill(status=500, json={"detail": "The disk is full."})
    )
    page = visitor.go(explore(f"wave-1{PATH}", range="1h"))
    expect(page.locator("[data-problem]")).to_contain_text("The chart could not be read: The disk is full.")
    visitor.context.unroute("**/api/v1/chart?*")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("[data-problem]")).to_be_hidden()
    expect(page.locator("[data-legend] tbody td").nth(4)).not_to_have_text(DASH)


def test_twenty_four_series_of_two_thousand_points_stay_smooth(visit: Visitors) -> None:
    visitor = visit("olga")
    begin = now() - DAY

    def item(number: int, one: int) -> dict[str, Any]:
        about = {"id": one, "device": "x", "path": PATH, "object_name": "", "name": "", "unit": ""}
        step = DAY / 2000
        return {
            "series": {**about, "first": None, "last": None}, "level": "buckets", "width": step,
            "points": [[begin + i * step, number, number + 2, number + (i * 31 % 97) / 50, 5] for i in range(2000)],
            "other": [], "others": 0, "gaps": [], "stats": None,
        }  # fmt: skip

    def answer(request: Request) -> str:
        ids = [int(one) for one in parse_qs(urlsplit(request.url).query)["series"]]
        items = [item(number, one) for number, one in enumerate(ids)]
        return json.dumps({"start": begin, "end": begin + DAY, "now": now(), "items": items})

    visitor.context.route(
        "**/api/v1/chart?*", lambda route: route.fulfill(content_type="application/json", body=answer(route.request))
    )
    visitor.context.route("**/parts/series/*", lambda route: route.fulfill(json={"more": False, "items": []}))
    page = visitor.go(explore(*(f"sim-1/3303/0/{number}" for number in range(24)), range="24h"))
    page.evaluate(
        """() => { const [panel] = window.explore.panels; panel.series.forEach((one, i) => { one.id = i + 1; });
        return window.explore.load(); }"""
    )
    expect(page.locator("#board[data-loads]")).to_be_visible()
    spent = page.evaluate(
        """() => { const times = []; for (let i = 0; i < 20; i += 1) { const begin = performance.now();
        window.explore.panels[0].slide(); times.push(performance.now() - begin); }
        return times.sort((a, b) => a - b)[10]; }"""
    )
    assert spent < 80, f"{spent} ms to draw"


PAGES = [
    "/explore/",
    explore("sim-1/3303/0/5700", "sim-1/3/0/9", range="1h"),
    "/devices/sim-1/?tab=charts",
    "/dashboards/",
]


@pytest.mark.parametrize("path", PAGES)
def test_accessible_in_both_themes_and_at_360_pixels(visit: Visitors, waves: None, path: str) -> None:
    visitor = visit("olga", color_scheme="light")
    page = visitor.go(path)
    if path != "/dashboards/":
        page.wait_for_selector("#board[data-loads]")
    accessible(page)


def test_light_and_still(visit: Visitors) -> None:
    visitor = visit("olga")
    visitor.page.add_init_script(
        """window.shifted = 0; new PerformanceObserver((list) => { for (const entry of list.getEntries()) {
        if (!entry.hadRecentInput) window.shifted += entry.value; }
        }).observe({ type: "layout-shift", buffered: true });"""
    )
    page = visitor.go(explore("sim-1/3303/0/5700", "sim-1/3/0/9", range="1h"))
    page.wait_for_selector("#board[data-loads]")
    light(page)
    assert page.evaluate("window.shifted") < 0.02
