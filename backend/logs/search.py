"""Finding lines: which keys (time, id) a filter has, from the newest down or from the oldest up.

Raw SQL, because both databases need to be led to the right index. The same text is found on both: a search is a piece
of the text, in which ASCII letters match in upper and lower case and everything else stands for itself.

Most pages are full after a look at the next few thousand lines in the order of time. Where they are not, what is sought
is rare, or only in other times:

- PostgreSQL takes the lines that its trigram index names (or all, where the text has no three letters) and sorts them.
- SQLite's trigram index gives lines in the order of their ids, nearly that of time, and can stop anywhere. So portions
  of ids are searched until the page is full; then the index on time tells which lines belong between those found
  although their ids lie elsewhere (they came late), and these are looked at, too. The result is exact.
"""

from collections.abc import Sequence
from typing import Any

from django.db import connection
from django.db.models import Sum

from backend.logs.filters import Cursor, LineFilter
from backend.logs.models import Usage

# lines looked at in the order of time; more where only a part of them is of the wanted devices
WINDOW = 5000
MOST_WINDOW = 50_000
# lines looked at in a second go, where the first has shown that this should do
WALK = 100_000
# lines of all wanted devices together that are simply all looked at
FEW = 20_000
# ids of the first portion, from the trigram index or of the table
NAMED = 20_000
SCANNED = 50_000
_GROWTH = 4
# pieces of the search that the trigram index is asked for
_PIECES = 16
_HIGHEST = 2**63 - 1

# SQL conditions and their parameters
Where = tuple[list[str], list[Any]]


def keys_older(*, filter: LineFilter, before: Cursor | None, limit: int) -> list[Cursor]:
    """The newest keys before `before` (None: of all), newest first."""
    return _Search(filter, before, limit, newer=False).keys()


def keys_newer(*, filter: LineFilter, after: Cursor | None, limit: int, inclusive: bool = False) -> list[Cursor]:
    """The oldest keys after `after` (None: of all; `inclusive`: itself too), oldest first."""
    return _Search(filter, after, limit, newer=True, inclusive=inclusive).keys()


def window_newer(*, filter: LineFilter, after: Cursor | None, window: int) -> tuple[list[Cursor], Cursor | None]:
    """The keys among the next `window` lines in time, oldest first, and where to go on (None: that was all)."""
    search = _Search(filter, after, window, newer=True)
    if filter.empty:
        return [], None
    return search.among_next(window), search.edge(window)


def pattern(text: str) -> str:
    r"""For LIKE … ESCAPE '\': a part of the text."""
    return "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"


