"""Current values as a page shows them: by object and instance, resource instances together."""

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import groupby

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from backend.devices.models import Device
from backend.devices.selectors import ResourceView, resource_list
from backend.lwm2m.values import python_value
from backend.ui.markup import ago, exact
from backend.ui.selectors import series_ids

NUMERIC = frozenset({"INTEGER", "UNSIGNED_INTEGER", "FLOAT", "BOOLEAN"})
# device time and receive time are told apart where they differ by more
TIMES_DIFFER = timedelta(seconds=5)
LONGEST_TEXT = 240
# SenML units (RFC 8428, RFC 8798) as people write them
UNITS = {"Cel": "°C", "degC": "°C", "Far": "°F", "deg": "°", "lat": "°", "lon": "°", "%RH": "% RH", "/": "", "1": ""}
# a first series for the chart: temperature, humidity, then any sensor's value, then battery and signal
FIRST = ("/3303/0/5700", "/3304/0/5700")
LATER = ("/3/0/9", "/4/0/2")


def unit_text(unit: str) -> str:
    """A unit for people."""
    return UNITS.get(unit, unit)


@dataclass(frozen=True)
class Entry:
    """One value; `instance` is the resource instance id of a multi-instance resource."""

    instance: int | None
    html: SafeString


@dataclass(frozen=True)
class ValueRow:
    """One resource with its value, or values."""

    path: str
    id: int
    name: str
    description: str
    entries: list[Entry]
    times: SafeString
    chart: str


@dataclass(frozen=True)
class ObjectGroup:
    """One object instance."""

    path: str
    name: str
    rows: list[ValueRow]


@dataclass(frozen=True)
class SeriesChoice:
    """A series that can be charted."""

    id: int
    path: str
    label: str
    unit: str


@dataclass(frozen=True)
class ValuesPage:
    """Everything that a device's Values tab shows."""

    groups: list[ObjectGroup] = field(default_factory=list)
    choices: list[SeriesChoice] = field(default_factory=list)
    chosen: SeriesChoice | None = None


def _opaque(view: ResourceView) -> SafeString:
    return format_html(
        '<details class="hex" data-id="{}"><summary>{}</summary><pre class="dump" tabindex="0">{}</pre></details>',
        view.path,
        view.display,
        view.text,
    )


def _value(view: ResourceView) -> SafeString:
    if view.type == "OPAQUE" and view.text:
        return _opaque(view)
    if view.type == "TIME":
        moment = python_value(view.type, view.text) if view.text else None
        if moment is not None and not isinstance(moment, bool | int | float | str | bytes):
            return format_html('<span class="value">{}</span>', exact(moment))
    if view.display == "":
        return format_html('<span class="muted">{}</span>', "(empty)")
    if len(view.display) > LONGEST_TEXT:
        return format_html(
            '<details class="hex" data-id="{}"><summary>{} … ({} characters)</summary>'
            '<pre class="dump" tabindex="0">{}</pre></details>',
            view.path,
            view.display[: LONGEST_TEXT // 3],
            len(view.display),
            view.display,
        )
    unit = unit_text(view.unit)
    shown = format_html('<span class="value" title="{}">{}</span>', _title(view), view.display)
    return format_html('{} <span class="unit">{}</span>', shown, unit) if unit else shown


def _title(view: ResourceView) -> str:
    """The exact value, where fewer digits are shown."""
    return "" if view.text == view.display else view.text


def _times(views: list[ResourceView]) -> SafeString:
    newest = max(views, key=lambda view: view.time)
    if newest.has_device_time and abs(newest.received - newest.time) > TIMES_DIFFER:
        return format_html(
            '{}<span class="sub">received {}</span>',
            ago(newest.time, "by the device's clock"),
            ago(newest.received, "by the server's clock"),
        )
    return ago(newest.time, "by the device's clock" if newest.has_device_time else "when it was received")


def _row(views: list[ResourceView], charted: dict[str, int]) -> ValueRow:
    first = views[0]
    path = f"/{first.object_id}/{first.object_instance_id}/{first.resource_id}"
    chartable = [view.path for view in views if view.path in charted and view.type in NUMERIC]
    return ValueRow(
        path=path,
        id=first.resource_id,
        name=first.name or f"Resource {first.resource_id}",
        description=first.description,
        entries=[Entry(view.resource_instance_id, _value(view)) for view in views],
        times=_times(views),
        chart=chartable[0] if chartable else "",
    )


def _groups(views: list[ResourceView], charted: dict[str, int]) -> list[ObjectGroup]:
    groups = []
    for (object_id, instance_id), members in groupby(views, key=lambda view: (view.object_id, view.object_instance_id)):
        of_instance = list(members)
        rows = [_row(list(one), charted) for _, one in groupby(of_instance, key=lambda view: view.resource_id)]
        name = of_instance[0].object_name or f"Object {object_id}"
        groups.append(ObjectGroup(f"/{object_id}/{instance_id}", name, rows))
    return groups


def _choices(views: list[ResourceView], charted: dict[str, int]) -> list[SeriesChoice]:
    choices = []
    for view in views:
        if view.path in charted and view.type in NUMERIC:
            name = view.name or f"Resource {view.resource_id}"
            what = view.object_name or f"Object {view.object_id}"
            choices.append(
                SeriesChoice(charted[view.path], view.path, f"{what} · {name} · {view.path}", unit_text(view.unit))
            )
    return choices


def _rank(choice: SeriesChoice) -> int:
    if choice.path in FIRST:
        return FIRST.index(choice.path)
    if choice.path.endswith("/5700"):
        return len(FIRST)
    return len(FIRST) + (1 if choice.path in LATER else 2)


def values_page(*, device: Device, series: str = "") -> ValuesPage:
    """The Values tab. `series`: the path that the address asks for; else the most telling series is chosen."""
    views = resource_list(device=device)
    charted = series_ids(device=device)
    choices = _choices(views, charted)
    asked = next((choice for choice in choices if choice.path == series), None)
    return ValuesPage(
        groups=_groups(views, charted),
        choices=choices,
        chosen=asked or min(choices, key=_rank, default=None),
    )


def instances_html(entries: list[Entry]) -> SafeString:
    """One value as it is, several as a list by resource instance."""
    if len(entries) == 1 and entries[0].instance is None:
        return entries[0].html
    items = format_html_join("", "<dt>{}</dt><dd>{}</dd>", ((entry.instance, entry.html) for entry in entries))
    return format_html('<dl class="instances">{}</dl>', items)
