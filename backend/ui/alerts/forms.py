"""Forms of rules and channels. What may be is decided by the services; forms read what was typed."""

import re
from typing import Any

from django import forms

from backend.alerts.models import STATUSES, Channel, ChannelKind, Comparison, Kind, Rule, Scope
from backend.alerts.services import RuleFields
from backend.devices.models import Profile
from backend.ui.alerts.words import SEVERITIES

_PLAIN = {"autocomplete": "off", "spellcheck": "false"}


def _text(label: str, *, longest: int, help_text: str = "", placeholder: str = "") -> forms.CharField:
    widget = forms.TextInput(attrs={**_PLAIN, "placeholder": placeholder})
    return forms.CharField(label=label, max_length=longest, required=False, widget=widget, help_text=help_text)


def _float(label: str, help_text: str = "") -> forms.FloatField:
    widget = forms.TextInput(attrs={**_PLAIN, "inputmode": "decimal"})
    return forms.FloatField(label=label, required=False, widget=widget, help_text=help_text)


def _whole(label: str, help_text: str = "") -> forms.IntegerField:
    widget = forms.TextInput(attrs={**_PLAIN, "inputmode": "numeric"})
    return forms.IntegerField(label=label, required=False, widget=widget, help_text=help_text)


class RuleForm(forms.Form):
    """A rule. `kind` and `scope` say which of the other fields count."""

    name = _text("Name", longest=100, placeholder="Cold room too warm")
    severity = forms.ChoiceField(label="Severity", choices=SEVERITIES, initial="warning")
    enabled = forms.BooleanField(label="On", required=False, initial=True)
    scope = forms.ChoiceField(label="Devices", choices=Scope.choices, initial=Scope.ALL, widget=forms.RadioSelect)
    profile = forms.ModelChoiceField(
        label="Profile", queryset=Profile.objects.none(), required=False, empty_label="choose …"
    )
    endpoints = forms.CharField(
        label="Endpoints", required=False, max_length=60_000,
        widget=forms.Textarea(attrs={**_PLAIN, "rows": 3, "class": "mono", "placeholder": "meter-*"}),
        help_text="One a line; <code>*</code> stands for anything, <code>?</code> for one character.",
    )  # fmt: skip
    kind = forms.ChoiceField(label="When", choices=Kind.choices, initial=Kind.THRESHOLD, widget=forms.RadioSelect)
    path = _text(
        "Path", longest=64, placeholder="/3303/0/5700",
        help_text="Of a resource: <code>/3303/0/5700</code>, or <code>/3303/*/5700</code> for every instance.",
    )  # fmt: skip
    comparison = forms.ChoiceField(label="Is", choices=Comparison.choices, initial=Comparison.ABOVE)
    limit = _float("Limit")
    clear_limit = _float("Over at", "Hysteresis: empty means the limit itself.")
    for_seconds = _whole("For (seconds)", "By the time of the values; empty means at once.")
    status = forms.ChoiceField(label="Status", choices=[(one.value, one.label) for one in STATUSES])
    minutes = _whole("For (minutes)", "Longer than the device's own rhythm: of a meter that sends hourly, 90, say.")
    channels = forms.ModelMultipleChoiceField(
        label="Send to", queryset=Channel.objects.none(), required=False, widget=forms.CheckboxSelectMultiple
    )

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Profiles and channels as they are now."""
        super().__init__(*arguments, **options)
        self.fields["profile"].queryset = Profile.objects.order_by("name")  # type: ignore[attr-defined]
        self.fields["channels"].queryset = Channel.objects.order_by("name")  # type: ignore[attr-defined]

    def rule_fields(self) -> RuleFields:
        """What a valid form says, without what its kind and scope do not need."""
        said = self.cleaned_data
        status = said["kind"] == Kind.STATUS
        return RuleFields(
            name=said["name"] or "",
            kind=said["kind"],
            enabled=said["enabled"],
            severity=said["severity"],
            scope=said["scope"],
            profile=said["profile"].pk if said["profile"] else None,
            endpoints=tuple(line.strip("\r") for line in re.split(r"\n", said["endpoints"]) if line.strip()),
            path="" if status else said["path"] or "",
            comparison=said["comparison"],
            limit=said["limit"],
            clear_limit=said["clear_limit"],
            for_seconds=said["for_seconds"] or 0,
            minutes=said["minutes"],
            status=said["status"] if status else "",
            channels=tuple(one.pk for one in said["channels"]),
        )


def rule_initial(rule: Rule) -> dict[str, Any]:
    """A stored rule, to begin with."""
    names = ("name", "severity", "enabled", "scope", "profile", "kind", "path", "limit", "minutes")
    initial = {name: getattr(rule, name) for name in names}
    return initial | {
        "endpoints": "\n".join(rule.endpoints),
        "comparison": rule.comparison or Comparison.ABOVE,
        "clear_limit": None if rule.clear_limit == rule.limit else rule.clear_limit,
        "for_seconds": rule.for_seconds or None,
        "status": rule.status or STATUSES[0],
        "channels": [one.pk for one in rule.channels.all()],
    }


class ChannelForm(forms.Form):
    """A channel. The secret is never shown: an empty field keeps it."""

    name = _text("Name", longest=64, placeholder="On call")
    kind = forms.ChoiceField(label="Kind", choices=ChannelKind.choices, initial=ChannelKind.EMAIL)
    target = forms.CharField(
        label="Addresses, or URL", max_length=20_000,
        widget=forms.Textarea(attrs={**_PLAIN, "rows": 2, "class": "mono"}),
        help_text="E-mail addresses, one a line; of a webhook its URL, http or https.",
        error_messages={"required": "Say where messages go: e-mail addresses, or the URL of a webhook."},
    )  # fmt: skip
    secret = forms.CharField(
        label="Secret of a webhook", required=False, max_length=255, strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="The receiver checks the signature with it: <code>openssl rand -hex 32</code> makes one.",
    )  # fmt: skip
