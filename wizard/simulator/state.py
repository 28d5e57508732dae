"""What the simulated nodes are: devices, addresses, links. The tools read and write this."""

from __future__ import annotations

import asyncio
import ipaddress
import random
from dataclasses import dataclass, field
from pathlib import Path

from wizard.cluster import Series
from wizard.simulator.holds import Holds
from wizard.simulator.scenario import PairFault, Scenario
from wizard.simulator.traits import Traits

NIC = "enp66s0f0"  # the interface that holds every node's own address


@dataclass(frozen=True, slots=True)
class Output:
    """What a tool prints and how it exits. ``seconds`` is how long it took, at speed 1."""

    stdout: str = ""
    stderr: str = ""
    code: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class Device:
    """One NPU and its network port, as hccn_tool sees them."""

    node: int
    id: int
    mac: str
    switch_port: str
    ip: str | None
    netmask: str
    gateway: str | None
    netdetect: str | None
    vnic_ip: str
    link_up: bool = True
    light: bool = True  # False: no light comes in, so the link cannot come up
    lldp: bool = True
    tls: bool = False
    health: str = "OK"
    net_health: str | None = None  # what it says of itself, whatever holds
    optic: str = "good"  # or missing, weak, dim
    vlan: bool = True  # False: it has a link, and reaches nobody
    vnic_up: bool = True
    hung: bool = False
    held: str | None = None  # by a process, or its memory alone
    conf_ip: str | None = None  # what hccn.conf says, where that is not what runs
    direct: bool = False  # a fibre to the same NPU of another node, without a switch
    changes: list[tuple[float, bool]] = field(default_factory=list)  # (time, up), newest first

    def network(self) -> ipaddress.IPv4Network | None:
        """Return the subnet of the port, or None without an address."""
        if self.ip is None:
            return None
        return ipaddress.IPv4Network(f"{self.ip}/{self.netmask}", strict=False)


@dataclass(slots=True)
class SimNode:
    """One simulated server."""

    rank: int
    series: Series
    address: str  # its own loopback address; what the preset calls local_ip
    token: str  # tools on this node prove by it where they run
    root: Path  # stands for / of the node
    slow: float
    devices: list[Device]
    images: set[str]
    traits: Traits = field(default_factory=Traits)
    calls: set[int] = field(default_factory=set)  # devices that hccn_tool is talking to now
    listening: dict[int, str] = field(default_factory=dict)
    fetched: int = 0  # bytes of images that came since the start

    @property
    def hostname(self) -> str:
        """Name that the node gives itself."""
        return self.traits.hostname or f"atlas-{self.rank:02d}"

    @property
    def nic(self) -> str:
        """Interface that holds the node's own address; "" when none does."""
        named = {"bond": "bond0", "vlan": f"{NIC}.100", "dummy": "dummy0", "nat": ""}
        return named.get(self.traits.network, NIC)

    @property
    def free_bytes(self) -> int:
        """What is free of the file system that holds the images."""
        return max(0, (self.traits.free_gb << 30) - self.fetched)

    @property
    def home(self) -> Path:
        """Home directory of root on the node."""
        return self.root / "root"

    def path(self, path: str) -> Path:
        """Return where a path of the node really lies; one that lies there already stays."""
        return Path(path) if path.startswith(str(self.root)) else self.root / path.lstrip("/")


@dataclass(slots=True)
class World:
    """The whole simulated cluster, shared by everything that plays a part of it."""

    series: Series
    scenario: Scenario
    speed: float
    nodes: list[SimNode]
    random: random.Random = field(default_factory=lambda: random.Random(32))  # noqa: S311
    holds: Holds = field(default_factory=Holds)

    async def pause(self, seconds: float) -> None:
        """Let ``seconds`` of simulated time pass: that, divided by the run's speed."""
        await asyncio.sleep(seconds / self.speed)

    def find(self, ip: str) -> Device | None:
        """Return the device that holds an address, or None."""
        return next((d for n in self.nodes for d in n.devices if d.ip == ip), None)

    def lost(self, source: Device, target_ip: str) -> int | None:
        """Return how many of 3 packets get lost, or None when the target cannot even be tried."""
        network = source.network()
        if network is None or not source.link_up or not source.vlan:
            return 3
        outside = ipaddress.IPv4Address(target_ip) not in network
        if outside and not _usable_gateway(source):
            return None
        if target_ip in {n for n in (_router(d) for s in self.nodes for d in s.devices) if n}:
            return 0
        target = self.find(target_ip)
        if target is None or not target.link_up or (outside and not _usable_gateway(target)):
            return 3
        same_node = target.node == source.node
        if same_node and self.series is Series.A3 and target.id // 2 == source.id // 2:
            return 3  # the two dies of one card cannot reach each other over RoCE
        if not target.vlan or (not same_node and self._cut(source, target)):
            return 3
        fault = self.pair_fault(source, target, "roce")
        return fault.lost if fault else 0

    def _cut(self, source: Device, target: Device) -> bool:
        """Whether nothing gets from one node's NPU to another's, for reasons of the network."""
        if source.direct or target.direct:
            return source.id != target.id
        here, there = (self.scenario.node_fault(d.node) for d in (source, target))
        if here.isolated or there.isolated:
            return True
        split = here.switch != there.switch
        return split and self.scenario.uplink == "down"

    def pair_fault(self, source: Device, target: Device, over: str) -> PairFault | None:
        """Return what the scenario says of pings from one NPU to another."""
        for fault in self.scenario.pairs:
            ends = (fault.source.node, fault.source.device, fault.target.node, fault.target.device)
            if fault.over == over and ends == (source.node, source.id, target.node, target.id):
                return fault
        return None


def _router(device: Device) -> str | None:
    """The switch's own address in a device's subnet: the first one."""
    network = device.network()
    return str(network[1]) if network else None


def _usable_gateway(device: Device) -> bool:
    return device.gateway is not None and device.gateway == _router(device)
