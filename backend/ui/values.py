"""Current values as a page shows them: by object and instance, resource instances together."""

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import groupby
from typing import NamedTuple

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from backend.devices.models import Device
from backend.devices.selectors import Names, ResourceView, device_contents, registration_of
from backend.lwm2m.objects import ResourceDefinition, object_instances, object_versions
from backend.lwm2m.values import python_value
from backend.ui.markup import DASH, ago, exact
from backend.ui.selectors import observed_paths, series_ids

NUMERIC = frozenset({"INTEGER", "UNSIGNED_INTEGER", "FLOAT", "BOOLEAN"})
# device time and receive time are told apart where they differ by more
TIMES_DIFFER = timedelta(seconds=5)
LONGEST_TEXT = 240
# object instances that are all shown unfolded
FEW = 12
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
    """One resource: its value or values, or what the model says of one that has none."""

    path: str
    id: int
    name: str
    description: str
    # LwM2M data type, "" where neither a value nor the model tells
    type: str
    # some of "RWE", "" where no model tells
    operations: str
    mandatory: bool
    entries: list[Entry]
    times: SafeString
    chart: str
    observed: bool


@dataclass(frozen=True)
class ObjectGroup:
    """One object instance; `instance` None: the device lists the object and no instance of it."""

    path: str
    object_path: str
    instance: int | None
    name: str
    version: str
    description: str
    # with a value, or mandatory
    rows: list[ValueRow]
    # optional ones of the model without a value
    more: list[ValueRow]
    observed: bool
    # the model allows several instances, or is not known
    creatable: bool
    # unfolded at first: there is a value in it, or there is not much to fold
    unfolded: bool


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


def value_html(view: ResourceView) -> SafeString:
    """The value with its unit; what is long is shown on demand."""
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


class _Observed(NamedTuple):
    """Paths that the device observes."""

    paths: frozenset[str]

    def covers(self, path: str) -> bool:
        """This path, or one above it?"""
        parts = path.split("/")
        return any("/".join(parts[:length]) in self.paths for length in range(2, len(parts) + 1))


def _row(
    views: list[ResourceView], charted: dict[str, int], definition: ResourceDefinition | None, observed: _Observed
) -> ValueRow:
    first = views[0]
    path = f"/{first.object_id}/{first.object_instance_id}/{first.resource_id}"
    chartable = [view.path for view in views if view.path in charted and view.type in NUMERIC]
    return ValueRow(
        path=path,
        id=first.resource_id,
        name=first.name or f"Resource {first.resource_id}",
        description=first.description,
        type=definition.type if definition and definition.type else first.type,
        operations=first.operations,
        mandatory=definition.mandatory if definition else False,
        entries=[Entry(view.resource_instance_id, value_html(view)) for view in views],
        times=_times(views),
        chart=chartable[0] if chartable else "",
        observed=observed.covers(path),
    )


def _blank(base: str, definition: ResourceDefinition, observed: _Observed) -> ValueRow:
    """A resource that the model has and the device has not told of."""
    path = f"{base}/{definition.id}"
    dash = format_html('<span class="muted">{}</span>', "" if definition.operations == "E" else DASH)
    return ValueRow(
        path=path,
        id=definition.id,
        name=definition.name or f"Resource {definition.id}",
        description=definition.description,
        type=definition.type,
        operations=definition.operations,
        mandatory=definition.mandatory,
        entries=[Entry(None, dash)],
        times=SafeString(""),
        chart="",
        observed=observed.covers(path),
    )


def _definitions(names: Names, object_id: int) -> dict[int, ResourceDefinition]:
    ids = [one.get("id") for one in names.spec(object_id).get("resourcedefs") or []]
    found = [names.definition(object_id, one) for one in ids if isinstance(one, int)]
    return {one.id: one for one in found if one is not None}


def _groups(
    device: Device, names: Names, views: list[ResourceView], charted: dict[str, int], observed: _Observed
) -> list[ObjectGroup]:
    registration = registration_of(device)
    links = registration.object_links if registration else []
    versions = object_versions(links)
    by_instance: dict[tuple[int, int | None], list[ResourceView]] = {}
    for object_id, instances in object_instances(links).items():
        for instance in instances:
            by_instance[object_id, instance] = []
        if not instances:
            by_instance[object_id, None] = []
    for view in views:
        # an object that was listed alone has an instance after all
        by_instance.pop((view.object_id, None), None)
        by_instance.setdefault((view.object_id, view.object_instance_id), []).append(view)
    models: dict[int, dict[int, ResourceDefinition]] = {}
    groups = []
    for (object_id, instance_id), members in sorted(
        by_instance.items(), key=lambda item: (item[0][0], -1 if item[0][1] is None else item[0][1])
    ):
        if object_id not in models:
            models[object_id] = _definitions(names, object_id)
        model = models[object_id]
        base = f"/{object_id}" if instance_id is None else f"/{object_id}/{instance_id}"
        rows = [
            _row(list(one), charted, model.get(resource_id), observed)
            for resource_id, one in groupby(members, key=lambda view: view.resource_id)
        ]
        there = {row.id for row in rows}
        blank = (
            []
            if instance_id is None
            else [_blank(base, one, observed) for one in model.values() if one.id not in there]
        )
        spec = names.spec(object_id)
        groups.append(
            ObjectGroup(
                path=base,
                object_path=f"/{object_id}",
                instance=instance_id,
                name=names.object_name(object_id) or f"Object {object_id}",
                version=versions.get(object_id, ""),
                description=str(spec.get("description") or ""),
                rows=sorted([*rows, *(row for row in blank if row.mandatory)], key=lambda row: row.id),
                more=sorted((row for row in blank if not row.mandatory), key=lambda row: row.id),
                observed=observed.covers(base),
                creatable=str(spec.get("instancetype") or "multiple").lower() == "multiple",
                unfolded=bool(rows) or len(by_instance) <= FEW,
            )
        )
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
    names, views = device_contents(device=device)
    charted = series_ids(device=device)
    observed = _Observed(observed_paths(device=device))
    choices = _choices(views, charted)
    asked = next((choice for choice in choices if choice.path == series), None)
    return ValuesPage(
        groups=_groups(device, names, views, charted, observed),
        choices=choices,
        chosen=asked or min(choices, key=_rank, default=None),
    )


def instances_html(entries: list[Entry]) -> SafeString:
    """One value as it is, several as a list by resource instance."""
    if len(entries) == 1 and entries[0].instance is None:
        return entries[0].html
    items = format_html_join("", "<dt>{}</dt><dd>{}</dd>", ((entry.instance, entry.html) for entry in entries))
    return format_html('<dl class="instances">{}</dl>', items)
