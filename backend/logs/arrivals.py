"""Lines in the order in which they were stored: what a page that is open has not seen yet, late lines too."""

from backend.logs.filters import Cursor, LineFilter
from backend.logs.models import Line

_FOLD = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def folded(text: str) -> str:
    """Without the difference between A and a, for ASCII letters only: as the search in the database."""
    return text.translate(_FOLD)


def keys_since(*, filter: LineFilter, since: int, limit: int) -> tuple[list[Cursor], int, bool]:
    """Keys of the wanted among the next `limit` lines that were stored after the one numbered `since`, oldest first.

    And the number of the last of these `limit`, wanted or not, and whether there are more. The filter is applied here:
    a database that plans for it may walk along another index than that of the numbers.
    """
    columns = ("id", "time", "device_id", "severity", "module", "text")
    rows = list(Line.objects.filter(id__gt=since).order_by("id").values_list(*columns)[: limit + 1])
    more, rows = len(rows) > limit, rows[:limit]
    if not rows:
        return [], since, False
    if filter.empty:
        return [], rows[-1][0], more
    devices = None if filter.devices is None else frozenset(filter.devices)
    wanted = folded(filter.search)
    found = [
        Cursor(time, pk)
        for pk, time, device_id, severity, module, text in rows
        if (devices is None or device_id in devices)
        and (filter.severity is None or severity <= filter.severity)
        and (not filter.modules or module in filter.modules)
        and (filter.start is None or time >= filter.start)
        and (filter.end is None or time < filter.end)
        and (not wanted or wanted in folded(text))
    ]
    return sorted(found), rows[-1][0], more
