"""What is said of each rank: stalled or not, what it waits for, how long phases take."""

from __future__ import annotations

from pathlib import Path

import pytest

from wizard.launch.lines import LineReader
from wizard.launch.progress import MARKS, SIGNS, Phase, Stage, StageParser, marked
from wizard.launch.stages import Look, clock, history, look, usual
from wizard.launch.state import RankState

NOW = 1_800_000_000.0
LOGS = Path(__file__).parent.parent / "data" / "serve_logs"


def rank(
    number: int, phase: Phase, *, still_s: float = 0.0, state: str = "running", ahead_s: float = 0.0
) -> RankState:
    """A rank that reached ``phase`` and last moved ``still_s`` ago; its clock is ``ahead_s``."""
    found = RankState(number, f"10.0.0.{11 + number}", state, clock_offset_s=ahead_s)
    found.progress = Stage(phase)
    found.stage = phase.title
    found.begin(Phase.CONTAINER, NOW + ahead_s - still_s - 10)
    found.begin(phase, NOW + ahead_s - still_s)
    found.moved(NOW + ahead_s - still_s)
    return found


def looks(*ranks: RankState) -> list[Look]:
    return look(ranks, NOW)


def test_two_minutes_without_progress_are_a_stall_and_less_are_not() -> None:
    assert looks(rank(0, Phase.WEIGHTS, still_s=119))[0].state == "running"
    found = looks(rank(0, Phase.WEIGHTS, still_s=121))[0]
    assert found.state == "stalled"
    assert found.remark == "no progress for 2:01: reads weights: is the disk or network share slow?"


def test_the_nodes_own_clock_decides() -> None:
    assert looks(rank(0, Phase.WEIGHTS, still_s=60, ahead_s=-3600))[0].state == "running"
    found = looks(rank(0, Phase.WEIGHTS, still_s=130, ahead_s=3600))[0]
    assert (found.state, found.elapsed_s) == ("stalled", 130)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ("created", "node 1, which has not started its container"),
        ("gone", "node 1, which has failed"),
        ("away", "node 1, which cannot be reached"),
        ("silent", "node 1, which runs, but its log says nothing yet"),
        ("python", "node 1, which is at python"),
    ],
)
def test_node_0_in_the_handshake_names_who_is_missing(other: str, said: str) -> None:
    states = {"created": "starting", "gone": "failed", "away": "unreachable"}
    phase = Phase.PYTHON if other == "python" else Phase.CONTAINER
    missing = rank(1, phase, still_s=150, state=states.get(other, "running"))
    head = looks(rank(0, Phase.HANDSHAKE, still_s=200), missing)[0]
    assert head.state == "stalled"
    assert head.remark == f"no progress for 3:20: waits for {said}"


def test_of_three_workers_only_the_missing_one_is_named() -> None:
    ranks = [rank(n, Phase.RANKS, still_s=130) for n in range(4)]
    ranks[2] = rank(2, Phase.HANDSHAKE, still_s=130)
    found = looks(*ranks)
    assert "waits for node 2, which is at handshake" in found[0].note
    assert "node 1" not in found[3].note
    assert found[2].note.endswith("the other nodes are past this, only this one is not")


def test_all_in_the_handshake_is_an_address_or_a_port() -> None:
    found = looks(rank(0, Phase.HANDSHAKE, still_s=130), rank(1, Phase.HANDSHAKE, still_s=130))
    assert "right address and RPC port" in found[0].note
    assert "RPC port open for this node" in found[1].note


def test_ready_message_awaited_means_done_and_names_who_is_not() -> None:
    behind = rank(1, Phase.WEIGHTS)
    behind.progress = Stage(Phase.WEIGHTS, "", 12, 163, "20:00")
    behind.stage = behind.progress.title
    done, other = looks(rank(0, Phase.ENGINE, still_s=900), behind)
    assert done.state == "done"
    assert done.note == "this node is done, waits for node 1, which is at weights 12 of 163"
    later = looks(rank(0, Phase.ENGINE, still_s=90_000), behind)[0]
    assert (later.elapsed_s, later.late) == (done.elapsed_s, False)  # it is over, however long ago
    assert other.state == "running"
    assert other.detail == "about 3 of 44 GB on each NPU, 20:00 left"


@pytest.mark.parametrize("state", ["ready", "running"])
def test_what_runs_on_when_another_has_failed_is_neither_ready_nor_done(state: str) -> None:
    head = looks(rank(0, Phase.READY, state=state), rank(1, Phase.ENGINE, state="failed"))[0]
    assert (head.state, head.stage, head.elapsed_s) == ("running", "without node 1", None)


def test_what_has_ended_or_is_out_of_reach_is_not_stalled() -> None:
    for state in ("failed", "aborted", "stopped", "unreachable", "pending", "starting"):
        assert looks(rank(0, Phase.WEIGHTS, still_s=999, state=state))[0].state == state


def test_longer_than_usual_is_late_long_before_it_is_a_stall() -> None:
    one = rank(0, Phase.WEIGHTS)
    one.phases[Phase.WEIGHTS] = NOW - 800
    found = looks(one)[0]
    assert (found.state, found.late) == ("running", True)
    assert found.typical is not None
    assert usual(found.typical) == "0:10-12:00"


def test_the_phases_with_the_time_that_each_took() -> None:
    one = RankState(0, "h", "running", progress=Stage(Phase.WEIGHTS))
    for phase, at in ((Phase.CONTAINER, 90), (Phase.PYTHON, 70), (Phase.RANKS, 40)):
        one.begin(phase, NOW - at)
    one.begin(Phase.WEIGHTS, NOW - 30)
    assert history(one, NOW)[:6] == [
        (Phase.CONTAINER, 20.0, False),
        (Phase.PYTHON, 30.0, False),
        (Phase.HANDSHAKE, 0.0, False),  # left no sign of its own
        (Phase.RANKS, 10.0, False),
        (Phase.WEIGHTS, 30.0, True),
        (Phase.KV_CACHE, None, False),
    ]


def test_durations_in_words() -> None:
    assert [clock(5), clock(125), clock(3725)] == ["0:05", "2:05", "1:02:05"]


def test_every_sign_has_its_mark() -> None:
    assert len(MARKS) == len(SIGNS)
    read: set[bytes] = set()
    for path in sorted(LOGS.glob("*.log")):
        for line in LineReader(stamps=False).feed(path.read_bytes()):
            known = StageParser().feed(line.text.decode()) is not None
            assert bool(marked(line.text)) >= known, line.text
            read.update(marked(line.text))
    assert len(read) >= 10  # real logs hold about half of them


def test_a_container_that_waits_to_be_started_has_no_phase_behind_it() -> None:
    waiting = RankState(1, "10.0.0.12", state="starting", stage="container")
    assert history(waiting, 1000.0)[0] == (Phase.CONTAINER, None, False)


def test_who_serves_by_its_log_alone_is_told_so() -> None:
    head = rank(0, Phase.READY, still_s=300)
    assert looks(head)[0].note == ""  # nobody has asked it
    head.heard("it is silent", since=NOW - 19)
    head.heard("it is silent", since=NOW)
    assert looks(head)[0].note == ""
    head.silent_since = NOW - 20
    assert looks(head)[0].note == "its log says that it serves, but it is silent"
    assert looks(head, rank(1, Phase.ENGINE, still_s=30))[1].note == ""
    late = rank(0, Phase.READY, still_s=19)
    late.heard("it is silent", since=NOW - 900)  # it was asked while it started
    assert looks(late)[0].note == ""
    head.detail = "its API has stopped to answer."
    assert looks(head)[0].note == ""
