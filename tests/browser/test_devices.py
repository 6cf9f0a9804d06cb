"""The list: its state is in the address, and it moves by itself without a jump."""

import csv
import io
import re
from pathlib import Path
from urllib.parse import urljoin

from playwright.sync_api import Page, expect

from tests.browser.conftest import Visitors, Web


def names(page: Page) -> list[str]:
    return page.locator("table.devices tbody th").all_inner_texts()


def test_sort_filter_search_and_pages_without_a_reload(visit: Visitors) -> None:
    page = visit("vera").go("/devices/")
    page.evaluate("window.stillTheSamePage = true")
    page.get_by_role("link", name="Endpoint").click()
    expect(page).to_have_url(re.compile(r"sort=-endpoint"))
    # other modules' devices are in the same database
    last = page.request.get(urljoin(page.url, "/api/v1/devices?order=-endpoint&page_size=1")).json()["items"][0][
        "endpoint"
    ]
    expect(page.locator("table.devices tbody th").first).to_have_text(last)
    page.get_by_label("Model", exact=True).select_option("AM-1")
    expect(page).to_have_url(re.compile(r"model=AM-1"))
    expect(page.locator("table.devices tbody th").first).to_have_text("meter-00298")
    page.locator("#id_search").press_sequentially("meter-0029")
    expect(page.locator("table.devices tbody th")).to_have_count(3)
    expect(page.locator("#id_search")).to_be_focused()
    assert names(page) == ["meter-00298", "meter-00295", "meter-00292"]
    assert "sort=-endpoint" in page.url
    page.locator("#id_search").fill("")
    expect(page.locator("table.devices tbody th")).to_have_count(50)
    page.get_by_label("Rows per page").select_option("25")
    expect(page.locator("table.devices tbody th")).to_have_count(25)
    page.get_by_role("link", name="Next").click()
    expect(page.locator(".pager")).to_contain_text("26\N{EN DASH}50 of 100")
    assert page.evaluate("window.stillTheSamePage") is True
    # the address is all there is to it
    address = page.url
    before = names(page)
    page.goto(address)
    assert names(page) == before
    page.go_back()
    expect(page.locator(".pager")).to_contain_text("1\N{EN DASH}25 of 100")


def test_a_status_filter_is_kept_by_the_others(visit: Visitors) -> None:
    page = visit("vera").go("/devices/")
    page.locator(".chips").get_by_role("link", name="Offline").click()
    expect(page).to_have_url(re.compile("status=offline"))
    page.get_by_label("Model", exact=True).select_option("AM-2")
    expect(page).to_have_url(re.compile("status=offline.*model=AM-2|model=AM-2.*status=offline"))
    expect(page.locator("td.c-status")).to_have_text(["Offline"] * page.locator("td.c-status").count())


def test_csv_holds_what_is_shown(visit: Visitors) -> None:
    page = visit("vera").go("/devices/?model=AM-0&sort=-endpoint&per_page=25")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text())))
    assert [row["endpoint"] for row in rows[:25]] == names(page)
    assert len(rows) == 100


def test_a_state_changes_in_place(visit: Visitors, web: Web) -> None:
    page = visit("vera").go("/devices/?search=meter&sort=-status")
    before = names(page)
    page.locator("table.devices tbody tr").nth(40).scroll_into_view_if_needed()
    scrolled = page.evaluate("window.scrollY")
    row = page.locator("table.devices tbody tr", has_text=before[40])
    web.write("status", endpoint=before[40], status="blocked")
    expect(row.locator("td.c-status")).to_have_text("Blocked", timeout=2_000)
    assert names(page) == before
    assert page.evaluate("window.scrollY") == scrolled
    web.write("status", endpoint=before[40], status="online")
    expect(row.locator("td.c-status")).to_have_text("Online", timeout=2_000)


def test_another_page_of_the_list_is_live_too(visit: Visitors, web: Web) -> None:
    page = visit("vera").go("/devices/?search=meter&per_page=25")
    page.get_by_role("link", name="Next").click()
    row = page.locator("table.devices tbody tr", has_text="meter-00030")
    expect(row).to_be_visible()
    web.write("status", endpoint="meter-00030", status="blocked")
    expect(row.locator("td.c-status")).to_have_text("Blocked", timeout=2_000)


def test_overview_counts_by_itself(visit: Visitors, web: Web) -> None:
    page = visit("vera").go("/")
    count = page.locator('[data-cell="count-never_seen"]')
    before = int(count.inner_text())
    web.write("status", endpoint="meter-00001", status="never_seen")
    expect(count).to_have_text(str(before + 1), timeout=5_000)
    count.click()
    expect(page).to_have_url(re.compile(r"/devices/\?status=never_seen"))
    expect(page.get_by_role("link", name="meter-00001", exact=True)).to_be_visible()