class _Search:
    """One search in one direction."""

    def __init__(
        self, filter: LineFilter, cursor: Cursor | None, limit: int, *, newer: bool, inclusive: bool = False
    ) -> None:
        self.filter = filter
        self.cursor = cursor
        self.limit = limit
        self.newer = newer
        self.compare = (">" if newer else "<") + ("=" if inclusive else "")
        self.order = "ASC" if newer else "DESC"
        self.sqlite = connection.vendor == "sqlite"

    def keys(self) -> list[Cursor]:
        filter = self.filter
        if filter.empty:
            return []
        if filter.devices is not None and len(filter.devices) > 1:
            lines = Usage.objects.filter(device_id__in=filter.devices).aggregate(lines=Sum("lines"))["lines"] or 0
            if lines <= FEW:
                return self._all_of_devices()
            total = Usage.objects.aggregate(lines=Sum("lines"))["lines"]
            window = min(MOST_WINDOW, WINDOW * total // lines)
        else:
            window = WINDOW
        if not self._by_content():
            # the order of the index is the answer
            conditions, parameters = self._range()
            return self._select(conditions, parameters, order='"time" {0}, "id" {0}', limit=self.limit)
        found = self.among_next(window)
        if len(found) >= self.limit or self.edge(window) is None:
            return found[: self.limit]
        # what is there now and then fills the page a little further on
        wider = window * self.limit * 3 // (2 * len(found)) if found else WALK + 1
        if wider <= WALK:
            found = self.among_next(wider)
            if len(found) >= self.limit or self.edge(wider) is None:
                return found[: self.limit]
        return self._by_ids() if self.sqlite else self._by_planner()

    # -- conditions

    def _range(self) -> Where:
        """Those of place: what the indexes on time, and on device and time, know."""
        conditions: list[str] = []
        parameters: list[Any] = []
        if self.filter.devices is not None and len(self.filter.devices) == 1:
            conditions.append('"device_id" = %s')
            parameters.append(self.filter.devices[0])
        if self.filter.start is not None:
            conditions.append('"time" >= %s')
            parameters.append(self.filter.start)
        if self.filter.end is not None:
            conditions.append('"time" < %s')
            parameters.append(self.filter.end)
        if self.cursor is not None:
            conditions.append(f'("time", "id") {self.compare} (%s, %s)')
            parameters += self.cursor
        return conditions, parameters

    def _content(self) -> Where:
        """Those that need a look at the line."""
        filter = self.filter
        conditions: list[str] = []
        parameters: list[Any] = []
        if filter.devices is not None and len(filter.devices) > 1:
            conditions.append(f'"device_id" IN ({_places(filter.devices)})')
            parameters += filter.devices
        if filter.severity is not None:
            conditions.append('"severity" <= %s')
            parameters.append(filter.severity)
        if filter.modules:
            conditions.append(f'"module" IN ({_places(filter.modules)})')
            parameters += filter.modules
        if filter.search:
            # SQLite's LIKE knows ASCII letters in both cases; PostgreSQL's ILIKE does by the rules of "C"
            conditions.append("\"text\" LIKE %s ESCAPE '\\'" if self.sqlite else '"text" COLLATE "C" ILIKE %s')
            parameters.append(pattern(filter.search))
        return conditions, parameters

    def _by_content(self) -> bool:
        return bool(self._content()[0])

    # -- ways to search

    def _all_of_devices(self) -> list[Cursor]:
        """All lines of some devices are looked at."""
        assert self.filter.devices is not None
        range_, content = self._range(), self._content()
        index = 'INDEXED BY "logs_line_device_time"' if self.sqlite else ""
        return self._select(
            range_[0] + content[0],
            range_[1] + content[1],
            # an expression: the index on time alone is not to be used for the order
            order='"time" + 0 {0}, "id" {0}',
            limit=self.limit,
            table=f'"logs_line" {index}',
        )

    def among_next(self, window: int) -> list[Cursor]:
        """Keys among the next `window` lines in the order of time."""
        (range_, ranged), (content, contents) = self._range(), self._content()
        columns = '"time", "id", "device_id", "severity", "module", "text"'
        inner = (
            f'SELECT {columns} FROM "logs_line" WHERE {_all(range_)} '  # noqa: S608 - values are parameters
            f'ORDER BY "time" {self.order}, "id" {self.order} LIMIT {window}'
        )
        return self._select(
            content, contents, order='"time" {0}, "id" {0}', limit=self.limit, table=f"({inner}) AS near", before=ranged
        )

    def edge(self, window: int) -> Cursor | None:
        """The last of the next `window` lines in the order of time, if there are more."""
        conditions, parameters = self._range()
        found = self._select(conditions, parameters, order='"time" {0}, "id" {0}', limit=2, offset=window - 1)
        return found[0] if len(found) == 2 else None

    def _by_planner(self) -> list[Cursor]:
        """PostgreSQL: whatever its planner takes, but for walking along the time."""
        range_, content = self._range(), self._content()
        return self._select(
            range_[0] + content[0], range_[1] + content[1], order='"time" + 0 {0}, "id" {0}', limit=self.limit
        )

    def _by_ids(self) -> list[Cursor]:
        """SQLite: portions of ids, then those that came late."""
        pieces = _pieces(self.filter.search)
        # ids looked at so far: start to end - 1
        start = end = self._nearest()
        size = NAMED if pieces else SCANNED
        found: list[Cursor] = []
        done = False
        while not done:
            here = end if self.newer else start
            if pieces:
                part, edge = self._named(pieces, here, size)
                done = edge is None
            else:
                edge = here + size if self.newer else here - size
                part = self._scanned(min(here, edge), max(here, edge))
                done = self._over(edge)
            found = self._sorted(found + part)
            if self.newer:
                end = _HIGHEST if done or edge is None else edge
            else:
                start = 0 if done or edge is None else edge
            if len(found) >= self.limit:
                break
            size *= _GROWTH
        last = found[self.limit - 1].time if len(found) >= self.limit else None
        return self._sorted(found + self._late(start, end, last))[: self.limit]

    def _nearest(self) -> int:
        """The id at the cursor, where to begin; newer: it is the first wanted, else the first not wanted."""
        if self.cursor is None and (self.filter.start if self.newer else self.filter.end) is None:
            return 0 if self.newer else self._highest() + 1
        conditions, parameters = self._range()
        found = self._select(conditions, parameters, order='"time" {0}, "id" {0}', limit=1)
        if not found:
            return 0
        return found[0].id if self.newer else found[0].id + 1

    def _highest(self) -> int:
        with connection.cursor() as cursor:
            cursor.execute('SELECT coalesce(max("id"), 0) FROM "logs_line"')
            return int(cursor.fetchone()[0])

    def _over(self, edge: int) -> bool:
        return edge > self._highest() if self.newer else edge <= 0

    def _named(self, pieces: str, here: int, size: int) -> tuple[list[Cursor], int | None]:
        """The best of the next `size` ids that the trigram index names, and the id up to which these go, None: all."""
        compare = ">=" if self.newer else "<"
        named = (
            f'SELECT "rowid" AS "named" FROM "logs_search" WHERE "logs_search" MATCH %s AND "rowid" {compare} %s '  # noqa: S608
            f'ORDER BY "rowid" {self.order} LIMIT {size}'
        )
        with connection.cursor() as cursor:
            cursor.execute(f'SELECT count(*), min("named"), max("named") FROM ({named})', [pieces, here])  # noqa: S608
            count, low, high = cursor.fetchone()
        range_, content = self._range(), self._content()
        found = self._select(
            range_[0] + content[0],
            range_[1] + content[1],
            order='"time" {0}, "id" {0}',
            limit=self.limit,
            table=f'({named}) CROSS JOIN "logs_line" ON "id" = "named"',
            before=[pieces, here],
        )
        if count < size:
            return found, None
        return found, high + 1 if self.newer else low

    def _scanned(self, start: int, end: int) -> list[Cursor]:
        """The best of the ids from `start` to `end` - 1."""
        range_, content = self._range(), self._content()
        return self._select(
            ['"id" >= %s', '"id" < %s', *range_[0], *content[0]],
            [start, end, *range_[1], *content[1]],
            order='"time" {0}, "id" {0}',
            limit=self.limit,
            table='"logs_line" NOT INDEXED',
        )

    def _late(self, start: int, end: int, last: int | None) -> list[Cursor]:
        """The best of those up to the time `last` (None: of all) whose ids are not in `start` to `end` - 1."""
        (range_, ranged), (content, contents) = self._range(), self._content()
        if last is not None:
            range_ = [*range_, '"time" <= %s' if self.newer else '"time" >= %s']
            ranged = [*ranged, last]
        elsewhere = f'SELECT "id" FROM "logs_line" WHERE {_all(range_)} AND ("id" < %s OR "id" >= %s)'  # noqa: S608
        return self._select(
            [f'"id" IN ({elsewhere})', *content],
            [*ranged, start, end, *contents],
            order='"time" + 0 {0}, "id" {0}',
            limit=self.limit,
        )

    # -- helpers

    def _sorted(self, keys: list[Cursor]) -> list[Cursor]:
        return sorted(set(keys), reverse=not self.newer)

    def _select(
        self,
        conditions: Sequence[str],
        parameters: Sequence[Any],
        *,
        order: str,
        limit: int,
        offset: int = 0,
        table: str = '"logs_line"',
        before: Sequence[Any] = (),
    ) -> list[Cursor]:
        statement = (
            f'SELECT "time", "id" FROM {table} WHERE {_all(conditions)} '  # noqa: S608 - values are parameters
            f"ORDER BY {order.format(self.order)} LIMIT {limit} OFFSET {offset}"
        )
        with connection.cursor() as cursor:
            cursor.execute(statement, [*before, *parameters])
            return [Cursor(time, pk) for time, pk in cursor.fetchall()]


def _all(conditions: Sequence[str]) -> str:
    return " AND ".join(conditions) or "1 = 1"


def _places(values: Sequence[Any]) -> str:
    return ", ".join(["%s"] * len(values))


def _pieces(text: str) -> str:
    """What every text with this one in it must have, for FTS5; "" where it is too short to say."""
    if len(text) < 3:
        return ""
    starts = [*range(0, len(text) - 2, 3), len(text) - 3]
    pieces = list(dict.fromkeys(text[start : start + 3] for start in starts))[:_PIECES]
    return " AND ".join('"' + piece.replace('"', '""') + '"' for piece in pieces)
