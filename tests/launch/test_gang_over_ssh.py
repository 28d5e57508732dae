"""All or none, over real SSH on the simulated cluster: two wizards, broken connections, deaths."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.launch.bench import until
from tests.launch.simulated import LIMIT_S, played
from wizard.errors import RemoteError
from wizard.launch import Launch, engine, headstart, pending
from wizard.launch.conflict import Taken
from wizard.launch.fence import owner
from wizard.launch.logfile import launches_dir
from wizard.presets import Preset
from wizard.remote import dial
from wizard.remote.api import Fleet
from wizard.scripts import image
from wizard.simulator.cluster import SimulatedCluster


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads the user's own ssh_config, known_hosts or agent."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setattr(headstart, "_POLL_S", 0.1)
    monkeypatch.setattr(dial, "_DROPPED_S", (0.1,))  # of a connection that is refused: tried again


def launch(fleet: Fleet, preset: Preset) -> Launch:
    return Launch(fleet, preset, interval_s=0.1)


@asynccontextmanager
async def started(
    tmp_path: Path, scenario: str = "{}"
) -> AsyncIterator[tuple[SimulatedCluster, Fleet, Launch]]:
    """A cluster that plays a scenario, and a launch on it whose containers run."""
    async with played(scenario, tmp_path) as (simulated, preset, fleet), asyncio.timeout(LIMIT_S):
        work = launch(fleet, preset)
        await work.start()
        yield simulated, fleet, work


def names(simulated: SimulatedCluster) -> list[list[str]]:
    """The names of the containers, by node."""
    assert simulated.daemon is not None
    return [[c.spec.name for c in found] for found in simulated.daemon.containers.values()]


async def test_two_wizards_at_once_exactly_one_wins(tmp_path: Path) -> None:
    async with played("{}", tmp_path) as (simulated, preset, fleet), asyncio.timeout(LIMIT_S):
        works = [launch(fleet, preset), launch(fleet, preset)]
        ends = await asyncio.gather(*(w.start() for w in works), return_exceptions=True)
        ((winner, loser, error),) = [
            (works[i], works[1 - i], ends[1 - i]) for i in (0, 1) if ends[i] is None
        ]
        assert isinstance(error, Taken)
        assert loser.conflict is not None
        assert loser.conflict.what == "preset"
        assert f"launch {winner.launch_id}, launched by {owner()}, since 20" in str(error)
        assert await loser.attach()
        assert loser.launch_id == winner.launch_id
        assert await winner.stop() == []
        assert names(simulated) == [[], []]


@pytest.mark.parametrize(
    "drops",
    [
        "{node: 0, command: create}, {node: 1, command: create, when: before}",
        "{node: 0, command: start, when: before}, {node: 1, command: start}",
        "{node: 1, command: stop}, {node: 0, command: stop, when: before}, {node: 0, command: rm}",
    ],
    ids=["create", "start", "stop"],
)
async def test_a_connection_that_breaks_in_a_step_is_no_failure(tmp_path: Path, drops: str) -> None:
    async with (
        played(f"drops: [{drops}]", tmp_path) as (simulated, preset, fleet),
        asyncio.timeout(LIMIT_S),
    ):
        work = launch(fleet, preset)
        await work.start()
        assert work.state == "waiting"
        assert names(simulated) == [["vllm-ascend"], ["vllm-ascend"]]
        assert await work.stop() == []
        assert names(simulated) == [[], []]
        assert simulated.daemon is not None
        assert simulated.daemon._drops == []  # every one of them has happened


async def test_a_node_that_goes_away_mid_start_stops_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "RECONNECT_S", 0.5)
    async with (
        played("timing: {stages: {start: 90}}", tmp_path) as (simulated, preset, fleet),
        asyncio.timeout(LIMIT_S),
    ):
        work = launch(fleet, preset)
        start = asyncio.create_task(work.start())
        await until(lambda: work.ranks[0].state == "running", limit_s=LIMIT_S)
        await simulated.take_away(1)
        with pytest.raises(RemoteError, match="node 1"):
            await start
        assert [rank.state for rank in work.ranks] == ["aborted", "unreachable"]
        assert names(simulated) == [[], ["vllm-ascend"]]
        (left,) = pending.every()
        assert (left.rank, left.host) == (1, preset.nodes[1].host)

        await simulated.bring_back(1)
        assert await launch(fleet, preset).stop() == []
        assert names(simulated) == [[], []]
        assert pending.every() == []


async def test_a_strangers_name_is_told_and_left_alone(tmp_path: Path) -> None:
    async with played("{}", tmp_path) as (simulated, preset, fleet), asyncio.timeout(LIMIT_S):
        stranger = f"docker run -d --name vllm-ascend {image(preset)} sleep 300"
        assert (await fleet.remotes[1].run(stranger)).exit_status == 0
        assert simulated.daemon is not None
        (before,) = simulated.daemon.containers[1]
        work = launch(fleet, preset)
        with pytest.raises(Taken, match=r"vllm-ascend is taken on node 1 .*not one of ours"):
            await work.start()
        assert await work.stop() == []
        assert simulated.daemon.containers[1] == [before]
        assert before.running
        assert names(simulated)[0] == []


async def test_a_rank_that_ends_with_code_0_is_the_cause(tmp_path: Path) -> None:
    scenario = "launch: [{node: 1, at: load, does: exits}]"
    async with started(tmp_path, scenario) as (simulated, _, work):
        await work.follow()
        assert [rank.state for rank in work.ranks] == ["aborted", "failed"]
        assert "exited with code 0, though nobody stopped it" in work.message
        assert names(simulated) == [[], []]


async def test_what_only_cann_says_is_fetched_and_becomes_the_cause(tmp_path: Path) -> None:
    scenario = "launch: [{node: 1, at: load, does: hccl_port}]"
    async with started(tmp_path, scenario) as (simulated, _, work):
        await work.follow()
        assert work.diagnosis is not None
        cause = work.diagnosis.causes[0]
        assert (cause.signature.id, cause.node) == ("hccl_listen_port_16666", 1)
        (kept,) = (launches_dir() / work.launch_id).rglob("plog-*.log")
        assert cause.file == str(kept)
        assert kept.stat().st_mode & 0o777 == 0o600
        # the node itself keeps it as well, and vLLM's log
        folder = simulated.nodes[1].home / ".v32-wizard/launches" / work.launch_id
        assert (folder / "serve.log").exists()
        assert [path.name for path in folder.rglob("plog-*.log")] == [kept.name]


async def test_node_0_that_dies_after_ready_is_named_and_stop_clears_up(tmp_path: Path) -> None:
    async with started(tmp_path) as (simulated, fleet, work):
        follow = asyncio.create_task(work.follow())
        await work.ready.wait()
        assert (await fleet.remotes[0].run("docker kill vllm-ascend")).exit_status == 0
        await follow
        assert work.state == "failed"
        assert not work.ready.is_set()
        assert f"node 0 ({work.preset.nodes[0].host}) failed: exited with code" in work.message
        assert names(simulated) == [["vllm-ascend"], ["vllm-ascend"]]  # nothing is ended on a guess
        assert await work.stop() == []
        assert names(simulated) == [[], []]


async def test_a_container_that_somebody_removes_before_ready(tmp_path: Path) -> None:
    scenario = "launch: [{node: 1, at: load, does: hangs}]"
    async with started(tmp_path, scenario) as (simulated, fleet, work):
        follow = asyncio.create_task(work.follow())
        await until(lambda: all(r.progress is not None for r in work.ranks), limit_s=LIMIT_S)
        assert (await fleet.remotes[1].run("docker rm -f vllm-ascend")).exit_status == 0
        await follow
        # engines kill what they remove, and are asked in between now and then
        killed = r"(exited with code 137 \(signal 9\), then )?"
        label = re.escape(f"node 1 ({work.preset.nodes[1].host})")
        assert re.search(f"{label} failed: {killed}its container was removed", work.message)
        assert [rank.state for rank in work.ranks] == ["aborted", "failed"]
        assert names(simulated) == [[], []]


async def test_out_of_reach_is_seen_and_is_no_death(tmp_path: Path) -> None:
    async with started(tmp_path) as (simulated, _, work):
        follow = asyncio.create_task(work.follow())
        await work.ready.wait()
        await simulated.take_away(1)
        await until(lambda: work.ranks[1].state == "unreachable", limit_s=LIMIT_S)
        assert not follow.done()
        await simulated.bring_back(1)
        await until(lambda: work.ranks[1].state == "ready", limit_s=LIMIT_S)
        follow.cancel()
        await asyncio.gather(follow, return_exceptions=True)
        assert names(simulated) == [["vllm-ascend"], ["vllm-ascend"]]


async def test_a_start_cut_off_half_way_is_finished_by_whoever_attaches(tmp_path: Path) -> None:
    async with played("{}", tmp_path) as (_, preset, fleet), asyncio.timeout(LIMIT_S):
        killed = launch(fleet, preset)

        class Killed(BaseException):
            pass

        async def dies(port: int) -> None:
            raise Killed(port)

        gang = killed._gang()
        gang.head.wait = dies  # type: ignore[method-assign]
        with pytest.raises(Killed):
            await gang.run()
        other = launch(fleet, preset)
        assert await other.attach()
        assert other.launch_id == killed.launch_id
        await other.follow(until_ready=True)
        assert other.state == "ready"
        assert await other.stop() == []
