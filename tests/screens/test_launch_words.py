"""What a launch's screen says in the room there is: nothing that matters is cut, or said twice."""

from __future__ import annotations

import pytest

from screens.start import of
from screens.widgets.causepanel import told
from screens.widgets.ranktable import table
from tests.screens.fakes import preset
from wizard.diagnosis.reading import read_lines
from wizard.diagnosis.verdict import diagnose
from wizard.launch.finding import RunningLaunch
from wizard.launch.stages import Look

AWAY = Look(
    1,
    "10.0.0.12",
    "unreachable",
    "ready",
    detail="node 1 (10.0.0.12) cannot be reached: the connection to port 2222 was refused. Is sshd "
    "running there, on that port?",
)
PLOG = (
    "[ERROR] HCCL(5779,VLLM::Worker_TP0):2026-12-01-15:38:07.26.0 [transport.cc:88] socket "
    "type[1], listen on ip[29.11.0.43] and specific port[16666] fail, ret[7]"
)


@pytest.mark.parametrize("width", [80, 160])
def test_why_a_node_cannot_be_reached_is_not_cut_where_there_is_room(width: int) -> None:
    rows = table([AWAY], width, room=8).plain.splitlines()
    assert max(map(len, rows)) <= width
    assert "unreachable  was at ready" in rows[1]  # not "unreachable ready"
    why = " ".join(" ".join(rows[1:]).split())
    assert "cannot be reached: the connection to port 2222 was refused. Is sshd" in why
    assert why.count("node 1") == 0  # the row says which one


def test_without_room_why_it_ended_comes_before_what_it_was_at() -> None:
    aborted = Look(0, "10.0.0.11", "aborted", "weights 3 of 163", detail="another node failed it")
    (_, row) = table([aborted], 80, room=2).plain.splitlines()
    assert row.endswith("another node failed it")


def test_what_a_done_node_waits_for_is_said_once() -> None:
    done = Look(0, "h", "done", "engine up", 3.0, None, "waits for the others", "waits for node 1")
    assert table([done], 160, room=8).plain.count("waits for") == 1


def test_what_to_do_comes_before_the_line_that_may_be_cut() -> None:
    path = "/home/x/state/launches/20261201-153800-4d738c/node1/debug/plog/plog-5779.log"
    cause = diagnose(read_lines(1, path, [PLOG])).causes[0]
    lines = told(cause, "g").plain.splitlines()
    assert lines[2].startswith("To do: ")
    assert lines[3].startswith("…/plog-5779.log, line 1: socket type[1], listen on ip[29.11.0.43]")


def test_the_links_to_ping_are_named_where_pinging_them_is_asked_for() -> None:
    rows = [
        "EI0006: [PID: 41] 2026-11-20-10:16:30.402.118 Getting socket times out.",
        "       LINK_ERROR_INFO",
        "  |  dest_ip(user_rank)  |  dest_port  |  src_ip(user_rank)  |  src_port  |  MyRole  |"
        "  MyStatus  |  TlsStatus  |",
        "  |  29.11.1.35(19)      |  16666      |  29.11.0.43(3)      |  16666     |  client  |"
        "  time out  |  UNKNOWN    |",
    ]
    cause = diagnose(read_lines(0, "node 0", rows)).causes[0]
    lines = told(cause, "g").plain.splitlines()
    assert lines[3].startswith("Links that failed: ")
    assert "29.11.1.35" in lines[3] or "NPU" in lines[3]
    assert "  " not in lines[4]  # the row itself, without its blanks


def test_a_launch_that_runs_in_parts_is_not_told_as_whole() -> None:
    lab = preset()
    assert of(RunningLaunch(lab, "x", 2, None)) == "runs on 2 nodes"
    assert of(RunningLaunch(lab, "x", 1, None)) == "runs on 1 of 2 nodes"
