"""Microseconds since 1970 (UTC), as values and samples carry them, and datetimes."""

import re
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# "+01:00" of a zone arrives as " 01:00" where somebody forgot to encode it in an address
_LOST_PLUS = re.compile(r" (\d\d:?\d\d)$")


def datetime_of_us(microseconds: int) -> datetime:
    """Microseconds since 1970 as an aware datetime (UTC). Raises OverflowError outside the years 1 to 9999."""
    return EPOCH + timedelta(microseconds=microseconds)


def us_of_datetime(moment: datetime) -> int:
    """An aware datetime as microseconds since 1970, exact."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def us_of_text(text: str) -> int:
    """ISO 8601, UTC where it names no zone, as microseconds since 1970. Raises ValueError where it is no time."""
    said = text.strip()
    try:
        moment = datetime.fromisoformat(said)
    except ValueError:
        moment = datetime.fromisoformat(_LOST_PLUS.sub(r"+\1", said))
    return us_of_datetime(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
