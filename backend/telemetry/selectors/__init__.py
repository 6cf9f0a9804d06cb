"""Reads of time series; nothing here writes. One concept per file; import from here."""

from backend.telemetry.selectors.chart import Chart, Stats, charts
from backend.telemetry.selectors.gaps import Gap
from backend.telemetry.selectors.samples import (
    Bucket,
    Cursor,
    Point,
    Row,
    SamplePage,
    samples_iter,
    samples_page,
    samples_thinned,
)
from backend.telemetry.selectors.series import (
    SeriesView,
    series_by_ids,
    series_by_names,
    series_extents,
    series_get,
    series_list,
)
from backend.telemetry.selectors.storage import Cost, StorageCosts, storage_cost_of, storage_costs

__all__ = [
    "Bucket",
    "Chart",
    "Cost",
    "Cursor",
    "Gap",
    "Point",
    "Row",
    "SamplePage",
    "SeriesView",
    "Stats",
    "StorageCosts",
    "charts",
    "samples_iter",
    "samples_page",
    "samples_thinned",
    "series_by_ids",
    "series_by_names",
    "series_extents",
    "series_get",
    "series_list",
    "storage_cost_of",
    "storage_costs",
]
