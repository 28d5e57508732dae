"""An in-memory cluster that answers hccn_tool commands: no SSH, no processes, no waiting."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
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
    if what.startswith("-hccs_ping"):
        text = "".join(f"recv seq {n}, time = 9us, L1 plane check result = 0x0\n" for n in (0, 1))
        return f"{text}3 packets transmitted, 3 received, 0.00% packets loss\n", "", 0
    tag = f"[devid {device}]"
    said = {
        "-link -g": "link status: UP\n",
        "-lldp -g": f"Port ID TLV\n\tIfname: 400GE1/1/{device}:1\nPVID TLV\n\tPVID: 77\n",
        "-net_health -g": "net health status: Success\n",
        "-netdetect -g": "netdetect address: 10.77.255.254\n",
        "-gateway -g": "default gateway:10.77.255.254, Iface:eth3\n",
        "-ip -g": f"\nipaddr:{address(rank, device)}\nnetmask:255.255.0.0\n",
        "-tls -g": f"dev_id:{device}, tls switch[0](0:disable, 1:enable), tls alarm[60]days\n",
        "-link_stat -g": f"{tag} current time : Mon Mar  2 11:12:13 2026\n{tag} link up count : 1\n"
        f"{tag} link down count : 0\n{tag} link change records : NA\n",
        "-optical -g": "present : present\nTx Power0 : 1.2 mW\nRx Power0 : 1.1 mW\n"
        "Tx Los Flag : 0x0\nRx Los Flag : 0x0\n",
        "-vnic -g": f"vnic link status: UP\nvnic ipaddr: {vnic(rank, device)}\n"
        "vnic netmask: 255.255.255.0\n",
    }
    return said[what], "", 0


def vnic(rank: int, device: int) -> str:
    return f"192.168.{rank}.{199 + device}"


def smi_info(devices: int, *, a3: bool, health: str = "OK", used: int = 3011) -> str:
    """What `npu-smi info` prints: one table, a pair of rows per chip, then the processes."""
    rows = []
    for d in range(devices):
        npu, chip = (d // 2, d % 2) if a3 else (d, 0)
        ids = f"{chip}     {d}" if a3 else f"{chip}"
        rows.append(f"| {npu}     910X | {health} | 90.1  35  0 / 0 |\n")
        rows.append(f"| {ids} | 0000:0{d:x}:00.0 | 0  0 / 0  {used}/ 65536 |\n")
    rows.append("| NPU     Chip | Process id | Process name | Process memory(MB) |\n")
    return "".join(rows) + "| No running processes found in NPU 0 |\n"


def of_node(node: FakeNode, command: str) -> Answer:
    """What a healthy node says to a plain command."""
    rank, devices = node.node.rank, node.devices
    a3 = devices == 16
    lines = (f"address_{d}={address(rank, d)}\nnetmask_{d}=255.255.0.0\n" for d in range(devices))
    files = "".join(f"/dev/{n}\n" for n in ("davinci_manager", "devmm_svm", "hisi_hdc"))
    said = {
        "hccn.conf": "".join(lines),
        "npu-smi info": smi_info(devices, a3=a3),
        "npu-smi info -t spod-info -i 0 -c 0": f"SDID : {rank}\nSuper Pod Size : 48\n"
        f"Super Pod ID : 7\nServer Index : {rank}\n",
        "ls": "".join(f"/dev/davinci{d}\n" for d in range(devices)) + files,
        "uname -m": "aarch64\n",
        "cat /usr/local/Ascend/driver/version.info": "Version=24.1.0\n",
        "ip": f"2: enp9s0    inet {node.node.host}/24 scope global enp9s0\n",
        "ss -ltn": "State Recv-Q Send-Q Local Address:Port Peer Address:Port\n"
        "LISTEN 0      128    0.0.0.0:22   0.0.0.0:*\n",
        "df": "Filesystem 1024-blocks Used Available Capacity Mounted on\n"
        "/dev/sda2 3670016000 1048576 2097152000 1% /\n",
        "docker": "24.0.7\n",
        "date": f"{time.time():.9f}\n",
    }
    return said[command], "", 0


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
        self.gate: asyncio.Event | None = None  # all answers wait for it, when set
        self.hung: dict[str, asyncio.Event] = {}  # commands that hang until their event
        self.running: Counter[str] = Counter()  # by lane: npu3, or the command itself
        self.most = 0  # calls of the tool at a time, at most
        self.calls: list[str] = []
        self.answered = 0
        self.on_call: Callable[[str], None] = lambda command: None
        self.on_end: Callable[[str], None] = lambda command: None
        self.desks = 0  # open now

    async def connect(self) -> None:
        if self.connect_error is not None:
            raise self.connect_error

    async def run(self, command: str, **_: Any) -> Completed:
        raise AssertionError("checks go over a desk")

    def batch(self, jobs: Sequence[Job], *, width: int = 4) -> AsyncIterator[JobResult]:
        raise AssertionError("checks go over a desk")

    @asynccontextmanager
    async def desk(self, *, root: str) -> AsyncIterator[FakeNode]:
        self.desks += 1
        try:
            yield self
        finally:
            self.desks -= 1

    async def ask(self, job: Job) -> JobResult:
        command = shown(job)
        is_tool = command.startswith("-i ")
        lane = f"npu{command.split()[1]}" if is_tool else f"{command.split()[0]} "
        assert not self.running[lane], f"{lane} is asked two things at a time"
        self.calls.append(command)
        self.on_call(command)
        tools = sum(n for name, n in self.running.items() if not name.endswith(" "))
        self.running[lane] += 1
        self.most = max(self.most, tools + is_tool)
        crowded = is_tool and tools >= self.capacity
        try:
            await asyncio.sleep(0)
            if self.gate is not None:
                await self.gate.wait()
            if command in self.hung and not crowded:
                await self.hung[command].wait()
            if self.lost_after is not None and self.answered >= self.lost_after:
                assert self.error is not None
                raise self.error
            self.answered += 1
            stdout, stderr, code = BUSY if crowded else self._answer(command)
            return JobResult(job.id, code, stdout.encode(), stderr.encode(), 0.1)
        finally:
            self.running[lane] -= 1
            self.on_end(command)

    def _answer(self, command: str) -> Answer:
        if command in self.override:
            answers = self.override[command]
            return answers.pop(0) if len(answers) > 1 else answers[0]
        if not command.startswith("-i "):
            return of_node(self, command)
        _, device, what = command.split(" ", 2)
        return healthy(self.node.rank, int(device), what)

    def stream(self, command: str) -> AsyncIterator[bytes]:
        raise NotImplementedError

    async def upload(self, directory: str, files: Mapping[str, bytes]) -> None:
        raise NotImplementedError

    def tunnel(self, host: str, port: int) -> AbstractAsyncContextManager[Path]:
        raise NotImplementedError


def shown(job: Job) -> str:
    """The command as the tests name it: short, without what finds the tool."""
    assert 0 < job.timeout_s <= 30
    found = re.search(r"hccn_tool (-i \d+ .*)$", job.command)
    if found:
        return found[1]
    if "cat /etc/hccn.conf" in job.command:
        return "hccn.conf"
    command = job.command.partition("; ")[2]
    short = command.split()[0]
    return short if short in ("ls", "ip", "df", "docker", "date", "find", "stat") else command


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

    host_keys: Any = None

    async def accept(self, keys: Any) -> dict[int, Exception]:
        raise NotImplementedError

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
