"""The engine: what is asked when, and what becomes of nodes that do not answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.checks.enginecells import DOWN, HUNG, LOST, bad, ping
from wizard.checks.model import CellKey, Status
from wizard.checks.outcome import exit_status, verdict
from wizard.errors import (
    AuthenticationFailed,
    ConnectionLost,
    HostKeyError,
    Unreachable,
    UsageError,
)
from wizard.troubleshooting.findings import findings


async def test_a_healthy_cluster_passes_every_cell(fleet: Any) -> None:
    run = fleet.check()
    board = await run.run()
    assert bad(run) == {}
    assert len(board) == 2 * (15 + 8 * 9 + 8)
    skipped = {r.key.check for r in board if r.status is Status.SKIPPED}
    assert skipped == {"image", "weights", "mounts"}
    assert run.progress == (len(board), len(board))
    assert verdict(run) is Status.PASS
    assert exit_status(run) == 0
    assert not run.running
    assert run.duration_s > 0
    assert findings(board, fleet.cluster) == []


async def test_a_result_carries_what_a_report_needs(fleet: Any) -> None:
    run = fleet.check()
    board = await run.run()
    result = board.get(ping(1, 3, 0))
    assert result.command == "hccn_tool -i 3 -ping -g address 10.77.0.23"
    assert result.peer_address == "10.77.0.23"
    assert result.host == "198.51.100.2"
    assert result.exit_code == 0
    assert "3 received" in result.output
    assert result.duration_s == 0.1


@pytest.mark.parametrize("full", [False, True])
async def test_no_device_is_source_or_target_of_two_pings_at_a_time(
    make_fleet: Any, full: bool
) -> None:
    fleet = make_fleet(3)
    sources: set[tuple[int, str]] = set()
    targets: set[str] = set()
    most = 0

    def begin(rank: int, command: str) -> None:
        nonlocal most
        if "-ping" in command:
            words = command.split()
            assert words[-1] not in targets
            assert (rank, words[1]) not in sources
            targets.add(words[-1])
            sources.add((rank, words[1]))
            most = max(most, len(sources))

    def end(rank: int, command: str) -> None:
        if "-ping" in command:
            targets.discard(command.rsplit(maxsplit=1)[-1])
            sources.discard((rank, command.split()[1]))

    for node in fleet.nodes:
        node.on_call = lambda command, rank=node.node.rank: begin(rank, command)
        node.on_end = lambda command, rank=node.node.rank: end(rank, command)
    run = fleet.check(full=full)
    await run.run()
    assert bad(run) == {}
    assert most == 3 * 4, "every node pings as wide as it may"


async def test_a_ping_is_sent_once_both_ends_are_known_and_waits_for_nobody_else(
    fleet: Any,
) -> None:
    hung = fleet.nodes[1].hung["-i 5 -ip -g"] = asyncio.Event()
    run = fleet.check()
    task = asyncio.create_task(run.run())
    async with asyncio.timeout(10):
        while {r.key.device for r in run.board if not r.status.final} != {5}:
            await asyncio.sleep(0)
    assert run.board.get(CellKey(1, 5, "ip")).status is Status.RUNNING, "what is asked now"
    assert run.board.get(ping(0, 5, 1)).status is Status.PENDING
    assert run.board.get(ping(0, 4, 1)).status is Status.PASS
    hung.set()
    await task
    assert bad(run) == {}


async def test_the_full_mesh_pings_every_pair_across_nodes(fleet: Any) -> None:
    run = fleet.check(only=frozenset({"ping"}), full=True)
    board = await run.run()
    pings = [r for r in board if r.key.check == "ping"]
    assert len(pings) == 2 * 8 * 8
    assert {r.key.node != r.key.peer_node for r in pings} == {True}
    assert bad(run) == {}


@pytest.mark.parametrize("capacity", [1, 2, 3])
async def test_a_busy_tool_is_asked_as_it_bears_and_nothing_is_lost(
    fleet: Any, capacity: int
) -> None:
    node, other = fleet.nodes
    node.capacity = capacity
    run = fleet.check(full=True)
    await run.run()
    assert bad(run) == {}
    once = 8 * 9 + 8 * 8
    tools = [c for c in node.calls if c.startswith("-i ")]
    assert once < len(tools) < once * 1.25, "busy is met at first, then ever more seldom"
    assert other.most == 4
    assert sum(c.startswith("-i ") for c in other.calls) == once


async def test_the_width_widens_again_once_the_tool_bears_more(fleet: Any) -> None:
    node = fleet.nodes[0]
    node.capacity = 1

    def relieve(command: str) -> None:
        if len(node.calls) == 40:
            node.capacity, node.most = 99, 0

    node.on_call = relieve
    await fleet.check(full=True).run()
    assert node.most == 4


async def test_the_width_is_never_more_than_allowed(fleet: Any) -> None:
    await fleet.check(width=2).run()
    assert [node.most for node in fleet.nodes] == [2, 2]


async def test_a_tool_that_stays_busy_is_an_error_after_a_bounded_number_of_tries(
    fleet: Any,
) -> None:
    fleet.nodes[0].override["-i 2 -link -g"] = [("", "Get lock failed.\n", 25)]
    run = fleet.check(only=frozenset({"link"}))
    board = await run.run()
    assert bad(run) == {CellKey(0, 2, "link"): Status.ERROR}
    assert "busy" in board.get(CellKey(0, 2, "link")).summary
    assert fleet.nodes[0].calls.count("-i 2 -link -g") == 7
    assert fleet.nodes[0].calls.count("-i 1 -link -g") == 1


@pytest.mark.parametrize(
    ("error", "ssh"),
    [
        (Unreachable("node 1 (198.51.100.2) does not answer.", node=1), Status.ERROR),
        (AuthenticationFailed("node 1 refused every key.", node=1), Status.FAIL),
        (HostKeyError("The host key of node 1 has changed.", node=1), Status.FAIL),
    ],
)
async def test_a_node_out_of_reach_costs_its_own_cells_only(
    fleet: Any, error: Exception, ssh: Status
) -> None:
    fleet.nodes[1].connect_error = error
    run = fleet.check()
    board = await run.run()
    assert board.get(CellKey(1, None, "ssh")).status is ssh
    for result in board:
        if result.key.node == 1:
            assert result.summary == str(error)
            assert result.status is (ssh if result.key.check == "ssh" else Status.ERROR)
        elif result.key.check == "ping":
            assert result.status is Status.ERROR
            assert "address of node 1 device" in result.summary
        else:
            assert result.status in (Status.PASS, Status.SKIPPED)
    assert exit_status(run) == 3
    found = findings(board, fleet.cluster)
    assert [f.where for f in found] == [[{"node": 1, "device": None}]]


async def test_a_connection_lost_in_the_middle_keeps_what_was_answered(fleet: Any) -> None:
    node = fleet.nodes[1]
    node.lost_after, node.error = 20, ConnectionLost("The connection to node 1 broke.", node=1)
    run = fleet.check()
    board = await run.run()
    mine = [r for r in board if r.key.node == 1]
    assert 1 + 20 <= sum(r.status is Status.PASS for r in mine) <= 1 + 20 + 1  # one tells two
    assert {r.summary for r in mine if r.status is Status.ERROR} == {
        "The connection to node 1 broke."
    }
    others = [r for r in board if r.key.node == 0 and r.key.check != "ping"]
    assert {r.status for r in others} == {Status.PASS, Status.SKIPPED}


async def test_a_hung_npu_is_asked_once_and_its_neighbours_are_not_disturbed(fleet: Any) -> None:
    node = fleet.nodes[0]
    for what in ("link", "lldp", "ip", "net_health", "netdetect", "gateway"):
        node.override[f"-i 5 -{what} -g"] = [HUNG]
    run = fleet.check()
    board = await run.run()
    assert [c for c in node.calls if c.startswith("-i 5 ")] == ["-i 5 -link -g"]
    wrong = {(k.node, k.device) for k in bad(run)}
    assert wrong == {(0, 5), (1, 5)}  # node 1 has nobody to ping there
    assert "NPU not responding" in board.get(CellKey(0, 5, "link")).summary
    found = findings(board, fleet.cluster)
    assert [(f.id, f.where) for f in found] == [("npu-not-responding", [{"node": 0, "device": 5}])]


@pytest.mark.parametrize("capacity", [99, 1])
async def test_a_hung_npu_delays_nobody_even_where_one_call_is_allowed_at_a_time(
    fleet: Any, monkeypatch: pytest.MonkeyPatch, capacity: int
) -> None:
    monkeypatch.setattr("wizard.checks.nodeline.OVERDUE_S", 0.05)
    node = fleet.nodes[0]
    node.capacity = capacity
    node.hung["-i 5 -link -g"] = asyncio.Event()
    run = fleet.check(width=1)
    task = asyncio.create_task(run.run())
    async with asyncio.timeout(20):
        # where the tool bears no second call, the hung one keeps it busy: then nothing can be done
        while capacity > 1 and {r.key.device for r in run.board if not r.status.final} != {5}:
            await asyncio.sleep(0.005)
    node.override["-i 5 -link -g"] = [HUNG]
    node.hung["-i 5 -link -g"].set()
    await task
    assert {(k.node, k.device) for k in bad(run)} == {(0, 5), (1, 5)}
    assert node.most <= 2, "the hung call and one more"


async def test_cancelling_answers_every_cell_and_leaves_nothing_running(fleet: Any) -> None:
    fleet.nodes[0].gate = asyncio.Event()  # never set: node 0 hangs
    run = fleet.check()
    task = asyncio.create_task(run.run())
    async with asyncio.timeout(5):
        while run.board.count(Status.PASS, node=1) < 8 * 9:
            await asyncio.sleep(0)
    assert run.running
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not run.running
    assert fleet.nodes[0].desks == 0
    assert not +fleet.nodes[0].running
    assert all(r.status.final for r in run.board)
    stopped = [r for r in run.board if r.key.node == 0 and r.key.check != "ssh"]
    stopped = [r for r in stopped if r.status is not Status.SKIPPED]
    assert {(r.status, r.summary) for r in stopped} == {
        (Status.ERROR, "cancelled before an answer came")
    }
    assert run.board.get(CellKey(1, 3, "link")).status is Status.PASS


async def test_a_link_down_is_the_one_thing_blamed(fleet: Any) -> None:
    here, there = fleet.nodes[1], fleet.nodes[0]
    here.override |= {
        "-i 3 -link -g": [DOWN],
        "-i 3 -lldp -g": [("", "", 0)],
        "-i 3 -net_health -g": [("net health status: Fault\n", "", 0)],
        "-i 3 -ping -g address 10.77.0.23": [LOST],
    }
    there.override["-i 3 -ping -g address 10.77.1.23"] = [LOST]
    run = fleet.check()
    board = await run.run()
    assert bad(run) == {
        CellKey(1, 3, "link"): Status.FAIL,
        CellKey(1, 3, "lldp"): Status.WARN,
        CellKey(1, 3, "net_health"): Status.FAIL,
        ping(1, 3, 0): Status.FAIL,
        ping(0, 3, 1): Status.FAIL,
    }
    (finding,) = findings(board, fleet.cluster)
    assert (finding.id, finding.severity) == ("link-down", "fail")
    assert finding.where == [{"node": 1, "device": 3}]
    assert finding.to_json()["explains"] == {"lldp": 1, "net_health": 1, "ping": 2}
    assert finding.fixes[0] == {
        "command": "hccn_tool -i 3 -link -s up",
        "node": 1,
        "device": 3,
        "risk": "safe",
        "why": "brings up a port that was taken down by a command",
    }


async def test_only_asks_for_what_its_verdicts_need_as_well(fleet: Any) -> None:
    run = fleet.check(only=frozenset({"net_health"}))
    assert {r.key.check for r in run.board} == {"net_health", "netdetect", "ip"}
    run = fleet.check(only=frozenset({"link"}))
    assert {r.key.check for r in run.board} == {"link"}
    with pytest.raises(UsageError, match="no check named lnk"):
        fleet.check(only=frozenset({"lnk"}))
    with pytest.raises(UsageError, match="1 to 16"):
        fleet.check(width=0)


async def test_what_a_product_does_not_have_is_skipped_but_not_what_the_guide_asks(
    fleet: Any,
) -> None:
    unknown = ("The command is not supported on this product.\n", "", 13)
    fleet.nodes[0].override |= {f"-i 2 -{name} -g": [unknown] for name in ("tls", "link")}
    run = fleet.check()
    board = await run.run()
    assert bad(run) == {CellKey(0, 2, "link"): Status.ERROR}
    assert board.get(CellKey(0, 2, "tls")).status is Status.SKIPPED
    with pytest.raises(UsageError, match="A2 nodes have no vnic"):
        fleet.check(only=frozenset({"vnic"}))


async def test_remote_text_is_sanitised_before_anything_shows_it(fleet: Any) -> None:
    evil = "\x1b]0;owned\x07link status: UP\x1b[31m\n"
    fleet.nodes[0].override["-i 0 -link -g"] = [(evil, "", 0)]
    run = fleet.check(only=frozenset({"link"}))
    board = await run.run()
    result = board.get(CellKey(0, 0, "link"))
    assert "\x1b" not in result.output + result.summary
    assert "\x07" not in result.output
