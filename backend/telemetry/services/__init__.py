"""Writes to time series. Samples themselves go the hot way (backend.telemetry.storage). Import them from here."""

from backend.telemetry.services.retention import RetentionStep, retention_step
from backend.telemetry.services.rollups import RollupStep, rollups_step
from backend.telemetry.services.series import SeriesKey, series_ensure

__all__ = ["RetentionStep", "RollupStep", "SeriesKey", "retention_step", "rollups_step", "series_ensure"]
