"""Firmware updates: when they are looked at, and what Leshan has to do for them besides commands.

Used by the writer's thread only. What is to happen is decided by backend.firmware; all that is kept here can be made
anew after a restart.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import TypeVar

from django.utils import timezone

from backend.firmware.services.campaigns import campaigns_step
from backend.firmware.services.drive import (
    Deed,
    Progress,
    World,
    progress_store,
    updates_due,
    updates_open,
    updates_returned,
    updates_step,
    wished_paths,
)
from backend.sync import queries
from backend.sync.desired import Retry
from backend.sync.events import Progressed
from backend.sync.exceptions import StoppedError
from backend.sync.ingest import Stored
from backend.sync.packages import DropPackage, GivePackage, Grant, ListPackages, Revoke
from backend.sync.work import GrantDone, Job, PackageDone, PackagesListed, Step

log = logging.getLogger(__name__)

T = TypeVar("T")

DUE_SECONDS = 0.25
CAMPAIGNS_SECONDS = 1.0
# nothing is decided for so long without Leshan: an update that is put off because it is away waits longer than that
AWAY_SECONDS = 5.0
# a transfer's progress is written so often, of all devices together
PROGRESS_SECONDS = 1.0
# what is observed for updates that ended otherwise, such as cancelled by a person, is looked at so often
WISHES_SECONDS = 5.0
# packages that no update needs are taken back so often
HOUSEKEEPING_SECONDS = 3600.0
# updates decided about in one transaction
STEP = 200
# a granted URI is used at once; before the next transfer it is asked for again: its package may have been deleted at
# Leshan, or the device be registered elsewhere
GRANT_SECONDS = 60.0
# one that cannot be decided about, through a fault of ours, holds up nobody and is looked at again after this long
ASIDE_SECONDS = 60.0


class Updates:
    """Wakes updates when something happens to them or their time has come, and does for them what they ask for."""

    def __init__(
        self,
        *,
        retry: Retry,
        submit: Callable[[Job], None],
        plan: Callable[[Collection[str]], None],
        registered: Callable[[str], bool],
    ) -> None:
        """`retry` carries out work on the database, however long that is away; `submit` takes requests to Leshan.

        `plan` looks anew at what is observed on these endpoints; `registered` tells whether one is.
        """
        self._retry = retry
        self._submit = submit
        self._plan = plan
        self._registered = registered
        self._connected_since: datetime | None = None
        # SHA-256 of what Leshan has
        self._packages: set[str] = set()
        # update → the URI at which its device may fetch its package, and time.monotonic() until which that is believed
        self._grants: dict[int, tuple[str, float]] = {}
        # update, or package → why Leshan refuses it: told once
        self._refused: dict[int | str, str] = {}
        # package → updates that wait for it while it is handed over
        self._giving: dict[str, set[int]] = {}
        self._granting: set[int] = set()
        # updates, and devices of whose updates there may be news
        self._woken: set[int] = set()
        self._devices: set[int] = set()
        self._progress: dict[str, Progressed] = {}
        # device → its endpoint and what is observed on it for an update
        self._wished: dict[int, tuple[str, list[str]]] = {}
        # update → time.monotonic() before which it is not looked at again
        self._aside: dict[int, float] = {}
        self._due_at = time.monotonic() + AWAY_SECONDS
        self._campaigns_at = self._progress_at = self._wishes_at = self._housekeeping_at = 0.0

    # -- the connection

    def connected(self) -> None:
        """Leshan is there, perhaps another one: what it has is asked for anew."""
        self._connected_since = timezone.now()
        self._packages.clear()
        self._grants.clear()
        self._refused.clear()
        self._giving.clear()
        self._granting.clear()
        self._woken.update(self._retry(lambda: updates_open(device_ids=None)))
        self._due_at = self._housekeeping_at = 0.0

    def disconnected(self) -> None:
        """Leshan is away."""
        if self._connected_since is not None:
            self._connected_since = None
            self._due_at = time.monotonic() + AWAY_SECONDS

    # -- what happened

    def touch(self, device_id: int, untransferred: bool = False) -> None:
        """A command of the device has ended; `untransferred`: it was a package's transfer, and it failed."""
        self._devices.add(device_id)
        if untransferred:
            # perhaps because somebody deleted the package at Leshan: a look costs little
            self._packages.clear()

    def stored(self, stored: Stored) -> None:
        """A batch of events and answers: its news of devices with updates are acted on at once."""
        ids = stored.device_ids
        self._devices |= stored.firmware
        self._devices.update(ids[endpoint] for endpoint in stored.ended if endpoint in ids)
        back = {ids[endpoint] for endpoint in stored.registered if endpoint in ids}
        if back:
            self._devices |= back
            at = timezone.now()
            self._woken.update(self._guarded(lambda: updates_returned(device_ids=back, at=at)) or ())
        self._look()

    def progress(self, item: Progressed) -> None:
        """How far a transfer is: only the newest word of a device counts."""
        self._progress[item.endpoint] = item

    def handle(self, done: PackageDone | GrantDone | PackagesListed) -> None:
        """What Leshan says to what was asked of it."""
        if isinstance(done, PackageDone):
            self._packaged(done)
        elif isinstance(done, GrantDone):
            self._granted(done)
        else:
            self._listed(done)

    def _packaged(self, done: PackageDone) -> None:
        """Leshan has a package now, or does not take it."""
        if done.error:
            log.error("Leshan does not take the package %s…: %s", done.sha256[:12], done.error)
            self._refused[done.sha256] = done.error
        else:
            self._packages.add(done.sha256)
        self._woken |= self._giving.pop(done.sha256, set())
        self._look()

    def _granted(self, done: GrantDone) -> None:
        """A device may fetch its package now, or not."""
        self._granting.discard(done.update_id)
        if done.uri:
            self._grants[done.update_id] = done.uri, time.monotonic() + GRANT_SECONDS
        elif done.missing:
            self._packages.discard(done.sha256)
        elif done.error:
            self._refused[done.update_id] = done.error
        self._woken.add(done.update_id)
        self._look()

    def _listed(self, done: PackagesListed) -> None:
        """What Leshan has, and nobody needs any more, is deleted there, with its grants."""
        # what is being handed over was needed just now: its outcome is waited for
        surplus = done.hashes - self._retry(queries.packages_needed) - self._giving.keys()
        for sha256 in sorted(surplus):
            self._packages.discard(sha256)
            self._do(f"package {sha256}", DropPackage(sha256))
        if surplus:
            log.info("%d firmware packages are deleted at Leshan: no update needs them", len(surplus))

    # -- the clock

    def tick(self) -> None:
        """To be called every 50 ms."""
        now = time.monotonic()
        if self._progress and now >= self._progress_at:
            self._write_progress(now)
        if now >= self._campaigns_at:
            self._campaigns_at = now + CAMPAIGNS_SECONDS
            at = timezone.now()
            self._woken |= self._guarded(lambda: campaigns_step(at=at)) or set()
        if now >= self._due_at:
            at = timezone.now()
            due: list[int] = self._retry(lambda: updates_due(at=at, limit=STEP))
            # where there are more, at the next tick
            self._due_at = now + DUE_SECONDS if len(due) < STEP else now
            self._woken.update(due)
        self._look()
        if now >= self._wishes_at:
            self._wishes_at = now + WISHES_SECONDS
            self._look_at_wishes({device_id: endpoint for device_id, (endpoint, _) in self._wished.items()})
        if now >= self._housekeeping_at and self._connected_since is not None:
            self._housekeeping_at = now + HOUSEKEEPING_SECONDS
            self._do("packages", ListPackages())

    def _write_progress(self, now: float) -> None:
        self._progress_at = now + PROGRESS_SECONDS
        items = [
            Progress(
                endpoint=item.endpoint,
                request_id=item.request_id,
                sha256=item.sha256,
                sent=item.sent,
                total=item.total,
                block=item.block,
            )
            for item in self._progress.values()
        ]
        self._progress.clear()
        at = timezone.now()
        self._woken.update(self._guarded(lambda: progress_store(items=items, at=at)) or ())

    # -- deciding

    def _look(self) -> None:
        """Decides about the updates that were woken."""
        if self._devices:
            devices = self._devices
            self._devices = set()
            self._woken.update(self._retry(lambda: updates_open(device_ids=devices)))
        if not self._woken:
            return
        if self._progress:
            # what a transfer's end is compared with
            self._write_progress(time.monotonic())
        woken = sorted(self._woken)
        self._woken.clear()
        for start in range(0, len(woken), STEP):
            part = woken[start : start + STEP]
            deeds = self._step(part)
            if self._refused:
                self._refused.clear()
            for deed in deeds:
                self._carry_out(deed)
            self._look_at_wishes(self._devices_of(part))

    def _devices_of(self, ids: Collection[int]) -> dict[int, str]:
        devices: dict[int, str] = self._retry(lambda: queries.updates_devices(ids))
        return devices

    def _step(self, ids: Sequence[int]) -> list[Deed]:
        now = time.monotonic()
        self._aside = {key: until for key, until in self._aside.items() if until > now}
        self._grants = {key: grant for key, grant in self._grants.items() if grant[1] > now}
        ids = [id_ for id_ in ids if id_ not in self._aside]
        if not ids:
            return []
        at = timezone.now()
        world = World(
            connected=self._connected_since is not None,
            connected_since=self._connected_since,
            packages=frozenset(self._packages),
            grants={update_id: uri for update_id, (uri, _) in self._grants.items()},
            refused=self._refused,
        )
        try:
            return list(self._retry(lambda: updates_step(ids=ids, world=world, at=at)))
        except StoppedError:
            raise
        except Exception:
            if len(ids) == 1:
                log.exception("the firmware update %d cannot be decided about now", ids[0])
                self._aside[ids[0]] = now + ASIDE_SECONDS
                return []
        # one of them must not hold up the others
        middle = len(ids) // 2
        return self._step(ids[:middle]) + self._step(ids[middle:])

    def _guarded(self, action: Callable[[], T]) -> T | None:
        """Its result; None where it failed through a fault of ours: everything else goes on."""
        try:
            result: T = self._retry(action)
        except StoppedError:
            raise
        except Exception:
            log.exception("firmware updates: something failed in an unforeseen way")
            return None
        return result

    # -- doing

    def _carry_out(self, deed: Deed) -> None:
        if deed.kind == "package":
            waiting = self._giving.get(deed.sha256)
            if waiting is None:
                self._packages.discard(deed.sha256)
                self._giving[deed.sha256] = {deed.update_id}
                self._do(f"package {deed.sha256}", GivePackage(deed.sha256))
            else:
                waiting.add(deed.update_id)
        elif deed.kind == "grant":
            if deed.update_id not in self._granting:
                self._granting.add(deed.update_id)
                self._do(_grant_key(deed), Grant(deed.update_id, deed.endpoint, deed.sha256))
        else:
            self._grants.pop(deed.update_id, None)
            self._granting.discard(deed.update_id)
            self._do(_grant_key(deed), Revoke(deed.endpoint, deed.sha256))

    def _do(self, key: str, step: Step) -> None:
        self._submit(Job(key, deque([step])))

    def _look_at_wishes(self, devices: dict[int, str]) -> None:
        """Has what is to be observed for updates of these devices changed? Of one that is away nothing is."""
        if not devices:
            return
        there = [device_id for device_id, endpoint in devices.items() if self._registered(endpoint)]
        wishes = self._retry(lambda: wished_paths(device_ids=there)) if there else {}
        changed: set[str] = set()
        for device_id, endpoint in devices.items():
            wished = list(wishes.get(device_id, ()))
            had = self._wished.get(device_id, ("", []))[1]
            if wished:
                self._wished[device_id] = endpoint, wished
            else:
                self._wished.pop(device_id, None)
            if wished != had and self._registered(endpoint):
                changed.add(endpoint)
        if changed:
            self._plan(changed)


def _grant_key(deed: Deed) -> str:
    """Of the device's next update, too: what an earlier one still wants to take back is not taken from that one."""
    return f"grant of {deed.sha256} to {deed.endpoint}"
