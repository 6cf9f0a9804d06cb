"""Forms of the firmware pages. What may be is decided by the services; forms read what was typed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings

from backend.devices.models import Profile, Status
from backend.devices.selectors import device_choices
from backend.firmware.models import FirmwareImage, Method
from backend.firmware.rollout import phases_check
from backend.firmware.selectors.images import image_list
from backend.ui.filters import UNSAID
from backend.ui.firmware.words import size_text

MOST_INSTANCE = 65534
_PLAIN = {"autocomplete": "off", "spellcheck": "false"}


def image_label(image: FirmwareImage) -> str:
    """An image in a list of choices: version, file, size."""
    return " · ".join(part for part in (image.version, image.file_name, size_text(image.size)) if part)


class ImageChoice(forms.ModelChoiceField):  # type: ignore[type-arg]
    """One of the images that are there."""

    def __init__(self, **options: Any) -> None:
        """With its own words where nothing, or something deleted, was chosen."""
        super().__init__(
            queryset=FirmwareImage.objects.none(),
            empty_label="choose …",
            error_messages={
                "required": "Choose the image that the devices should run.",
                "invalid_choice": "This image was deleted meanwhile: choose another one.",
            },
            **options,
        )

    def label_from_instance(self, obj: Any) -> str:
        """Version, file and size."""
        return image_label(obj)


class ImageForm(forms.Form):
    """What people say of an image: which devices it is for."""

    version = forms.CharField(
        label="Version",
        required=False,
        max_length=64,
        widget=forms.TextInput(attrs={**_PLAIN, "placeholder": "1.2.3"}),
        help_text="Read from the header of a MCUboot image; for other files as the device will say it (3/0/3).",
    )
    manufacturer = forms.CharField(
        label="Manufacturer", required=False, max_length=255, widget=forms.TextInput(attrs=_PLAIN),
        help_text="Which devices it is for: <code>*</code> stands for anything. Empty: for all.",
    )  # fmt: skip
    model = forms.CharField(
        label="Model", required=False, max_length=255, widget=forms.TextInput(attrs=_PLAIN),
        help_text="As the manufacturer: <code>AM-*</code>, say.",
    )  # fmt: skip
    profile = forms.ModelChoiceField(label="Profile", queryset=Profile.objects.none(), required=False,
                                     empty_label="Any profile")  # fmt: skip
    object_instance = forms.IntegerField(
        label="Firmware object", required=False, min_value=0, max_value=MOST_INSTANCE,
        widget=forms.NumberInput(attrs={"placeholder": "0"}),
        help_text="5/<b>x</b>, of devices with several: 0 is the application, others a modem, say.",
    )  # fmt: skip
    note = forms.CharField(label="Note", required=False, max_length=200, widget=forms.TextInput(attrs=_PLAIN))

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """The profiles as they are now."""
        super().__init__(*arguments, **options)
        self.fields["profile"].queryset = Profile.objects.order_by("name")  # type: ignore[attr-defined]


class SigningKeyForm(forms.Form):
    """A public key."""

    name = forms.CharField(label="Name", max_length=64, widget=forms.TextInput(attrs=_PLAIN))
    file = forms.FileField(
        label="Public key, as a PEM file",
        required=False,
        help_text="<code>imgtool getpub -k key.pem -e pem</code> makes it from the private key, which stays with you.",
    )
    pem = forms.CharField(
        label="Or as text",
        required=False,
        max_length=20_000,
        widget=forms.Textarea(
            attrs={**_PLAIN, "rows": 4, "class": "mono", "placeholder": "-----BEGIN PUBLIC KEY-----"}
        ),
    )


class UpdateForm(forms.Form):
    """An update of one device."""

    image = ImageChoice(label="Image")
    method = forms.ChoiceField(label="Delivery", choices=Method.choices, initial=Method.AUTO)
    object_instance = forms.TypedChoiceField(label="Firmware object", coerce=int, empty_value=None, required=False)
    force = forms.BooleanField(label="Also if it runs this version, or the image is not for it", required=False)

    def __init__(self, *arguments: Any, instances: list[int], **options: Any) -> None:
        """`instances`: of object 5, as the device lists them."""
        super().__init__(*arguments, **options)
        self.fields["image"].queryset = image_list()  # type: ignore[attr-defined]
        # with one instance there is nothing to choose
        if len(instances) > 1:
            choices = [("", "As the image says"), *((str(one), f"5/{one}") for one in instances)]
            self.fields["object_instance"].choices = choices  # type: ignore[attr-defined]
        else:
            del self.fields["object_instance"]


def _number(label: str, initial: int, least: int, most: int, help_text: str) -> forms.IntegerField:
    return forms.IntegerField(label=label, initial=initial, min_value=least, max_value=most, help_text=help_text)


class CampaignForm(forms.Form):
    """A campaign. `choose` says which of the two ways to name devices counts."""

    image = ImageChoice(label="Image")
    name = forms.CharField(
        label="Name", max_length=100, required=False,
        widget=forms.TextInput(attrs=_PLAIN), help_text="Empty: the image's version and the day.",
    )  # fmt: skip
    choose = forms.ChoiceField(
        label="Devices",
        choices=[("filter", "All that fit a filter"), ("endpoints", "Named ones")],
        initial="filter",
        widget=forms.RadioSelect,
    )
    search = forms.CharField(
        label="Search", required=False, max_length=255,
        widget=forms.TextInput(attrs={**_PLAIN, "placeholder": "Endpoint, model, serial number …"}),
    )  # fmt: skip
    status = forms.ChoiceField(label="Status", required=False, choices=[("", "Any status"), *Status.choices])
    manufacturer = forms.ChoiceField(label="Manufacturer", required=False)
    model = forms.ChoiceField(label="Model", required=False)
    firmware_version = forms.ChoiceField(label="Runs now", required=False)
    profile = forms.ModelChoiceField(
        label="Profile", queryset=Profile.objects.none(), required=False, empty_label="Any profile"
    )
    endpoints = forms.CharField(
        label="Endpoint names",
        required=False,
        max_length=2_000_000,
        widget=forms.Textarea(attrs={**_PLAIN, "rows": 6, "class": "mono", "placeholder": "meter-0001\nmeter-0002"}),
        help_text="One a line.",
    )
    phases = forms.CharField(
        label="Phases (%)", initial="10, 50, 100", max_length=200,
        widget=forms.TextInput(attrs={**_PLAIN, "inputmode": "numeric"}),
        help_text="Up to which share of the devices each phase goes; the last is 100.",
    )  # fmt: skip
    concurrency = _number("At once", 20, 1, 10_000, "Updates under way at the same time, at most.")
    success_threshold = _number(
        "Go on above (%)", 90, 0, 100, "So many of a phase's devices must have succeeded before the next one begins."
    )
    error_threshold = _number(
        "Stop above (%)", 10, 0, 100, "When more of the ended updates have failed, nothing new begins."
    )
    hold_seconds = _number(
        "Hold (s)", 60, 0, 86_400, "So long a device must stay registered with the new firmware to count as a success."
    )
    start_at = forms.DateTimeField(
        label="Start", required=False,
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"],
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        help_text="Empty: at once.",
    )  # fmt: skip
    window_from = forms.TimeField(
        label="Daily from", required=False, widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
    )
    window_to = forms.TimeField(
        label="Until", required=False, widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
        help_text="Updates begin only then; what has begun goes on.",
    )  # fmt: skip
    zone = forms.CharField(
        label="Time zone", initial="UTC", max_length=64, widget=forms.TextInput(attrs={**_PLAIN, "data-zone": True})
    )
    method = forms.ChoiceField(label="Delivery", choices=Method.choices, initial=Method.AUTO)
    object_instance = forms.IntegerField(
        label="Firmware object", required=False, min_value=0, max_value=MOST_INSTANCE,
        help_text="5/<b>x</b>. Empty: as the image says.",
    )  # fmt: skip
    force = forms.BooleanField(
        label="Also devices that run this version already, or that the image is not for", required=False
    )
    standing = forms.BooleanField(label="Take up devices that come to fit later, too", required=False)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """The choices as they are now."""
        super().__init__(*arguments, **options)
        self.fields["image"].queryset = image_list()  # type: ignore[attr-defined]
        self.fields["profile"].queryset = Profile.objects.order_by("name")  # type: ignore[attr-defined]
        self.fields["hold_seconds"].initial = settings.FIRMWARE_HOLD_SECONDS
        there = device_choices()
        for name, empty, values in (
            ("manufacturer", "Any manufacturer", there.manufacturers),
            ("model", "Any model", there.models),
            ("firmware_version", "Any firmware", there.firmware_versions),
        ):
            choices = [("", empty), *((one or UNSAID, one or "(not known)") for one in values)]
            self.fields[name].choices = choices  # type: ignore[attr-defined]

    def clean_phases(self) -> list[int]:
        """Whole percentages that rise to 100."""
        words = self.cleaned_data["phases"].replace(",", " ").replace("%", " ").split()
        try:
            found = [int(one) for one in words]
        except ValueError:
            raise forms.ValidationError("Whole percentages, such as 10, 50, 100.") from None
        try:
            return phases_check(found)
        except ValueError as error:
            text = str(error)
            raise forms.ValidationError(text[:1].upper() + text[1:]) from None

    def clean_zone(self) -> str:
        """A zone of the IANA database."""
        name: str = self.cleaned_data["zone"]
        try:
            ZoneInfo(name)
        except (ValueError, OSError, KeyError):
            raise forms.ValidationError("A time zone such as UTC or Europe/Vienna.") from None
        return name

    def clean(self) -> dict[str, Any]:
        """The window is whole; the start is a moment; named devices are named."""
        said = super().clean() or self.cleaned_data
        if bool(said.get("window_from")) != bool(said.get("window_to")) and not (
            self.errors.get("window_from") or self.errors.get("window_to")
        ):
            missing = "window_to" if said.get("window_from") else "window_from"
            self.add_error(missing, "Say both ends of the daily window, or neither.")
        if said.get("choose") == "endpoints" and not self.names and "endpoints" not in self.errors:
            self.add_error("endpoints", "Name at least one device.")
        return said

    @property
    def names(self) -> list[str]:
        """The named devices, each once."""
        lines = (line.strip() for line in self.cleaned_data.get("endpoints", "").splitlines())
        return list(dict.fromkeys(line for line in lines if line))

    @property
    def selection(self) -> dict[str, Any]:
        """Which devices, as campaigns keep it."""
        return selection_of(self.cleaned_data, self.names)

    @property
    def starts(self) -> datetime | None:
        """The start as a moment: it was typed in the form's zone."""
        start = self.cleaned_data.get("start_at")
        return None if start is None else start.replace(tzinfo=ZoneInfo(self.cleaned_data["zone"]))


def selection_of(said: Mapping[str, Any], endpoints: list[str]) -> dict[str, Any]:
    """The cleaned fields of the form as a campaign's selection."""
    if said.get("choose") == "endpoints":
        return {"endpoints": endpoints}
    found: dict[str, Any] = {}
    if said.get("search"):
        found["search"] = said["search"]
    if said.get("status"):
        found["status"] = [said["status"]]
    for name in ("manufacturer", "model", "firmware_version"):
        if said.get(name):
            found[name] = "" if said[name] == UNSAID else said[name]
    if said.get("profile"):
        found["profile"] = said["profile"].pk
    return found
