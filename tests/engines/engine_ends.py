"""How a launch with a real engine ends by itself, or does not: deaths, hands, pulled cables."""

from __future__ import annotations

import asyncio
import re

import pytest

from tests.engines.enginelab import NAME, VLLM, EngineLab
from tests.engines.launching import Followed, fleet_of, followed, launch_of, states

# What somebody does to the worker's container on its node, and what is said of it. The engine may
# be asked in the middle of a removal or a restart, or only after it.
BY_HAND = {
    "killed": (f"kill -9 $(pgrep -o -f '^/bin/sh {VLLM}')", r"exited with code 137 \(signal 9\)"),
    "stopped": (f"{{engine}} stop -t 9 {NAME}", r"exited with code 143 \(signal 15\)"),
    "quits": (f"{{engine}} stop -t 9 {NAME}", r"exited with code 0, though nobody stopped it here"),
    "removed": (
        f"{{engine}} {{remove}} {NAME}",
        r"(its container was removed|exited with code 137 \(signal 9\))",
    ),
    "restarted": (
        f"{{engine}} restart -t 0 {NAME}",
        r"(its container was restarted|exited with code (137|143) \(signal (9|15)\))",
    ),
}
every_hand = pytest.mark.parametrize("hand", BY_HAND)


async def ends(lab: EngineLab, launch: Followed, hand: str) -> None:
    """Lay hand on the worker, and see that it is named as the cause."""
    what, said = BY_HAND[hand]
    lab.nodes[1].run(what.format(engine=lab.engine, remove=lab.remove))
    await launch.over()
    told = launch.work.message
    assert re.match(rf"node 1 \({lab.nodes[1].address}\) failed: {said}", told), told
    assert launch.work.ranks[1].state == "failed"


@every_hand
async def test_a_worker_ends_while_it_loads(lab: EngineLab, hand: str) -> None:
    preset = lab.preset(pause=1.0, fault=f"1:{hand}")
    async with followed(preset) as launch:
        await launch.stage(1, "weights 2 of 4")
        await ends(lab, launch, hand)
        # node 0 dies of it as well, with an error of its own: it is not the cause
        assert launch.work.ranks[0].state == "aborted"
        assert await states(launch.work) == ["absent", "absent"]
    lab.nothing_left()
    for machine in lab.nodes if hand != "removed" else lab.nodes[:1]:
        kept = machine.run(f"cat /root/.v32-wizard/launches/{launch.work.launch_id}/serve.log")
        assert "25% Completed" in kept


@every_hand
async def test_a_worker_ends_while_the_model_is_served(lab: EngineLab, hand: str) -> None:
    preset = lab.preset(fault=f"1:{hand}")
    async with followed(preset) as launch:
        await launch.ready()
        await ends(lab, launch, hand)
        assert not launch.work.ready.is_set()
        report = await launch.work.status()
        left = {"removed": "absent", "restarted": "running"}.get(hand, "exited")
        assert [node.state for node in report.nodes] == ["running", left]
        if hand != "restarted":
            assert report.serving is False  # though node 0 still says so
        assert await launch.work.stop() == []
    lab.nothing_left()


def test_out_of_memory_on_the_worker_is_named_by_the_command(lab: EngineLab) -> None:
    lab.preset(fault="1:oom")
    said = lab.wizard("launch", "--yes", "--skip-checks", status=1)
    assert f"node 1 ({lab.nodes[1].address}) failed: exited with code 1" in said
    assert "NPU 0 ran out of memory while 896.00 MiB were asked for" in said
    assert "Traceback" not in said
    lab.nothing_left()


async def test_a_container_that_somebody_freezes(lab: EngineLab) -> None:
    worker = lab.nodes[1]
    try:
        async with followed(lab.preset()) as launch:
            await launch.ready()
            worker.run(f"{lab.engine} pause {NAME}")
            await launch.state(1, "unreachable")
            assert "is paused: somebody froze it" in launch.work.ranks[1].detail
            assert launch.work.state != "failed"
            worker.run(f"{lab.engine} unpause {NAME}")
            await launch.state(1, "ready")
            worker.run(f"{lab.engine} pause {NAME}")
            said = await asyncio.to_thread(lab.wizard_says, "status")
            assert "this node is done, waits for node 1, which is paused" in said
            assert await launch.work.stop() == []
        lab.nothing_left()
    finally:
        worker.run(
            f"{lab.engine} unpause {NAME}", status=None
        )  # frozen, it could not even be killed


# -- a node out of reach


async def test_out_of_reach_is_not_dead(lab: EngineLab) -> None:
    async with followed(lab.preset()) as launch:
        await launch.ready()
        lab.room.cut(lab.nodes[1])
        await launch.state(1, "unreachable")
        assert launch.work.state != "failed"
        lab.room.join(lab.nodes[1])
        await launch.state(1, "ready")
        assert launch.work.state == "ready"
        lines = launch.work.ranks[1].log.tail(100)
        assert len(lines) == len(set(lines)) > 5  # resumed, nothing twice
        assert await launch.work.stop() == []
    lab.nothing_left()


async def test_out_of_reach_while_it_loads_is_not_ready(lab: EngineLab) -> None:
    async with followed(lab.preset(pause=3.0)) as launch:
        work = launch.work
        await launch.stage(1, "weights")
        lab.room.cut(lab.nodes[1])
        await launch.state(1, "unreachable")
        assert work.state == "waiting"  # though node 0 may serve meanwhile
        lab.room.join(lab.nodes[1])
        await launch.ready()
        assert await work.stop() == []
    lab.nothing_left()


async def test_stop_while_a_node_is_out_of_reach(lab: EngineLab) -> None:
    preset = lab.preset()
    async with fleet_of(preset) as fleet:
        work = launch_of(fleet, preset)
        await work.start()
        lab.room.cut(lab.nodes[1])
        (problem,) = await work.stop()
        assert f"may be left on node 1 ({lab.nodes[1].address})" in problem
        assert lab.containers()[0] == []
        lab.room.join(lab.nodes[1])
        assert await work.stop() == []
    lab.nothing_left()
