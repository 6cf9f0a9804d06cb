"""How updates are woken and what is done for them; what is decided about them is somebody else's."""

import time
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backend.commands.models import Command
from backend.devices.models import Device, Registration
from backend.firmware.models import FirmwareImage, FirmwareUpdate, ImageKind
from backend.firmware.services.drive import Deed, Progress, World
from backend.sync import updates as module
from backend.sync.events import Progressed
from backend.sync.exceptions import StoppedError
from backend.sync.ingest import Stored
from backend.sync.packages import DropPackage, GivePackage, Grant, ListPackages, Revoke
from backend.sync.queries import device_records
from backend.sync.updates import Updates
from backend.sync.work import GrantDone, Job, PackageDone, PackagesListed, Step

pytestmark = [pytest.mark.django_db, pytest.mark.database]

HASH = "ab" * 32


class Scene:
    """Updates, with a machine that does what the test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[tuple[list[int], World]] = []
        self.jobs: list[Job] = []
        self.planned: list[str] = []
        self.registered: set[str] = set()
        self.deeds: list[Deed] = []
        self.due: list[int] = []
        self.admitted: set[int] = set()
        self.open: dict[int, int] = {}
        self.returned: list[int] = []
        self.wishes: dict[int, list[str]] = {}
        self.stored: list[Progress] = []
        self.broken: set[int] = set()
        for name in ("updates_step", "updates_due", "updates_open", "updates_returned", "progress_store",
                     "campaigns_step", "wished_paths"):  # fmt: skip
            monkeypatch.setattr(module, name, getattr(self, name))
        self.updates = Updates(
            retry=lambda action: action(),
            submit=lambda job: self.jobs.append(job),
            plan=self.planned.extend,
            registered=self.registered.__contains__,
        )

    def updates_step(self, *, ids: Collection[int], world: World, at: datetime) -> list[Deed]:
        if self.broken & set(ids):
            raise ValueError("broken")
        # what is in it changes later
        self.steps.append((list(ids), replace(world, grants=dict(world.grants), refused=dict(world.refused))))
        taken = [deed for deed in self.deeds if deed.update_id in ids]
        self.deeds = [deed for deed in self.deeds if deed.update_id not in ids]
        return taken

    def updates_due(self, *, at: datetime, limit: int) -> list[int]:
        due, self.due = self.due, []
        return due

    def updates_open(self, *, device_ids: Collection[int] | None) -> list[int]:
        return [update for device, update in self.open.items() if device_ids is None or device in device_ids]

    def updates_returned(self, *, device_ids: Collection[int], at: datetime) -> list[int]:
        self.returned += sorted(device_ids)
        return [99]

    def progress_store(self, *, items: list[Progress], at: datetime) -> list[int]:
        self.stored += items
        return []

    def campaigns_step(self, *, at: datetime) -> set[int]:
        admitted, self.admitted = self.admitted, set()
        return admitted

    def wished_paths(self, *, device_ids: Collection[int]) -> dict[int, list[str]]:
        return {key: paths for key, paths in self.wishes.items() if key in device_ids}

    def tick(self) -> None:
        """One at which everything is due but the housekeeping."""
        self.updates._due_at = self.updates._campaigns_at = self.updates._progress_at = self.updates._wishes_at = 0.0
        self.updates.tick()

    def stepped(self) -> list[int]:
        steps, self.steps = self.steps, []
        return [id_ for ids, _ in steps for id_ in ids]

    def done(self) -> list[Step]:
        jobs, self.jobs = self.jobs, []
        return [step for job in jobs for step in job.steps]


def deed(kind: str, update_id: int = 1, sha256: str = HASH) -> Deed:
    return Deed(kind=kind, update_id=update_id, endpoint="a", sha256=sha256, size=9)


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    made = Scene(monkeypatch)
    made.updates.connected()
    made.updates._housekeeping_at = float("inf")
    return made


def image(sha256: str = HASH) -> FirmwareImage:
    values = {"size": 9, "file_name": "f", "kind": ImageKind.OPAQUE, "uploaded_at": datetime.now(UTC)}
    made, _ = FirmwareImage.objects.get_or_create(sha256=sha256, defaults=values)
    return made


def update(endpoint: str = "a", **fields: Any) -> FirmwareUpdate:
    now = datetime.now(UTC)
    device, _ = Device.objects.get_or_create(endpoint=endpoint)
    values = {"asked_at": now, "step_since": now, "give_up_at": now + timedelta(days=1)} | fields
    return FirmwareUpdate.objects.create(device=device, image=image(), **values)


def test_those_that_are_due_admitted_or_touched_are_decided_about(scene: Scene) -> None:
    scene.due, scene.admitted, scene.open = [1], {2}, {7: 3, 8: 4}
    scene.updates.touch(7)
    scene.tick()
    assert scene.stepped() == [1, 2, 3]
    scene.tick()
    assert scene.stepped() == []


def test_news_of_a_device_are_acted_on_at_once(scene: Scene) -> None:
    scene.open = {1: 11, 2: 12, 3: 13, 4: 14}
    scene.updates.stored(Stored(registered={"a": "r"}, ended={"b"}, firmware={3}, device_ids={"a": 1, "b": 2}))
    assert scene.stepped() == [11, 12, 13, 99]
    # only one that registered can have been given up
    assert scene.returned == [1]
    scene.updates.stored(Stored(values=5))
    assert scene.stepped() == []


def test_nothing_is_decided_while_it_may_just_be_connecting(scene: Scene) -> None:
    scene.updates.disconnected()
    scene.due = [1]
    scene.updates.tick()
    assert scene.stepped() == []
    scene.updates.connected()
    scene.updates._housekeeping_at = float("inf")
    scene.updates.tick()
    assert scene.stepped() == [1]


def test_after_a_restart_or_a_new_connection_all_that_are_under_way_are_looked_at(scene: Scene) -> None:
    scene.open = {1: 11}
    scene.updates._packages.add(HASH)
    scene.updates._grants[11] = "coaps://h/fw/t", time.monotonic() + 60
    scene.updates.disconnected()
    scene.due = [12]
    scene.tick()
    assert scene.steps[-1][0] == [12]
    assert not scene.steps[-1][1].connected
    scene.updates.connected()
    scene.tick()
    ids, world = scene.steps[-1]
    assert ids == [11]
    # it may be another Leshan
    assert (world.connected, world.packages, world.grants) == (True, frozenset(), {})


def test_a_package_is_given_once_for_all_that_wait_for_it(scene: Scene) -> None:
    scene.deeds = [deed("package", 1), deed("package", 2)]
    scene.due = [1, 2]
    scene.tick()
    assert scene.done() == [GivePackage(HASH)]
    # asked for again in the meantime
    scene.deeds, scene.due = [deed("package", 2)], [2]
    scene.tick()
    assert scene.done() == []
    scene.stepped()
    scene.updates.handle(PackageDone(HASH))
    assert scene.steps[-1][1].packages == {HASH}
    assert scene.stepped() == [1, 2]
    # the server has lost it
    scene.deeds, scene.due = [deed("package", 2)], [2]
    scene.tick()
    assert scene.done() == [GivePackage(HASH)]


def test_after_a_failed_transfer_nobody_is_sure_that_leshan_has_the_package(scene: Scene) -> None:
    scene.updates._packages.add(HASH)
    scene.open = {1: 11}
    scene.updates.touch(1)
    scene.tick()
    assert scene.steps[-1][1].packages == {HASH}
    scene.updates.touch(1, untransferred=True)
    scene.tick()
    assert scene.steps[-1][1].packages == frozenset()


def test_a_refusal_is_told_once(scene: Scene) -> None:
    scene.deeds, scene.due = [deed("package")], [1]
    scene.tick()
    scene.updates.handle(PackageDone(HASH, "larger than 256 MiB"))
    assert scene.steps[-1][1].refused == {HASH: "larger than 256 MiB"}
    assert scene.steps[-1][1].packages == frozenset()
    scene.due = [1]
    scene.tick()
    assert scene.steps[-1][1].refused == {}


def test_a_grant_and_its_end(scene: Scene) -> None:
    scene.updates._packages.add(HASH)
    scene.deeds, scene.due = [deed("grant"), deed("grant")], [1]
    scene.tick()
    assert scene.done() == [Grant(1, "a", HASH)]
    scene.updates.handle(GrantDone(1, HASH, "coaps://h/fw/t"))
    assert scene.steps[-1][1].grants == {1: "coaps://h/fw/t"}
    scene.deeds, scene.due = [deed("revoke")], [1]
    scene.tick()
    assert scene.done() == [Revoke("a", HASH)]
    scene.due = [1]
    scene.tick()
    assert scene.steps[-1][1].grants == {}


def test_a_grant_is_asked_for_again_before_a_later_transfer(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.deeds, scene.due = [deed("grant")], [1]
    scene.tick()
    scene.updates.handle(GrantDone(1, HASH, "coaps://h/fw/t"))
    assert scene.steps[-1][1].grants == {1: "coaps://h/fw/t"}
    # somebody may have deleted it at Leshan meanwhile, with its package
    later = time.monotonic() + module.GRANT_SECONDS + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    scene.due = [1]
    scene.tick()
    assert scene.steps[-1][1].grants == {}
    scene.done()
    scene.deeds, scene.due = [deed("grant")], [1]
    scene.tick()
    assert scene.done() == [Grant(1, "a", HASH)]


def test_what_an_earlier_update_takes_back_is_not_taken_from_the_next(scene: Scene) -> None:
    scene.deeds, scene.due = [deed("revoke", 1)], [1]
    scene.tick()
    scene.deeds, scene.due = [deed("grant", 2)], [2]
    scene.tick()
    # the later job takes the place of one that could not be done yet
    assert len(scene.jobs) == 2
    assert len({job.key for job in scene.jobs}) == 1


@pytest.mark.parametrize(
    ("done", "packages", "refused"),
    [
        (GrantDone(1, HASH, missing=True), frozenset(), {}),
        (GrantDone(1, HASH, error="no"), {HASH}, {1: "no"}),
        (GrantDone(1, HASH), {HASH}, {}),
    ],
)
def test_a_grant_that_is_not_given(scene: Scene, done: GrantDone, packages: Any, refused: Any) -> None:
    scene.updates._packages.add(HASH)
    scene.deeds, scene.due = [deed("grant")], [1]
    scene.tick()
    scene.updates.handle(done)
    ids, world = scene.steps[-1]
    assert (ids, world.packages, world.refused) == ([1], packages, refused)
    # it may be asked for again
    scene.done()
    scene.deeds, scene.due = [deed("grant")], [1]
    scene.tick()
    assert scene.done() == [Grant(1, "a", HASH)]


def test_only_the_newest_progress_of_a_device_is_stored_and_not_all_the_time(scene: Scene) -> None:
    def progressed(endpoint: str, sent: int) -> None:
        scene.updates.progress(Progressed("", "PROGRESS", b"", None, endpoint, "7-x", HASH, sent, 100, 64))

    progressed("a", 10)
    progressed("b", 1)
    progressed("a", 20)
    scene.updates.tick()
    assert [(item.endpoint, item.sent) for item in scene.stored] == [("a", 20), ("b", 1)]
    progressed("a", 30)
    scene.updates.tick()
    assert len(scene.stored) == 2
    # … but before anything is decided
    scene.open = {1: 11}
    scene.updates.stored(Stored(firmware={1}))
    assert (scene.stored[-1].sent, scene.stored[-1].block, scene.stepped()) == (30, 64, [11])


def test_one_that_cannot_be_decided_about_holds_up_nobody(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.broken = {3}
    scene.due = [1, 2, 3, 4]
    scene.tick()
    assert scene.stepped() == [1, 2, 4]
    # nor is it tried all the time
    scene.broken = set()
    scene.due = [3]
    scene.tick()
    assert scene.stepped() == []
    scene.updates._aside.clear()
    scene.due = [3]
    scene.tick()
    assert scene.stepped() == [3]

    def campaigns(*, at: datetime) -> set[int]:
        raise ValueError("broken")

    monkeypatch.setattr(module, "campaigns_step", campaigns)
    scene.due = [1]
    scene.tick()
    assert scene.stepped() == [1]


def test_the_end_of_the_process_is_no_fault_of_an_update(scene: Scene) -> None:
    def stopped(action: Any) -> Any:
        raise StoppedError

    scene.updates._retry = stopped
    with pytest.raises(StoppedError):
        scene.tick()


def test_what_an_update_follows_is_observed_as_long_as_it_lasts(scene: Scene) -> None:
    one, away = update("a"), update("b")
    scene.registered.add("a")
    scene.wishes = {one.device_id: ["/5/0/3", "/5/0/5"], away.device_id: ["/5/0/3"]}
    scene.due = [one.pk, away.pk]
    scene.tick()
    assert scene.planned == ["a"]
    scene.due = [one.pk, away.pk]
    scene.tick()
    assert scene.planned == ["a"]
    # ended without `sync`, such as by a person who cancelled it
    scene.wishes = {}
    scene.tick()
    assert scene.planned == ["a", "a"]
    scene.tick()
    assert scene.planned == ["a", "a"]


def test_the_plan_of_a_device_knows_what_its_update_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC)
    of = update("a").device
    Registration.objects.create(
        device=of, registration_id="r", registered_at=now, last_update=now, lifetime=300, address="x",
        lwm2m_version="1.1", object_links=[{"url": "/5/0", "attributes": {}}],
    )  # fmt: skip
    monkeypatch.setattr("backend.sync.queries.wished_paths", lambda device_ids: {of.pk: ["/5/0/3"]})
    (record,) = device_records(endpoints=["a"])
    assert record.facts.firmware == ("/5/0/3",)


def test_packages_that_nobody_needs_are_taken_back(scene: Scene) -> None:
    update("a")
    update("b", state="succeeded", step="done", ended_at=datetime.now(UTC), code="succeeded", reason="It runs.")
    scene.updates._housekeeping_at = 0.0
    scene.updates.tick()
    assert scene.done() == [ListPackages()]
    scene.updates.handle(PackagesListed(frozenset({HASH, "cd" * 32})))
    assert scene.done() == [DropPackage("cd" * 32)]
    assert not Command.objects.exists()


def test_a_package_that_is_being_handed_over_is_not_taken_back(scene: Scene) -> None:
    scene.deeds, scene.due = [deed("package", 1)], [1]
    scene.tick()
    assert scene.done() == [GivePackage(HASH)]
    # the update was cancelled just then; the outcome of a job that is replaced would never be told
    scene.updates.handle(PackagesListed(frozenset({HASH})))
    assert scene.done() == []
    scene.updates.handle(PackageDone(HASH))
    scene.updates.handle(PackagesListed(frozenset({HASH})))
    assert scene.done() == [DropPackage(HASH)]
