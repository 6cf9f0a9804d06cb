"""The export page: what it counts is what the file holds, and times are the reader's own until they leave the page."""

import csv
import re
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Visitors, Web
from tests.browser.pages import accessible

PATH = "/3303/0/5700"
HUMIDITY = "/3304/0/5700"
START = 1_795_366_800_000  # 2026-11-22T17:00:00Z
SERIES = f"export-1{PATH}"
# five hours behind UTC, without another time in November
ZONE = "America/New_York"


@pytest.fixture(scope="module", autouse=True)
def samples(web: Web) -> None:
    """A minute's samples each, at five in the afternoon (UTC)."""
    for path, many in ((PATH, 60), (HUMIDITY, 7)):
        rows = [[START + 1000 * second, 20 + second] for second in range(many)]
        web.write("chart_samples", endpoint="export-1", path=path, samples=rows)


def opened(visit: Visitors, query: list[tuple[str, str]] | None = None, **options: str) -> Page:
    return visit("vera", timezone_id=ZONE, **options).go("/export/?" + urlencode(query or []))


def link(page: Page) -> Locator:
    return page.get_by_role("link", name=re.compile("^Download"))


def asked(page: Page) -> dict[str, list[str]]:
    """What the link to the file asks for."""
    return parse_qs(urlsplit(link(page).get_attribute("href") or "").query)


def look(page: Page) -> None:
    page.get_by_role("button", name="Look").click()


def test_nothing_chosen_is_everything(visit: Visitors) -> None:
    page = opened(visit)
    counted = page.get_by_text(re.compile(r"[\d,]+ series with [\d,]+ samples"))
    expect(counted).to_be_visible()
    assert asked(page) == {"format": ["csv"]}
    assert link(page).get_attribute("href") == "/api/v1/export?format=csv"
    expect(page.locator("code").last).to_have_text("python manage.py export samples.csv")


def test_what_was_chosen_is_in_the_file(visit: Visitors) -> None:
    page = opened(visit)
    page.get_by_label("Devices", exact=True).fill("export-1")
    look(page)
    expect(page.get_by_text("2 series with")).to_be_visible()
    assert asked(page)["device"] == ["export-1"]
    page.get_by_label("Paths", exact=True).fill(HUMIDITY)
    look(page)
    expect(page.get_by_text("1 series with")).to_be_visible()
    with page.expect_download() as coming:
        link(page).click()
    assert re.search(r"\.csv$", coming.value.suggested_filename)
    with coming.value.path().open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["device"], row["path"], float(row["value"])) for row in rows] == [
        ("export-1", HUMIDITY, 20.0 + number) for number in range(7)
    ]
    page.get_by_label("Parquet").check()
    look(page)
    expect(link(page)).to_have_text("Download PARQUET")
    with page.expect_download() as coming:
        link(page).click()
    assert coming.value.path().read_bytes()[:4] == b"PAR1"


def test_times_are_the_readers_and_the_link_is_in_utc(visit: Visitors) -> None:
    page = opened(visit, [("s", SERIES)])
    page.get_by_label("From", exact=True).fill("2026-11-22T12:00:10")
    page.get_by_label("To", exact=True).fill("2026-11-22T12:00:20")
    look(page)
    expect(page).to_have_url(re.compile("from=2026-11-22T17%3A00%3A10.000Z"))
    assert asked(page)["of"] == [SERIES]
    moments = [datetime.fromisoformat(asked(page)[name][0]) for name in ("start", "end")]
    assert moments == [datetime(2026, 11, 22, 17, 0, second, tzinfo=UTC) for second in (10, 20)]
    # the fields say the same as before, and what nobody touches does not move
    expect(page.get_by_label("From", exact=True)).to_have_value("2026-11-22T12:00:10")
    before = asked(page)
    look(page)
    assert asked(page) == before
    with page.expect_download() as coming:
        link(page).click()
    with coming.value.path().open(newline="") as file:
        assert [float(row["value"]) for row in csv.DictReader(file)] == [30.0 + number for number in range(10)]
    page.get_by_label("From", exact=True).fill("")
    look(page)
    assert "start" not in asked(page)
    assert asked(page)["end"] == before["end"]


def test_a_time_without_a_zone_is_the_same_time_everywhere(visit: Visitors) -> None:
    page = opened(visit, [("s", SERIES), ("from", "2026-11-22T17:00:10")])
    assert asked(page)["start"] == ["2026-11-22T17:00:10Z"]
    expect(page.get_by_label("From", exact=True)).to_have_value("2026-11-22T12:00:10")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ([("s", "export-1/3303/0/9999")], "There is no series 'export-1/3303/0/9999'."),
        ([("s", "<b>x</b>")], "'<b>x</b>' is no series: write the endpoint and the path, such as"),
        ([("device", "nobody")], "There is no device 'nobody'."),
        ([("s", SERIES), ("from", "yesterday")], "'yesterday' is no time: write it as 2026-11-22T17:00:00Z."),
    ],
)
def test_what_is_not_there_is_said_and_stays_to_be_mended(
    visit: Visitors, query: list[tuple[str, str]], said: str
) -> None:
    page = opened(visit, query)
    expect(page.locator("main").get_by_role("alert")).to_contain_text(said)
    expect(link(page)).to_have_count(0)
    name, typed = query[-1]
    expect(page.locator(f"#export [name={name}]")).to_have_value(re.compile(re.escape(typed)))


@pytest.mark.parametrize("query", [[], [("s", SERIES)], [("device", "nobody")]])
def test_it_is_accessible_and_fits_a_phone(visit: Visitors, query: list[tuple[str, str]]) -> None:
    accessible(opened(visit, query, color_scheme="light"))
