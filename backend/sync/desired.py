"""What people may change while `sync` runs, beside profiles: noticed here, carried out by jobs.

Used by the writer's thread only.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from backend.devices.models import LeshanServer
from backend.devices.services import definitions_problems, objectspecs_doubt, objectspecs_drop, objectspecs_store
from backend.sync import queries
from backend.sync.definitions import PushDefinitions
from backend.sync.models import PushedCredential
from backend.sync.plan import retry_delay
from backend.sync.work import CredentialsDone, DefinitionsDone, FetchSpecs, Job, PushCredentials, SpecsDone

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


class Push:
    """Work at Leshan of which one piece is under way at a time: two could overtake each other.

    What is wanted meanwhile comes after it, and what failed is tried again.
    """

    def __init__(self, begin: Callable[[], None]) -> None:
        """`begin` starts a piece of what is wanted then; `over` is to be called when it has ended."""
        self._begin = begin
        self._busy = self._next = False
        self._attempt = 0
        self._again = 0.0

    @property
    def due(self) -> bool:
        """Is it time to try again?"""
        return bool(self._again) and time.monotonic() >= self._again

    def push(self) -> None:
        """Brings Leshan to what is wanted, now or when the piece that is under way has ended."""
        if self._busy:
            self._next = True
            return
        self._busy, self._next, self._again = True, False, 0.0
        self._begin()

    def over(self, *, failed: bool) -> None:
        """The piece has ended."""
        self._attempt = self._attempt + 1 if failed else 0
        self._again = time.monotonic() + retry_delay(self._attempt, first=1.0, most=60.0) if failed else 0.0
        self._busy = False
        if self._next:
            self.push()


class Credentials:
    """The devices' credentials in Leshan."""

    def __init__(
        self, *, retry: Retry, submit: Callable[[Job], None], problem: Callable[[str], None], server: LeshanServer
    ) -> None:
        """`submit` takes the requests to make; `problem` what is wrong, "" where nothing is."""
        self._retry = retry
        self._submit = submit
        self._problem = problem
        self._server = server
        self._seen: tuple[object, ...] | None = None
        self._push = Push(self._begin)
        self.push = self._push.push

    def start(self) -> None:
        """What is known already."""
        self._seen = queries.credentials_fingerprint()

    def look(self) -> None:
        """Notices what has changed."""
        seen = self._retry(queries.credentials_fingerprint)
        if seen != self._seen or self._push.due:
            self._seen = seen
            self.push()

    def _begin(self) -> None:
        wanted = self._retry(queries.credentials_wanted)
        pushed = self._retry(lambda: queries.credentials_pushed(server_id=self._server.pk))
        # noted before it is given: after a crash in between we still know that it is ours to remove
        claimed = [endpoint for endpoint in wanted if endpoint not in pushed]
        self._retry(
            lambda: PushedCredential.objects.bulk_create(
                [PushedCredential(server=self._server, endpoint=endpoint, digest="") for endpoint in claimed],
                ignore_conflicts=True,
            )
        )
        pushed |= dict.fromkeys(claimed, "")
        self._submit(Job("credentials", deque([PushCredentials(wanted, pushed)])))

    def pushed(self, done: CredentialsDone) -> None:
        """Notes what Leshan has now."""
        self._retry(lambda: self._store(done))
        if done.pushed or done.removed:
            log.info("credentials: %d given to Leshan, %d removed", len(done.pushed), len(done.removed))
        if done.failed:
            endpoint, why = next(iter(done.failed.items()))
            text = f"Leshan refuses {len(done.failed)} credentials, such as that of {endpoint!r}: {why}"
        elif done.error:
            text = f"credentials could not be given to Leshan: {done.error}"
        else:
            text = ""
        self._problem(text)
        self._push.over(failed=bool(done.failed or done.error))

    def _store(self, done: CredentialsDone) -> None:
        PushedCredential.objects.bulk_create(
            [
                PushedCredential(server=self._server, endpoint=endpoint, digest=digest)
                for endpoint, digest in done.pushed.items()
            ],
            update_conflicts=True,
            unique_fields=["server", "endpoint"],
            update_fields=["digest"],
        )
        for start in range(0, len(done.removed), 500):
            PushedCredential.objects.filter(
                server=self._server, endpoint__in=done.removed[start : start + 500]
            ).delete()


class Definitions:
    """Own object definitions in Leshan, and what every object's definition is by its word."""

    def __init__(self, *, retry: Retry, submit: Callable[[Job], None], server_id: int) -> None:
        """`submit` takes the requests to make."""
        self._retry = retry
        self._submit = submit
        self._server_id = server_id
        self._seen: tuple[Any, ...] | None = None
        self._known: set[tuple[int, str]] = set()
        self._push = Push(self._begin)
        # also when Leshan is there again
        self.push = self._push.push

    def start(self) -> None:
        """What is known already."""
        self._known = queries.objectspecs_known()

    def look(self) -> None:
        """Notices new and deleted ones."""
        seen = self._retry(queries.definitions_fingerprint)
        if seen != self._seen or self._push.due:
            self._seen = seen
            self.push()

    def _begin(self) -> None:
        self._submit(Job("definitions", deque([PushDefinitions(self._retry(queries.definitions_wanted))])))

    def pushed(self, done: DefinitionsDone) -> None:
        """Notes what Leshan refuses; what is new in it is fetched."""
        if done.problems:
            self._retry(lambda: definitions_problems(problems=done.problems))
        if done.error:
            log.warning("object definitions could not be given to Leshan: %s", done.error)
        if done.changed:
            log.info("object definitions given to Leshan: %s", ", ".join(map(str, sorted(done.changed))))
        if done.removed:
            # a registration meanwhile may have brought the old ones back
            self._retry(lambda: objectspecs_doubt(pairs=done.removed))
        if not done.error:
            self._fetch(done.changed | self._retry(queries.objectspecs_doubted))
        self._push.over(failed=bool(done.error))

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
