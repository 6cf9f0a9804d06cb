"""Settings → Storage, and the line on a device's Settings tab, without a browser."""

import html
import re

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from backend.accounts.models import Role
from backend.devices.models import Profile
from backend.logs.models import Usage
from backend.telemetry.services import rollups_step
from backend.telemetry.storage import HOUR, SampleBuffer, samples_insert
from tests.unit.api.builders import T0, device, series, specs, user

pytestmark = pytest.mark.django_db


@pytest.fixture
def administrator(client: Client) -> Client:
    cache.clear()
    client.force_login(user("ada", Role.ADMINISTRATOR))
    return client


def words(content: str) -> str:
    """What a reader sees."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", content)).split())


def firsts(content: str) -> list[str]:
    """The first cell of each row, in their order."""
    return [words(one) for one in re.findall(r'<th scope="row"[^>]*>(.*?)</th>', content, re.DOTALL)]


def store(endpoint: str, *counts: int) -> None:
    """So many samples, one a second, in a series each; their hours are over."""
    of = device(endpoint)
    buffer = SampleBuffer()
    for number, count in enumerate(counts):
        one = series(of, f"/3303/{number}/5700")
        for n in range(count):
            buffer.add(one.pk, T0 + n * 1_000_000, float(n), None, None)
    samples_insert(buffer)
    rollups_step(now=T0 + 3 * HOUR, budget=5)


def test_what_costs_most_comes_first_and_leads_to_its_series(administrator: Client) -> None:
    specs()
    store("small&1", 10)
    store("large", 20, 700)
    cache.clear()
    page = administrator.get("/settings/storage/").text
    assert firsts(page) == ["large", "small&1"]
    assert 'href="?device=small%261"' in page
    assert "Samples 730 " in words(page)
    assert firsts(administrator.get("/settings/storage/?sort=device").text) == ["large", "small&1"]
    assert firsts(administrator.get("/settings/storage/?sort=samples").text) == ["small&1", "large"]
    of_one = administrator.get("/settings/storage/?device=large").text
    assert [one.split()[0] for one in firsts(of_one)] == ["/3303/1/5700", "/3303/0/5700"]
    assert "Sensor Value" in of_one
    assert "/explore/?s=large%2F3303%2F1%2F5700" in of_one
    assert "Samples 720 " in words(of_one)
    assert administrator.get("/settings/storage/?device=nobody").status_code == 404


def test_log_lines_count(administrator: Client) -> None:
    store("values", 100)
    Usage.objects.create(device=device("talker"), lines=1234, bytes=5_000_000, counted_at=timezone.now())
    page = administrator.get("/settings/storage/").text
    assert firsts(page) == ["talker", "values"]
    assert "1,234" in page
    assert "4.8 MiB" in page


def test_search_and_pages(administrator: Client) -> None:
    for number in range(60):
        device(f"meter-{number:02}")
    page = administrator.get("/settings/storage/?sort=device").text
    assert firsts(page) == [f"meter-{number:02}" for number in range(50)]
    assert "51" not in firsts(page)
    assert firsts(administrator.get("/settings/storage/?sort=device&page=2").text)[0] == "meter-50"
    for wrong in ("99", "0", "x", "-1", "\u0663", "9" * 30):
        assert administrator.get("/settings/storage/", {"page": wrong}).status_code == 200
    assert firsts(administrator.get("/settings/storage/?search=METER-07").text) == ["meter-07"]
    nothing = administrator.get("/settings/storage/?search=<b>").text
    assert "No device has “<b>” in its name" in words(nothing)
    assert "<b>”" not in nothing
    assert "The first value that this device sends makes one".lower() in (
        words(administrator.get("/settings/storage/?device=meter-07").text).lower()
    )


def test_an_empty_installation_says_what_comes_next(administrator: Client) -> None:
    Profile.objects.all().delete()
    page = words(administrator.get("/settings/storage/").text)
    assert "nothing is stored" in page
    assert "everything is kept for good" in page


def test_what_the_profiles_keep(administrator: Client) -> None:
    profile = Profile.objects.create(
        name="Meters", samples_days=1, minutes_days=0, hours_days=None, logs_days=1500, logs_mib=64
    )
    page = administrator.get("/settings/storage/").text
    assert (
        "Samples 1 day · minutes not at all · hours and days for good · log lines 1,500 days · "
        "at most 64 MiB of log text a device"
    ) in words(page)
    assert f"/settings/profiles/{profile.pk}/" in page


def test_the_settings_tab_of_a_device_says_what_it_costs(administrator: Client, client: Client) -> None:
    store("dev-1", 700, 10)
    page = administrator.get("/devices/dev-1/?tab=settings").text
    assert "710 samples and 16 rollups take about 22" in words(page)
    assert "/settings/storage/?device=dev-1" in page
    client.force_login(user("vera", Role.VIEWER))
    assert "/settings/storage/" not in client.get("/devices/dev-1/?tab=settings").text
