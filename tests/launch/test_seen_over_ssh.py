"""Nodes that are lost in the midst of a start, over real SSH: named, told apart from dead ones, and
what they were again once they answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.launch.bench import until
from tests.launch.simulated import LIMIT_S, played
from tests.launch.test_gang_over_ssh import names
from tests.launch.ways import Way, by_ways
from wizard.launch import Launch, headstart, lookout, watch
from wizard.remote import dial
from wizard.remote.api import Completed
from wizard.remote.fleet import open_fleet
from wizard.simulator.cluster import SimulatedCluster

HEAD_WAITS = "launch: [{node: 0, at: start, does: hangs}]"


@pytest.fixture(autouse=True)
def _quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads the user's own ssh_config, known_hosts or agent; silence is noticed soon."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setattr(headstart, "_POLL_S", 0.1)
    monkeypatch.setattr(dial, "_DROPPED_S", (0.1,))
    monkeypatch.setattr(lookout, "ANSWER_S", 0.5)
    monkeypatch.setattr(watch, "ANSWER_S", 0.5)


@asynccontextmanager
async def starting(
    folder: Path, scenario: str = "{}"
) -> AsyncIterator[tuple[SimulatedCluster, Launch, list[Way], asyncio.Task[None]]]:
    """A start that goes on, over ways that can fall silent; what it made is gone afterwards."""
    async with (
        asyncio.timeout(LIMIT_S),
        played(scenario, folder) as (simulated, direct, _),
        by_ways(direct, folder) as (preset, ways),
        open_fleet(preset.cluster) as fleet,
    ):
        work = Launch(fleet, preset, interval_s=0.1)
        task = asyncio.create_task(work.start())
        try:
            yield simulated, work, list(ways), task
        finally:
            for way in ways:
                way.speak()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await work.stop()
            assert names(simulated) == [[], []]


async def test_a_worker_that_falls_silent_while_node_0_loads_is_seen_and_comes_back(
    tmp_path: Path,
) -> None:
    async with starting(tmp_path, HEAD_WAITS) as (simulated, work, ways, task):
        head, worker = work.ranks
        await until(lambda: "RPC port 13389" in worker.detail, limit_s=LIMIT_S)
        ways[1].fall_silent()
        await until(lambda: worker.state == "unreachable", limit_s=LIMIT_S)
        assert worker.detail.startswith("no answer since ")
        assert (work.state, task.done()) == ("starting", False)  # nothing is ended on a guess
        ways[1].speak()
        await until(lambda: worker.state == "starting", limit_s=LIMIT_S)
        assert "RPC port 13389" in worker.detail
        # a container that is gone is another matter
        (container,) = simulated.daemon.containers[1]  # type: ignore[union-attr]
        done = await work._nodes[1].remote.run(f"docker rm -f {container.id}")
        assert done.exit_status == 0
        await asyncio.wait([task])
        assert f"node 1 ({worker.host}) failed: its container was removed" in work.message
        assert (head.state, worker.state) == ("aborted", "failed")


async def test_node_0_that_ends_before_its_port_is_open_is_named(tmp_path: Path) -> None:
    async with starting(tmp_path, HEAD_WAITS) as (_, work, ways, task):
        await until(lambda: work.ranks[0].state == "running", limit_s=LIMIT_S)
        ways[1].fall_silent()  # one that is silent keeps no other from being named
        assert (await work._nodes[0].remote.run("docker kill vllm-ascend")).exit_status == 0
        await until(lambda: work.ranks[0].state == "failed", limit_s=LIMIT_S)
        assert "exited with code 137" in work.ranks[0].detail
        ways[1].speak()
        await asyncio.wait([task])
        assert [rank.state for rank in work.ranks] == ["failed", "aborted"]


async def test_a_step_that_hangs_on_a_silent_node_goes_on_when_it_speaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with starting(tmp_path) as (simulated, work, ways, task):
        node, begun = work._nodes[1], asyncio.Event()
        permitted = node.permitted

        async def creating(command: str, timeout_s: float, **more: Any) -> Completed:
            if "container.sh create" in command and not begun.is_set():
                begun.set()
                ways[1].fall_silent()
            return await permitted(command, timeout_s, **more)

        monkeypatch.setattr(node, "permitted", creating)
        await until(begun.is_set, limit_s=LIMIT_S)
        await until(lambda: work.ranks[1].state == "unreachable", limit_s=LIMIT_S)
        assert work.state == "starting"
        ways[1].speak()
        await task
        assert [rank.state for rank in work.ranks] == ["running", "running"]
        assert names(simulated) == [["vllm-ascend"], ["vllm-ascend"]]


async def test_a_worker_that_is_away_when_its_turn_comes_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes = asyncio.Event()
    listens = headstart.HeadStart._listens

    async def held(self: headstart.HeadStart, port: int) -> bool:
        return await listens(self, port) and goes.is_set()

    monkeypatch.setattr(headstart.HeadStart, "_listens", held)
    async with starting(tmp_path) as (simulated, work, ways, task):
        worker = work.ranks[1]
        await until(lambda: "RPC port 13389" in worker.detail, limit_s=LIMIT_S)
        await simulated.take_away(1)
        ways[1].reset()
        await until(lambda: worker.state == "unreachable", limit_s=LIMIT_S)
        goes.set()
        await until(lambda: worker.detail.startswith("tried again until "), limit_s=LIMIT_S)
        assert "before the login" in worker.detail  # why, at once: the line has little room
        assert worker.host not in worker.detail
        await simulated.bring_back(1)
        await task
        assert (work.state, worker.state) == ("waiting", "running")


async def test_a_broken_connection_that_is_opened_anew_at_once_is_not_out_of_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout, "ANSWER_S", 20.0)  # however busy this machine is
    async with starting(tmp_path, HEAD_WAITS) as (_, work, ways, _task):
        node = work._nodes[1]
        seen: list[str] = []
        touch = node.touch

        def look() -> None:
            seen.append(node.state.state)
            touch()

        await until(lambda: "RPC port 13389" in node.state.detail, limit_s=LIMIT_S)
        monkeypatch.setattr(node, "touch", look)
        before = ways[1].opened
        for way in ways:
            way.reset()
        await until(lambda: ways[1].opened > before, limit_s=LIMIT_S)
        answered = asyncio.Event()
        in_reach = node.in_reach

        def reached(*, engine: bool = False) -> None:
            in_reach(engine=engine)
            answered.set()

        monkeypatch.setattr(node, "in_reach", reached)
        await asyncio.wait_for(answered.wait(), LIMIT_S)
        assert "unreachable" not in seen
