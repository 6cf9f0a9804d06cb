"""The forms of the settings pages. What may be stored is decided by the services; forms only read what was typed."""

from typing import Any

from django import forms

from backend.devices.models import Profile
from backend.lwm2m.ddf import MAX_SIZE

ATTRIBUTES = ("pmin", "pmax", "gt", "lt", "st")
ATTRIBUTE_LABELS = {
    "pmin": "pmin (s)",
    "pmax": "pmax (s)",
    "gt": "gt",
    "lt": "lt",
    "st": "st",
}
ATTRIBUTE_HELP = {
    "pmin": "At least so many seconds between two notifications",
    "pmax": "At most so many seconds between two notifications",
    "gt": "Notify when the value crosses this from below",
    "lt": "Notify when the value crosses this from above",
    "st": "Notify when the value has changed by so much",
}


def _small(label: str, *, title: str = "", placeholder: str = "", numeric: bool = False) -> forms.CharField:
    """A field of a row: its label is for screen readers, the column's head for the others."""
    attributes = {"class": "form-control", "aria-label": label, "autocomplete": "off", "spellcheck": "false"}
    if title:
        attributes["title"] = title
    if placeholder:
        attributes["placeholder"] = placeholder
    if numeric:
        attributes["inputmode"] = "decimal"
    return forms.CharField(label=label, required=False, max_length=255, widget=forms.TextInput(attrs=attributes))


def _limit(label: str, help_text: str) -> forms.IntegerField:
    """A number, or nothing for no limit."""
    return forms.IntegerField(
        label=label,
        required=False,
        min_value=1,
        help_text=help_text,
        widget=forms.NumberInput(attrs={"placeholder": "no limit", "autocomplete": "off"}),
    )


class AttributesForm(forms.Form):
    """Notification attributes, each as it was typed; "" is not set."""

    pmin = _small(ATTRIBUTE_LABELS["pmin"], title=ATTRIBUTE_HELP["pmin"], numeric=True)
    pmax = _small(ATTRIBUTE_LABELS["pmax"], title=ATTRIBUTE_HELP["pmax"], numeric=True)
    gt = _small(ATTRIBUTE_LABELS["gt"], title=ATTRIBUTE_HELP["gt"], numeric=True)
    lt = _small(ATTRIBUTE_LABELS["lt"], title=ATTRIBUTE_HELP["lt"], numeric=True)
    st = _small(ATTRIBUTE_LABELS["st"], title=ATTRIBUTE_HELP["st"], numeric=True)

    @property
    def attributes(self) -> dict[str, str]:
        """Those that are set, by name."""
        return {name: self.cleaned_data[name] for name in ATTRIBUTES if self.cleaned_data.get(name)}


class ObservedPathForm(AttributesForm):
    """One row of what a profile observes; a row without a path counts as none."""

    path = _small("Path", placeholder="/3303/*/5700")
    field_order = ["path", *ATTRIBUTES]


class DeviceObservationForm(AttributesForm):
    """A path that a person wants observed on one device."""

    path = forms.CharField(
        label="Path",
        max_length=32,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "placeholder": "/3303/0/5700"}),
    )
    field_order = ["path", *ATTRIBUTES]


class ProfileForm(forms.Form):
    """What a profile says besides its paths."""

    name = forms.CharField(label="Name", max_length=64, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    awake_seconds = forms.IntegerField(
        label="Awake window (seconds)",
        required=False,
        min_value=1,
        max_value=86_400,
        help_text="How long a queue-mode device listens after its last message. Empty: the server's own, 93 s.",
    )
    composite = forms.BooleanField(
        label="One composite observation for single resources, where the device can", required=False
    )
    is_default = forms.BooleanField(label="Default: for devices that no rule gives another profile", required=False)
    set_clock = forms.BooleanField(
        label="Set a device's clock (/3/0/13) where it is wrong and can be written", required=False
    )
    samples_days = _limit("Samples", "Every value as it came.")
    minutes_days = _limit("By minute", "Smallest, largest and mean of each minute.")
    hours_days = _limit("By hour and day", "What charts of a year are drawn from.")
    logs_days = _limit("Log lines", "")
    logs_per_minute = _limit("Log lines a minute", "In the long run, of one device; more are cut, counted and shown.")
    logs_mib = _limit("Log text (MiB)", "Of one device; the oldest lines go first.")

    KEPT_FOR = ("samples_days", "minutes_days", "hours_days", "logs_days")
    LOG_LIMITS = ("logs_per_minute", "logs_mib")

    @property
    def kept_for(self) -> list[forms.BoundField]:
        """The fields of how long values and lines are kept."""
        return [self[name] for name in self.KEPT_FOR]

    @property
    def log_limits(self) -> list[forms.BoundField]:
        """The fields of how many lines there may be."""
        return [self[name] for name in self.LOG_LIMITS]


class RuleForm(forms.Form):
    """One rule: patterns and the profile; a row without patterns counts as none."""

    # how many devices it matches, where the view has counted
    matches: int | None = None

    endpoint = _small("Endpoint pattern", placeholder="meter-*")
    manufacturer = _small("Manufacturer pattern")
    model = _small("Model pattern")
    profile = forms.ModelChoiceField(
        queryset=Profile.objects.all(),
        empty_label=None,
        widget=forms.Select(attrs={"class": "form-select", "aria-label": "Profile"}),
    )

    @property
    def patterns(self) -> dict[str, str]:
        """What was typed."""
        return {name: self.cleaned_data.get(name) or "" for name in ("endpoint", "manufacturer", "model")}


class DeviceProfileForm(forms.Form):
    """A device's profile by hand; empty is none."""

    profile = forms.ModelChoiceField(
        label="Profile", queryset=Profile.objects.all(), required=False, empty_label="No profile: observe nothing"
    )


class DefinitionForm(forms.Form):
    """A DDF file."""

    file = forms.FileField(
        label="DDF file (XML)",
        widget=forms.ClearableFileInput(attrs={"accept": ".xml,application/xml,text/xml"}),
        help_text="As the OMA registry or an editor gives it: one object, in one version.",
    )

    def clean_file(self) -> Any:
        """Not read at all where it is far too large."""
        file = self.cleaned_data["file"]
        if file.size > MAX_SIZE:
            raise forms.ValidationError(f"This file has {file.size // 1024} kB; a definition has at most 512 kB.")
        return file


class Rows(forms.BaseFormSet):  # type: ignore[type-arg]
    """Rows that are moved by number and removed by a tick, named for screen readers."""

    def get_ordering_widget(self) -> forms.Widget:  # type: ignore[override] # as a field, an instance will do
        """A number."""
        return forms.NumberInput(attrs={"class": "form-control", "aria-label": "Order"})

    def get_deletion_widget(self) -> forms.Widget:  # type: ignore[override]
        """A box to tick."""
        return forms.CheckboxInput(attrs={"aria-label": "Remove"})


ObservedPathFormSet = forms.formset_factory(ObservedPathForm, formset=Rows, extra=1, can_delete=True, max_num=200)
RuleFormSet = forms.formset_factory(RuleForm, formset=Rows, extra=1, can_delete=True, can_order=True, max_num=500)
