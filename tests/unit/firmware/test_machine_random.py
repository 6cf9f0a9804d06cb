"""Whatever happens when: every update ends, and no device installs anything that was not proved to be there."""

import random
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from backend.commands.models import Kind, State
from backend.firmware.endings import ENDINGS, WAITING
from backend.firmware.machine import Asked, Image, Session
from backend.firmware.models import ENDED, UpdateState
from tests.unit.firmware.play import SIZE, Board, Play, ended


def board_of(chance: random.Random) -> Board:
    return Board(
        state=chance.choice([0, 0, 0, 1, 2]),
        result=chance.choice([0, 0, 1, 5, 8]),
        version=chance.choice(["1.0.0", "1.0.0", "1.0.0", "2.0.0"]),
        new_version=chance.choice(["2.0.0", "2.0.0", "2.0.0", "3"]),
        method=chance.choice([0, 1, 2, 2, None]),
        speed=chance.choice([60, 300, 10_000, 200_000]),
        transfer_results=[chance.choice([0, 0, 2, 4, 5]) for _ in range(chance.randrange(4))],
        stops=[chance.randrange(SIZE) for _ in range(chance.randrange(3))],
        lost=[(chance.randrange(SIZE), chance.uniform(1, 4000)) for _ in range(chance.randrange(3))],
        forgets_on_boot=chance.random() < 0.5,
        executes=[
            chance.choice(["", "mute", "lost", "refused", "nothing", "hang"]) for _ in range(chance.randrange(4))
        ],
        install_result=chance.choice([1, 1, 1, 0, 8]),
        takes_version=chance.random() < 0.8,
        reboots=chance.random() < 0.8,
        never_back=chance.random() < 0.1,
        rollback_after=chance.choice([None, None, None, 10, 300]),
        restarts_after=[chance.uniform(1, 200) for _ in range(chance.choice([0, 0, 0, 2]))],
        keeps_result=chance.random() < 0.2,
        ignores_reset=chance.random() < 0.05,
        reads=chance.choice(["instance", "instance", "singles"]),
        notifies=chance.random() < 0.7,
        install_seconds=chance.uniform(0.5, 60),
        boot_seconds=chance.uniform(0.5, 60),
    )


def trouble(play: Play, chance: random.Random) -> None:
    """Devices that go and come, a server that does, a person who takes commands away."""

    def away() -> None:
        if play.session is not None:
            play.leave()
            if chance.random() < 0.5:
                play.board.state = play.board.result = 0
            play.at(chance.uniform(0.1, 3000), lambda: play.session is None and play.register())

    def server() -> None:
        play.connected = False

        def back() -> None:
            play.connected, play.connected_since = True, play.now
            if play.ask is not None and play.ask.state == State.SENT:
                play._settle(State.FAILED, reason="the LwM2M server was restarted: unknown whether the device did it")
            play._send(play.serial)

        play.at(chance.uniform(0.1, 3000), back)

    def person() -> None:
        if play.ask is not None and play.ask.open:
            play._cancel()

    def nap() -> None:
        if play.session is None or not play.queue_mode:
            return
        play.sleep()

        def wake() -> None:
            if play.session is not None:
                # some resume, some register at every waking
                chance.choice([play.wake, play.register])()

        play.at(chance.uniform(0.1, 3000), wake)

    def again() -> None:
        if play.session is not None:
            play.register()

    def campaign() -> None:
        if chance.random() < 0.3:
            play.view_more = {"campaign_cancelled": True}
        else:
            play.view_more = {"campaign_held": True}
            play.at(chance.uniform(0.1, 3000), lambda: setattr(play, "view_more", {}))

    for _ in range(chance.randrange(4)):
        play.at(chance.uniform(0, 400), chance.choice([away, server, person, nap, nap, again, campaign]))


@pytest.mark.parametrize("seed", range(100))
def test_every_way_ends(seed: int) -> None:
    chance = random.Random(seed)
    board = board_of(chance)
    queue_mode = chance.random() < 0.4
    play = Play(board, image=Image("cd" * 32, SIZE, chance.choice(["2.0.0", "2.0.0", ""])), queue_mode=queue_mode)
    trouble(play, chance)
    # when the question was sent to which the device answered State 2, since the last execute
    proof: datetime | None = None
    # the registration at the last decision
    decided_in: Session | None = None
    executes = 0
    last: Asked | None = None

    def watch(play: Play) -> None:
        nonlocal executes, last, proof, decided_in
        ask = play.ask
        if ask is not None and ask is not last and ask.kind == Kind.READ and ask.state == State.SUCCEEDED:
            content = (ask.answer or {}).get("content") or {}
            nodes = content.get("resources", [content])
            if any(node.get("id") == 3 and node.get("value") == "2" for node in nodes) and ask.path != "/3/0/3":
                proof = ask.sent_at
        last = ask
        told = play.count("execute")
        if told > executes:
            executes = told
            assert proof is not None
            assert decided_in is not None
            assert proof >= decided_in.registered_at
            proof = None
        decided_in = play.session
        # one that is open says what it waits for in a code that pages know
        assert play.row.code == "" or play.row.code in ENDINGS or play.row.code in WAITING or play.row.state in ENDED

    play.before_step = watch
    if chance.random() < 0.15:
        play.at(chance.uniform(0, 200), lambda: setattr(play.row, "cancel_requested_at", play.now))
    play.run()
    code = ended(play)
    assert code in ENDINGS
    assert play.now - play.row.step_since <= timedelta(0)
    assert executes <= 3 or play.row.transfers > 1 or play.states.count("pending") > 1
    told = [when for when, kind, _ in play.asked if kind == "execute"]
    assert all(second - first >= timedelta(seconds=1) for first, second in pairwise(told))
    if code == "succeeded":
        assert board.installs >= 1
    if play.row.state == UpdateState.CANCELLED:
        assert play.ask is None or not play.ask.open or play.ask.cancelling
