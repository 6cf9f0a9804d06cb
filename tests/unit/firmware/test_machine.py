"""The machine with played devices: what it asks, and how it ends."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from backend.commands.models import Kind, State
from backend.firmware.machine import Asked, Image, Limits, Row, Said, Session, View, decide
from backend.firmware.models import Step, UpdateState
from tests.unit.firmware.play import LIMITS, SIZE, T0, Board, Play, ended, seconds

PUSH = "write_package"


def row(**values: object) -> Row:
    base = Row(id=1, admitted_at=T0, step_since=T0, look_at=T0, give_up_at=T0 + timedelta(days=30), hold_seconds=60)
    return replace(base, **values)  # type: ignore[arg-type]


def test_a_push_to_its_end() -> None:
    play = Play().run()
    assert ended(play) == "succeeded"
    assert play.states == ["pending", "downloading", "downloaded", "updating", "succeeded"]
    assert [(kind, path) for _, kind, path in play.asked] == [
        ("read", "/3/0/3"),
        ("read", "/5/0"),
        (PUSH, "/5/0/0"),
        ("read", "/5/0"),
        ("execute", "/5/0/2"),
        # State 3; the new registration, the first look at the version, and what stands at the end of the hold time
        ("read", "/5/0"),
        ("read", "/5/0"),
        ("read", "/3/0/3"),
        ("read", "/3/0/3"),
        ("read", "/5/0"),
    ]
    assert play.row.version_before == "1.0.0"
    assert play.row.version_after == "2.0.0"
    assert play.board.installs == 1
    assert play.row.bytes_sent == SIZE
    registered = play.session.registered_at if play.session else T0
    assert play.row.ended_at is not None
    assert play.row.ended_at >= registered + seconds(60)
    assert "2.0.0" in play.row.reason


def test_a_pull_to_its_end() -> None:
    play = Play(Board(method=0)).run()
    assert ended(play) == "succeeded"
    assert play.count(PUSH) == 0
    assert play.count("write", "/5/0/1") == 1
    assert play.row.method_used == "pull"
    assert play.revoked
    assert play.deeds == ["package", "grant"]


# board, the end, executes, transfers
CASES: dict[str, tuple[Board, str, int, int]] = {
    "the answer to the execute is lost": (Board(executes=["mute"]), "succeeded", 1, 1),
    "the execute itself is lost": (Board(executes=["lost"]), "succeeded", 2, 1),
    "the execute is answered, nothing happens, once": (Board(executes=["nothing"]), "succeeded", 2, 1),
    "nothing ever happens": (Board(executes=["nothing"] * 9), "not-started", 3, 1),
    "the execute is refused once": (Board(executes=["refused"]), "succeeded", 2, 1),
    "the execute is refused for ever": (Board(executes=["refused"] * 9), "not-started", 3, 1),
    "it hangs in State 3": (Board(executes=["hang"]), "stuck-updating", 1, 1),
    "it never comes back": (Board(never_back=True), "not-back", 1, 1),
    "it does not restart": (Board(reboots=False), "succeeded", 1, 1),
    "it does not restart and does not notify": (Board(reboots=False, notifies=False), "succeeded", 1, 1),
    "nothing is notified": (Board(notifies=False), "succeeded", 1, 1),
    "no space": (Board(transfer_results=[2]), "no-space", 0, 1),
    "no memory": (Board(transfer_results=[3]), "no-memory", 0, 1),
    "connection lost, says the device, once": (Board(transfer_results=[4]), "succeeded", 1, 2),
    "connection lost, says the device, always": (Board(transfer_results=[4] * 9), "connection-lost", 0, 3),
    "integrity once": (Board(transfer_results=[5]), "succeeded", 1, 2),
    "integrity always": (Board(transfer_results=[5] * 9), "integrity", 0, 2),
    "unsupported": (Board(transfer_results=[6]), "unsupported", 0, 1),
    "invalid URI": (Board(transfer_results=[7], method=0), "invalid-uri", 0, 1),
    "protocol": (Board(transfer_results=[9], method=0), "protocol", 0, 1),
    "install failed": (Board(install_result=8), "install-failed", 1, 1),
    "install failed, State stays 2": (Board(install_result=8, install_state=2), "install-failed", 1, 1),
    "cancelled at the device": (Board(install_result=10), "cancelled-by-device", 1, 1),
    "deferred": (Board(install_result=11, install_state=2), "deferred", 1, 1),
    "no Result, new version": (Board(install_result=0), "succeeded", 1, 1),
    "no Result, old version": (Board(install_result=0, takes_version=False), "no-change", 1, 1),
    "no Result, another version": (Board(install_result=0, new_version="7"), "other-version", 1, 1),
    "constant version": (Board(takes_version=False), "succeeded-version-unchanged", 1, 1),
    "another version": (Board(new_version="1.9.9"), "succeeded-other-version", 1, 1),
    "no version to read": (Board(tells_version=False, reads="singles"), "succeeded", 1, 1),
    "rolled back within the hold time": (Board(rollback_after=20), "rolled-back", 1, 1),
    "restarts again and again": (Board(restarts_after=[k * 30.0 for k in range(1, 20)]), "unstable", 1, 1),
    "registers twice within the hold time": (Board(restarts_after=[20.0, 50.0]), "succeeded", 1, 1),
    "the push stalls once": (Board(stops=[30_000]), "succeeded", 1, 2),
    "the push stalls always": (Board(stops=[30_000] * 9), "transfer-stalled", 0, 3),
    "the pull stalls once": (Board(stops=[30_000], method=0), "succeeded", 1, 2),
    "the pull stalls always": (Board(stops=[30_000] * 9, method=0), "transfer-stalled", 0, 3),
    "the radio is gone in the middle": (Board(lost=[(50_000, 100)]), "succeeded", 1, 2),
    "the radio is gone in the middle of a pull": (Board(lost=[(50_000, 100)], method=0), "succeeded", 1, 2),
    "an old package": (Board(state=2), "succeeded", 1, 1),
    "an old success": (Board(result=1), "succeeded", 1, 1),
    "an old failure that stays": (Board(result=8, keeps_result=True), "succeeded", 1, 1),
    "an old success that stays": (Board(result=1, keeps_result=True), "succeeded", 1, 1),
    "it does not forget": (Board(state=2, ignores_reset=True), "not-reset", 0, 0),
    "it runs it already": (Board(version="v2.0.0+0"), "already-running", 0, 0),
    "single reads only": (Board(reads="singles"), "succeeded", 1, 1),
    "nothing can be read": (Board(reads="none"), "unreadable", 0, 0),
    "another instance": (Board(instance=1), "succeeded", 1, 1),
    "it lists no method": (Board(method=None), "succeeded", 1, 1),
    "pull, but no protocol for it": (Board(method=0, protocols=(2, 3)), "no-method", 0, 0),
    "pull, and it lists no protocol": (Board(method=0, protocols=()), "succeeded", 1, 1),
    "slow": (Board(speed=60), "succeeded", 1, 1),
    "too slow": (Board(speed=20), "transfer-timeout", 0, 3),
}


@pytest.mark.parametrize("name", CASES)
def test_ends(name: str) -> None:
    board, code, executes, transfers = CASES[name]
    board = replace(
        board,
        transfer_results=list(board.transfer_results),
        stops=list(board.stops),
        lost=list(board.lost),
        executes=list(board.executes),
        executed=[],
    )
    play = Play(board, row=row(object_instance=board.instance)).run()
    assert ended(play) == code, (play.lines, play.row)
    assert play.count("execute") == executes
    assert play.row.transfers == transfers, play.lines
    assert board.installs <= 1
    assert play.row.step == Step.DONE
    assert play.row.look_at is None


def test_an_execute_is_repeated_only_after_a_minute_and_a_read() -> None:
    play = Play(Board(executes=["nothing", "nothing"])).run()
    assert ended(play) == "succeeded"
    told = [when for when, kind, _ in play.asked if kind == "execute"]
    for first, second in pairwise(told):
        assert second - first >= seconds(60)
        reads = [when for when, kind, _ in play.asked if kind == "read" and first + seconds(60) <= when <= second]
        assert reads


@pytest.mark.parametrize("gone", [5, 4000, 30 * 3600])
@pytest.mark.parametrize("step", [Step.CHECK, Step.RESET, Step.DELIVER, Step.FETCH, Step.VERIFY])
def test_a_device_that_goes_away_is_waited_for(step: Step, gone: float) -> None:
    board = Board(method=0 if step == Step.FETCH else 2, state=2 if step == Step.RESET else 0)
    play = Play(board)
    play.run(stop=lambda: play.row.step == step)
    play.lose(gone)
    play.run()
    assert ended(play) == "succeeded", play.lines
    assert board.installs == 1
    assert play.count("execute") == 1


def test_state_2_that_outlives_a_registration_is_not_sent_again() -> None:
    play = Play(Board(forgets_on_boot=False))
    play.run(stop=lambda: play.row.step == Step.VERIFY)
    assert play.board.state == 2
    play.lose(100)
    play.run()
    assert ended(play) == "succeeded"
    assert play.row.transfers == 1
    assert play.count(PUSH) == 1


def test_a_new_registration_in_the_middle_asks_first() -> None:
    play = Play(Board(speed=1000))
    play.run(stop=lambda: play.row.bytes_sent > 50_000)
    play._transfer += 1
    play.board.state = 0
    play.register()
    play.run()
    assert ended(play) == "succeeded"
    assert play.row.transfers == 2
    second = [when for when, kind, _ in play.asked if kind == PUSH][1]
    registered = [when for when, kind, path in play.asked if (kind, path) == ("read", "/5/0") and when < second]
    assert registered


def test_a_sleeper_is_waited_for() -> None:
    play = Play(queue_mode=True)
    play.sleep()
    play.run(until=3600)
    assert play.row.state == UpdateState.PENDING
    assert "sleeps" in play.row.reason
    play.at(7200, play.wake)
    play.run()
    assert ended(play) == "succeeded"


def test_a_sleeper_that_slept_through_the_end_of_its_hold_time() -> None:
    play = Play(queue_mode=True)
    play.run(stop=lambda: play.row.step == Step.HOLD)
    play.sleep()
    play.run(until=7200)
    assert play.row.step == Step.HOLD
    play.at(3600, play.wake)
    play.run()
    assert ended(play) == "succeeded"


def test_no_timer_runs_while_the_server_is_away() -> None:
    play = Play(Board(speed=1000))
    play.run(stop=lambda: play.row.bytes_sent > 20_000)
    play.connected = False
    play._transfer += 1
    play.run(until=20_000)
    assert play.row.state == UpdateState.DOWNLOADING
    assert play.row.step == Step.DELIVER
    play.connected, play.connected_since = True, play.now
    play._settle("failed", reason="the LwM2M server was restarted: unknown whether the device did it")
    play.board.state = 0
    play.run()
    assert ended(play) == "succeeded"
    # that was not the device's fault
    assert play.row.transfers == 1
    assert play.count(PUSH) == 2


def test_deadlines_begin_anew_after_the_server_was_away() -> None:
    play = Play(Board(executes=["hang"]))
    play.run(stop=lambda: play.row.step == Step.INSTALL)
    play.connected = False
    play.run(until=20_000)
    play.connected, play.connected_since = True, play.now
    back = play.now
    play.run()
    assert ended(play) == "stuck-updating"
    assert play.now >= back + play.limits.stall


@pytest.mark.parametrize("step", [Step.WAIT, Step.CHECK, Step.RESET])
def test_cancelled_while_pending(step: Step) -> None:
    play = Play(Board(state=2), registered=step != Step.WAIT)
    play.run(stop=lambda: play.row.step == step)
    play.row.cancel_requested_at = play.now
    play.step()
    assert ended(play) == "cancelled"


@pytest.mark.parametrize("step", [Step.PREPARE, Step.DELIVER, Step.FETCH, Step.VERIFY, Step.EXECUTE])
def test_cancelled_in_the_middle_the_device_forgets(step: Step) -> None:
    play = Play(Board(method=0 if step == Step.FETCH else 2))
    play.run(stop=lambda: play.row.step == step)
    assert play.row.state in (UpdateState.DOWNLOADING, UpdateState.DOWNLOADED)
    play.row.cancel_requested_at = play.now
    play.run()
    assert ended(play) == "cancelled"
    assert play.board.state == 0
    assert play.board.installs == 0
    assert play.count("execute") == 0
    if step == Step.FETCH:
        assert play.revoked


def test_cancelled_with_its_campaign() -> None:
    play = Play()
    play.run(stop=lambda: play.row.step == Step.DELIVER)
    play.row.cancel_requested_at = play.now
    play.view_more = {"campaign_cancelled": True, "cancelled_by": "eve"}
    play.run()
    assert ended(play) == "cancelled-campaign"
    assert "by eve" in play.row.reason


def test_a_device_that_is_away_is_not_waited_for_when_cancelled() -> None:
    play = Play()
    play.run(stop=lambda: play.row.bytes_sent > 0)
    play.leave()
    play.run(until=60)
    assert play.row.step == Step.WAIT
    play.row.cancel_requested_at = play.now
    play.step()
    assert ended(play) == "cancelled"
    assert "not reachable" in play.row.reason


def test_the_wish_to_cancel_does_nothing_once_it_installs() -> None:
    play = Play()
    play.run(stop=lambda: play.row.step == Step.INSTALL)
    play.row.cancel_requested_at = play.now
    play.run()
    assert ended(play) == "succeeded"


def test_two_pushes_in_vain_and_the_device_may_pull() -> None:
    play = Play(Board(stops=[30_000, 30_000])).run()
    assert ended(play) == "succeeded"
    assert play.count(PUSH) == 2
    assert play.row.method_used == "pull"


@pytest.mark.parametrize(("method", "can", "code"), [("push", 0, "no-method"), ("pull", 1, "no-method")])
def test_a_method_that_the_device_cannot(method: str, can: int, code: str) -> None:
    play = Play(Board(method=can), row=row(method=method)).run()
    assert ended(play) == code


def test_a_person_may_choose_pull() -> None:
    play = Play(row=row(method="pull")).run()
    assert ended(play) == "succeeded"
    assert play.count(PUSH) == 0


def test_push_and_pull_never_at_once() -> None:
    play = Play(Board(stops=[10_000, 10_000, 10_000, 10_000]), row=row(method="auto"))
    open_push: list[bool] = []

    def look(play: Play) -> None:
        if play.ask is not None and play.ask.kind == "write" and play.arguments["node"]["value"]:
            open_push.append(play.ask.kind == PUSH)

    play.before_step = look
    play.run()
    assert not any(open_push)


def test_force_installs_what_runs_already() -> None:
    play = Play(Board(version="2.0.0"), row=row(force=True)).run()
    assert ended(play) == "succeeded"
    assert play.board.installs == 1


def test_an_image_without_a_version() -> None:
    play = Play(image=Image("ab" * 32, SIZE, "")).run()
    assert ended(play) == "succeeded"


def test_waits_for_its_turn_and_for_others() -> None:
    play = Play(row=row(admitted_at=None))
    play.step()
    assert play.row.code == "waiting-turn"
    assert play.row.look_at is None
    play = Play()
    play.view_more = {"ahead": "Waits until update 7 of this device has ended."}
    play.step()
    assert play.row.code == "waiting-other"
    assert not play.asked


def test_gives_up_after_the_time_for_that() -> None:
    play = Play(registered=False).run()
    assert ended(play) == "given-up"
    assert play.now == T0 + timedelta(days=30)


def test_no_firmware_object() -> None:
    play = Play()
    assert play.session is not None
    play.session = replace(play.session, instances=None)
    play.step()
    assert ended(play) == "no-firmware-object"
    play = Play(row=row(object_instance=4))
    play.step()
    assert ended(play) == "no-firmware-object"
    assert "It lists /5/0." in play.row.reason


def test_an_image_that_is_for_others() -> None:
    play = Play()
    play.view_more = {"misfit": "The image is for the model 'x'."}
    play.step()
    assert ended(play) == "not-compatible"
    play = Play(row=row(force=True))
    play.view_more = {"misfit": "The image is for the model 'x'."}
    assert ended(play.run()) == "succeeded"
    play = Play()
    play.view_more = {"misfit": "It has not named its model.", "unnamed": True}
    play.step()
    assert play.row.code == "waiting-identity"
    play.view_more = {}
    assert ended(play.run()) == "succeeded"


def test_refusals_of_the_server() -> None:
    play = Play()
    play.view_more = {"refused": "no room on disk"}
    assert ended(play.run()) == "package-refused"
    assert "no room on disk" in play.row.reason


def test_a_deleted_image() -> None:
    play = Play(image=Image("ab" * 32, SIZE, "2.0.0", deleted=True))
    assert ended(play.run()) == "image-deleted"


def test_another_installation_is_waited_for() -> None:
    play = Play(Board(state=3))
    play.at(60, lambda: setattr(play.board, "state", 0))
    assert ended(play.run()) == "succeeded"
    assert ended(Play(Board(state=3)).run()) == "device-busy"


def test_a_newer_wish_takes_the_place_of_one_whose_device_went() -> None:
    play = Play()
    play.run(stop=lambda: play.row.step == Step.DELIVER)
    play.view_more = {"newer": True}
    play.leave()
    play.run()
    assert ended(play) == "superseded"


def test_a_missing_package_is_handed_over_again_uncounted() -> None:
    play = Play()
    play.run(stop=lambda: play.row.step == Step.DELIVER)
    play._settle("failed", reason="there is no package", status="PACKAGE-MISSING")
    play.package = False
    play.run()
    assert ended(play) == "succeeded"
    assert play.row.transfers == 1
    assert play.deeds == ["package", "package"]


def test_the_same_view_twice_asks_nothing_twice() -> None:
    """As after a restart: everything is decided from what is written."""
    play = Play()
    seen: list[int] = []

    def again(play: Play) -> None:
        if play.ask is not None and play.ask.open and play.row.look_at is not None:
            before = len(play.asked)
            from backend.firmware.machine import decide

            decision = decide(play.view())
            if decision.asking is not None:
                seen.append(before)

    play.before_step = again
    play.run()
    assert ended(play) == "succeeded"
    assert not seen
    assert play.board.installs == 1


def test_where_installations_are_quick_a_lost_execute_is_noticed_sooner() -> None:
    limits = Limits(stall=seconds(3), install=seconds(8), transfers=2)
    play = Play(Board(executes=["lost"], install_seconds=1, boot_seconds=1), limits=limits).run()
    assert ended(play) == "succeeded"
    assert play.count("execute") == 2


def test_a_download_that_outlives_a_registration_goes_on() -> None:
    """A pull is a connection of its own: a registration that is renewed beside it does not end it."""
    play = Play(Board(method=0, speed=1000))
    play.run(stop=lambda: play.row.bytes_sent > 50_000)
    play.register()
    play.run()
    assert ended(play) == "succeeded"
    assert play.row.transfers == 1
    assert play.count("write", "/5/0/1") == 1


def test_an_old_result_that_was_forgotten_after_all_is_believed() -> None:
    play = Play(Board(result=5, keeps_result=True, transfer_results=[5, 5, 5])).run()
    # the transfer set it to 0 first: it is a new failure
    assert ended(play) == "integrity"


@pytest.mark.parametrize(("notifies", "code"), [(True, "succeeded-version-unchanged"), (False, "no-change")])
def test_an_old_success_counts_only_where_it_was_forgotten_in_between(notifies: bool, code: str) -> None:
    """It restarts with the old firmware and says Result 1, as it did before."""
    play = Play(Board(result=1, keeps_result=True, takes_version=False, notifies=notifies)).run()
    assert ended(play) == code


def test_reads_that_never_left_do_not_count_as_silence() -> None:
    play = Play()
    for _ in range(8):
        play.step()
        if play.ask is not None and play.ask.open:
            play._settle("cancelled", reason="cancelled by eve")
        play.now += seconds(20)
    play.run()
    assert ended(play) == "succeeded"


def test_silence_before_anything_began_ends_it() -> None:
    play = Play()

    def mute(play: Play) -> None:
        if play.ask is not None and play.ask.state == "sent":
            play._settle("expired", reason="No answer from the device in time")

    play.before_step = mute
    play.run(until=100_000)
    assert ended(play) == "unreadable"


def test_progress_moves_the_deadline() -> None:
    """100 kB at 60 bytes a second take longer than what is tolerated while nothing is known."""
    play = Play(Board(speed=60), image=Image("ab" * 32, 1_000_000, "2.0.0")).run()
    assert ended(play) == "succeeded"
    assert play.row.transfers == 1


def test_state_2_that_was_read_before_a_restart_proves_nothing() -> None:
    play = Play()
    play.run(stop=lambda: play.row.step == Step.VERIFY and play.ask is not None)
    assert play.ask is not None
    nodes = [{"kind": "singleResource", "id": 3, "value": "2"}, {"kind": "singleResource", "id": 5, "value": "0"}]
    play.answer(play.serial, {"kind": "instance", "id": 0, "resources": nodes})
    # between its answer and our look at it
    play.board.state = 0
    play.register()
    play.run()
    assert ended(play) == "succeeded"
    assert play.row.transfers == 2
    assert play.count("execute") == 1


def test_a_device_that_installs_by_itself_is_not_sent_it_again() -> None:
    play = Play(Board(method=1))
    play.run(stop=lambda: play.row.step == Step.VERIFY)
    play.leave()
    play.board.state, play.board.result, play.board.version = 0, 1, "2.0.0"
    play.run(until=60)
    play.register()
    play.run()
    assert ended(play) == "succeeded"
    assert (play.row.transfers, play.row.executes) == (1, 0)


def test_back_with_the_old_version_before_the_new_one_was_seen() -> None:
    play = Play(Board(rollback_after=0.3))
    play.run(stop=lambda: play.row.step == Step.HOLD)
    assert play.board.version == "2.0.0"
    play.run()
    assert ended(play) == "rolled-back"
    assert "version 1.0.0" in play.row.reason


def test_a_constant_version_that_was_seen_before_the_restart_is_no_rollback() -> None:
    play = Play(Board(takes_version=False, restarts_after=[20.0])).run()
    assert ended(play) == "succeeded-version-unchanged"


def test_a_device_that_downloads_once_more_while_it_should_install() -> None:
    play = Play(Board(executes=["nothing"]))
    play.run(stop=lambda: play.row.step == Step.INSTALL)
    play.board.state = 1
    play.run()
    assert ended(play) == "not-back"
    assert "It is registered and says State 1, Update Result 0." in play.row.reason


@pytest.mark.parametrize("step", [Step.CHECK, Step.RESET, Step.VERIFY])
def test_what_a_device_never_answers_is_given_up_in_the_end(step: Step) -> None:
    play = Play(Board(state=2 if step == Step.RESET else 0), queue_mode=True)
    play.run(stop=lambda: play.row.step == step)
    play.sleep()
    play.run()
    assert ended(play) == "given-up"
    assert T0 + timedelta(days=30) <= play.now < T0 + timedelta(days=30, minutes=10)


def test_what_installs_is_not_given_up() -> None:
    play = Play(row=row(give_up_at=T0 + seconds(30)), board=Board(install_seconds=60)).run()
    assert ended(play) == "succeeded"


def test_nothing_begins_while_the_campaign_is_held() -> None:
    play = Play()
    play.view_more = {"campaign_held": True}
    play.run(until=600)
    assert play.row.code == "waiting-turn"
    assert not play.asked
    play.view_more = {}
    play.run(stop=lambda: play.row.step == Step.DELIVER)
    # what began goes on
    play.view_more = {"campaign_held": True}
    play.run()
    assert ended(play) == "succeeded"


@pytest.mark.parametrize("step", [Step.WAIT, Step.CHECK, Step.DELIVER, Step.VERIFY])
def test_nothing_goes_on_once_the_campaign_is_cancelled(step: Step) -> None:
    play = Play(registered=step != Step.WAIT)
    play.run(stop=lambda: play.row.step == step)
    play.view_more = {"campaign_cancelled": True}
    play.run()
    assert ended(play) == "cancelled-campaign"
    assert play.count("execute") == 0


def test_a_sleeper_that_was_not_told_to_install_can_be_cancelled() -> None:
    play = Play(queue_mode=True)
    play.run(stop=lambda: play.row.step == Step.EXECUTE)
    play.sleep()
    play.run(stop=lambda: play.row.state == UpdateState.UPDATING)
    play.row.cancel_requested_at = play.now
    play.run()
    assert ended(play) == "cancelled"
    assert play.board.executed == []
    play.wake()
    play.run()
    assert play.board.executed == []


@pytest.mark.parametrize("step", [Step.WAIT, Step.PREPARE])
def test_an_image_that_lost_its_signature_is_sent_to_nobody(step: Step) -> None:
    play = Play(row=row(force=True), registered=step != Step.WAIT)
    play.run(stop=lambda: play.row.step == step)
    if play.session is None:
        play.register()
    play.view_more = {"barred": "The image app.bin is not signed by a registered key."}
    play.step()
    assert ended(play) == "not-signed"
    assert not play.count(PUSH)


@pytest.mark.parametrize("method", ["push", "pull"])
def test_a_sleeper_that_registers_whenever_it_wakes_up_begins_its_transfer_once(method: str) -> None:
    play = Play(row=row(method=method), queue_mode=True)
    play.run(stop=lambda: play.row.step == Step.PREPARE)
    play.sleep()
    play.run(until=3600)
    assert play.row.code == "waiting-awake"
    play.register()
    play.run()
    assert ended(play) == "succeeded"
    assert play.row.transfers == 1
    assert not [line for line in play.lines if "in the middle" in line]


@pytest.mark.parametrize("method", ["push", "pull"])
def test_a_transfer_that_never_left_before_the_device_went_does_not_count(method: str) -> None:
    play = Play(row=row(method=method), queue_mode=True)
    play.run(stop=lambda: play.row.step == Step.PREPARE)
    play.sleep()
    play.run(stop=lambda: play.row.code == "waiting-awake")
    assert play.row.step in (Step.DELIVER, Step.FETCH)
    play.leave()
    play.step()
    assert (play.row.step, play.row.transfers) == (Step.WAIT, 0)
    play.register()
    play.run()
    assert ended(play) == "succeeded"
    assert play.row.transfers == 1


def test_a_sleeper_that_is_asked_is_said_to_sleep_at_once() -> None:
    play = Play(queue_mode=True)
    play.sleep()
    play.step()
    assert (play.row.step, play.row.code) == (Step.CHECK, "waiting-awake")
    play.wake()
    play.run(stop=lambda: play.row.step not in (Step.WAIT, Step.CHECK))
    assert play.row.code != "waiting-awake"
    play.run()
    assert ended(play) == "succeeded"


def test_a_sleeper_that_registers_whenever_it_wakes_up_is_not_unstable() -> None:
    play = Play(queue_mode=True)
    play.run(stop=lambda: play.row.step == Step.HOLD and play.row.version_after != "")
    play.sleep()
    play.run(until=7200)
    assert play.row.step == Step.HOLD
    back = play.now
    play.register()
    play.run()
    assert ended(play) == "succeeded"
    # it has stayed long enough already
    assert play.now < back + seconds(5)


def test_a_sleeper_that_wakes_up_with_the_old_version_was_rolled_back() -> None:
    play = Play(queue_mode=True)
    play.run(stop=lambda: play.row.step == Step.HOLD and play.row.version_after != "")
    play.sleep()
    play.run(until=7200)
    play.board.version = "1.0.0"
    play.register()
    play.run()
    assert ended(play) == "rolled-back"


def test_the_server_is_asked_for_a_package_only_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play()
    monkeypatch.setattr(play, "_deed", lambda deed: None)
    play.run(stop=lambda: play.row.step == Step.PREPARE)
    for _ in range(300):
        play.now += seconds(0.1)
        play.step()
    assert play.deeds == ["package"] * 3


def test_what_is_notified_while_an_answer_is_on_its_way_is_newer() -> None:
    """State 2 came between the question and its answer "State 1": it is asked again at once, not after a pause."""
    asked = T0 + seconds(10)
    answer = {"content": {"kind": "instance", "id": 0, "resources": [{"id": 3, "value": "1"}, {"id": 5, "value": "0"}]}}
    view = View(
        now=T0 + seconds(10.2),
        row=row(
            state=UpdateState.DOWNLOADING,
            step=Step.VERIFY,
            method="pull",
            method_used="pull",
            step_since=asked,
            admitted_at=T0,
            transfers=1,
            transfer_at=T0 + seconds(9),
            progress_at=T0 + seconds(10),
            bytes_sent=SIZE,
            registration_before="one",
            deadline_at=T0 + seconds(600),
        ),
        image=Image("a" * 64, SIZE, "2.0.0"),
        limits=LIMITS,
        session=Session("one", T0),
        said={"/5/0/3": Said("2", T0 + seconds(10.1))},
        ask=Asked(Kind.READ, "/5/0", State.SUCCEEDED, asked, answer=answer, sent_at=asked, ended_at=asked),
        connected_since=T0,
        package=True,
        uri="coaps://server/fw/token",
    )
    decision = decide(view)
    assert decision.row.step == Step.VERIFY
    assert decision.asking is not None
    assert decision.asking.kind == Kind.READ
