"""Microseconds since 1970 (UTC), as values and samples carry them, and datetimes."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def datetime_of_us(microseconds: int) -> datetime:
    """Microseconds since 1970 as an aware datetime (UTC). Raises OverflowError outside the years 1 to 9999."""
    return EPOCH + timedelta(microseconds=microseconds)


def us_of_datetime(moment: datetime) -> int:
    """An aware datetime as microseconds since 1970, exact."""
    return (moment - EPOCH) // timedelta(microseconds=1)
