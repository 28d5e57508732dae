"""A launch on the simulated cluster: real SSH, real bash, the generated scripts truly run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.launch.bench import until
from wizard.chat import open_chat
from wizard.cluster import Precision, Series
from wizard.errors import LaunchError
from wizard.launch import Launch
from wizard.presets import Preset, load_preset
from wizard.remote.fleet import SSHFleet, open_fleet
from wizard.simulator.cluster import SimulatedCluster

SPEED = 40.0
LIMIT_S = 30.0


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads the user's own ssh_config, known_hosts or agent."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("V32_WIZARD_HOME", str(tmp_path / "wizard"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


@asynccontextmanager
async def cluster(**options: Any) -> AsyncIterator[tuple[SimulatedCluster, Preset]]:
    """A simulated cluster of two A3 nodes, unless told otherwise, and the preset for it."""
    chosen = {"series": Series.A3, "precision": Precision.BF16, "speed": SPEED} | options
    async with SimulatedCluster(**chosen) as simulated:
        yield simulated, load_preset(simulated.preset_path)


@asynccontextmanager
async def fleet_of(preset: Preset) -> AsyncIterator[SSHFleet]:
    async with open_fleet(preset.cluster) as fleet:
        yield fleet


def launch(fleet: SSHFleet, preset: Preset) -> Launch:
    return Launch(fleet, preset, interval_s=0.1)


def running_tools(simulated: SimulatedCluster, words: str) -> list[str]:
    """Command lines of the cluster's living processes that contain ``words``."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_text().replace("\0", " ")
            mine = str(simulated.directory) in line + (entry / "environ").read_text()
        except (OSError, UnicodeDecodeError):
            continue
        if mine and words in line:
            found.append(line)
    return found


async def test_started_left_found_again_and_stopped() -> None:
    async with cluster() as (simulated, preset), asyncio.timeout(LIMIT_S * 2):
        async with fleet_of(preset) as fleet:
            first = launch(fleet, preset)
            await first.start()
            follow = asyncio.create_task(first.follow())
            await until(lambda: running_tools(simulated, "logs -f"), limit_s=LIMIT_S)
            follow.cancel()
            await asyncio.gather(follow, return_exceptions=True)
            await until(lambda: not running_tools(simulated, "logs -f"), limit_s=LIMIT_S)
        assert running_tools(simulated, "--data-parallel-start-rank 1")

        async with fleet_of(preset) as fleet:
            with pytest.raises(LaunchError, match=f"already, running, as launch {first.launch_id}"):
                await launch(fleet, preset).start()
            again = launch(fleet, preset)
            assert await again.attach()
            assert again.launch_id == first.launch_id
            follow = asyncio.create_task(again.follow())
            await again.ready.wait()
            await until(lambda: again.ranks[1].log.end > 5, limit_s=LIMIT_S)
            assert "activated" in again.ranks[1].log.line(0)  # from the start of the log
            follow.cancel()
            await asyncio.gather(follow, return_exceptions=True)
            assert (await again.status()).exit_status == 0
            async with open_chat(fleet.remotes[0], preset) as client:
                asked = [{"role": "user", "content": "The future of AI is"}]
                deltas = [delta async for delta in client.stream(asked)]
            assert len([d for d in deltas if d.content]) > 3
            assert deltas[-1].usage

            assert await again.stop() == []
            assert await launch(fleet, preset).stop() == []
            report = await again.status()
            assert [node.state for node in report.nodes] == ["absent", "absent"]
        await until(lambda: not running_tools(simulated, "vllm"), limit_s=LIMIT_S)


async def test_a_start_cancelled_while_node_0_comes_up_leaves_nothing() -> None:
    async with (
        cluster(speed=4.0) as (simulated, preset),
        fleet_of(preset) as fleet,
        asyncio.timeout(LIMIT_S),
    ):
        work = launch(fleet, preset)
        task = asyncio.create_task(work.start())
        await until(lambda: work.ranks[0].state == "running", limit_s=LIMIT_S)
        assert "waits for node 0's RPC port" in work.ranks[1].detail
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert work.message == "Cancelled while starting; nothing of it is left."
        assert [node.state for node in (await work.status()).nodes] == ["absent", "absent"]
        await until(lambda: not running_tools(simulated, "vllm"), limit_s=LIMIT_S)
