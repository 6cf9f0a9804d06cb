"""The map: every device that says where it is, near and far, while it moves; and the same as a list."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visitors, Web
from tests.browser.pages import accessible

BOX = "[data-map-box]"
CARD = "[data-map-place]"


@pytest.fixture(autouse=True)
def nobody_is_anywhere(web: Web) -> Iterator[None]:
    web.write("places_gone")
    yield
    web.write("places_gone")


def zoom(page: Page) -> float:
    return float(page.locator(BOX).get_attribute("data-zoom") or "nan")


def marks(page: Page, number: int) -> None:
    expect(page.locator(BOX)).to_have_attribute("data-marks", str(number))


def opened(page: Page) -> None:
    expect(page.locator("[data-map-count]")).to_have_text(re.compile(r"\d"))


def test_without_positions_the_page_says_how_to_get_them(visit: Visitors, web: Web) -> None:
    page = visit("vera").go("/map/")
    expect(page.get_by_role("heading", name="No device has said where it is")).to_be_visible()
    expect(page.locator(BOX)).to_be_hidden()
    web.write("place", endpoint="first", latitude="48.1", longitude="11.5")
    expect(page.locator(BOX)).to_be_visible(timeout=3_000)
    marks(page, 1)


def test_devices_are_shown_listed_and_lead_to_their_pages(visit: Visitors, web: Web) -> None:
    web.write("place", endpoint="truck", latitude="48.137", longitude="11.575")
    web.write("place", endpoint="ferry", latitude="-17.7", longitude="-179.3", kind="STRING", status="offline")
    web.write("place", endpoint="bad", latitude="NaN", longitude="11")
    web.write("place", endpoint="worse", latitude="48", longitude="181")
    page = visit("vera").go("/map/")
    opened(page)
    marks(page, 2)
    expect(page.locator("[data-map-rows] tbody tr")).to_have_count(2)
    page.get_by_text("2 that cannot be drawn").click()
    expect(page.locator("[data-map-unusable]")).to_contain_text("bad: the latitude is no number: 'NaN'")
    expect(page.locator("[data-map-unusable]")).to_contain_text("worse: the longitude 181 is not between -180 and 180")
    page.get_by_label("Find a device").fill("FER")
    expect(page.locator("[data-map-rows] tbody tr")).to_have_count(1)
    page.get_by_role("button", name="ferry").click()
    card = page.locator(CARD)
    expect(card).to_contain_text("Offline")
    expect(card).to_contain_text("-17.700000, -179.300000")
    expect(card).to_contain_text(re.compile("position (just now|[0-9]+ s ago)"))
    expect(page).to_have_url(re.compile(r"view=-17\.\d+%2C-179\.\d+%2C12\.0&device=ferry"))
    page.reload()
    expect(card.get_by_role("link", name="ferry")).to_have_attribute("href", "/devices/ferry/")
    # drawn with the next frame
    expect(page.locator(BOX)).to_have_attribute("data-zoom", "12.00")
    card.get_by_role("button", name="Close").click()
    expect(card).to_be_hidden()


def test_the_list_begins_with_the_newest_position(visit: Visitors, web: Web) -> None:
    for endpoint, age in (("a-old", 3000), ("z-new", 30), ("m-middle", 300)):
        web.write("place", endpoint=endpoint, latitude="48.1", longitude="11.5", seconds_ago=age)
    web.write("place", endpoint="no-fix", latitude="NaN", longitude="11", seconds_ago=1)
    page = visit("vera").go("/map/")
    opened(page)
    names = page.locator("[data-map-rows] .map-go")
    expect(names).to_have_text(["z-new", "m-middle", "a-old"])
    expect(page.locator(".map-list header")).to_contain_text("newest first")
    # what cannot be drawn is below
    assert page.evaluate(
        """() => document.querySelector('[data-map-rows]').compareDocumentPosition(
        document.querySelector('[data-map-unusable]')) & Node.DOCUMENT_POSITION_FOLLOWING"""
    )
    web.write("place", endpoint="a-old", latitude="48.2", longitude="11.5")
    expect(names).to_have_text(["a-old", "z-new", "m-middle"], timeout=3_000)
    # nothing slips away under the pointer
    names.nth(1).hover()
    web.write("place", endpoint="m-middle", latitude="48.3", longitude="11.5", status="asleep")
    expect(page.locator("[data-map-rows] tbody tr").nth(2)).to_contain_text("Asleep", timeout=3_000)
    expect(names).to_have_text(["a-old", "z-new", "m-middle"])
    page.mouse.move(5, 5)
    web.write("place", endpoint="z-new", latitude="48.1", longitude="11.6")
    expect(names).to_have_text(["z-new", "m-middle", "a-old"], timeout=3_000)


def test_a_device_that_moves_is_seen_to_move(visit: Visitors, web: Web) -> None:
    web.write("place", endpoint="runner", latitude="10", longitude="20")
    page = visit("vera").go("/map/?device=runner")
    card = page.locator(CARD)
    expect(card).to_contain_text("10.000000, 20.000000")
    web.write("place", endpoint="runner", latitude="10.5", longitude="20", status="asleep")
    expect(card).to_contain_text("10.500000, 20.000000", timeout=3_000)
    expect(card).to_contain_text("Asleep")
    web.write("place", endpoint="runner", latitude="NaN", longitude="20")
    expect(page.locator("[data-map-unusable]")).to_contain_text("1 that cannot be drawn", timeout=3_000)
    expect(card).to_be_hidden()


def test_zoom_and_pan_by_wheel_buttons_keys_and_hand(visit: Visitors, web: Web) -> None:
    web.write("place", endpoint="one", latitude="48", longitude="11")
    web.write("place", endpoint="two", latitude="49", longitude="12")
    page = visit("vera").go("/map/")
    opened(page)
    marks(page, 2)
    canvas = page.get_by_role("application", name="Map of devices")
    before = zoom(page)
    page.get_by_role("button", name="Zoom out").click()
    page.wait_for_function("(before) => document.querySelector('[data-map-box]').dataset.zoom < before", arg=before)
    canvas.focus()
    page.keyboard.press("0")
    page.wait_for_function("(before) => document.querySelector('[data-map-box]').dataset.zoom >= before", arg=before)
    page.keyboard.press("+")
    page.wait_for_function("(zoom) => document.querySelector('[data-map-box]').dataset.zoom > zoom", arg=before + 0.9)
    canvas.hover(position={"x": 300, "y": 200})
    page.mouse.wheel(0, 240)
    page.wait_for_function("(zoom) => document.querySelector('[data-map-box]').dataset.zoom < zoom", arg=before + 0.5)
    expect(page).to_have_url(re.compile("view="))
    here = page.url
    page.mouse.down()
    page.mouse.move(200, 400, steps=4)
    page.mouse.up()
    page.wait_for_function("(here) => window.location.href !== here", arg=here)
    for _ in range(40):
        page.keyboard.press("ArrowLeft")
    marks(page, 0)
    page.get_by_role("button", name="Show all").click()
    marks(page, 2)


def test_near_ones_are_one_mark_until_one_comes_closer(visit: Visitors, web: Web) -> None:
    for number in range(5):
        web.write("place", endpoint=f"near-{number}", latitude=str(48 + number * 0.005), longitude="11")
    web.write("place", endpoint="far", latitude="-40", longitude="-70")
    page = visit("vera").go("/map/")
    opened(page)
    marks(page, 2)
    page.get_by_role("button", name="near-2").click()
    page.get_by_role("button", name="Zoom to it").click()
    page.get_by_role("button", name="Zoom out").click()
    expect(page.locator(BOX)).to_have_attribute("data-marks", "5")
    # in the middle is the one that was chosen: a click beside it closes, one on it opens
    box = page.locator(f"{BOX} canvas").bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] / 2 + 200, box["y"] + box["height"] / 2)
    expect(page.locator(CARD)).to_be_hidden()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator("[data-map-tip]")).to_contain_text("near-2")
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator(CARD)).to_contain_text("near-2")


def test_devices_at_one_place_are_named(visit: Visitors, web: Web) -> None:
    for number in range(3):
        web.write("place", endpoint=f"same-{number}", latitude="48", longitude="11")
    page = visit("vera").go("/map/?view=48,11,12")
    opened(page)
    marks(page, 1)
    box = page.locator(f"{BOX} canvas").bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator(CARD)).to_contain_text("3 devices at one place")
    expect(page.locator(CARD).get_by_role("link", name="same-2")).to_be_visible()


def test_the_way_of_one_device_on_demand(visit: Visitors, web: Web) -> None:
    web.write("place", endpoint="way/a b", latitude="48.137", longitude="11.575", track=90)
    page = visit("vera").go("/map/?device=way/a+b")
    page.get_by_role("button", name="Where it was").click()
    expect(page.locator(CARD)).to_contain_text("90 positions since")
    expect(page).to_have_url(re.compile("track=1"))
    page.reload()
    expect(page.locator(CARD)).to_contain_text("90 positions since")
    page.get_by_role("button", name="Hide the way").click()
    expect(page.get_by_role("button", name="Where it was")).to_be_visible()


def test_ten_thousand_devices_stay_smooth(visit: Visitors, web: Web) -> None:
    web.write("places", count=10_000)
    page = visit("vera").go("/map/")
    expect(page.locator("[data-map-count]")).to_have_text("10,000", timeout=15_000)
    expect(page.locator("[data-map-rows] tbody tr")).to_have_count(200)
    canvas = page.locator(f"{BOX} canvas")
    canvas.hover(position={"x": 400, "y": 250})
    times = []
    for _ in range(15):
        page.mouse.wheel(0, -120)
        times.append(float(page.locator(BOX).get_attribute("data-ms") or "nan"))
    # marks are made anew at each step of the zoom only
    assert sorted(times)[len(times) // 2] < 100
    page.get_by_label("Find a device").fill("place-09999")
    page.get_by_role("button", name="place-09999").click()
    expect(page.locator(CARD)).to_contain_text("place-09999")


def test_accessible_in_both_themes_and_at_360_pixels(visit: Visitors, web: Web) -> None:
    web.write("place", endpoint="axe-1", latitude="48.137", longitude="11.575", track=20)
    web.write("place", endpoint="axe-2", latitude="NaN", longitude="11.575")
    page = visit("ada", color_scheme="light").go("/map/?device=axe-1&track=1")
    expect(page.locator(CARD)).to_contain_text("20 positions")
    page.get_by_text("1 that cannot be drawn").click()
    accessible(page)
