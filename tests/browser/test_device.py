"""The page of a device: live values, honest charts."""

import itertools
import re
import time
from urllib.parse import quote

from playwright.sync_api import Page, expect

from tests.browser.conftest import Visitors, Web

VALUE = '[data-cell="v-/3303/0/5700"]'


def series(page: Page) -> list[tuple[float, float | None]]:
    """What Chart.js has been given to draw."""
    points: list[tuple[float, float | None]] = page.evaluate(
        "window.Chart.getChart('chart-canvas').data.datasets[0].data.map((point) => [point.x, point.y])"
    )
    return points


def drawn(visit: Visitors, path: str = "/devices/sim-1/") -> Page:
    page = visit("vera").go(path)
    expect(page.locator("#chart-notes li").first).to_be_visible()
    return page


def test_a_new_value_is_there_within_two_seconds(visit: Visitors, web: Web) -> None:
    page = drawn(visit)
    page.evaluate("window.stillTheSamePage = true")
    for number in (42.125, 43.375, 44.5):
        began = time.monotonic()
        web.write("value", endpoint="sim-1", path="/3303/0/5700", number=number)
        expect(page.locator(VALUE)).to_contain_text(str(number), timeout=2_000)
        expect(page.locator("#chart-value")).to_have_text(f"{number} °C", timeout=2_000)
        assert time.monotonic() - began < 2
        expect(page.locator(VALUE)).to_have_class(re.compile("changed"))
    assert series(page)[-1][1] == 44.5
    expect(page.locator('[data-cell="t-/3303/0/5700"]')).to_have_text(re.compile("just now|[1-5] s ago"))
    assert page.evaluate("window.stillTheSamePage") is True


def test_a_value_that_was_never_there_before_appears(visit: Visitors, web: Web) -> None:
    page = drawn(visit)
    web.write("value", endpoint="sim-1", path="/3315/0/5700", number=101_325.0)
    expect(page.locator('[data-cell="v-/3315/0/5700"]')).to_contain_text("101325", timeout=2_000)


def test_what_the_reader_has_opened_stays_open(visit: Visitors, web: Web) -> None:
    page = drawn(visit)
    page.get_by_text("80 bytes").click()
    hexadecimal = page.locator("pre.dump", has_text="00ff00ff")
    expect(hexadecimal).to_be_visible()
    web.write("value", endpoint="sim-1", path="/3303/0/5700", number=12.75)
    expect(page.locator(VALUE)).to_contain_text("12.75")
    expect(hexadecimal).to_be_visible()


def test_gaps_are_gaps_and_say_why(visit: Visitors) -> None:
    page = drawn(visit)
    expect(page.locator("#chart-notes")).to_contain_text("Leshan refused the connection")
    expect(page.locator("#chart-notes")).to_contain_text("1 sample is no number (NaN)")
    points = series(page)
    holes = [index for index, (_, y) in enumerate(points) if y is None]
    assert holes
    longest = max(points[index + 1][0] - points[index - 1][0] for index in holes if 0 < index < len(points) - 1)
    assert longest > 170_000
    # no two neighbours with numbers are joined across the time when nothing was heard
    joined = [(a, b) for a, b in itertools.pairwise(points) if a[1] is not None and b[1] is not None]
    assert max(b[0] - a[0] for a, b in joined) < 100_000


def test_series_and_range_are_in_the_address(visit: Visitors) -> None:
    page = drawn(visit)
    assert page.evaluate("window.Chart.getChart('chart-canvas').options.scales.y.title.text") == "°C"
    page.get_by_label("Chart of Battery Level /3/0/9").click()
    expect(page).to_have_url(re.compile(re.escape("series=" + quote("/3/0/9", safe=""))))
    page.get_by_label("5 min", exact=True).check()
    expect(page.locator("#chart-empty")).to_contain_text("No samples in this range")
    page.get_by_role("button", name="Show all there is").click()
    expect(page.locator("#chart-notes")).to_contain_text("From 88 to 94 % in 7 samples")
    address = page.url
    page.goto(address)
    expect(page.locator("#chart-notes")).to_contain_text("From 88 to 94 % in 7 samples")
    expect(page.locator('input[name="range"]:checked')).to_have_value("0")


def test_a_series_of_nothing_but_text_breaks_nothing(visit: Visitors) -> None:
    page = drawn(visit, "/devices/sim-1/?series=/4/0/2")
    expect(page.locator("#chart-value")).to_have_text("Infinity")
    expect(page.locator("#chart-notes")).to_contain_text("is no number (Infinity)")


def test_nonsense_in_the_address_is_not_followed(visit: Visitors) -> None:
    page = drawn(visit, "/devices/sim-1/?series=/9/9/9&range=-5&tab=x")
    expect(page.locator('input[name="range"]:checked')).to_have_value("3600")


def test_the_status_moves_by_itself(visit: Visitors, web: Web) -> None:
    page = visit("vera").go("/devices/new/?tab=connection")
    status = page.locator(".devicehead [data-cell=status]")
    expect(status).to_have_text("Never seen")
    web.write("status", endpoint="new", status="online")
    expect(status).to_have_text("Online", timeout=2_000)
    web.write("status", endpoint="new", status="never_seen")
    expect(status).to_have_text("Never seen", timeout=2_000)


def test_markup_in_names_and_values_stays_text(visit: Visitors) -> None:
    visitor = visit("vera")
    page = visitor.go("/devices/?search=very")
    link = page.locator("table.devices tbody th a")
    expect(link).to_contain_text("<b>name</b>")
    link.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("<b>name</b>")
    page = visitor.go("/devices/sim-1/")
    expect(page.get_by_text("<script>alert(1)</script>").first).to_be_visible()


def test_times_are_exact_on_hover_and_in_the_browsers_zone(visit: Visitors) -> None:
    page = visit("vera", timezone_id="America/New_York", locale="en-US").go("/devices/sim-1/?tab=connection")
    expect(page.locator('.devicehead [data-cell="contact"] time')).to_have_attribute("title", re.compile("E[SD]T"))
    expect(page.locator('time[data-time="exact"]').first).to_contain_text(re.compile("E[SD]T"))
