"""Reads of dashboards."""

from django.db.models import QuerySet
from django.db.models.functions import Lower

from backend.telemetry.models import Dashboard


def dashboard_list() -> QuerySet[Dashboard]:
    """All of them, by name."""
    return Dashboard.objects.select_related("created_by").order_by(Lower("name"), "pk")


def dashboard_get(*, id: int) -> Dashboard:
    """One of them. Raises Dashboard.DoesNotExist."""
    return Dashboard.objects.select_related("created_by").get(pk=id)
