"""Stand-ins for nodes: reached, asked what they are, checked; moved on by the test."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from wizard.checks.board import Board
from wizard.checks.model import CellKey, Result, Status
from wizard.cluster import Cluster, Node, Precision
from wizard.discovery.facts import Address, Clock, NodeFacts, Runtime, Space, Weights
from wizard.discovery.run import Answer
from wizard.errors import Unreachable, WizardError
from wizard.presets import Preset
from wizard.remote.api import Fleet
from wizard.remote.keyledger import KeyLedger
from wizard.remote.shownkey import ShownKey

if TYPE_CHECKING:
    from tests.screens.fakes import World

DEVICE_CHECKS = ("lldp", "link", "net_health", "netdetect", "gateway", "ip")


@dataclass
class FakeRemote:
    node: Node


class FakeFleet:
    def __init__(self, cluster: Cluster) -> None:
        self.remotes = [FakeRemote(node) for node in cluster.nodes]
        self.closed = False
        self.host_keys = KeyLedger()
        self.accepted: list[ShownKey] = []
        self.accept_error: WizardError | None = None
        self.audit_problem = ""
        self.forgiven = 0

    def forgive(self) -> None:
        self.forgiven += 1

    async def connect(self) -> dict[int, Exception]:
        return {}

    async def accept(self, keys: Sequence[ShownKey]) -> dict[int, Exception]:
        if self.accept_error is not None:
            raise self.accept_error
        self.accepted += keys
        self.host_keys.dismiss(keys)
        return {}

    async def close(self) -> None:
        self.closed = True


class FakeCheckRun:
    """Cells stay pending until the test answers them by :meth:`answer` or :meth:`finish`."""

    def __init__(self, fleet: Fleet, cluster: Cluster) -> None:
        self.fleet, self.cluster, self.board = fleet, cluster, Board()
        self.bad: dict[CellKey, Status] = {}
        self.problem = ""
        self.done = asyncio.Event()
        self.running = False
        self.duration_s = 12.0
        self.started_at: datetime | None = None  # None: is not kept in the history
        self.reruns: list[list[CellKey]] = []
        self.board.expect(self._keys())

    def _keys(self) -> Iterable[CellKey]:
        others = [node.rank for node in self.cluster.nodes]
        for node in others:
            yield CellKey(node, None, "ssh")
            yield CellKey(node, None, "hccn_conf")
            for device in range(self.cluster.series.devices):
                for check in DEVICE_CHECKS:
                    yield CellKey(node, device, check)
                for peer in others:
                    if peer != node:
                        yield CellKey(node, device, "ping", peer, device)

    @property
    def progress(self) -> tuple[int, int]:
        return sum(1 for r in self.board if r.status.final), len(self.board)

    def answer(self, key: CellKey, status: Status) -> None:
        bad = status in (Status.FAIL, Status.ERROR)
        self.board.put(
            Result(
                key,
                status,
                f"{key.check} is DOWN" if bad else f"{key.check} is fine",
                host=self.cluster.nodes[key.node].host,
                command=f"hccn_tool -i {key.device} -{key.check} -g",
                exit_code=1 if bad else 0,
                output="link status: DOWN\n" if bad else "link status: UP\n",
                duration_s=0.21,
                value={"problem": self.problem} if bad and self.problem else {},
            )
        )

    def finish(self) -> None:
        for result in list(self.board):
            self.answer(result.key, self.bad.get(result.key, Status.PASS))
        self.done.set()

    async def run(self) -> Board:
        self.running = True
        try:
            await self.done.wait()
        finally:
            self.running = False
        return self.board

    async def resume(self) -> None:
        await self.rerun([r.key for r in self.board if not r.status.final])

    async def run_mesh(self) -> None:
        devices = range(self.cluster.series.devices)
        ranks = [node.rank for node in self.cluster.nodes]
        await self.rerun(
            CellKey(a, i, "ping", b, j)
            for a in ranks
            for b in ranks
            if a != b
            for i in devices
            for j in devices
            if self.board.get(CellKey(a, i, "ping", b, j)) is None
        )

    def estimate(self, *, full: bool = False) -> float:
        return 125.0 if full else 12.0

    async def rerun(self, keys: Iterable[CellKey]) -> None:
        wanted = list(keys)
        self.reruns.append(wanted)
        for key in wanted:
            self.answer(key, self.bad.get(key, Status.PASS))


def known(rank: int, host: str, address: str, **changes: Any) -> NodeFacts:
    """What a healthy A3 node says of itself."""
    disk = Space("/", "/", 900 * 10**9, 400 * 10**9)
    weights = Weights("/data/model", Precision.BF16, "", True, 9, 9, 9 * 10**9, disk)
    facts = NodeFacts(
        host,
        hostname=f"n{rank}",
        arch="aarch64",
        os="openEuler 22.03",
        boot_id=f"boot{rank}",
        devices=16,
        chips=("Ascend910",),
        driver="25.0.1",
        firmware="7.5.0",
        addresses=(Address("enp66s0f0", address, 24, True),),
        runtimes=(Runtime("docker", "24.0.7", "up", "/var/lib/docker"),),
        root_space=disk,
        runtime_space=disk,
        clock=Clock(0.1, 0.05),
        weights=(weights,),
    )
    return replace(facts, **changes)


class FakeDiscovery:
    """Answers as soon as the world's ``may_answer`` is set."""

    def __init__(self, world: World, fleet: Fleet, preset: Preset) -> None:
        self.world, self.preset = world, preset
        self.answers = {rank: Answer() for rank in range(len(preset.nodes))}
        self.revision = 0
        self.asked: list[list[int]] = []

    async def run(self, ranks: Iterable[int] | None = None) -> None:
        chosen = list(self.answers if ranks is None else ranks)
        self.asked.append(chosen)
        for rank in chosen:
            self.answers[rank] = Answer("asking")
        self.revision += 1
        await self.world.may_answer.wait()
        for rank in chosen:
            host = self.preset.nodes[rank].host
            if rank in self.world.away:
                error = Unreachable(f"node {rank} ({host}) is away.", node=rank)
                self.answers[rank] = Answer("failed", None, error)
            else:
                address = self.preset.nodes[rank].local_ip or f"10.9.9.{rank + 1}"
                facts = known(rank, host, address, **self.world.odd.get(rank, {}))
                self.answers[rank] = Answer("known", facts)
        self.revision += 1
