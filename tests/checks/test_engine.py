"""The engine: what is asked when, and what becomes of nodes that do not answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

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

DOWN = ("link status: DOWN\n", "", 0)
LOST = ("recv time out seq=0\n3 packets transmitted, 0 received, 100.00% packet loss\n", "", 0)
PART = ("recv time out seq=1\n3 packets transmitted, 2 received, 33.33% packet loss\n", "", 0)
HUNG = ("", "", 124)


def bad(run: Any) -> dict[CellKey, Status]:
    return {r.key: r.status for r in run.board if r.status is not Status.PASS}


def ping(node: int, device: int, peer: int) -> CellKey:
    return CellKey(node, device, "ping", peer, device)


async def test_a_healthy_cluster_passes_every_cell(fleet: Any) -> None:
    run = fleet.check()
    board = await run.run()
    assert bad(run) == {}
    assert len(board) == 2 * (2 + 8 * 6 + 8)
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


async def test_pings_wait_for_all_addresses_and_no_device_is_in_two_pings_at_a_time(
    make_fleet: Any,
) -> None:
    fleet = make_fleet(4)
    rounds: list[tuple[int, list[str]]] = []
    for node in fleet.nodes:
        node.on_batch = lambda commands, rank=node.node.rank: rounds.append((rank, commands))
    await fleet.check().run()
    pinged = [(rank, commands) for rank, commands in rounds if "-ping" in commands[0]]
    first = rounds.index(pinged[0])
    assert all("-ping" in commands[0] for _, commands in rounds[first:])
    assert len(pinged) == 3 * 4  # three rounds, each with one batch per node
    for start in range(0, len(pinged), 4):
        one_round = pinged[start : start + 4]
        targets = [c.split()[-1] for _, commands in one_round for c in commands]
        sources = [(rank, c.split()[1]) for rank, commands in one_round for c in commands]
        assert len(set(targets)) == len(targets) == 32
        assert len(set(sources)) == len(sources) == 32


async def test_the_full_mesh_pings_every_pair_across_nodes(fleet: Any) -> None:
    run = fleet.check(only=frozenset({"ping"}), full=True)
    board = await run.run()
    pings = [r for r in board if r.key.check == "ping"]
    assert len(pings) == 2 * 8 * 8
    assert {r.key.node != r.key.peer_node for r in pings} == {True}
    assert bad(run) == {}


async def test_a_busy_tool_is_asked_again_more_and_more_narrowly(fleet: Any) -> None:
    node = fleet.nodes[0]
    node.capacity = 1
    run = fleet.check()
    await run.run()
    assert bad(run) == {}
    widths = [width for width, _ in node.batches]
    assert widths[:3] == [4, 2, 1]
    assert set(widths[3:]) == {1}
    assert {width for width, _ in fleet.nodes[1].batches} == {4}


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
            assert result.status is Status.PASS
    assert exit_status(run) == 3
    found = findings(board, fleet.cluster)
    assert [f.where for f in found] == [[{"node": 1, "device": None}]]


async def test_a_connection_lost_in_the_middle_keeps_what_was_answered(fleet: Any) -> None:
    node = fleet.nodes[1]
    node.lost_after, node.error = 20, ConnectionLost("The connection to node 1 broke.", node=1)
    run = fleet.check()
    board = await run.run()
    mine = [r for r in board if r.key.node == 1]
    assert sum(r.status is Status.PASS for r in mine) == 1 + 20
    assert {r.summary for r in mine if r.status is Status.ERROR} == {
        "The connection to node 1 broke."
    }
    others = [r for r in board if r.key.node == 0 and r.key.check != "ping"]
    assert {r.status for r in others} == {Status.PASS}


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


async def test_cancelling_answers_every_cell_and_stops_the_batch(fleet: Any) -> None:
    fleet.nodes[0].gate = asyncio.Event()  # never set: node 0 hangs
    run = fleet.check()
    task = asyncio.create_task(run.run())
    async with asyncio.timeout(5):
        while run.board.count(Status.PASS, node=1) < 8 * 6:
            await asyncio.sleep(0)
    assert run.running
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not run.running
    assert fleet.nodes[0].closed == 1
    assert all(r.status.final for r in run.board)
    stopped = [r for r in run.board if r.key.node == 0 and r.key.check != "ssh"]
    assert {(r.status, r.summary) for r in stopped} == {
        (Status.ERROR, "cancelled before an answer came")
    }
    assert run.board.get(CellKey(1, 3, "link")).status is Status.PASS


async def test_rerun_asks_these_cells_only_and_the_verdict_follows(fleet: Any) -> None:
    node = fleet.nodes[1]
    node.override["-i 3 -link -g"] = [DOWN, ("link status: UP\n", "", 0)]
    run = fleet.check()
    await run.run()
    key = CellKey(1, 3, "link")
    assert bad(run) == {key: Status.FAIL}
    asked = len(node.calls), len(fleet.nodes[0].calls)
    await run.rerun([key])
    assert bad(run) == {}
    assert (len(node.calls), len(fleet.nodes[0].calls)) == (asked[0] + 1, asked[1])


async def test_rerun_of_a_ping_uses_the_address_known_from_before(fleet: Any) -> None:
    target = "-i 2 -ping -g address 10.77.1.22"
    fleet.nodes[0].override[target] = [LOST]
    run = fleet.check()
    await run.run()
    assert bad(run) == {ping(0, 2, 1): Status.FAIL}
    del fleet.nodes[0].override[target]
    await run.rerun([ping(0, 2, 1)])
    assert bad(run) == {}


async def test_rerun_of_a_cell_mends_the_verdict_of_another(fleet: Any) -> None:
    twin = ("ipaddr:10.77.0.20\nnetmask:255.255.0.0\n", "", 0)
    mended = ("ipaddr:10.77.1.20\nnetmask:255.255.0.0\n", "", 0)
    fleet.nodes[1].override["-i 0 -ip -g"] = [twin, mended]
    run = fleet.check(only=frozenset({"ip"}))
    board = await run.run()
    assert bad(run) == {CellKey(r, 0, "ip"): Status.FAIL for r in (0, 1)}
    assert "node 1 device 0" in board.get(CellKey(0, 0, "ip")).summary
    await run.rerun([CellKey(1, 0, "ip")])
    assert bad(run) == {}


async def test_rerun_refuses_a_cell_that_is_not_in_the_run(fleet: Any) -> None:
    run = fleet.check(only=frozenset({"link"}))
    await run.run()
    with pytest.raises(UsageError, match="not in this run"):
        await run.rerun([CellKey(0, 0, "gateway")])


async def test_partial_loss_is_tried_once_more_and_total_loss_is_not(fleet: Any) -> None:
    good = ("3 packets transmitted, 3 received, 0.00% packet loss\n", "", 0)
    first, second, third = (f"-i {i} -ping -g address 10.77.1.{20 + i}" for i in (1, 2, 3))
    fleet.nodes[0].override |= {first: [PART, good], second: [PART], third: [LOST]}
    run = fleet.check()
    await run.run()
    assert bad(run) == {ping(0, 2, 1): Status.FAIL, ping(0, 3, 1): Status.FAIL}
    assert [fleet.nodes[0].calls.count(c) for c in (first, second, third)] == [2, 2, 1]


async def test_a_health_that_is_settling_is_read_once_more(fleet: Any) -> None:
    success = ("net health status: Success\n", "", 0)
    node = fleet.nodes[0]
    node.override["-i 0 -net_health -g"] = [("net health status: Detect ip set\n", "", 0), success]
    node.override["-i 1 -net_health -g"] = [("net health status: Init\n", "", 0)]
    node.override["-i 2 -net_health -g"] = [("net health status: Init\n", "", 0)]
    node.override["-i 2 -netdetect -g"] = [("netdetect addr: 0.0.0.0\n", "", 0)]
    run = fleet.check()
    await run.run()
    assert bad(run) == {
        CellKey(0, 1, "net_health"): Status.FAIL,  # watches something, and never began
        CellKey(0, 2, "net_health"): Status.WARN,
        CellKey(0, 2, "netdetect"): Status.WARN,
    }
    assert [node.calls.count(f"-i {i} -net_health -g") for i in (0, 1, 2)] == [2, 2, 1]
    assert exit_status(run) == 1


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


async def test_remote_text_is_sanitised_before_anything_shows_it(fleet: Any) -> None:
    evil = "\x1b]0;owned\x07link status: UP\x1b[31m\n"
    fleet.nodes[0].override["-i 0 -link -g"] = [(evil, "", 0)]
    run = fleet.check(only=frozenset({"link"}))
    board = await run.run()
    result = board.get(CellKey(0, 0, "link"))
    assert "\x1b" not in result.output + result.summary
    assert "\x07" not in result.output
