"""What templates need beyond Django's own tags; decisions are made here, not in templates."""

from dataclasses import dataclass
from typing import Any

from django import template
from django.forms import BoundField
from django.http import HttpRequest
from django.template import Context
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from backend.accounts.permissions import Permission, allowed
from backend.alerts.selectors import alert_counts, alerts_open
from backend.alerts.texts import number
from backend.devices.models import Device, RawEvent
from backend.devices.selectors import pipeline_state
from backend.lwm2m.codes import code_words
from backend.ui import markup
from backend.ui.firmware.words import size_text
from backend.ui.legend import UPDATE_STATES
from backend.ui.panel import WORDS, Panel
from backend.ui.payloads import payload_dump
from backend.ui.values import ValueRow, instances_html

register = template.Library()

register.simple_tag(markup.icon, name="icon")
register.simple_tag(markup.shape, name="shape")
register.simple_tag(markup.ago, name="ago")
register.simple_tag(markup.exact, name="exact")
register.simple_tag(markup.status_badge, name="status_badge")
register.simple_tag(markup.observation_badge, name="observation_badge")
register.simple_tag(markup.command_badge, name="command_badge")
register.simple_tag(markup.update_badge, name="update_badge")
register.simple_tag(markup.campaign_badge, name="campaign_badge")
register.simple_tag(markup.clock, name="clock")
register.filter("size", size_text)
register.filter("code_words", code_words)


@dataclass(frozen=True)
class NavEntry:
    """One entry of the navigation."""

    label: str
    url: str
    current: bool
    # of the address
    name: str = ""


FIRMWARE = {
    "campaigns", "campaign", "campaign-new", "campaign-act", "images", "image", "image-upload", "image-save",
    "image-delete", "firmware-updates", "firmware-update", "signing-keys",
}  # fmt: skip
SETTINGS = {
    "settings", "settings-profiles", "profile-new", "profile-edit", "profile-rules", "settings-models", "model",
    "settings-storage",
    "model-upload", "people", "person-role", "person-active", "person-password",
}  # fmt: skip
EXPLORE = {"explore", "export", "dashboards", "dashboard", "dashboard-new", "dashboard-act"}
RULES = {"alert-rules", "alert-rule", "alert-rule-new", "alert-rule-edit"}
CHANNELS = {"alert-channels", "alert-channel"}
ALERTS = {"alerts", "alert", *RULES, *CHANNELS}
# (label, URL name, URL names that belong to it, who may see it)
NAVIGATION = (
    ("Overview", "overview", {"overview", "events", "raw-events"}, Permission.VIEW),
    ("Devices", "devices", {"devices", "device", "map"}, Permission.VIEW),
    ("Explore", "explore", EXPLORE, Permission.VIEW),
    ("Logs", "logs", {"logs"}, Permission.VIEW),
    ("Commands", "commands", {"commands", "command-new", "batch", "batches"}, Permission.VIEW),
    ("Firmware", "campaigns", FIRMWARE, Permission.VIEW),
    ("Alerts", "alerts", ALERTS, Permission.VIEW),
    ("Settings", "settings", SETTINGS, Permission.ADMINISTER),
)


@register.simple_tag(takes_context=True)
def navigation(context: Context) -> list[NavEntry]:
    """The entries that this person may open; none on pages without a request or for strangers."""
    return _entries(context, NAVIGATION)


def _entries(context: Context, entries: tuple[tuple[str, str, set[str], Permission], ...]) -> list[NavEntry]:
    request = context.get("request")
    if not isinstance(request, HttpRequest) or not hasattr(request, "user"):
        return []
    match = request.resolver_match
    here = match.view_name if match else ""
    return [
        NavEntry(label, reverse(name), here in names, name)
        for label, name, names, permission in entries
        if allowed(request.user, permission)
    ]


# (label, URL name, URL names that belong to it, who may see it)
FIRMWARE_TABS = (
    ("Campaigns", "campaigns", {"campaigns", "campaign", "campaign-new", "campaign-act"}, Permission.VIEW),
    ("Images", "images", {"images", "image", "image-upload", "image-save", "image-delete"}, Permission.VIEW),
    ("Updates", "firmware-updates", {"firmware-updates", "firmware-update"}, Permission.VIEW),
    ("Keys", "signing-keys", {"signing-keys"}, Permission.ADMINISTER),
)


@register.simple_tag(takes_context=True)
def firmware_tabs(context: Context) -> list[NavEntry]:
    """The firmware pages that this person may open."""
    return _entries(context, FIRMWARE_TABS)


EXPLORE_TABS = (
    ("Charts", "explore", {"explore"}, Permission.VIEW),
    ("Dashboards", "dashboards", EXPLORE - {"explore", "export"}, Permission.VIEW),
    ("Export", "export", {"export"}, Permission.VIEW),
)


@register.simple_tag(takes_context=True)
def explore_tabs(context: Context) -> list[NavEntry]:
    """The pages of Explore."""
    return _entries(context, EXPLORE_TABS)


DEVICES_TABS = (
    ("List", "devices", {"devices"}, Permission.VIEW),
    ("Map", "map", {"map"}, Permission.VIEW),
)


