"""An in-memory cluster that answers hccn_tool commands: no SSH, no processes, no waiting."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from wizard.checks.engine import CheckRun
from wizard.cluster import Cluster, Node, Precision, Series
from wizard.remote.api import Completed, Job, JobResult

Answer = tuple[str, str, int]  # stdout, stderr, exit code
BUSY: Answer = ("hccn_tool is busy, please try again.\n", "", 11)


def address(rank: int, device: int) -> str:
    return f"10.77.{rank}.{20 + device}"


def healthy(rank: int, device: int, what: str) -> Answer:
    """What a healthy NPU says; all of them share 10.77.0.0/16."""
    if what.startswith("-ping"):
        text = "".join(f"recv seq={n},time=0.04{n}000ms\n" for n in range(3))
        return (
            f"device {device} PING\n{text}3 packets transmitted, 3 received, 0.00% packet loss\n",
            "",
            0,
        )
    said = {
        "-link -g": "link status: UP\n",
        "-lldp -g": f"Port ID TLV\n\tIfname: 400GE1/1/{device}:1\nPVID TLV\n\tPVID: 77\n",
        "-net_health -g": "net health status: Success\n",
        "-netdetect -g": "netdetect address: 10.77.255.254\n",
        "-gateway -g": "default gateway:10.77.255.254, Iface:eth3\n",
        "-ip -g": f"\nipaddr:{address(rank, device)}\nnetmask:255.255.0.0\n",
    }
    return said[what], "", 0


class FakeNode:
    """One node. ``override`` maps a command (as displayed) to answers, used up but for the last."""

    def __init__(self, node: Node, devices: int) -> None:
        self.node = node
        self.devices = devices
        self.override: dict[str, list[Answer]] = {}
        self.capacity = 99  # how many calls at a time the tool bears
        self.connect_error: Exception | None = None
        self.lost_after: int | None = None  # answers until the connection breaks
        self.error: Exception | None = None
        self.gate: asyncio.Event | None = None  # batches wait for it, when set
        self.batches: list[tuple[int, list[str]]] = []  # width and commands of every batch
        self.calls: list[str] = []
        self.on_batch: Callable[[list[str]], None] = lambda commands: None
        self.closed = 0  # batches ended before they were done

    async def connect(self) -> None:
        if self.connect_error is not None:
            raise self.connect_error

    async def run(self, command: str, **_: Any) -> Completed:
        raise AssertionError("checks go by batches")

    async def batch(self, jobs: Sequence[Job], *, width: int = 4) -> AsyncIterator[JobResult]:
        commands = [self._shown(job) for job in jobs]
        self.batches.append((width, commands))
        self.on_batch(commands)
        done = False
        try:
            if self.gate is not None:
                await self.gate.wait()
            for number, (job, command) in enumerate(zip(jobs, commands, strict=True)):
                if self.lost_after is not None and len(self.calls) >= self.lost_after:
                    assert self.error is not None
                    raise self.error
                self.calls.append(command)
                # width calls run at a time, of which the tool bears its capacity
                crowded = min(width, len(jobs)) > self.capacity and number % width >= self.capacity
                stdout, stderr, code = BUSY if crowded else self._answer(command)
                yield JobResult(job.id, code, stdout.encode(), stderr.encode(), 0.1)
                await asyncio.sleep(0)
            done = True
        finally:
            self.closed += not done

    def _shown(self, job: Job) -> str:
        assert 0 < job.timeout_s <= 10
        found = re.search(r"hccn_tool (-i \d+ .*)$", job.command)
        if found:
            assert job.lane == f"npu{found[1].split()[1]}"
            return found[1]
        assert "cat /etc/hccn.conf" in job.command
        return "hccn.conf"

    def _answer(self, command: str) -> Answer:
        if command in self.override:
            answers = self.override[command]
            return answers.pop(0) if len(answers) > 1 else answers[0]
        if command == "hccn.conf":
            lines = (
                f"address_{d}={address(self.node.rank, d)}\nnetmask_{d}=255.255.0.0\n"
                for d in range(self.devices)
            )
            return "".join(lines), "", 0
        _, device, what = command.split(" ", 2)
        return healthy(self.node.rank, int(device), what)

    def stream(self, command: str) -> AsyncIterator[bytes]:
        raise NotImplementedError

    async def upload(self, directory: str, files: Mapping[str, bytes]) -> None:
        raise NotImplementedError

    def tunnel(self, host: str, port: int) -> AbstractAsyncContextManager[Path]:
        raise NotImplementedError


class FakeFleet:
    """The nodes of :class:`FakeNode`, as a Fleet."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.nodes = [FakeNode(node, cluster.series.devices) for node in cluster.nodes]

    @property
    def remotes(self) -> Sequence[FakeNode]:
        return self.nodes

    async def connect(self) -> dict[int, Exception]:
        raise AssertionError("a slow node must not delay the others")

    async def close(self) -> None:
        pass

    def check(self, **options: Any) -> CheckRun:
        return CheckRun(self, self.cluster, settle_s=0, backoff_s=0, **options)


@pytest.fixture
def make_fleet() -> Callable[[int], FakeFleet]:
    def make(nodes: int, series: Series = Series.A2) -> FakeFleet:
        members = tuple(Node(rank, f"198.51.100.{rank + 1}") for rank in range(nodes))
        return FakeFleet(Cluster(series, Precision.W8A8, members))

    return make


@pytest.fixture
def fleet(make_fleet: Callable[[int], FakeFleet]) -> FakeFleet:
    """Two healthy A2 nodes."""
    return make_fleet(2)
