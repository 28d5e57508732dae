"""Following a launch to ready and on, and finding it again, on the bench."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.launch.bench import FakeFleet, launch, preset, started, until
from wizard.errors import Unreachable

pytestmark = pytest.mark.usefixtures("no_devices")


async def test_followed_to_ready_and_on(fleet: FakeFleet) -> None:
    work = await started(fleet)
    follow = asyncio.create_task(work.follow())
    head, worker = fleet.nodes
    worker.says("50% Completed | 82/163 [03:00<02:10,  1.60it/s]")
    await until(lambda: work.ranks[1].stage == "weights 82 of 163")
    assert "02:10 left" in work.ranks[1].detail
    await until(lambda: "no tunnel leads there" in work.ranks[0].silence)
    async with fleet.serving():
        await asyncio.wait_for(work.ready.wait(), 10)
        assert work.ranks[0].silence == ""
        assert work.state == "ready"
        assert [r.state for r in work.ranks] == ["ready", "ready"]
        assert not follow.done()
        worker.dies(0)  # lesson 5: /health goes on saying 200
        await asyncio.wait_for(follow, 10)
    assert work.state == "failed"
    assert "node 1 (10.0.0.12) failed: exited with code 0" in work.message
    assert head.status == "running"  # nothing is killed once it has served
    assert not work.ready.is_set()


async def test_until_ready_returns_and_leaves_it_running(fleet: FakeFleet) -> None:
    work = await started(fleet)
    async with fleet.serving():
        await asyncio.wait_for(work.follow(until_ready=True), 10)
    assert work.state == "ready"
    assert [n.status for n in fleet.nodes] == ["running", "running"]
    assert [n.streams for n in fleet.nodes] == [0, 0]


async def test_serving_is_not_ready_while_a_node_is_out_of_reach(fleet: FakeFleet) -> None:
    work = await started(fleet)
    fleet.nodes[1].unreachable = True
    follow = asyncio.create_task(work.follow(until_ready=True))
    await until(lambda: work.ranks[1].state == "unreachable")
    async with fleet.serving():
        asked = fleet.nodes[0].calls("inspect")
        await until(lambda: fleet.nodes[0].calls("inspect") > asked + 2)
        assert work.state == "waiting"
        fleet.nodes[1].unreachable = False
        await asyncio.wait_for(follow, 10)
    assert work.state == "ready"


async def test_cancelling_follow_leaves_the_launch_and_no_stream(fleet: FakeFleet) -> None:
    work = await started(fleet)
    follow = asyncio.create_task(work.follow())
    await until(lambda: all(node.streams for node in fleet.nodes))
    follow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await follow
    assert [n.status for n in fleet.nodes] == ["running", "running"]
    assert [n.streams for n in fleet.nodes] == [0, 0]


async def test_a_worker_that_dies_is_the_cause_and_the_others_are_aborted(
    fleet: FakeFleet,
) -> None:
    work = await started(fleet)
    head, worker = fleet.nodes
    worker.says("(Worker pid=3) ERROR 11-20 10:12:33 [x.py:1] RuntimeError: NPU out of memory")
    worker.dies(1)
    await asyncio.wait_for(work.follow(), 10)
    assert work.state == "failed"
    assert [r.state for r in work.ranks] == ["aborted", "failed"]
    assert "node 1 (10.0.0.12) failed: exited with code 1" in work.message
    assert "RuntimeError: NPU out of memory" in work.message
    assert head.status == "absent"
    assert worker.status == "absent"
    saved = worker.home / ".v32-wizard/launches" / work.launch_id / "serve.log"
    assert "out of memory" in saved.read_text()


async def test_the_first_to_fail_is_the_cause(fleet: FakeFleet) -> None:
    work = await started(fleet)
    fleet.nodes[0].dies(1, ago_s=2)
    fleet.nodes[1].dies(1, ago_s=30)
    await asyncio.wait_for(work.follow(), 10)
    assert [r.state for r in work.ranks] == ["aborted", "failed"]


async def test_a_removed_container_is_a_death(fleet: FakeFleet) -> None:
    work = await started(fleet)
    follow = asyncio.create_task(work.follow())
    await until(lambda: fleet.nodes[1].streams)
    for path in fleet.nodes[1].files.glob("*.json"):
        path.unlink()
    await asyncio.wait_for(follow, 10)
    assert "node 1 (10.0.0.12) failed: its container was removed" in work.message


async def test_one_node_needs_no_rpc_port(tmp_path: Path) -> None:
    fleet = FakeFleet(preset(1), tmp_path)
    work = launch(fleet)
    await asyncio.wait_for(work.start(), 10)
    async with fleet.serving():
        await asyncio.wait_for(work.follow(until_ready=True), 10)
    assert work.state == "ready"


async def test_attach_finds_it_again_with_logs_from_the_start(fleet: FakeFleet) -> None:
    first = await started(fleet)
    fleet.nodes[1].says("GPU KV cache size: 1,024 tokens", "one more")
    second = launch(fleet)
    assert await second.attach()
    assert second.launch_id == first.launch_id
    async with fleet.serving():
        follow = asyncio.create_task(second.follow())
        await until(lambda: second.ranks[1].log.end == 2)
        await asyncio.wait_for(second.ready.wait(), 10)
        assert second.message.endswith("is served by node 0 (10.0.0.11)"), "since when, who knows"
        follow.cancel()
    assert second.ranks[1].log.tail(1) == ["one more"]


async def test_attach_without_a_launch(fleet: FakeFleet) -> None:
    fleet.nodes[0].stranger("vllm-ascend")
    assert not await launch(fleet).attach()
    for node in fleet.nodes:
        node.unreachable = True
    with pytest.raises(Unreachable):
        await launch(fleet).attach()


async def test_a_dropped_log_is_resumed_without_doubles(fleet: FakeFleet) -> None:
    work = await started(fleet)
    follow = asyncio.create_task(work.follow())
    worker, log = fleet.nodes[1], work.ranks[1].log
    worker.says("one", "two")
    await until(lambda: log.end == 2)
    worker.unreachable = True
    worker.says("three")  # the stream breaks when its next chunk comes
    await until(lambda: worker.streams == 0)
    worker.unreachable = False
    worker.says("four")
    await until(lambda: log.end == 4)
    assert log.tail(9) == ["one", "two", "three", "four"]
    follow.cancel()
    await asyncio.gather(follow, return_exceptions=True)


async def test_every_change_moves_the_revision(fleet: FakeFleet) -> None:
    work = await started(fleet)
    follow = asyncio.create_task(work.follow())
    await until(lambda: all(node.streams for node in fleet.nodes))
    seen = work.revision
    fleet.nodes[1].says("hello")
    await until(lambda: work.revision > seen)
    follow.cancel()
    await asyncio.gather(follow, return_exceptions=True)


async def test_a_start_that_was_cut_off_and_has_failed_is_not_started_again(
    fleet: FakeFleet,
) -> None:
    await started(fleet)
    entry = fleet.nodes[1].container
    fleet.nodes[1].put(entry | {"State": entry["State"] | {"Status": "created"}})
    fleet.nodes[0].dies(3)
    fleet.nodes[0].listens()
    begun = fleet.nodes[0].calls("start")
    other = launch(fleet)
    assert await other.attach()
    await asyncio.wait_for(other.follow(), 20)
    assert "node 0 (10.0.0.11) failed: exited with code 3" in other.message
    assert fleet.nodes[0].calls("start") == begun
    assert [node.containers() for node in fleet.nodes] == [[], []]


async def test_what_has_served_is_not_ended_by_who_finds_it_with_one_rank_dead(
    fleet: FakeFleet,
) -> None:
    await started(fleet)
    fleet.nodes[0].says("INFO:     Application startup complete.")
    fleet.nodes[1].dies(1)
    other = launch(fleet)
    assert await other.attach()
    await asyncio.wait_for(other.follow(), 20)
    assert (other.state, other.ranks[1].state) == ("failed", "failed")
    assert "stop, and launch again" in other.message
    assert fleet.nodes[0].status == "running"
