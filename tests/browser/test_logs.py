"""Log lines: a live stream that sticks to its end, stays put while somebody reads, and is found in by every means."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import Visitors, Web
from tests.browser.pages import accessible

BOX = "[data-logs-box]"
LINE = ".logs-lines .ln"
PILL = "[data-logs-pill]"
STATE = "[data-logs-state]"


def lines(page: Page) -> Locator:
    return page.locator(LINE)


def shown(page: Page) -> list[str]:
    return [text.strip() for text in page.locator(f"{LINE} .ln-text").all_text_contents()]


def device(web: Web, endpoint: str, texts: list[str] | None = None, **options: Any) -> None:
    web.write("log_device", endpoint=endpoint)
    if texts:
        web.write("log_lines", endpoint=endpoint, lines=[[3, "app", text] for text in texts], **options)


def at_the_end(page: Page) -> bool:
    rest: float = page.locator(BOX).evaluate("(box) => box.scrollHeight - box.scrollTop - box.clientHeight")
    return rest < 3


def scroll(page: Page, share: float) -> None:
    page.locator(BOX).evaluate(
        "(box, share) => { box.scrollTop = (box.scrollHeight - box.clientHeight) * share; }", share
    )


def iso(seconds_ago: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds_ago)).isoformat()


def test_new_lines_are_there_within_two_seconds_and_the_end_is_followed(visit: Visitors, web: Web) -> None:
    device(web, "tail", [f"old {number}" for number in range(80)])
    page = visit("vera").go("/logs/?device=tail")
    expect(lines(page)).to_have_count(80)
    assert at_the_end(page)
    page.evaluate("window.stillTheSamePage = true")
    for number in range(3):
        web.write("log_lines", endpoint="tail", lines=[[2, "net", f"fresh {number}"]])
        expect(lines(page).last).to_contain_text(f"fresh {number}", timeout=2_000)
        assert at_the_end(page)
    last = lines(page).last
    expect(last.locator(".ln-sev")).to_have_text("Warning")
    expect(last.locator(".ln-mod")).to_have_text("net")
    expect(last.locator(".ln-time")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d\.\d{3}$"))
    expect(page.locator(STATE)).to_have_text("83 lines shown · following live")
    # other devices' lines are none of this page's
    device(web, "tail-other", ["not here"])
    web.write("log_lines", endpoint="tail", lines=[[3, "net", "the end"]])
    expect(lines(page).last).to_contain_text("the end")
    assert "not here" not in shown(page)
    assert page.evaluate("window.stillTheSamePage") is True


def test_who_reads_further_up_is_left_there_and_told_of_new_lines(visit: Visitors, web: Web) -> None:
    device(web, "reader", [f"old {number}" for number in range(120)])
    page = visit("vera").go("/devices/reader/?tab=logs")
    expect(lines(page)).to_have_count(120)
    scroll(page, 0.4)
    expect(page.locator(PILL)).to_have_text("Back to live")
    top = page.locator(BOX).evaluate("(box) => box.scrollTop")
    for number in (1, 2, 3):
        web.write("log_lines", endpoint="reader", lines=[[3, "app", f"new {number}"]])
        expect(page.locator(PILL)).to_have_text(f"{number} new line{'s' if number > 1 else ''}", timeout=2_000)
    assert page.locator(BOX).evaluate("(box) => box.scrollTop") == top
    expect(page.locator(STATE)).to_contain_text("live is paused while you read")
    page.keyboard.press("End")
    expect(page.locator(PILL)).to_be_hidden()
    expect(lines(page).last).to_contain_text("new 3")
    assert at_the_end(page)
    # and so does the button
    scroll(page, 0.1)
    page.locator(PILL).click()
    expect(page.locator(STATE)).to_contain_text("following live")
    assert at_the_end(page)


def test_filters_are_in_the_address(visit: Visitors, web: Web) -> None:
    for endpoint in ("filter-a", "filter-b", "filter-c"):
        web.write("log_device", endpoint=endpoint)
        web.write(
            "log_lines", endpoint=endpoint,
            lines=[[1, "net", f"{endpoint} error"], [2, "net", f"{endpoint} warning"], [4, "app", f"{endpoint} debug"]],
        )  # fmt: skip
    page = visit("vera").go("/logs/")
    device_input = page.get_by_role("combobox", name="Devices")
    device_input.fill("FILTER-")
    expect(page.locator(".picker-list [role=option]:visible")).to_have_text(["filter-a", "filter-b", "filter-c"])
    device_input.press("Enter")
    device_input.fill("filter-c")
    expect(page.locator(".picker-list [role=option]:visible")).to_have_text(["filter-c"])
    device_input.press("ArrowDown")
    device_input.press("Enter")
    expect(lines(page)).to_have_count(6)
    assert {text.split()[0] for text in shown(page)} == {"filter-a", "filter-c"}
    page.get_by_label("Severity").select_option("warning")
    expect(lines(page)).to_have_count(4)
    page.get_by_role("combobox", name="Modules").fill("ne")
    page.get_by_role("option", name="net").click()
    page.get_by_label("Time").select_option("1h")
    expect(page).to_have_url(
        re.compile(re.escape("?device=filter-a&device=filter-c&module=net&severity=warning&range=1h") + "$")
    )
    # lines that come are filtered the same way
    web.write("log_lines", endpoint="filter-a", lines=[[4, "net", "too small"], [1, "net", "big enough"]])
    expect(lines(page).last).to_contain_text("big enough")
    expect(lines(page)).to_have_count(5)
    page.reload()
    expect(lines(page)).to_have_count(5)
    page.get_by_role("button", name="Without filter-c").click()
    expect(lines(page)).to_have_count(3)
    expect(page.locator("[data-logs-download=ndjson]")).to_have_attribute(
        "href", re.compile("device=filter-a&module=net&severity=warning&start=.*&format=ndjson")
    )
    for format_ in ("text", "ndjson"):
        href = page.locator(f"[data-logs-download={format_}]").get_attribute("href")
        answer = page.request.get(page.url.split("/logs/")[0] + str(href))
        assert answer.status == 200, answer.text()
        assert answer.text().count("filter-a") >= 3
        assert "filter-c" not in answer.text()
    page.get_by_role("searchbox", name="Text").fill("nothing like it")
    expect(page.locator("[data-logs-nothing]")).to_contain_text("No line fits these filters.")
    page.get_by_role("button", name="Show all lines").click()
    expect(page).to_have_url(re.compile("/logs/$"))
    expect(page.locator("[data-logs-nothing]")).to_be_hidden()


def test_q_is_search_and_becomes_it(visit: Visitors, web: Web) -> None:
    web.write("log_device", endpoint="asked")
    web.write("log_lines", endpoint="asked", lines=[[1, "net", "found & kept"], [1, "net", "another one"]])
    visitor = visit("vera")
    for path, canonical in (
        ("/logs/?q=found+%26&device=asked", "/logs/?device=asked&search=found+%26"),
        ("/devices/asked/?tab=logs&q=found", "/devices/asked/?search=found&tab=logs"),
    ):
        page = visitor.go(path)
        expect(lines(page)).to_have_count(1)
        expect(page).to_have_url(re.compile(re.escape(canonical) + "$"))
        expect(page.get_by_role("searchbox", name="Text")).to_have_value(re.compile("found"))
        page.reload()
        expect(lines(page)).to_have_count(1)


def test_what_is_typed_is_found_as_it_stands(visit: Visitors, web: Web) -> None:
    wanted = [
        "addr 0xDEADBEEF: 100% of r_s",
        "00000010  de ad be ef 00 01  |....|",
        'it\'s "quoted" \\ back, a*b? [c] ^d$ <b>markup</b>',
        "Zähler Ω ≤ 10 µs",
    ]
    device(web, "search", [*wanted, "plain", "100 of rXs"])
    page = visit("vera").go("/logs/?device=search")
    expect(lines(page)).to_have_count(6)
    for text, count, marked in (
        ("0xdeadb", 1, "0xDEADB"),
        ("0% of r_", 1, "0% of r_"),
        ("de ad be", 1, "de ad be"),
        ("'s \"q", 1, "'s \"q"),
        ("\\ b", 1, "\\ b"),
        ("a*b? [c] ^d$ <b>m", 1, "a*b? [c] ^d$ <b>m"),
        ("Ω ≤", 1, "Ω ≤"),
        ("x", 2, "x"),
        ("  |..", 1, "  |.."),
    ):
        page.keyboard.press("Escape")
        page.keyboard.press("/")
        page.keyboard.type(text)
        expect(lines(page)).to_have_count(count)
        assert page.locator(f"{LINE} mark").first.text_content().lower() == marked.lower()  # type: ignore[union-attr]
        page.get_by_role("searchbox", name="Text").fill("")
        expect(lines(page)).to_have_count(6)
        page.get_by_role("searchbox", name="Text").blur()
    # hex keeps its columns
    assert page.locator(f"{LINE} .ln-text").nth(1).evaluate("(one) => getComputedStyle(one).whiteSpace") in {
        "pre-wrap", "break-spaces preserve", "preserve",
    }  # fmt: skip
    page.goto(page.url + "&search=" + quote("<b>markup"))
    expect(page.locator(f"{LINE} mark")).to_have_text("<b>markup")


def test_a_moment_is_shown_with_what_was_around_it(visit: Visitors, web: Web) -> None:
    device(web, "moment", [f"early {number}" for number in range(700)], seconds_ago=3600, step_ms=1000)
    web.write("log_lines", endpoint="moment", lines=[[3, "app", f"late {number}"] for number in range(700)])
    page = visit("vera").go(f"/logs/?device=moment&at={quote(iso(3600 + 350))}")
    marker = page.locator(".ln-at")
    expect(marker).to_be_in_viewport()
    expect(marker).to_contain_text("This is the moment")
    before = marker.evaluate("(one) => one.previousElementSibling.querySelector('.ln-text').textContent")
    assert before in {f"early {number}" for number in range(345, 353)}
    expect(page.locator(PILL)).to_be_visible()
    # both ways more comes as one scrolls, and what is read does not move
    scroll(page, 1)
    expect(page.locator(LINE, has_text="late 0").first).to_be_attached()
    page.keyboard.press("End")
    expect(lines(page).last).to_contain_text("late 699")
    expect(page).to_have_url(re.compile(r"\?device=moment$"))
    expect(marker).to_have_count(0)
    page.get_by_text("Jump to …").click()
    page.get_by_label("The lines around this moment").fill(
        page.evaluate("""() => {
          const then = Date.now() - 3600000 - 100000;
          return new Date(then - new Date(then).getTimezoneOffset() * 60000).toISOString().slice(0, 19);
        }""")
    )
    page.get_by_role("button", name="Go there").click()
    expect(marker).to_be_in_viewport()
    expect(page).to_have_url(re.compile("at="))


def test_one_line_leads_to_the_charts_of_its_moment_and_can_be_passed_on(visit: Visitors, web: Web) -> None:
    device(web, "links/a b", ["first", "second", "third"])
    visitor = visit("vera", permissions=["clipboard-read", "clipboard-write"])
    page = visitor.go("/logs/?device=links/a+b")
    expect(lines(page)).to_have_count(3)
    page.keyboard.press("k")
    page.keyboard.press("k")
    expect(lines(page).nth(1).locator(".ln-time")).to_be_focused()
    page.keyboard.press("Enter")
    details = page.locator(".ln-details")
    expect(details).to_contain_text("after the start of boot 1a2b3c4d, line 1")
    chart = details.get_by_role("link", name="Charts of this moment")
    expect(chart).to_have_attribute("href", re.compile(r"^/devices/links/a%20b/\?tab=charts&at=20\d\d-.*Z$"))
    details.get_by_role("button", name="Copy line").click()
    expect(details.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert re.fullmatch(r"20\S+Z links/a b \[00:00:42\.\d{3}\] <inf> app: second", copied)
    details.get_by_role("button", name="Copy link").click()
    expect(details.get_by_role("button", name="Copied").last).to_be_visible()
    page.keyboard.press("Escape")
    expect(details).to_have_count(0)
    page.goto(page.evaluate("navigator.clipboard.readText()"))
    expect(page.locator(".ln-at")).to_be_in_viewport()
    expect(page.locator(".ln-at + .ln")).to_contain_text("second")
    page.locator(".ln-at + .ln .ln-time").hover()
    expect(page.locator(".ln-at + .ln .ln-time")).to_have_attribute("title", re.compile("boot 1a2b3c4d, line 1"))


def test_lost_lines_boots_and_unread_ones_are_told_apart(visit: Visitors, web: Web) -> None:
    device(web, "losses", ["one"], seconds_ago=30, boot=0xA1)
    page = visit("vera").go("/devices/losses/?tab=logs")
    expect(lines(page)).to_have_count(1)
    expect(page.locator(".ln-boot")).to_contain_text("boot 000000a1")
    lost = web.write("log_loss", endpoint="losses", reason="device", count=17, seconds_ago=20, boot=0xA1)
    loss = page.locator(".ln-loss")
    expect(loss).to_contain_text("17 lines given up by the device")
    expect(loss).to_contain_text("give it a larger buffer")
    web.write("log_lines", endpoint="losses", lines=[[3, "app", "two"]], seconds_ago=19, boot=0xA1)
    expect(page.locator(".ln-loss + .ln")).to_contain_text("two")
    # what comes after all takes its place
    web.write("log_loss", endpoint="losses", reason="device", count=4, loss=lost)
    expect(loss).to_contain_text("4 lines given up")
    web.write("log_loss", endpoint="losses", reason="device", count=0, loss=lost)
    expect(loss).to_have_count(0)
    web.write("log_loss", endpoint="losses", reason="rate", count=1234, seconds_ago=10, boot=0xA1)
    expect(loss).to_contain_text("1,234 lines cut: more lines a minute than the profile keeps")
    expect(loss).to_contain_text("allow more lines a minute in its profile")
    expect(page.locator('[data-cell="cut"]')).to_have_text("1,234 lines", timeout=5_000)
    web.write("log_lines", endpoint="losses", lines=[[0, "", "\\x09 what?"]], seconds_ago=5, boot=0xA1)
    unread = page.locator(".ln.sev-0")
    expect(unread).to_contain_text("Unread")
    expect(unread).to_contain_text("The version of the message is 9: 1 is known; kept as it came: \\x09 what?")
    web.write("log_lines", endpoint="losses", lines=[[3, "app", "again"]], boot=0xA2)
    expect(page.locator(".ln-boot").last).to_contain_text(re.compile(r"boot 000000a2, \d\d:\d\d:\d\d"))


def test_what_comes_late_stands_at_its_own_time(visit: Visitors, web: Web) -> None:
    device(web, "late", ["a", "z"], step_ms=60_000)
    page = visit("vera").go("/logs/?device=late")
    expect(lines(page)).to_have_count(2)
    web.write("log_lines", endpoint="late", lines=[[3, "app", "m"]], seconds_ago=30, late=30.0)
    expect(lines(page)).to_have_count(3)
    assert shown(page) == ["a", "m", "z"]
    expect(page.locator(STATE)).to_contain_text("1 line came late and stands at its own time")


def test_two_tabs_and_several_devices_in_one_stream(visit: Visitors, web: Web) -> None:
    device(web, "two-a", ["a"])
    device(web, "two-b", ["b"])
    visitor = visit("vera")
    page = visitor.go("/logs/?device=two-a&device=two-b")
    other = visitor.context.new_page()
    other.goto(visitor.url + "/devices/two-b/?tab=logs")
    expect(lines(other)).to_have_count(1)
    other.wait_for_selector("html[data-connection=live]")
    for number, endpoint in enumerate(("two-a", "two-b", "two-a", "two-b")):
        web.write("log_lines", endpoint=endpoint, lines=[[3, "app", f"{endpoint} {number}"]])
    expect(lines(page)).to_have_count(6)
    expect(lines(other)).to_have_count(3)
    assert shown(page)[2:] == ["two-a 0", "two-b 1", "two-a 2", "two-b 3"]
    colours = page.locator(f"{LINE} .ln-dev").evaluate_all(
        "(all) => all.map((one) => [one.textContent, one.className])"
    )
    assert len({tuple(one) for one in colours}) == 2
    assert len({colour for _, colour in colours}) == 2


def test_a_storm_does_not_fill_the_page_and_reading_goes_on_both_ways(visit: Visitors, web: Web) -> None:
    device(web, "storm", [f"calm {number}" for number in range(30)], seconds_ago=900)
    page = visit("vera").go("/logs/?device=storm")
    expect(lines(page)).to_have_count(30)
    web.write(
        "log_lines", endpoint="storm", lines=[[3, "app", f"storm {number}"] for number in range(5000)], step_ms=10
    )
    expect(lines(page).last).to_contain_text("storm 4999", timeout=5_000)
    assert at_the_end(page)
    # up to the very beginning, and the line at the top stays where it is while older ones come
    page.evaluate("""() => {
      const box = document.querySelector("[data-logs-box]");
      window.most = 0;
      window.jumps = [];
      new MutationObserver(() => {
        window.most = Math.max(window.most, document.querySelectorAll(".logs-lines > .ln").length);
      }).observe(document.querySelector(".logs-lines"), { childList: true });
    }""")
    for _ in range(60):
        if page.locator(LINE, has_text="calm 0").count():
            break
        first = lines(page).first.text_content()
        mark = page.locator(BOX).evaluate(
            """(box) => {
              box.scrollTop = 200;
              const top = box.getBoundingClientRect().top;
              const row = [...box.querySelectorAll(".ln")].find((one) => one.getBoundingClientRect().top >= top);
              window.anchor = row;
              return row.getBoundingClientRect().top - top;
            }"""
        )
        page.wait_for_function(
            "(first) => document.querySelector('.logs-lines .ln').textContent !== first", arg=first, timeout=5_000
        )
        now = page.evaluate(
            """() => window.anchor.getBoundingClientRect().top
              - document.querySelector("[data-logs-box]").getBoundingClientRect().top"""
        )
        assert abs(now - mark) < 2
    expect(page.locator(LINE, has_text="calm 0").first).to_be_attached()
    expect(page.locator("[data-logs-older]")).to_have_text("Nothing older fits these filters.")
    assert page.evaluate("window.most") <= 2400
    assert lines(page).count() <= 2000
    # lines that come now are only counted
    web.write("log_lines", endpoint="storm", lines=[[3, "app", "after the storm"]])
    expect(page.locator(PILL)).to_have_text("1 new line")
    # and down again
    scroll(page, 1)
    expect(page.locator("[data-logs-newer]")).to_have_text("Newer lines …")
    page.keyboard.press("End")
    expect(lines(page).last).to_contain_text("after the storm")
    expect(page.locator(STATE)).to_contain_text("following live")


def test_a_thousand_lines_are_drawn_at_once(visit: Visitors, web: Web) -> None:
    device(web, "thousand")
    page = visit("vera").go("/logs/?device=thousand")
    web.write("log_lines", endpoint="thousand", count=1000)
    expect(lines(page)).to_have_count(1000)
    web.write("log_lines", endpoint="thousand", count=1000)
    expect(lines(page)).to_have_count(2000)
    slow = page.evaluate(
        """() => {
          const began = performance.now();
          const rows = [...document.querySelectorAll(".logs-lines .ln")].slice(0, 1000);
          const copies = rows.map((one) => one.cloneNode(true));
          document.querySelector(".logs-lines").append(...copies);
          document.querySelector("[data-logs-box]").getBoundingClientRect();
          document.querySelector("[data-logs-box]").scrollTop;
          copies.forEach((one) => one.remove());
          return performance.now() - began;
        }"""
    )
    assert slow < 1000


def test_long_lines_and_control_characters(visit: Visitors, web: Web) -> None:
    device(web, "long", ["x" * 900 + "y" * 5000 + "THE END", "\x1b[31mred\x1b[0m\x07 bell", "<i>text</i>"])
    page = visit("vera").go("/logs/?device=long&search=the+end")
    more = page.get_by_role("button", name="more characters")
    expect(more).to_have_text("… 4,907 more characters, the match among them")
    more.click()
    expect(page.locator(f"{LINE} mark")).to_have_text("THE END")
    page.get_by_role("searchbox", name="Text").fill("")
    expect(lines(page)).to_have_count(3)
    assert shown(page)[1:] == ["\\x1b[31mred\\x1b[0m\\x07 bell", "<i>text</i>"]


def test_a_server_that_does_not_answer_is_said_and_can_be_asked_again(visit: Visitors, web: Web) -> None:
    device(web, "errors", ["a", "b"])
    visitor = visit("vera")
    visitor.expected = ["500 (Internal Server Error)"]
    page = visitor.go("/logs/?device=errors")
    expect(lines(page)).to_have_count(2)

    def refuse(route: Route) -> None:
        route.fulfill(status=500, body="")

    page.route("**/parts/logs/?*", refuse)
    page.get_by_label("Severity").select_option("error")
    expect(page.locator("[data-logs-problem]")).to_contain_text("The server answered 500.")
    page.unroute("**/parts/logs/?*")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("[data-logs-problem]")).to_be_hidden()
    expect(page.locator("[data-logs-nothing]")).to_contain_text("No line fits")
    page.goto(visitor.url + "/logs/?device=errors&device=no-such")
    expect(page.locator("[data-logs-problem]")).to_contain_text("There is no device named “no-such”.")


def test_the_level_is_asked_for_on_the_tab(visit: Visitors, web: Web) -> None:
    device(web, "level", ["a"])
    page = visit("olga").go("/devices/level/?tab=logs")
    page.get_by_label("Keep on the device").select_option("1")
    page.get_by_role("button", name="Set level").click()
    expect(page.locator("#logs-level-told")).to_contain_text("Queued")


@pytest.mark.parametrize("path", ["/logs/?device=axe", "/devices/axe/?tab=logs", "/devices/new/?tab=logs"])
def test_accessible_in_both_themes_and_at_360_pixels(visit: Visitors, web: Web, path: str) -> None:
    web.write("log_story", endpoint="axe")
    visitor = visit("ada", color_scheme="light")
    page = visitor.go(path)
    if "axe" in path:
        page.keyboard.press("k")
        page.keyboard.press("Enter")
        expect(page.locator(".ln-details")).to_be_visible()
    accessible(page)
