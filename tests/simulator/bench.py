"""Helpers for whoever talks to a simulated cluster: a verified SSH connection to each node."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import yaml

from wizard.cluster import Precision, Series
from wizard.simulator.cluster import SimulatedCluster
from wizard.simulator.containers import images
from wizard.simulator.devices import make_device
from wizard.simulator.scenario import Scenario
from wizard.simulator.state import SimNode, World

QUICK = 200.0  # every simulated duration is divided by this
LIMIT_S = 30.0  # for what takes a moment, on a machine that is busy


@dataclass
class Ran:
    out: str
    err: str
    code: int | None


class Shell:
    """A node, as a client sees it."""

    def __init__(self, connection: asyncssh.SSHClientConnection) -> None:
        self.connection = connection

    async def __call__(self, command: str, stdin: str = "") -> Ran:
        done = await asyncio.wait_for(self.connection.run(command, input=stdin), LIMIT_S)
        assert isinstance(done.stdout, str)
        assert isinstance(done.stderr, str)
        return Ran(done.stdout, done.stderr, done.exit_status)

    async def good(self, command: str, stdin: str = "") -> str:
        """Run what must succeed; return its stdout."""
        ran = await self(command, stdin)
        assert ran.code == 0, f"{command}: {ran}"
        return ran.out

    async def follow(self, command: str, pattern: str) -> str:
        """Run a command until its stdout matches, end it, and return what it wrote."""
        text = ""
        async with asyncio.timeout(LIMIT_S):
            async with self.connection.create_process(command) as process:
                while not re.search(pattern, text):
                    piece = await process.stdout.read(4096)
                    assert piece, f"{command} ended without {pattern!r}:\n{text}"
                    text += str(piece)
                process.close()
        return text


def preset(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(path.read_text())
    return loaded


async def connect(node: dict[str, Any], **changed: Any) -> asyncssh.SSHClientConnection:
    options: dict[str, Any] = {
        "username": node["user"],
        "client_keys": [node["identity_file"]],
        "known_hosts": node["known_hosts"],
        "config": None,
        "agent_path": None,
    }
    return await asyncssh.connect(node["host"], node["port"], **(options | changed))


@dataclass
class Running:
    cluster: SimulatedCluster
    shells: list[Shell]


@asynccontextmanager
async def running(**options: Any) -> AsyncIterator[Running]:
    """A cluster of two A3 nodes, unless told otherwise, and a shell on each."""
    chosen: dict[str, Any] = {"series": Series.A3, "precision": Precision.BF16, "speed": QUICK}
    async with SimulatedCluster(**(chosen | options)) as cluster:
        shells: list[Shell] = []
        try:
            for node in preset(cluster.preset_path)["nodes"]:
                shells.append(Shell(await connect(node)))
            yield Running(cluster, shells)
        finally:
            for shell in shells:
                shell.connection.close()
                await shell.connection.wait_closed()


def image(series: Series = Series.A3) -> str:
    """An image that every node has."""
    return min(name for name in images.stocked(series) if name.startswith("quay.io/"))


def docker_run(*command: str, options: str = "", series: Series = Series.A3) -> str:
    """A command line that starts a container in the background."""
    return f"docker run -d {options} {shlex.quote(image(series))} {shlex.join(command)}"


def world(root: Path, scenario: Scenario | None = None, series: Series = Series.A3) -> World:
    """The state of two nodes, without anything that runs."""
    scenario = scenario or Scenario()
    nodes = [
        SimNode(
            rank=rank,
            series=series,
            address=f"127.99.0.{11 + rank}",
            token="",
            root=root / str(rank),
            slow=1.0,
            devices=[make_device(rank, i, scenario, time.time()) for i in range(series.devices)],
            images=set(),
        )
        for rank in range(2)
    ]
    return World(series, scenario, QUICK, nodes)


async def until_dead(pid: int) -> None:
    """Wait for the end of a process that is not our child."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(handle, ended.set)
    try:
        await asyncio.wait_for(ended.wait(), LIMIT_S)
    finally:
        loop.remove_reader(handle)
        os.close(handle)
