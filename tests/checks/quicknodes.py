"""Simulated nodes whose hccn_tool is asked directly: hundreds of calls without a shell for each.

Everything else (npu-smi, files, docker, clock …) goes over real SSH and the node's own bash. Whole
runs that go over SSH in all parts are in tests/e2e.
"""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from wizard.checks.engine import CheckRun
from wizard.cluster import Precision, Series
from wizard.presets import load_preset
from wizard.remote.api import Desk, Job, JobResult
from wizard.remote.fleet import SSHFleet
from wizard.simulator.cluster import SimulatedCluster

SPEED = 400.0


class QuickDesk:
    def __init__(self, desk: Desk, cluster: SimulatedCluster, rank: int) -> None:
        self.desk, self.cluster, self.rank = desk, cluster, rank

    async def ask(self, job: Job) -> JobResult:
        _, tool, words = job.command.partition("}; hccn_tool ")
        if not tool:
            return await self.desk.ask(job)
        began = time.monotonic()
        node = self.cluster.nodes[self.rank]
        try:
            async with asyncio.timeout(job.timeout_s):
                said = await self.cluster.tools.hccn_tool(node, shlex.split(words))
        except TimeoutError:
            return JobResult(job.id, 124, b"", b"", time.monotonic() - began)
        out, err = said.stdout.encode(), said.stderr.encode()
        return JobResult(job.id, said.code, out, err, time.monotonic() - began)


class QuickRemote:
    def __init__(self, remote: Any, cluster: SimulatedCluster) -> None:
        self.remote, self.cluster, self.node = remote, cluster, remote.node

    async def connect(self) -> None:
        await self.remote.connect()

    @asynccontextmanager
    async def desk(self, *, root: Any) -> AsyncIterator[QuickDesk]:
        async with self.remote.desk(root=root) as desk:
            yield QuickDesk(desk, self.cluster, self.node.rank)


class QuickFleet:
    def __init__(self, fleet: SSHFleet, cluster: SimulatedCluster) -> None:
        self.remotes = [QuickRemote(remote, cluster) for remote in fleet.remotes]


@asynccontextmanager
async def quick_run(
    scenario: str, *, series: str = "A2", precision: str = "w8a8", nodes: int = 2, **options: Any
) -> AsyncIterator[CheckRun]:
    """A run of the checks that is not started yet, on a simulated cluster of a scenario."""
    async with SimulatedCluster(
        series=Series(series),
        precision=Precision(precision),
        nodes=nodes,
        scenario=scenario,
        speed=SPEED,
    ) as cluster:
        preset = load_preset(cluster.preset_path)
        fleet = SSHFleet(preset.cluster)
        try:
            quick: Any = QuickFleet(fleet, cluster)
            yield CheckRun.of(quick, preset, settle_s=0.02, backoff_s=0.01, **options)
        finally:
            await fleet.close()
