"""How much an export would be."""

from collections.abc import Sequence

from django.db.models import Sum

from backend.telemetry.models import Series

_CHUNK = 10_000


def export_size(*, series_ids: Sequence[int]) -> int:
    """Samples that are kept of these series, whatever their time; those of the last hour are not counted yet."""
    total = 0
    for start in range(0, len(series_ids), _CHUNK):
        part = Series.objects.filter(pk__in=series_ids[start : start + _CHUNK])
        total += part.aggregate(kept=Sum("kept"))["kept"] or 0
    return total
