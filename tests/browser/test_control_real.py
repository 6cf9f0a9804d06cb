"""Acting on real devices from the browser: what is asked reaches them, and the page says what they answered."""

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import Visitor
from tests.support.stack import Stack
from tests.support.waiting import wait_for

SLOW = 15_000
DEVICES = 50
ANSWER = "#panel-answer .command-line"
# notes when the answer on the page is the end of a command
WATCH = """() => {
    window.ended = 0;
    const look = () => {
        const line = document.querySelector('#panel-answer .command-line');
        if (line?.textContent.includes('Succeeded')) window.ended ||= Date.now();
    };
    new MutationObserver(look).observe(document.body, {subtree: true, childList: true, characterData: true});
}"""


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole product with fifty devices."""
    stack = Stack(tmp_path_factory.mktemp("control") / "stack")
    names = [f"sim-{number}" for number in range(1, DEVICES + 1)]
    try:
        stack.prepare()
        stack.provision(*names)
        stack.start_leshan()
        stack.start_sync()
        stack.start_web()
        stack.start_fleet("--interval", "2", "--report", str(stack.folder / "report"), count=DEVICES)
        stack.wait_online(*names)
        yield stack
    finally:
        stack.stop()


@pytest.fixture
def visitor(browser: Browser, product: Stack) -> Iterator[Visitor]:
    """The administrator, signed in."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    visitor = Visitor(context, product.web_url)
    session = product.administrator().http.cookies["sessionid"]
    context.add_cookies([{"name": "sessionid", "value": session, "url": product.web_url}])
    yield visitor
    context.close()
    assert visitor.complaints() == []


def panel(page: Page, name: str) -> Locator:
    """The panel of a resource, opened by a click on it."""
    page.get_by_role("link", name=name, exact=True).click()
    opened = page.locator(".panel")
    expect(opened).to_be_visible()
    return opened


def test_a_written_value_is_the_devices_new_value(product: Stack, visitor: Visitor) -> None:
    """The answer is on the page within a second, and the value that the page shows is the one read back."""
    page = visitor.go("/devices/sim-1/")
    opened = panel(page, "Lifetime")
    opened.get_by_label("New value").fill("420")
    page.evaluate(WATCH)
    opened.get_by_role("button", name="Write", exact=True).click()
    expect(page.locator(ANSWER)).to_contain_text("Succeeded", timeout=SLOW)
    answered = product.scalar("SELECT ended_at FROM commands_command WHERE path = '/1/0/1' ORDER BY id DESC LIMIT 1")
    late = page.evaluate("(then) => window.ended - Date.parse(then)", f"{answered.replace(' ', 'T')}Z")
    assert late < 1000, f"on the page {late} ms after it was stored"
    opened.get_by_role("button", name="Read", exact=True).click()
    expect(page.locator(ANSWER)).to_contain_text(re.compile(r"Succeeded.*420"), timeout=SLOW)
    expect(page.locator('[data-cell="v-/1/0/1"]')).to_contain_text("420", timeout=SLOW)
    page.reload()
    expect(page.locator('[data-cell="v-/1/0/1"]')).to_contain_text("420")


def executed(stack: Stack, path: str) -> int:
    """How often the first device has executed this, by its own account."""
    report = stack.folder / "report"
    lines = [json.loads(line) for line in report.read_text().splitlines()] if report.exists() else []
    first = next((line for line in lines if line["endpoint"] == "sim-1"), {})
    count: int = first.get("paths", {}).get(path, {}).get("executes", 0)
    return count


def test_a_device_executes_once_what_is_clicked_once(product: Stack, visitor: Visitor) -> None:
    page = visitor.go("/devices/sim-1/")
    opened = panel(page, "Registration Update Trigger")
    opened.get_by_role("button", name="Execute", exact=True).click()
    expect(page.locator("#confirm")).to_contain_text("/1/0/8 on sim-1")
    page.get_by_role("button", name="Go ahead").click()
    expect(page.locator(ANSWER)).to_contain_text("Succeeded", timeout=SLOW)
    wait_for(lambda: executed(product, "/1/0/8"), what=lambda: f"an execute:\n{product.log_tails()}")
    assert executed(product, "/1/0/8") == 1


def test_an_observation_is_switched_off_and_on(product: Stack, visitor: Visitor) -> None:
    """New values stop to come, and come again with the attribute that was asked for."""
    path = "/3303/0/5700"
    page = visitor.go(f"/devices/sim-1/?at={path}")
    state = page.locator('[data-cell="panel-observation"]')
    expect(state).to_contain_text("Active", timeout=SLOW)
    page.get_by_role("button", name="Stop observing").click()
    expect(page.locator(ANSWER)).to_contain_text("Succeeded", timeout=SLOW)
    expect(state).to_be_empty(timeout=SLOW)
    assert path not in product.observations("sim-1")
    page.reload()
    page.locator("details.observe > summary").click()
    page.get_by_label("pmin", exact=True).fill("1")
    page.get_by_role("button", name="Observe", exact=True).click()
    expect(page.locator(ANSWER)).to_contain_text("Succeeded", timeout=SLOW)
    expect(state).to_contain_text("Active", timeout=SLOW)
    assert product.observations("sim-1")[path] == "active"
    samples = product.sample_count("sim-1")
    wait_for(lambda: product.sample_count("sim-1") > samples + 1, what="values that are observed again")
    page = visitor.go("/devices/sim-1/?tab=settings")
    expect(page.get_by_role("row", name=path)).to_contain_text("pmin 1")


def test_one_write_to_fifty_devices(product: Stack, visitor: Visitor) -> None:
    """The bar goes to its end, and every device's own answer is there."""
    page = visitor.go("/devices/?search=sim-")
    page.get_by_label(f"all {DEVICES} that fit").check()
    page.get_by_role("button", name="Command …").click()
    page.get_by_label("Operation").select_option("write")
    page.get_by_label("Path").fill("/1/0/1")
    page.get_by_label("New value").fill("500")
    page.get_by_role("button", name="Go on …").click()
    page.get_by_role("button", name=f"Write on {DEVICES} devices").click()
    bar = page.locator('[data-cell="bar"]')
    expect(bar).to_contain_text(f"{DEVICES} of {DEVICES} ended", timeout=2 * SLOW)
    expect(bar).to_contain_text("100 %")
    expect(page.locator('[data-cell="counts"]')).to_contain_text(f"Succeeded {DEVICES}")
    rows = page.locator(".command-row")
    expect(rows).to_have_count(DEVICES)
    expect(rows.filter(has_text="Succeeded")).to_have_count(DEVICES)
    expect(rows.get_by_role("link", name=re.compile(r"^sim-\d+$"))).to_have_count(DEVICES)
    written = product.scalar("SELECT count(*) FROM commands_command WHERE state = 'succeeded' AND batch_id IS NOT NULL")
    assert written == DEVICES
