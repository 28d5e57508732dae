"""From HCCL's ranks and tables to nodes and devices of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wizard.diagnosis.marks import Hit, NodeLog

_MOST = 64  # pairs told of; more is the whole cluster


@dataclass(frozen=True, slots=True)
class End:
    """One end of a link: an NPU as its address, and as node and device where these are known."""

    address: str
    node: int | None = None
    device: int | None = None

    @property
    def label(self) -> str:
        """Name for sentences: ``node 1 NPU 3 (29.11.1.35)``, or ``NPU 29.11.1.35``."""
        if self.node is None:
            return f"NPU {self.address}"
        return f"node {self.node} NPU {self.device} ({self.address})"


@dataclass(frozen=True, slots=True)
class Pair:
    """A link that failed; ``tls`` is the switch as the source's side gave it, or ""."""

    source: End
    target: End
    tls: str = ""


class RankMap:
    """Which node owns which rank: as the logs say, else by counting.

    ``addresses`` gives node and device of NPUs' addresses, where the checks have read them;
    ``hosts`` the node of each server's address.
    """

    def __init__(
        self,
        logs: Sequence[NodeLog],
        npus_per_node: int | None = None,
        addresses: Mapping[str, tuple[int, int]] | None = None,
        hosts: Mapping[str, int] | None = None,
    ) -> None:
        self._addresses, self._hosts = addresses or {}, hosts or {}
        self._nodes = {log.node for log in logs}
        self._owner = {rank: log.node for log in logs for rank in log.ranks}
        nodes = max((log.node for log in logs), default=0) + 1
        world = max((log.world or 0 for log in logs), default=0)
        if npus_per_node is None and world and world % nodes == 0:
            npus_per_node = world // nodes
        self.npus = npus_per_node

    def owner(self, rank: int) -> int | None:
        """Return the node of a rank, or None when nothing tells."""
        if rank in self._owner:
            return self._owner[rank]
        return rank // self.npus if self.npus else None

    def end(self, address: str, rank: str | None) -> End:
        """Return the end of a link: by its address, else by its rank."""
        if place := self._addresses.get(address):
            return End(address, *place)
        if not rank or self.npus is None:
            return End(address)
        return End(address, self.owner(int(rank)), int(rank) % self.npus)

    def owners(self, hit: Hit) -> list[int]:
        """Return the nodes that own the ranks which a hit names."""
        ranks = [
            int(word)
            for row in hit.rows
            for word in row.get("ranks", "").replace(",", " ").split()
            if word.isdigit()
        ]
        return sorted({node for rank in ranks if (node := self.owner(rank)) is not None})

    def server(self, hit: Hit, node: int) -> list[int]:
        """Return the node of the server that a hit names; ``node`` is the one whose log it is."""
        host = hit.values.get("host", "")
        others = self._nodes - {node}
        if self._hosts.get(host) in others:
            return [self._hosts[host]]
        return [*others] if host and len(others) == 1 else []

    def pairs(self, hit: Hit) -> tuple[Pair, ...]:
        """Return the links that a hit names, each once."""
        rows = hit.rows or [hit.values]
        found = [
            Pair(
                self.end(row["src_ip"], row.get("src_rank")),
                self.end(row["dest_ip"], row.get("dest_rank")),
                row.get("tls", ""),
            )
            for row in rows
            if "src_ip" in row and "dest_ip" in row
        ]
        return tuple(dict.fromkeys(found))[:_MOST]


def tls_differs(pairs: Sequence[Pair]) -> bool:
    """Whether the switch is on at some ends and off at others, as far as the tables tell."""
    return {"ENABLE", "DISABLE"} <= {pair.tls for pair in pairs}
