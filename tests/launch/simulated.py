"""A simulated cluster and its preset, for tests of what a launch does over real SSH."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from wizard.cluster import Precision, Series
from wizard.launch.fence import Fence
from wizard.launch.node import LaunchNode
from wizard.launch.runtime import Runtime
from wizard.launch.state import RankState
from wizard.presets import Preset, load_preset
from wizard.remote.fleet import SSHFleet, open_fleet
from wizard.simulator.cluster import SimulatedCluster

LIMIT_S = 60.0


@asynccontextmanager
async def played(
    scenario: str,
    folder: Path,
    *,
    speed: float = 60.0,
    precision: Precision = Precision.BF16,
    **container: Any,
) -> AsyncIterator[tuple[SimulatedCluster, Preset, SSHFleet]]:
    """A3 nodes with a scenario (YAML text), the preset for them, and their connections.

    Two nodes for BF16, one for W8A8.
    """
    path = folder / "scenario.yaml"
    path.write_text(scenario)
    cluster = SimulatedCluster(series=Series.A3, precision=precision, speed=speed, scenario=path)
    async with cluster as simulated:
        preset = load_preset(simulated.preset_path)
        spec = preset.container.model_copy(update=container)
        preset = preset.model_copy(update={"container": spec})
        async with open_fleet(preset.cluster) as fleet:
            yield simulated, preset, fleet


def launch_nodes(fleet: SSHFleet, preset: Preset) -> list[LaunchNode]:
    """The nodes of a launch, without a launch."""
    runtime = Runtime(preset.container.runtime)
    return [
        LaunchNode(
            remote,
            runtime,
            preset.name,
            RankState(rank, remote.node.host),
            lambda: None,
            Fence("test", ""),
        )
        for rank, remote in enumerate(fleet.remotes)
    ]
