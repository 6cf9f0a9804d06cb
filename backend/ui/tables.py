"""Tables of lists: which columns there are, how they sort and what a cell shows."""

import csv
import io
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import django_tables2 as tables
from django.db.models import F, QuerySet
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from backend.devices.models import Device
from backend.devices.selectors import DEVICE_ORDERS
from backend.ui.markup import ago, status_badge

PAGE_SIZES = (25, 50, 100, 250)


class DeviceColumn(tables.Column):  # type: ignore[misc]
    """Sorts unknown values last, in both directions, and equal ones by endpoint, so that pages never overlap."""

    def __init__(self, field: str, **options: Any) -> None:
        """`field`: a name that the selector can order by."""
        super().__init__(**options)
        self.field = field

    def order(self, queryset: QuerySet[Device], is_descending: bool) -> tuple[QuerySet[Device], bool]:
        """The queryset in order, and that it is."""
        field = F(DEVICE_ORDERS[self.field])
        ordering = field.desc(nulls_last=True) if is_descending else field.asc(nulls_last=True)
        return queryset.order_by(ordering, "endpoint"), True


class DevicesTable(tables.Table):  # type: ignore[misc]
    """The list of devices."""

    endpoint = DeviceColumn("endpoint", verbose_name="Endpoint")
    status = DeviceColumn("status", verbose_name="Status")
    last_contact = DeviceColumn("last_contact", verbose_name="Last contact", empty_values=())
    model = DeviceColumn("model", verbose_name="Model")
    firmware_version = DeviceColumn("firmware_version", verbose_name="Firmware")
    serial_number = DeviceColumn("serial_number", verbose_name="Serial number")

    class Meta:
        """Rendered by our own template; state in the address."""

        template_name = "ui/parts/devices_table.html"
        order_by = "endpoint"
        default = ""

    def render_endpoint(self, record: Device) -> SafeString:
        """A link to the device's page."""
        address = reverse("device", kwargs={"endpoint": record.endpoint})
        return format_html('<a href="{}">{}</a>', address, record.endpoint)

    def render_status(self, record: Device) -> SafeString:
        """Word, colour and shape."""
        return status_badge(record.status)

    def render_last_contact(self, value: datetime | None) -> SafeString:
        """How long ago."""
        return ago(value)

    def render_model(self, record: Device) -> SafeString:
        """Model, and the manufacturer for those who want to know."""
        return format_html('<span title="{}">{}</span>', record.manufacturer, record.model)


CSV_COLUMNS = (
    "endpoint",
    "status",
    "status_since",
    "last_contact",
    "manufacturer",
    "model",
    "serial_number",
    "firmware_version",
)


def csv_cell(value: Any) -> str:
    """A value in a CSV file: times in UTC, ISO 8601; nothing that a spreadsheet would run."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    text = str(value)
    # a spreadsheet would run what a device says of itself as a formula
    return "'" + text if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def devices_csv(devices: QuerySet[Device]) -> str:
    """The devices as CSV (RFC 4180) with a header line; times in UTC, ISO 8601."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(CSV_COLUMNS)
    rows: Iterable[tuple[Any, ...]] = devices.values_list(*CSV_COLUMNS).iterator(chunk_size=2000)
    writer.writerows([csv_cell(value) for value in row] for row in rows)
    return out.getvalue()
