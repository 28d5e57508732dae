"""The pings of a board as squares: node by node, and device by device of two nodes. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from wizard.checks.board import Board
from wizard.checks.model import CellKey, Result, Status
from wizard.cluster import Cluster

_ORDER = (
    *(Status.SKIPPED, Status.PASS, Status.PENDING, Status.RUNNING),
    *(Status.WARN, Status.FAIL, Status.ERROR),
)
_WORST = (Status.ERROR, Status.FAIL, Status.WARN)


@dataclass
class Pair:
    """The pings from one node to another, counted by status."""

    keys: list[CellKey] = field(default_factory=list)
    counts: Counter[Status] = field(default_factory=Counter)

    @property
    def asked(self) -> int:
        """How many are to be sent; a direct fibre joins the same index only."""
        return len(self.keys) - self.counts[Status.SKIPPED]

    @property
    def status(self) -> Status:
        """The worst answer; before all have answered, that they have not."""
        for status in _WORST:
            if self.counts[status]:
                return status
        if self.counts[Status.RUNNING]:
            return Status.RUNNING
        if self.counts[Status.PENDING]:
            return Status.PENDING
        return Status.PASS if self.counts[Status.PASS] else Status.SKIPPED

    @property
    def words(self) -> str:
        """The pair in words: ``14 of 16 pass, 2 fail``."""
        parts = [f"{self.counts[Status.PASS]} of {self.asked} pass"]
        for status in (*_WORST, Status.SKIPPED, Status.RUNNING, Status.PENDING):
            if count := self.counts[status]:
                parts.append(f"{count} {status.value}")
        return ", ".join(parts)


class MeshView:
    """Counts the pings of a board; follows what changes. Keys that it is told of may be any."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self.pairs: dict[tuple[int, int], Pair] = defaultdict(Pair)
        self._known: dict[CellKey, Status] = {}
        self._roce = 0
        self.update(result.key for result in board)

    def update(self, keys: Iterable[CellKey]) -> set[tuple[int, int]]:
        """Take up changed cells; return the pairs of nodes concerned."""
        touched = set()
        for key in keys:
            result = self._board.get(key)
            if key.peer_node is None or result is None:
                continue
            pair = self.pairs[key.node, key.peer_node]
            old = self._known.get(key)
            if old is None:
                pair.keys.append(key)
                self._roce += key.check == "ping"
            else:
                pair.counts[old] -= 1
            pair.counts[result.status] += 1
            self._known[key] = result.status
            touched.add((key.node, key.peer_node))
        return touched

    def missing(self, cluster: Cluster) -> int:
        """Return how many pairs of devices across nodes were not pinged over RoCE."""
        nodes, devices = len(cluster.nodes), cluster.series.devices
        return nodes * (nodes - 1) * devices * devices - self._roce

    def devices(self, source: int, target: int) -> dict[tuple[int, int], Result]:
        """Return the pings from one node to another by device of the source and of the target.

        Where a pair is pinged over RoCE and over HCCS, the worse answer stands for it.
        """
        found: dict[tuple[int, int], Result] = {}
        for key in self.pairs[source, target].keys:
            result = self._board.get(key)
            if result is not None and key.device is not None and key.peer_device is not None:
                old = found.get((key.device, key.peer_device))
                if old is None or _ORDER.index(result.status) > _ORDER.index(old.status):
                    found[key.device, key.peer_device] = result
        return found

    @property
    def counts(self) -> Counter[Status]:
        """All pings by status."""
        total: Counter[Status] = Counter()
        for pair in self.pairs.values():
            total.update(pair.counts)
        return total
