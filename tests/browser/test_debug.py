"""Protocol debugging through the web app, against the real Leshan and a simulated device."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import Visitor
from tests.support.stack import Stack

SLOW = 15_000


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole product with one device that notifies every second."""
    stack = Stack(tmp_path_factory.mktemp("debug") / "stack")
    try:
        stack.prepare()
        stack.provision("sim-1")
        stack.start_leshan()
        stack.start_sync()
        stack.start_web()
        stack.start_fleet("--interval", "1", count=1)
        stack.wait_online("sim-1")
        yield stack
    finally:
        stack.stop()


@pytest.fixture
def visitor(browser: Browser, product: Stack) -> Iterator[Visitor]:
    """The administrator, signed in."""
    visitor = Visitor(browser.new_context(), product.web_url)
    session = product.administrator().http.cookies["sessionid"]
    visitor.context.add_cookies([{"name": "sessionid", "value": session, "url": product.web_url}])
    yield visitor
    visitor.context.close()
    assert visitor.complaints() == []


def demo(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.get_by_text("Manufacturer", exact=True)).to_be_visible(timeout=SLOW)


def test_the_demo_ui_is_reached_from_the_settings(visitor: Visitor, product: Stack) -> None:
    page = visitor.go("/settings/")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Leshan demo UI").click()
    demo_page = opened.value
    expect(demo_page.get_by_role("cell", name="sim-1")).to_be_visible(timeout=SLOW)
    # all it may talk to is the folder that it lies in: the rest of our server is none of its business
    refused = demo_page.evaluate("fetch('/api/v1/devices').then(() => false, () => true)")
    assert refused
    visitor.expected.append("Content Security Policy")
    visitor.expected.append("Refused to connect")
    visitor.expected.append("Fetch API cannot load")


def test_the_demo_ui_reads_and_the_trace_shows_it(visitor: Visitor, product: Stack) -> None:
    trace = visitor.go("/devices/sim-1/?tab=trace")
    expect(trace.locator("[data-trace-state]")).to_have_text("Live", timeout=SLOW)
    demo_page = visitor.context.new_page()
    demo(demo_page, f"{product.web_url}/debug/leshan/#/clients/sim-1/3")
    # the first resource's Read
    row = demo_page.get_by_text("/3/0/0", exact=True).locator("xpath=ancestor::*[.//button[normalize-space()='R']][1]")
    row.get_by_role("button", name="R", exact=True).first.click()
    expect(trace.locator("tr.tr-out td.tr-uri", has_text="/3/0/0").first).to_be_visible(timeout=SLOW)
    request = trace.locator("tr.tr-out", has=trace.locator("td.tr-uri", has_text="/3/0/0")).first
    expect(request.locator(".tr-code")).to_have_text("GET")
    token = request.locator(".tr-token").inner_text()
    answer = trace.locator("tr.tr-in", has=trace.locator("td.tr-token", has_text=token)).first
    expect(answer.locator(".tr-code")).to_have_text("2.05", timeout=SLOW)
    expect(answer.locator(".tr-payload")).to_contain_text("FlowNexus")
    demo_page.close()


def buttons(page: Page, path: str) -> Locator:
    """What the demo UI shows of a resource: the smallest part of the page with its path and its buttons."""
    return page.get_by_text(path, exact=True).locator("xpath=ancestor::*[.//button][1]")


