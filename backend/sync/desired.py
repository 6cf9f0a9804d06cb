"""What people may change while `sync` runs, beside profiles and credentials: noticed here, carried out by jobs.

Used by the writer's thread only.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from backend.devices.services import definitions_problems, objectspecs_doubt, objectspecs_drop, objectspecs_store
from backend.sync import queries
from backend.sync.definitions import PushDefinitions
from backend.sync.plan import retry_delay
from backend.sync.work import DefinitionsDone, FetchSpecs, Job, SpecsDone

log = logging.getLogger(__name__)

Retry = Callable[[Callable[[], Any]], Any]


class OwnWishes:
    """People's own words on single devices' observations."""

    def __init__(self, retry: Retry) -> None:
        """`retry` carries out work on the database, however long that is away."""
        self._retry = retry
        self._seen: tuple[Any, ...] | None = None
        self._rows: dict[int, tuple[str, bool]] = {}

    def changed(self) -> set[str]:
        """The endpoints of the devices on which there is news since the last call; the first call tells of none."""
        seen = self._retry(queries.own_observations_fingerprint)
        if seen == self._seen:
            return set()
        first, self._seen = self._seen is None, seen
        before, self._rows = self._rows, self._retry(queries.own_observations)
        if first:
            return set()
        return {endpoint for _, (endpoint, _) in before.items() ^ self._rows.items()}


class Definitions:
    """Own object definitions in Leshan, and what every object's definition is by its word."""

    def __init__(self, *, retry: Retry, submit: Callable[[Job], None], server_id: int) -> None:
        """`submit` takes the requests to make."""
        self._retry = retry
        self._submit = submit
        self._server_id = server_id
        self._seen: tuple[Any, ...] | None = None
        self._known: set[tuple[int, str]] = set()
        self._busy = self._next = False
        self._attempt = 0
        self._again = 0.0

    def start(self) -> None:
        """What is known already."""
        self._known = queries.objectspecs_known()

    def look(self) -> None:
        """Notices new and deleted ones."""
        seen = self._retry(queries.definitions_fingerprint)
        if seen != self._seen or (self._again and time.monotonic() >= self._again):
            self._seen = seen
            self.push()

    def push(self) -> None:
        """Brings Leshan to what is wanted; also when it is there again."""
        if self._busy:
            self._next = True
            return
        self._busy, self._next, self._again = True, False, 0.0
        self._submit(Job("definitions", deque([PushDefinitions(self._retry(queries.definitions_wanted))])))

    def pushed(self, done: DefinitionsDone) -> None:
        """Notes what Leshan refuses; what is new in it is fetched."""
        self._busy = False
        if done.problems:
            self._retry(lambda: definitions_problems(problems=done.problems))
        if done.error:
            self._attempt += 1
            self._again = time.monotonic() + retry_delay(self._attempt, first=1.0, most=60.0)
            log.warning("object definitions could not be given to Leshan: %s", done.error)
        else:
            self._attempt = 0
        if done.changed:
            log.info("object definitions given to Leshan: %s", ", ".join(map(str, sorted(done.changed))))
        if done.removed:
            # a registration meanwhile may have brought the old ones back
            self._retry(lambda: objectspecs_doubt(pairs=done.removed))
        if not done.error:
            self._fetch(done.changed | self._retry(queries.objectspecs_doubted))
        if self._next:
            self.push()

    def _fetch(self, object_ids: frozenset[int]) -> None:
        """Asks anew for the definitions of these objects; doubted ones that no device has are dropped."""
        if not object_ids:
            return
        self._known = {pair for pair in self._known if pair[0] not in object_ids}
        found = self._retry(lambda: queries.endpoints_with_objects(object_ids=object_ids, server_id=self._server_id))
        by_endpoint: dict[str, set[tuple[int, str]]] = {}
        for pair, endpoint in found.items():
            by_endpoint.setdefault(endpoint, set()).add(pair)
        for endpoint, pairs in by_endpoint.items():
            self.want(endpoint, pairs)
        nobodys = object_ids - {object_id for object_id, _ in found}
        if nobodys:
            self._retry(lambda: objectspecs_drop(object_ids=nobodys))

    def want(self, endpoint: str, pairs: set[tuple[int, str]]) -> None:
        """The device lists these (object, version): those that are not known are fetched."""
        missing = frozenset(pairs - self._known)
        if missing:
            self._known |= missing
            self._submit(Job(f"object models of {endpoint}", deque([FetchSpecs(endpoint, missing)])))

    def fetched(self, done: SpecsDone) -> None:
        """Stores what Leshan says; what it does not know any more is dropped."""
        if done.specs is None:
            self._known -= done.pairs
            return
        specs, asked = done.specs, {object_id for object_id, _ in done.pairs}
        self._retry(lambda: objectspecs_store(specs=specs, at=datetime.now(UTC)))
        self._retry(lambda: objectspecs_drop(object_ids=asked))
