"""Stand-ins for the engine's rooms: in memory, and moved on by the test."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.screens.fakenodes import FakeCheckRun, FakeDiscovery, FakeFleet
from wizard.checks.model import CellKey, Status
from wizard.cluster import Cluster
from wizard.errors import Unreachable
from wizard.launch.finding import RunningLaunch
from wizard.launch.launchplan import LaunchPlan
from wizard.launch.metrics import Load
from wizard.launch.state import RankState
from wizard.launch.survey import Survey
from wizard.presets import Preset, parse_preset
from wizard.remote.api import Fleet, Remote
from wizard.remote.secrets import Secrets
from wizard.rooms import Rooms
from wizard.roomtypes import LaunchLike

PRESET = """
version: 1
name: lab
series: A3
precision: bf16
nodes:
  - {host: 10.0.0.11, user: root, port: 2201, local_ip: 10.0.0.11, nic: enp66s0f0}
  - {host: 10.0.0.12, user: root, port: 2202, local_ip: 10.0.0.12, nic: enp66s0f0}
"""


def preset(text: str = PRESET) -> Preset:
    return parse_preset(text)


class FakeLaunch:
    """Moves on when the test says so; ``runs_already`` is what attach finds."""

    runs_already = False
    stop_problems: tuple[str, ...] = ()

    def __init__(self, fleet: Fleet, preset: Preset) -> None:
        self.fleet, self.preset = fleet, preset
        self.ranks = [RankState(i, n.host) for i, n in enumerate(preset.nodes)]
        self.state, self.message, self.revision = "pending", "", 0
        self.brief, self.diagnosis, self.conflict = "", None, None
        self.load: Load | None = None
        self.fetch_image = False
        self.calls: list[str] = []
        self.moved = asyncio.Event()

    def plan(self) -> list[str]:
        return [
            f"node {r.rank} ({r.host}): container vllm-ascend, then vllm serve" for r in self.ranks
        ]

    def move(self, state: str, stage: str, lines: Iterable[str] = ()) -> None:
        self.state = "waiting" if state == "running" else state
        for rank in self.ranks:
            rank.state, rank.stage = state, stage
            rank.log.extend(lines)
        self.revision += 1
        if state in ("ready", "failed"):
            self.moved.set()

    async def start(self) -> None:
        self.calls.append("start")
        self.move("starting", "container")

    async def restart(self) -> None:
        self.calls.append("restart")
        self.conflict = None
        await self.start()

    async def follow(self) -> None:
        self.calls.append("follow")
        await self.moved.wait()

    async def attach(self) -> bool:
        self.calls.append("attach")
        if self.runs_already:
            self.move("running", "weights")
        return self.runs_already

    async def stop(self) -> list[str]:
        self.calls.append("stop")
        if not self.stop_problems:
            self.move("stopped", "stopped")
        return list(self.stop_problems)


@dataclass(frozen=True)
class FakeDelta:
    content: str = ""
    reasoning: str = ""
    usage: Mapping[str, Any] | None = None


class FakeChat:
    def __init__(self, world: World) -> None:
        self.world = world

    async def stream(self, messages: list[dict[str, str]]) -> AsyncIterator[FakeDelta]:
        self.world.asked.append(messages)
        for word in self.world.reply:
            if isinstance(word, Exception):
                raise word
            yield FakeDelta(word)
            await asyncio.sleep(0)
        await self.world.may_end.wait()
        yield FakeDelta(usage={"completion_tokens": len(self.world.reply)})


class FakeStore:
    def __init__(self) -> None:
        self.saved: dict[str, Preset] = {}

    def list(self) -> list[str]:
        return sorted(self.saved)

    def shipped(self) -> dict[str, Path]:
        return {}

    def load(self, name: str) -> Preset:
        return self.saved[name]

    def save(self, preset: Preset) -> Path:
        self.saved[preset.name] = preset
        return Path(preset.name)


class World:
    """Everything that a session reaches, for the test to look at and to move on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.simulators = 0  # that run now
        self.simulator_error: Exception | None = None
        self.fleets: list[FakeFleet] = []
        self.runs: list[FakeCheckRun] = []
        self.launches: list[FakeLaunch] = []
        self.launch_type: type[FakeLaunch] = FakeLaunch
        self.bad: dict[CellKey, Status] = {}
        self.problem = ""  # what every bad answer says that it is
        self.store = FakeStore()
        self.asked: list[list[dict[str, str]]] = []
        self.reply: tuple[str | Exception, ...] = ("Hello ", "**there**")
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.complete_error: Exception | None = None
        self.discoveries: list[FakeDiscovery] = []
        self.may_answer = asyncio.Event()  # what discovery waits for
        self.may_answer.set()
        self.running: set[str] = set()  # names of presets that are launched
        self.unknown: set[str] = set()  # names of presets whose nodes cannot be asked
        self.away: set[int] = set()  # ranks that do not answer
        self.odd: dict[int, dict[str, Any]] = {}  # facts that differ from those of `known`
        self.survey: Survey | None = None  # what the nodes say before a launch
        self.plans = 0
        self.rooms = Rooms(
            open_fleet=self._open_fleet,
            check_run=self._check_run,
            launch=self._launch,
            running=self._running,
            plan=self._plan,
            open_chat=self._open_chat,
            complete=self._complete,
            discovery=self._discovery,
            store=lambda: self.store,
            simulated=self._simulated,
            autosave=folder / "session.yaml",
            autosave_delay_s=0.0,
        )

    @asynccontextmanager
    async def _simulated(self, **_: object) -> AsyncIterator[Path]:
        if self.simulator_error is not None:
            raise self.simulator_error
        path = self.folder / "simulated.yaml"
        path.write_text(yaml.safe_dump(preset().model_dump(mode="json", exclude_defaults=True)))
        self.simulators += 1
        try:
            yield path
        finally:
            self.simulators -= 1

    async def _plan(self, launch: LaunchLike) -> LaunchPlan:
        assert isinstance(launch, FakeLaunch)
        self.plans += 1
        return LaunchPlan(launch.preset, "x1", survey=self.survey)

    @property
    def run(self) -> FakeCheckRun:
        return self.runs[-1]

    @property
    def launch(self) -> FakeLaunch:
        return self.launches[-1]

    def _open_fleet(self, cluster: Cluster, secrets: Secrets) -> Fleet:
        self.fleets.append(FakeFleet(cluster))
        return self.fleets[-1]  # type: ignore[return-value]

    def _discovery(self, fleet: Fleet, preset: Preset) -> FakeDiscovery:
        self.discoveries.append(FakeDiscovery(self, fleet, preset))
        return self.discoveries[-1]

    def _check_run(self, fleet: Fleet, preset: Preset) -> FakeCheckRun:
        self.runs.append(FakeCheckRun(fleet, preset.cluster))
        self.run.bad, self.run.problem = self.bad, self.problem
        return self.run

    def _launch(self, fleet: Fleet, preset: Preset) -> FakeLaunch:
        self.launches.append(self.launch_type(fleet, preset))
        return self.launch

    async def _running(self, preset: Preset) -> RunningLaunch | None:
        await self.may_answer.wait()
        if preset.name in self.unknown:
            raise Unreachable(f"node 0 of {preset.name} is away.", node=0)
        if preset.name not in self.running:
            return None
        return RunningLaunch(preset, "x", len(preset.nodes), time.time() - 7200)

    def _open_chat(self, remote: Remote, preset: Preset) -> AbstractAsyncContextManager[FakeChat]:
        @asynccontextmanager
        async def opened() -> AsyncIterator[FakeChat]:
            yield FakeChat(self)

        return opened()

    async def _complete(self, preset: Preset, fleet: Fleet) -> Preset:
        if self.complete_error is not None:
            raise self.complete_error
        nodes = [
            n.model_copy(update={"local_ip": n.local_ip or f"10.9.9.{i + 1}", "nic": n.nic or "e0"})
            for i, n in enumerate(preset.nodes)
        ]
        return preset.model_copy(update={"nodes": nodes})
