"""A list's state in its address: the links that change one thing and keep the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.http import QueryDict
from django.urls import reverse
from django.utils.http import urlencode

from backend.devices.models import Device, Status
from backend.ui.legend import DEVICE_STATES, StateInfo
from backend.ui.tables import PAGE_SIZES

DEFAULT_PAGE_SIZE = 50
# longer addresses are refused by servers; a list that needs one listens to all devices
LONGEST_QUERY = 12_000


@dataclass(frozen=True)
class Chip:
    """One state (or none: a word of its own, such as all of them) as a filter; `number` where it was counted."""

    label: str
    info: StateInfo | None
    url: str
    current: bool
    number: int | None = None


@dataclass(frozen=True)
class ListState:
    """What the address says, with links that change it."""

    query: QueryDict
    page_size: int

    def url(self, **changes: str | list[str] | None) -> str:
        """This address with some parameters changed (None: without); always back to the first page."""
        query = self.query.copy()
        for name in ("page", "_export"):
            query.pop(name, None)
        for name, value in changes.items():
            query.pop(name, None)
            if value is not None:
                query.setlist(name, value if isinstance(value, list) else [value])
        for name in [name for name, values in query.lists() if not any(values)]:
            query.pop(name)
        return f"?{query.urlencode()}" if query else reverse("devices")

    @property
    def export_url(self) -> str:
        """The same devices as CSV."""
        return self.url(_export="csv")

    @property
    def without_observations_url(self) -> str:
        """All devices again, not only those with failed observations."""
        return self.url(observations=None)

    @property
    def filtered(self) -> bool:
        """Does the address ask for less than everything?"""
        return any(self.query.get(name) for name in ("search", "status", "model", "firmware_version", "observations"))

    @property
    def kept(self) -> list[tuple[str, str]]:
        """Parameters that the filter form does not show but must send again."""
        names = ("status", "observations", "sort")
        return [(name, value) for name in names for value in self.query.getlist(name) if value]

    @property
    def selection(self) -> list[tuple[str, str]]:
        """What says "all that fit" in another form: the filters, and nothing else."""
        names = ("search", "status", "model", "firmware_version", "observations")
        return [(name, value) for name in names for value in self.query.getlist(name) if value]

    def status_chips(self, counts: Mapping[Status, int]) -> list[Chip]:
        """All, and each status, with how many devices there are."""
        chosen = self.query.getlist("status")
        chips = [Chip("All", None, self.url(status=None), not any(chosen), sum(counts.values()))]
        for key, info in DEVICE_STATES.items():
            chips.append(Chip(info.label, info, self.url(status=key), key in chosen, counts[Status(key)]))
        return chips


def list_state(query: QueryDict) -> ListState:
    """Reads the address; a page size that is not offered counts as not given."""
    text = query.get("per_page", "")
    size = int(text) if text in {str(one) for one in PAGE_SIZES} else DEFAULT_PAGE_SIZE
    if text and str(size) != text:
        query = query.copy()
        query.pop("per_page", None)
    return ListState(query, size)


def rows_url(devices: Sequence[Device]) -> str:
    """Where the rows of these devices are fetched again."""
    return f"{reverse('part-rows')}?{urlencode([('id', device.pk) for device in devices])}"


def live_url(devices: Sequence[Device]) -> str:
    """The event stream for these devices."""
    query = urlencode([("device", device.endpoint) for device in devices])
    return f"/api/v1/live?{query}" if query and len(query) <= LONGEST_QUERY else "/api/v1/live"
