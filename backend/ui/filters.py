"""The filters of lists, as declared classes: their state is in the address."""

from collections.abc import Sequence
from typing import Any

import django_filters
from django import forms
from django.db.models import Count, Exists, OuterRef, QuerySet

from backend.devices.models import Device, Status
from backend.devices.selectors import DeviceFilter, device_list, observation_failures

# stands for "the device has not said" in an address, where an empty text means "any"
UNSAID = "~"


def _choices(values: list[str]) -> list[tuple[str, str]]:
    return [(value or UNSAID, value or "(not known)") for value in values]


def _select() -> forms.Select:
    return forms.Select(attrs={"class": "form-select"})


class DevicesFilter(django_filters.FilterSet):  # type: ignore[misc]
    """Search, status, model, firmware version; `observations=failed` is where Overview leads."""

    search = django_filters.CharFilter(
        label="Search",
        widget=forms.TextInput(
            attrs={"type": "search", "placeholder": "Endpoint, model, serial number …", "autocomplete": "off"}
        ),
    )
    status = django_filters.MultipleChoiceFilter(
        label="Status", choices=Status.choices, widget=forms.MultipleHiddenInput
    )
    model = django_filters.ChoiceFilter(label="Model", empty_label="Any model", widget=_select())
    firmware_version = django_filters.ChoiceFilter(
        label="Firmware version", empty_label="Any firmware", widget=_select()
    )
    observations = django_filters.ChoiceFilter(
        label="Observations", choices=[("failed", "With failed observations")], widget=forms.HiddenInput
    )

    class Meta:
        """Nothing is filtered but by the fields above."""

        model = Device
        fields: list[str] = []

    def __init__(self, data: Any, *, choices: DeviceFilter) -> None:
        """`choices`: what there is to choose from, read once by the view."""
        super().__init__(data, queryset=Device.objects.none())
        self.filters["model"].extra["choices"] = _choices(choices.models)
        self.filters["firmware_version"].extra["choices"] = _choices(choices.firmware_versions)

    def filter_queryset(self, queryset: QuerySet[Device]) -> QuerySet[Device]:
        """What the (valid) form asks for; invalid fields count as not given."""
        del queryset  # the selector is where devices come from
        return self._devices(self.form.cleaned_data.get("status") or ())

    def status_counts(self) -> dict[Status, int]:
        """How many devices there would be in each status, with everything else as it is asked for."""
        rows = self._devices(()).order_by().values_list("status").annotate(number=Count("pk"))
        counted = dict(rows)
        return {status: counted.get(status.value, 0) for status in Status}

    def _devices(self, status: Sequence[str]) -> QuerySet[Device]:
        asked = self.form.cleaned_data

        def exact(name: str) -> str | None:
            value = asked.get(name)
            return None if not value else "" if value == UNSAID else str(value)

        devices = device_list(
            search=asked.get("search") or "",
            status=status,
            model=exact("model"),
            firmware_version=exact("firmware_version"),
        )
        if asked.get("observations"):
            failed = observation_failures().filter(device=OuterRef("pk"))
            devices = devices.filter(Exists(failed))
        return devices
