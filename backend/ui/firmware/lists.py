"""Lists of updates: what the address asks for, and the links that change one thing of it."""

import csv
import io
from dataclasses import dataclass
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import Case, Count, IntegerField, QuerySet, When
from django.http import HttpResponse, QueryDict
from django.utils import timezone

from backend.devices.models import Device
from backend.firmware.endings import ENDINGS
from backend.firmware.models import ACTIVE, ENDED, Campaign, FirmwareUpdate, UpdateState
from backend.firmware.selectors.updates import update_list
from backend.ui.firmware.updates import UpdateView, update_view
from backend.ui.legend import UPDATE_STATES, StateInfo
from backend.ui.listing import Chip
from backend.ui.selectors import RECENT
from backend.ui.tables import csv_cell

PAGE_SIZE = 50
LONGEST_SEARCH = 255
CSV_COLUMNS = (
    "id", "device__endpoint", "image__version", "image__file_name", "campaign__name", "phase", "state", "code",
    "reason", "method_used", "version_before", "version_after", "update_result", "asked_at", "started_at", "ended_at",
)  # fmt: skip
# in an address: all states between the first request and the end
UNDER_WAY = "active"
# first what moves, then what somebody should look at
_ORDER = Case(
    *(
        When(state=state, then=place)
        for place, states in enumerate((ACTIVE, (UpdateState.FAILED,)))
        for state in states
    ),
    default=2,
    output_field=IntegerField(),
)


@dataclass(frozen=True)
class UpdateList:
    """A page of updates with its filters."""

    page: Page[FirmwareUpdate]
    rows: list[UpdateView]
    chips: list[Chip]
    search: str
    code: str
    recent: bool
    query: QueryDict
    found: QuerySet[FirmwareUpdate]

    @property
    def export_url(self) -> str:
        """The same updates, of all pages, as CSV."""
        return self.url(_export="csv")

    @property
    def ending(self) -> str:
        """The title of the ending that is asked for, "" without one."""
        return ENDINGS[self.code].title if self.code else ""

    @property
    def filtered(self) -> bool:
        """Is less than everything asked for?"""
        return bool(self.query)

    def url(self, **changes: str | list[str] | None) -> str:
        """This address with some parameters changed (None: without), on the first page."""
        query = self.query.copy()
        for name, value in changes.items():
            query.pop(name, None)
            if value:
                query.setlist(name, value if isinstance(value, list) else [value])
        return f"?{query.urlencode()}"

    @property
    def without_code_url(self) -> str:
        """The same without the filter by ending."""
        return self.url(code=None)

    @property
    def previous_url(self) -> str:
        """The page before, "" where there is none."""
        return self.url(page=str(self.page.previous_page_number())) if self.page.has_previous() else ""

    @property
    def next_url(self) -> str:
        """The next page, "" where there is none."""
        return self.url(page=str(self.page.next_page_number())) if self.page.has_next() else ""

    @property
    def kept(self) -> list[tuple[str, str]]:
        """What the search form must send again."""
        names = [name for name in self.query if name not in {"search", "page"}]
        return [(name, value) for name in names for value in self.query.getlist(name)]


def _states(asked: list[str]) -> list[str]:
    states = [one for one in asked if one in UpdateState.values]
    return [*states, *ACTIVE] if UNDER_WAY in asked else states


def updates_of(
    query: QueryDict, *, campaign: Campaign | None = None, device: Device | None = None, page_size: int = PAGE_SIZE
) -> UpdateList:
    """By `state`, `search`, `image`, `code` of the ending, `recent` (ended in the last 24 hours and not retried).

    Of a campaign only the rows that count: not those that were retried; there states are counted, too. Of a device
    only those that have ended: the others are shown by themselves.
    """
    asked = query.getlist("state")
    states = _states(asked)
    search = query.get("search", "").strip()[:LONGEST_SEARCH]
    code = query.get("code", "") if query.get("code", "") in ENDINGS else ""
    recent = query.get("recent") == "1"
    found = update_list(device=device, campaign=campaign, search=search)
    if campaign is not None:
        found = found.filter(retried_at=None)
    if device is not None:
        found = found.filter(state__in=ENDED)
    image = query.get("image", "")
    image = image if image.isascii() and image.isdecimal() and len(image) < 19 else ""
    if image:
        found = found.filter(image=int(image))
    if code:
        found = found.filter(code=code)
    if recent:
        found = found.filter(ended_at__gte=timezone.now() - RECENT, retried_at=None)
    counts: dict[str, int] | None = None
    if campaign is not None:
        counts = dict(found.order_by().values_list("state").annotate(number=Count("pk")))
        found = found.annotate(place=_ORDER).order_by("place", "device__endpoint")
    if states:
        found = found.filter(state__in=states)
    page = Paginator(found, page_size).get_page(query.get("page"))
    now = timezone.now()
    kept = QueryDict(mutable=True)
    for name, values in (
        ("state", [one for one in asked if one == UNDER_WAY or one in UpdateState.values]),
        ("search", [search]),
        ("code", [code]),
        ("image", [image]),
        ("recent", ["1" if recent else ""]),
    ):
        if any(values):
            kept.setlist(name, values)
    made = UpdateList(
        page=page,
        rows=[update_view(one, now) for one in page.object_list],
        chips=[],
        search=search,
        code=code,
        recent=recent,
        query=kept,
        found=found,
    )
    made.chips.extend(_chips(made, asked, counts))
    return made


def _chips(shown: UpdateList, asked: list[str], counts: dict[str, int] | None) -> list[Chip]:
    def number(*states: str) -> int | None:
        return None if counts is None else sum(counts.get(one, 0) for one in states)

    def chip(info: StateInfo | None, label: str, key: str, *states: str) -> Chip:
        current = key in asked if key else not shown.query.getlist("state")
        return Chip(label, info, shown.url(state=key or None, code=None, recent=None), current, number(*states))

    chips = [chip(None, "All", "", *UpdateState.values)]
    for key, info in UPDATE_STATES.items():
        if key == UpdateState.DOWNLOADING:
            under_way = StateInfo(UNDER_WAY, "Under way", info.shape, "", "")
            chips.append(chip(under_way, under_way.label, UNDER_WAY, *ACTIVE))
        elif key not in ACTIVE:
            chips.append(chip(info, info.label, key, key))
    return chips


def updates_csv(shown: UpdateList) -> HttpResponse:
    """What the list shows, on all its pages, as a CSV file with a header line."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(name.replace("__", "_") for name in CSV_COLUMNS)
    rows = shown.found.select_related(None).values_list(*CSV_COLUMNS).iterator(chunk_size=2000)
    writer.writerows([csv_cell(value) for value in row] for row in rows)
    response = HttpResponse(out.getvalue(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="updates.csv"'
    return response


def context_of(shown: UpdateList, *, url: str, part: str) -> dict[str, Any]:
    """What the list's templates need; `url` is the page's address, `part` that of the list alone."""
    query = shown.query.copy()
    if shown.page.number > 1:
        query["page"] = str(shown.page.number)
    return {"list": shown, "list_url": url, "list_part_url": f"{part}?{query.urlencode()}" if query else part}