@register.simple_tag(takes_context=True)
def devices_tabs(context: Context) -> list[NavEntry]:
    """The ways to see all devices."""
    return _entries(context, DEVICES_TABS)


ALERT_TABS = (
    ("Alerts", "alerts", {"alerts", "alert"}, Permission.VIEW),
    ("Rules", "alert-rules", RULES, Permission.VIEW),
    ("Channels", "alert-channels", CHANNELS, Permission.ADMINISTER),
)


@register.simple_tag(takes_context=True)
def alert_tabs(context: Context) -> list[NavEntry]:
    """The pages of alerts that this person may open."""
    return _entries(context, ALERT_TABS)


@register.inclusion_tag("ui/parts/alert_count.html")
def alert_count() -> dict[str, Any]:
    """How many open alerts nobody has acknowledged."""
    return {"counts": alert_counts()}


@register.inclusion_tag("ui/parts/device_alerts.html")
def device_alerts(device: Device) -> dict[str, Any]:
    """What is wrong with a device now."""
    return {"device": device, "alerts": alerts_open(device=device)}


register.filter("short", number)


@register.simple_tag
def update_shape(state: str) -> SafeString:
    """The shape of an update's state."""
    return markup.shape(UPDATE_STATES[state].shape)


@register.simple_tag(takes_context=True)
def may_operate(context: Context) -> bool:
    """May this person act on devices?"""
    request = context.get("request")
    return isinstance(request, HttpRequest) and allowed(request.user, Permission.OPERATE)


@register.inclusion_tag("ui/parts/pipeline.html", takes_context=True)
def pipeline_banner(context: Context) -> dict[str, Any]:
    """The banner that says when sync or Leshan is down or behind."""
    state = context.get("pipeline")
    return {"pipeline": state or pipeline_state()}


@register.simple_tag
def now_iso() -> str:
    """The server's clock, for ages that do not depend on the browser's."""
    return timezone.now().isoformat(timespec="milliseconds")


@register.simple_tag
def label_of(record: Any, name: str) -> str:
    """The label of a field with choices."""
    return str(getattr(record, f"get_{name}_display")())


@register.filter
def device_url(endpoint: str) -> str:
    """The address of a device's page."""
    return reverse("device", kwargs={"endpoint": endpoint})


@register.simple_tag
def part_url(name: str, endpoint: str) -> str:
    """The address of a part of a device's page."""
    return reverse(name, kwargs={"endpoint": endpoint})


@register.inclusion_tag("ui/parts/field.html")
def field(bound: BoundField, *, autofocus: bool = False) -> dict[str, Any]:
    """A form field with label, help and errors, wired for screen readers."""
    identifier = bound.id_for_label
    described = [
        f"{identifier}-{what}" for what, there in (("help", bound.help_text), ("error", bound.errors)) if there
    ]
    kind = "form-select" if getattr(bound.field.widget, "input_type", "") == "select" else "form-control"
    # a placeholder that says the label once more only looks like an entry
    attributes: dict[str, str | bool] = {"class": kind, "placeholder": False, "autofocus": autofocus}
    if described:
        attributes["aria-describedby"] = " ".join(described)
    if bound.errors:
        attributes["aria-invalid"] = "true"
    return {"field": bound, "widget": bound.as_widget(attrs=attributes), "identifier": identifier}


@register.simple_tag
def value_of(row: ValueRow) -> SafeString:
    """The value or values of a resource."""
    return instances_html(row.entries)


@register.inclusion_tag("ui/parts/dump.html")
def raw_dump(raw: RawEvent) -> dict[str, Any]:
    """The beginning of what came, as text and as hex, each on demand. `raw` is one of `raw_event_list`."""
    data = bytes(raw.head)  # type: ignore[attr-defined]
    return {
        "raw": raw,
        "text": data.decode(errors="backslashreplace"),
        "hex": data.hex(" "),
        "shown": len(data),
        "payload": payload_dump(raw.name, data),
    }


@register.filter
def slashes(path: str) -> str:
    """A path as part of an element's id."""
    return path.replace("/", "-")


@register.filter
def type_words(type_: str) -> str:
    """A data type for people: UNSIGNED_INTEGER → unsigned integer."""
    return type_.lower().replace("_", " ")


@register.filter
def words(text: str) -> list[str]:
    """The words of a text."""
    return text.split()


@register.simple_tag
def operations(letters: str) -> str:
    """What the letters R, W and E allow, in words."""
    return ", ".join(WORDS[one] for one in letters if one in WORDS)


@register.simple_tag
def entries_of(panel: Panel) -> SafeString:
    """The value or values that a panel is about."""
    return instances_html(panel.entries) if panel.entries else SafeString(markup.DASH)


@register.simple_tag
def fields_url(name: str, endpoint: str, **query: str) -> str:
    """As `part_url`, with a query."""
    return f"{reverse(name, kwargs={'endpoint': endpoint})}?{urlencode(query)}"


@register.inclusion_tag("ui/parts/command.html")
def command(text: str) -> dict[str, str]:
    """A command line to copy."""
    return {"text": text}
