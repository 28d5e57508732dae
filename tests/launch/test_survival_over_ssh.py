"""A launch outlives whoever follows it, and is found again as if nothing had been, by real SSH."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.launch.bench import until
from tests.launch.simulated import played
from wizard.launch import Launch
from wizard.launch.finding import find_running
from wizard.launch.logfile import log_path
from wizard.launch.progress import Phase
from wizard.launch.stages import look
from wizard.presets import Preset
from wizard.remote.fleet import SSHFleet, open_fleet
from wizard.simulator.cluster import SimulatedCluster

LONG_S = 100.0  # a machine that is loaded three times over
LOADS_LONG = "timing: {stages: {load: 12}}"


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads the user's own ssh_config, known_hosts or agent."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


def on_the_node(simulated: SimulatedCluster, rank: int) -> list[bytes]:
    """The lines that the one container of a node has written, by the engine's own record."""
    assert simulated.daemon is not None
    (container,) = simulated.daemon.containers[rank]
    return b"".join(record.data for record in container.log).split(b"\n")


def kept_here(launch_id: str, rank: int) -> list[bytes]:
    """The lines of our file of a node's log, without the engine's stamps; none while it lacks."""
    path = log_path(launch_id, rank)
    lines = path.read_bytes().split(b"\n") if path.exists() else []
    return [line.partition(b" ")[2] for line in lines]


@asynccontextmanager
async def following(fleet: SSHFleet, preset: Preset) -> AsyncIterator[Launch]:
    """A launch found on the nodes and followed, as by a wizard that is started again."""
    work = Launch(fleet, preset, interval_s=0.1)
    assert await work.attach()
    task = asyncio.create_task(work.follow())
    try:
        yield work
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_killed_while_loading_found_again_cut_off_and_nothing_lost_or_doubled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asyncio.timeout(2 * LONG_S), played(LOADS_LONG, tmp_path, speed=4.0) as lab:
        simulated, preset, fleet = lab
        words = ["launch", str(simulated.preset_path), "--yes", "--skip-checks"]
        wizard = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "wizard.cli", *words),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        launches = tmp_path / "wizard/state/launches"
        await until(lambda: loading(launches, "node1.log"), limit_s=LONG_S)
        os.kill(wizard.pid, signal.SIGKILL)  # no clean-up of any kind
        await wizard.wait()
        launch_id = next(launches.iterdir()).name

        async with following(fleet, preset) as work:
            assert work.launch_id == launch_id
            worker = work.ranks[1]
            await until(lambda: Phase.WEIGHTS in worker.phases and worker.log.end, limit_s=LONG_S)
            assert {Phase.CONTAINER, Phase.PYTHON, Phase.HANDSHAKE, Phase.RANKS} <= {*worker.phases}
            assert "activated" in worker.log.line(0)  # from the start of the log
            for server in simulated._servers:
                for connection in list(server.connections):
                    connection.abort()
            await until(lambda: work.ready.is_set() or work.state == "failed", limit_s=LONG_S)
            assert work.ready.is_set(), work.message
            await until(
                lambda: all(
                    kept_here(launch_id, rank) == on_the_node(simulated, rank) for rank in (0, 1)
                ),
                limit_s=LONG_S,
            )
            bars = [n for n in range(worker.log.end) if "Completed |" in worker.log.line(n)]
            assert len(bars) == 1  # redrawn, not repeated
        text = [work.ranks[1].log.line(n) for n in range(work.ranks[1].log.end)]
        assert len(text) == len(set(text)), "a line came twice"

        # another jump host knows nothing but the preset
        monkeypatch.setenv("V32_WIZARD_HOME", str(tmp_path / "elsewhere"))
        found = await find_running(preset, lambda cluster, secrets: open_fleet(cluster))
        assert found is not None
        assert (found.launch_id, found.nodes) == (launch_id, 2)
        async with following(fleet, preset) as again:
            await asyncio.wait_for(again.ready.wait(), LONG_S)
            await until(lambda: Phase.READY in again.ranks[0].phases, limit_s=LONG_S)
            assert Phase.WEIGHTS in again.ranks[0].phases
            await until(
                lambda: kept_here(launch_id, 1) == on_the_node(simulated, 1), limit_s=LONG_S
            )
            report = await again.status()
            assert report.load is not None
            assert len(report.load.engines) == 2
            await until(lambda: again.load is not None, limit_s=LONG_S)
        assert await Launch(fleet, preset).stop() == []
        assert await find_running(preset, lambda cluster, secrets: open_fleet(cluster)) is None


def loading(launches: Path, name: str) -> bool:
    """Whether the log that a wizard keeps says that weights are being loaded."""
    return any(b" Completed | " in path.read_bytes() for path in launches.glob(f"*/{name}"))


async def test_a_stalled_node_is_named_with_who_is_missing_and_nothing_is_killed(
    tmp_path: Path,
) -> None:
    scenario = "launch: [{node: 1, at: start, does: hangs}]"
    async with asyncio.timeout(LONG_S), played(scenario, tmp_path) as (simulated, preset, fleet):
        work = Launch(fleet, preset, interval_s=0.1)
        await work.start()
        task = asyncio.create_task(work.follow())
        await until(lambda: work.ranks[0].stage == "handshake", limit_s=LONG_S)
        await until(lambda: work.ranks[1].stage == "python", limit_s=LONG_S)
        now = time.time()
        assert [one.state for one in look(work.ranks, now)] == ["running", "running"]
        head, worker = look(work.ranks, now + 150)
        assert (head.state, worker.state) == ("stalled", "stalled")
        assert head.note == "waits for node 1, which is at python"
        assert worker.note.startswith("Python imports")
        text = (await work.status()).to_text()
        assert "node 0" in text
        assert ": handshake" in text
        assert [len(simulated.daemon.containers[rank]) for rank in (0, 1)] == [1, 1]  # type: ignore[union-attr]
        assert work.state == "waiting"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
