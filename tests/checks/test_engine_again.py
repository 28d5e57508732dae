"""The engine again: a run resumed, cells asked anew, and what is tried once more."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.checks.enginecells import DOWN, LOST, PART, bad, ping
from wizard.checks.model import CellKey, Status
from wizard.checks.outcome import exit_status
from wizard.errors import (
    UsageError,
)


async def test_a_stopped_run_keeps_its_answers_and_is_resumed_where_it_was(fleet: Any) -> None:
    node = fleet.nodes[0]
    node.hung = {f"-i {d} -tls -g": asyncio.Event() for d in range(8)}
    run = fleet.check()
    assert not run.cancel()
    task = asyncio.create_task(run.run())
    async with asyncio.timeout(10):
        while run.board.count(Status.PASS, node=1) < 8 * 9:
            await asyncio.sleep(0)
    assert run.cancel()
    await task  # ends by itself: stopping is no error of whoever started it
    assert not run.running
    kept = [r.key for r in run.board if r.status is Status.PASS]
    stopped = [r.key for r in run.board if r.value.get("problem") == "cancelled"]
    assert len(kept) > 8 * 9 + 15
    assert stopped
    assert all(r.status.final for r in run.board)
    assert run.estimate() > 0
    node.hung.clear()
    before = [list(n.calls) for n in fleet.nodes]
    await run.resume()
    assert bad(run) == {}
    again = [n.calls[len(b) :] for n, b in zip(fleet.nodes, before, strict=True)]
    asked = {(0, c) for c in again[0]} | {(1, c) for c in again[1]}
    assert len(asked) <= len(stopped)
    assert run.progress == (len(run.board), len(run.board))


async def test_the_full_mesh_adds_what_was_not_pinged_and_says_how_long_it_takes(
    fleet: Any,
) -> None:
    run = fleet.check()
    first = run.estimate()
    assert first == pytest.approx((8 * 9 + 8) * 0.35 / 4)
    await run.run()
    assert run.estimate() == 0
    assert run.estimate(full=True) == pytest.approx((64 - 8) * 0.1 / 4)  # calls took 0.1 s
    calls = [len(node.calls) for node in fleet.nodes]
    await run.run_mesh()
    assert [len(n.calls) - c for n, c in zip(fleet.nodes, calls, strict=True)] == [56, 56]
    assert len([r for r in run.board if r.key.check == "ping"]) == 2 * 64
    assert bad(run) == {}


async def test_a_link_that_went_down_since_the_last_check_flaps(fleet: Any) -> None:
    command = "-i 2 -link_stat -g"

    def said(downs: int) -> tuple[str, str, int]:
        lines = ["current time : Mon Mar  2 11:12:13 2026", "link up count : 9"]
        lines += [f"link down count : {downs}", "link change records : NA"]
        return "".join(f"[devid 2] {line}\n" for line in lines), "", 0

    fleet.nodes[0].override[command] = [said(3), said(3), said(4)]
    run = fleet.check(only=frozenset({"link_stat"}))
    key = CellKey(0, 2, "link_stat")
    await run.run()
    await run.rerun([key])
    assert bad(run) == {}
    await run.rerun([key])
    assert bad(run) == {key: Status.WARN}
    assert run.board.get(key).summary == "the link went down 1 more times since the last check"


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
