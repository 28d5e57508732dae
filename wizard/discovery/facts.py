"""What a node says of itself, as plain values. None is everywhere "not known", never a guess."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from wizard.cluster import Precision, Series


@dataclass(frozen=True, slots=True)
class Address:
    """One address of an interface.

    Attributes:
        nic: the interface, a VLAN without its parent.
        ip: in its canonical form.
        prefix: length of the network's prefix.
        usable: other nodes can rely on it: global, lasting, on a NIC, bond, VLAN or dummy, and
            not on loopback or a bridge of containers or virtual machines.
    """

    nic: str
    ip: str
    prefix: int
    usable: bool


@dataclass(frozen=True, slots=True)
class Route:
    """The node's way to another: by which interface, from which address, or why there is none."""

    target: str = ""
    nic: str = ""
    source: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Runtime:
    """A container engine. ``state``: ``up``, ``down`` (no daemon answers) or ``denied``."""

    name: str
    version: str | None
    state: str | None
    root: str | None = None  # where it keeps images


@dataclass(frozen=True, slots=True)
class Space:
    """Room on the file system that holds ``path``, in bytes."""

    path: str
    mount: str
    size: int
    free: int


@dataclass(frozen=True, slots=True)
class Weights:
    """A folder with a model in it.

    Attributes:
        precision: BF16 or W8A8; None when it is another, or cannot be told.
        method: the quantisation that its config.json names, "" for none.
        config: whether config.json is there.
        shards: how many of the shards that the index names are there and not empty.
        expected: how many the index names; None without an index.
        size: bytes of all shards.
    """

    path: str
    precision: Precision | None
    method: str
    config: bool
    shards: int
    expected: int | None
    size: int
    space: Space | None = None

    @property
    def complete(self) -> bool:
        """Whether everything that the index names is there."""
        return self.config and self.expected is not None and self.shards == self.expected > 0


@dataclass(frozen=True, slots=True)
class Clock:
    """How far the node's clock is ahead of ours, in seconds, give or take ``bound``."""

    offset: float
    bound: float


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """One node. What each field means stands at its type, and in :mod:`wizard.discovery.asking`.

    Attributes:
        devices: how many ``/dev/davinciN`` there are.
        chips: what npu-smi calls the NPUs, each name once.
        routes: by the host of the other node, as the preset names it.
        arrival: the address at which our own connection arrived.
        gateway_nic: interface of the default route.
        hidden: places of weights that the login may not read.
    """

    host: str
    hostname: str | None = None
    arch: str | None = None
    os: str | None = None
    machine_id: str | None = None
    boot_id: str | None = None
    devices: int | None = None
    chips: tuple[str, ...] | None = None
    driver: str | None = None
    npu_smi: str | None = None
    firmware: str | None = None
    addresses: tuple[Address, ...] | None = None
    routes: Mapping[str, Route] = field(default_factory=dict)
    arrival: str | None = None
    gateway_nic: str | None = None
    runtimes: tuple[Runtime, ...] = ()
    root_space: Space | None = None
    runtime_space: Space | None = None
    clock: Clock | None = None
    weights: tuple[Weights, ...] = ()
    hidden: tuple[str, ...] = ()

    @property
    def series(self) -> Series | None:
        """The series that the number of NPUs says and their name does not contradict."""
        counted = next((s for s in Series if s.devices == self.devices), None)
        named = self.named_series
        return counted if not self.chips or named is counted else None

    @property
    def named_series(self) -> Series | None:
        """The series that npu-smi's name of the NPUs says; None for others and mixed ones.

        A2 servers have chips called 910B, A3 servers Ascend910 (older tools: 910C, 910_93xx).
        """
        found = {_series_of(name) for name in self.chips or ()}
        return found.pop() if len(found) == 1 else None

    def runtime(self, name: str) -> Runtime | None:
        """Return the engine of that name, None when the node has none."""
        return next((r for r in self.runtimes if r.name == name), None)


def _series_of(chip: str) -> Series | None:
    name = chip.lower().removeprefix("ascend")
    if name.startswith("910b"):
        return Series.A2
    if name in ("910", "910c") or name.startswith("910_93"):
        return Series.A3
    return None