def test_the_demo_ui_writes_observes_and_executes(visitor: Visitor, product: Stack) -> None:
    """Each request and its answer are in the trace, and the demo UI shows what it got."""
    trace = visitor.go("/devices/sim-1/?tab=trace")
    expect(trace.locator("[data-trace-state]")).to_have_text("Live", timeout=SLOW)

    def traced(method: str, path: str, answer: str) -> None:
        uri = trace.locator("td.tr-uri", has_text=path)
        request = trace.locator("tr.tr-out", has=uri).filter(has=trace.locator(".tr-code", has_text=method)).first
        expect(request).to_be_visible(timeout=SLOW)
        token = trace.locator("td.tr-token", has_text=request.locator(".tr-token").inner_text())
        answers = trace.locator("tr.tr-in", has=token).filter(has=trace.locator(".tr-code", has_text=answer))
        expect(answers.first).to_be_visible(timeout=SLOW)

    demo_page = visitor.context.new_page()
    demo_page.goto(f"{product.web_url}/debug/leshan/#/clients/sim-1/1")
    lifetime = buttons(demo_page, "/1/0/1")
    lifetime.get_by_role("button", name="W", exact=True).click(timeout=SLOW)
    dialog = demo_page.locator(".v-dialog--active")
    dialog.get_by_role("textbox").or_(dialog.get_by_role("spinbutton")).first.fill("456")
    dialog.get_by_role("button", name="Write").click()
    traced("PUT", "/1/0/1", "2.04")
    lifetime.get_by_role("button", name="R", exact=True).click()
    expect(demo_page.get_by_text("456").first).to_be_visible(timeout=SLOW)
    traced("GET", "/1/0/1", "2.05")
    buttons(demo_page, "/1/0/8").get_by_title("Execute /1/0/8", exact=True).click()
    traced("POST", "/1/0/8", "2.04")
    demo_page.goto(f"{product.web_url}/debug/leshan/#/clients/sim-1/3304")
    humidity = buttons(demo_page, "/3304/0/5601")
    humidity.get_by_role("button", name="Obs", exact=True).click(timeout=SLOW)
    traced("GET", "/3304/0/5601", "2.05")
    demo_page.close()


def test_the_trace_is_filtered_paused_cleared_and_saved(visitor: Visitor, product: Stack) -> None:
    page = visitor.go("/devices/sim-1/?tab=trace")
    incoming = page.locator("tr.tr-in:visible")
    expect(incoming.nth(1)).to_be_visible(timeout=SLOW)
    expect(page.locator("tr.tr-out:visible").first).to_be_visible(timeout=SLOW)
    page.get_by_label("Direction").select_option("in")
    expect(page.locator("tr.tr-out:visible")).to_have_count(0)
    page.get_by_label("Text").fill("nothing-like-that")
    expect(incoming).to_have_count(0)
    page.get_by_label("Text").fill("3303")
    expect(incoming.first).to_be_visible(timeout=SLOW)
    page.get_by_role("button", name="Pause").click()
    kept = page.locator("[data-trace] tbody tr").count()
    expect(page.locator("[data-trace-count]")).to_contain_text(re.compile(r"[2-9] wait"), timeout=SLOW)
    assert page.locator("[data-trace] tbody tr").count() == kept
    incoming.first.locator("summary").click()
    expect(incoming.first.locator("pre")).to_be_visible()
    incoming.first.get_by_role("button", name="Hex").click()
    expect(incoming.first.locator("pre")).to_have_text(re.compile(r"^[0-9a-f]{2}( [0-9a-f]{2})+$", re.IGNORECASE))
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download").click()
    path = saved.value.path()
    text = Path(path).read_text()
    assert text.startswith("CoAP trace of sim-1")
    assert "device -> server  CON  2.05" in text
    assert "server -> device" not in text
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("[data-trace] tbody tr")).to_have_count(0)
    page.get_by_role("button", name="Resume").click()
    expect(incoming.first).to_be_visible(timeout=SLOW)


def test_a_lost_stream_is_said_and_comes_back(visitor: Visitor, product: Stack) -> None:
    page = visitor.go("/devices/sim-1/?tab=trace")
    state = page.locator("[data-trace-state]")
    expect(state).to_have_text("Live", timeout=SLOW)
    product.processes["leshan"].stop()
    expect(state).to_contain_text("Lost:", timeout=SLOW)
    expect(page.locator("td.tr-note").first).to_contain_text("Stream lost")
    down = visitor.context.new_page()
    answer = down.goto(f"{product.web_url}/debug/leshan/")
    assert answer is not None
    assert answer.status == 502
    expect(down.locator("body")).to_contain_text("Leshan cannot be reached")
    down.close()
    product.start_leshan()
    expect(state).to_have_text("Live", timeout=2 * SLOW)
    expect(page.locator("td.tr-note").last).to_contain_text("The stream is back")
    # and the icon that browsers ask for beside a page of plain text
    visitor.expected += ["502 (Bad Gateway)", "404 (Not Found)"]
