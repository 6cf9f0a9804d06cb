"""The log of commands: what its address asks for, and the links that change one thing of it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.utils import timezone

from backend.accounts.models import User
from backend.commands.models import Command, CommandBatch, Kind, State
from backend.commands.selectors import command_list
from backend.devices.models import Device
from backend.ui.legend import COMMAND_STATES, StateInfo
from backend.ui.selectors import RECENT, command_askers

PAGE_SIZE = 50
# what belongs to the log in an address
NAMES = ("state", "kind", "path", "by", "recent")


@dataclass(frozen=True)
class StateChip:
    """One state as a filter; None: all."""

    info: StateInfo | None
    url: str
    current: bool


@dataclass(frozen=True)
class CommandLog:
    """A page of the log. Counting is left to the page: of a million commands nobody reads the number of each state."""

    page: Page[Command]
    chips: list[StateChip]
    kinds: list[tuple[str, str, bool]]
    askers: list[User]
    path: str
    by: str
    recent: bool
    filtered: bool
    query: str
    # kept by the filter form: parameters that it does not show
    kept: list[tuple[str, str]] = field(default_factory=list)

    def page_url(self, number: int) -> str:
        """This address on another page."""
        query = QueryDict(self.query, mutable=True)
        query["page"] = str(number)
        return f"?{query.urlencode()}"

    @property
    def previous_url(self) -> str:
        """The newer page, "" where there is none."""
        return self.page_url(self.page.previous_page_number()) if self.page.has_previous() else ""

    @property
    def next_url(self) -> str:
        """The older page, "" where there is none."""
        return self.page_url(self.page.next_page_number()) if self.page.has_next() else ""


def _since() -> datetime:
    return timezone.now() - RECENT


def command_log(
    query: QueryDict,
    *,
    device: Device | None = None,
    batch: CommandBatch | None = None,
    kept: dict[str, str] | None = None,
) -> CommandLog:
    """The log as `?state=…&kind=…&path=…&by=…&recent=1&page=…` asks for it; what it does not understand is left out."""
    states = [one for one in query.getlist("state") if one in State.values]
    kinds = [one for one in query.getlist("kind") if one in Kind.values]
    path = query.get("path", "").strip()
    by = query.get("by", "")
    recent = query.get("recent") == "1"
    askers = command_askers() if batch is None else []
    asker = next((one for one in askers if one.username == by), None)
    commands: QuerySet[Command] = command_list(
        device=device, states=states, kinds=kinds, by=asker, batch=batch, search="" if path.startswith("/") else path
    )
    if path.startswith("/") and "\0" not in path:
        commands = commands.filter(Q(path=path) | Q(path__startswith=path.rstrip("/") + "/"))
    commands = commands.select_related("device__registration")
    if recent:
        commands = commands.filter(ended_at__gte=_since())

    def url(**changes: Any) -> str:
        changed = QueryDict(mutable=True)
        for name, value in (kept or {}).items():
            changed[name] = value
        now = {"state": states, "kind": kinds, "path": path, "by": by, "recent": "1" if recent else ""} | changes
        for name, value in now.items():
            values = value if isinstance(value, list) else [value]
            changed.setlist(name, [one for one in values if one])
            if not changed.getlist(name):
                del changed[name]
        return f"?{changed.urlencode()}"

    chips = [StateChip(None, url(state=[], recent=""), not states)]
    for key, info in COMMAND_STATES.items():
        chips.append(StateChip(info, url(state=[key], recent=""), key in states))
    return CommandLog(
        page=Paginator(commands, PAGE_SIZE).get_page(query.get("page")),
        chips=chips,
        kinds=[(one.value, one.label, one.value in kinds) for one in Kind],
        askers=askers,
        path=path,
        by=by,
        recent=recent,
        filtered=bool(states or kinds or path or by or recent),
        query=url().removeprefix("?"),
        kept=[*(kept or {}).items(), *(("state", one) for one in states), *([("recent", "1")] if recent else [])],
    )
