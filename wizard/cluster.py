"""The words that everything else speaks: series, precision, node, cluster."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class Series(StrEnum):
    """A generation of Atlas 800 servers."""

    A2 = "A2"
    A3 = "A3"

    @property
    def devices(self) -> int:
        """NPUs per node, counted by physical id (hccn_tool ``-i``, ``/dev/davinciN``)."""
        return {"A2": 8, "A3": 16}[self.value]

    @property
    def machine(self) -> str:
        """Name of the server, as the guide writes it."""
        return f"Atlas 800 {self.value} (64G × {self.devices})"


class Precision(StrEnum):
    """How the weights are stored."""

    BF16 = "bf16"
    W8A8 = "w8a8"

    @property
    def label(self) -> str:
        """The name that people use, in capitals."""
        return self.value.upper()


@dataclass(frozen=True, slots=True)
class Node:
    """One server, as we reach it and as the other nodes reach it.

    Attributes:
        rank: its place in the cluster; node 0 is the head, which serves the API.
        host: name, address or ssh_config alias that SSH is given.
        port, user, identity_file, jump, known_hosts: as in a preset; None leaves it to
            ssh_config and the defaults.
        local_ip: address by which the other nodes reach it, or None while unknown.
        nic: interface that holds ``local_ip``, or None while unknown.
    """

    rank: int
    host: str
    port: int | None = None
    user: str | None = None
    identity_file: str | None = None
    jump: str | None = None
    known_hosts: str | None = None
    local_ip: str | None = None
    nic: str | None = None

    @property
    def name(self) -> str:
        """Short name for people: ``node 1``."""
        return f"node {self.rank}"

    @property
    def label(self) -> str:
        """Name with the host, for errors and headings: ``node 1 (10.0.0.12)``."""
        return f"node {self.rank} ({self.host})"


@dataclass(frozen=True, slots=True)
class Cluster:
    """The nodes of one deployment, in rank order, all of one series."""

    series: Series
    precision: Precision
    nodes: tuple[Node, ...]

    @property
    def ways(self) -> tuple[Node, ...]:
        """The nodes as we reach them: without what only the other nodes need."""
        return tuple(replace(node, local_ip=None, nic=None) for node in self.nodes)
