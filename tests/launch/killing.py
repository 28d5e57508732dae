"""A real ``v32-wizard`` process that is killed by SIGKILL at an exact place, and what it leaves."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.launch.bench import until
from wizard import cli
from wizard.commands import launch as commands
from wizard.errors import WizardError
from wizard.launch import Launch
from wizard.launch.finding import RunningLaunch, find_running
from wizard.presets import Preset, load_preset
from wizard.remote.fleet import SSHFleet, open_fleet
from wizard.simulator.cluster import SimulatedCluster

LIMIT_S = 100.0  # a machine that is loaded three times over
STRANGER = "somebody-elses"
LAUNCH = ("launch", "--yes", "--skip-checks")
CHECKS = {"ssh", "runtime", "image", "ports"}  # before a start; each costs processes on the nodes
_DECLARED = {
    "container.sh",
    "serve.sh",
    "serve.log",
    "stopped-by",
    "removed",
}  # what a launch leaves on a node


class Wizard:
    """A process that runs one command."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    @property
    def lives(self) -> bool:
        """Whether it has not ended."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True


class Nursery:
    """Where wizards are begun (``nursery.py``), a process for all of them."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.launch.nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begin(self, words: list[str]) -> Wizard:
        """Begin a command with the environment of now."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {"words": words, "environment": {**os.environ}, "checks": sorted(CHECKS)}
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return Wizard(int(self._process.stdout.readline()))

    def close(self) -> None:
        """End it; the wizards that live go on."""
        self._process.communicate(timeout=LIMIT_S)


@dataclass
class Lab:
    """A simulated cluster with a container of somebody else's on every node."""

    simulated: SimulatedCluster
    preset: Preset
    fleet: SSHFleet
    home: Path  # of the wizards
    out: pytest.CaptureFixture[str]
    nursery: Nursery

    # -- wizards

    async def begin(self, command: str, *flags: str) -> Wizard:
        """Begin ``v32-wizard COMMAND PRESET FLAGS`` in a process of its own."""
        words = [command, str(self.simulated.preset_path), *flags]
        return await asyncio.to_thread(self.nursery.begin, words)

    async def cut(
        self, words: Sequence[str], *places: tuple[int, str], states: list[str] | None = None
    ) -> None:
        """Run a command until nodes are at these places, and kill it there.

        What the wizard had asked for there is not done. With ``states``, those of our containers
        are waited for as well.
        """
        holds = [self.simulated.hold(*place) for place in places]
        wizard = await self.begin(*words)

        def there() -> bool:
            assert wizard.lives, f"{words} ended by itself, not at {places}"
            reached = all(hold.reached.is_set() for hold in holds)
            return reached and (states is None or self.states == states)

        await until(there, limit_s=LIMIT_S)
        await self.kill(wizard)
        for hold in holds:
            hold.let_go.set()

    async def kill(self, wizard: Wizard) -> None:
        """End it without any clean-up, and wait until nothing of it goes on on the nodes."""
        assert wizard.lives, "it ended by itself"
        os.kill(wizard.pid, signal.SIGKILL)
        await until(lambda: not wizard.lives, limit_s=LIMIT_S)
        await self.quiet()

    async def says(self, command: str, *flags: str) -> tuple[int, str]:
        """Run a command as a second wizard does; return its exit status and what it says."""
        words = [command, str(self.simulated.preset_path), *flags]
        arguments = cli.build_parser().parse_args(words)
        run = {"launch": commands.launch, "status": commands.status, "stop": commands.stop}
        self.out.readouterr()
        try:
            status, error = await run[command](arguments), ""
        except WizardError as caught:
            status, error = caught.exit_status, str(caught)
        told = self.out.readouterr()
        return status, f"{told.out}{told.err}{error}"

    async def found(self) -> RunningLaunch | None:
        """What the first screen finds."""
        return await find_running(self.preset, lambda cluster, secrets: open_fleet(cluster))

    def launch(self) -> Launch:
        """A launch of the preset as another wizard has it, looked at from here."""
        return Launch(self.fleet, self.preset, interval_s=0.1)

    # -- nodes

    @property
    def states(self) -> list[str]:
        """The state of our container on each node, "" where there is none."""
        assert self.simulated.daemon is not None
        return [
            next((c.status for c in found if c.spec.name != STRANGER), "")
            for found in self.simulated.daemon.containers.values()
        ]

    def log(self, rank: int) -> list[bytes]:
        """The lines that our container on a node has written, by the engine's own record."""
        assert self.simulated.daemon is not None
        (ours,) = [c for c in self.simulated.daemon.containers[rank] if c.spec.name != STRANGER]
        return b"".join(record.data for record in ours.log).split(b"\n")

    def processes(self) -> list[str]:
        """The nodes' processes, but for those of containers."""
        mark = f"V32_SIM_RUN={self.simulated._run}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                environment = (entry / "environ").read_bytes().split(b"\0")
                if mark in environment and b"V32_SIM_CONTAINER" not in b" ".join(environment):
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        return found

    async def seen(self, wanted: Callable[[list[str]], bool]) -> None:
        """Wait until the nodes' processes are as they should be; looking costs something."""
        try:
            async with asyncio.timeout(LIMIT_S):
                while not wanted(self.processes()):
                    await asyncio.sleep(0.1)
        except TimeoutError:
            pytest.fail(f"these go on: {self.processes()}")

    async def quiet(self) -> None:
        """Wait until nothing of a killed wizard goes on, on any node."""
        await self.seen(lambda lines: not lines)

    def files(self) -> list[str]:
        """Names of the files below the wizards' folder on the nodes, those of CANN's logs apart."""
        found = []
        for node in self.simulated.nodes:
            for path in (node.home / ".v32-wizard").rglob("*"):
                if path.is_file() and "plog" not in path.parts:
                    found.append(path.name)
        return found

    async def nothing_left(self) -> None:
        """Nothing of ours is on the nodes but what is declared; nothing of others was touched."""
        await self.quiet()
        assert self.states == [""] * len(self.states)
        assert {*self.files()} - _DECLARED == set()
        assert await self.found() is None
        for node in self.simulated.nodes:
            folders = {path.name for path in (node.home / ".v32-wizard/launches").glob("*")}
            assert all("." not in name for name in folders), folders  # of an upload under way
        assert not list(self.home.rglob("*.tmp"))
        self.others_live()

    def others_live(self) -> None:
        """The containers of others are as they were."""
        assert self.simulated.daemon is not None
        for found in self.simulated.daemon.containers.values():
            assert [c.running for c in found if c.spec.name == STRANGER] == [True]


@asynccontextmanager
async def lab(
    nursery: Nursery,
    folder: Path,
    out: pytest.CaptureFixture[str],
    scenario: str = "{}",
    *,
    serve: dict[str, Any] | None = None,
    container: dict[str, Any] | None = None,
    **cluster: Any,
) -> AsyncIterator[Lab]:
    """See :class:`Lab`; ``serve`` and ``container`` are what the preset adds there."""
    path = folder / "scenario.yaml"
    path.write_text(scenario)
    async with SimulatedCluster(scenario=path, **{"speed": 60.0} | cluster) as simulated:
        with simulated.preset_path.open("a") as file:
            yaml.safe_dump({"serve": serve or {}, "container": container or {}}, file)
        preset = load_preset(simulated.preset_path)
        async with open_fleet(preset.cluster) as fleet:
            stranger = f"docker run -d --name {STRANGER} busybox sleep 1000"
            for node, remote in zip(simulated.nodes, fleet.remotes, strict=True):
                node.images.add("busybox")
                assert (await remote.run(stranger)).exit_status == 0
            async with asyncio.timeout(2 * LIMIT_S):
                yield Lab(simulated, preset, fleet, folder / "wizard", out, nursery)
