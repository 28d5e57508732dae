"""Reading the ping matrix: who is to blame for the pings that fail. Pure.

A whole row and column is one device, a whole block a node or a switch, one direction only is ARP,
routing or an ACL, and one outsider against a majority in which all reach each other is the
outsider's fault (facts on hccn_tool, "Troubleshooting", 6).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from wizard.checks.board import Board
from wizard.checks.model import CellKey, Result, Status, device_name
from wizard.checks.problems import Problem
from wizard.cluster import Cluster

Device = tuple[int, int]
Place = tuple[int, int | None]  # rank of the node, NPU or None for the node as a whole
PING_CHECKS = ("ping", "hccs_ping")
_BAD = (Status.FAIL, Status.ERROR)
_OF_NETWORK = frozenset(
    {
        Problem.PING_LOSS,
        Problem.PING_PARTIAL,
        Problem.PING_HOST_UNREACHABLE,
        Problem.PING_MTU,
        Problem.HCCS_LOSS,
        Problem.HCCS_PLANE,
    }
)


class Kind(StrEnum):
    """The figure that the failing cells make in the matrix."""

    NODE = "node"
    BLOCK = "block"
    DEVICE = "device"
    ROW = "row"
    COLUMN = "column"
    OUTSIDER = "outsider"
    ONE_WAY = "one way"
    PAIR = "pair"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a figure means.

    Attributes:
        kind: the figure.
        problem: id in the runbook.
        text: in words, with the culprit.
        culprits: nodes or devices.
        cells: the pings that it explains.
    """

    kind: Kind
    problem: str
    text: str
    culprits: tuple[Place, ...]
    cells: tuple[CellKey, ...]


def read_mesh(board: Board, cluster: Cluster) -> list[Reading]:
    """Read the whole matrix of a board, RoCE first, then HCCS."""
    suspects = {
        (r.key.node, r.key.device)
        for r in board
        if r.key.device is not None and r.key.peer_node is None and r.status in _BAD
    }
    bad = [r for r in board if r.key.check in PING_CHECKS and _counts(r) and r.status in _BAD]
    return read_pings(board, bad, suspects)


def read_pings(board: Board, bad: Iterable[Result], suspects: set[Device]) -> list[Reading]:
    """Say who is to blame for the pings in ``bad``.

    Args:
        board: for all pings, those that pass too.
        bad: the failing ones to explain.
        suspects: NPUs that something else than a ping speaks against; of two devices that only
            fail each other, such a one is named, otherwise both.
    """
    found: list[Reading] = []
    blamed = list(bad)
    switches = _switches(board)
    for check in PING_CHECKS:
        mine = {r.key: r for r in blamed if r.key.check == check}
        if mine:
            pings = [r for r in board if r.key.check == check and _counts(r)]
            found += _Mesh(pings, mine, suspects, switches).read()
    return found


def _counts(result: Result) -> bool:
    """Whether a ping was sent and answered by the tool: only such tell of the network."""
    return result.status is Status.PASS or result.value.get("problem") in _OF_NETWORK


def _switches(board: Board) -> dict[Device, str]:
    return {
        (r.key.node, r.key.device): str(r.value["switch"])
        for r in board
        if r.key.check == "lldp" and r.key.device is not None and r.value.get("switch")
    }


class _Mesh:
    """The pings of one kind; what is explained is taken out of ``left``."""

    def __init__(
        self,
        pings: list[Result],
        left: dict[CellKey, Result],
        suspects: set[Device],
        switches: Mapping[Device, str],
    ) -> None:
        self.pings = pings
        self.left = left
        self.explained: set[CellKey] = set()
        self.suspects = suspects
        self.switches = switches
        self.out: dict[Device, list[Result]] = defaultdict(list)
        self.into: dict[Device, list[Result]] = defaultdict(list)
        self.by_key = {r.key: r for r in pings}
        for result in pings:
            source, target = ends(result.key)
            self.out[source].append(result)
            self.into[target].append(result)

    def read(self) -> list[Reading]:
        found = [*self._nodes(), *self._blocks(), *self._devices(), *self._lines()]
        found += [*self._outsiders(), *self._pairs()]
        return found

    def _reading(
        self, kind: Kind, problem: Problem, text: str, culprits: Iterable[Place],
        mine: Iterable[CellKey],
    ) -> Reading:  # fmt: skip
        cells = tuple(key for key in dict.fromkeys(mine) if key in self.left)
        for key in cells:
            del self.left[key]
        self.explained.update(cells)
        return Reading(kind, problem.value, text, tuple(culprits), cells)

    def _nodes(self) -> Iterable[Reading]:
        """Nodes all of whose pings fail, where the other nodes reach each other."""
        of_node: dict[int, list[Result]] = defaultdict(list)
        for result in self.pings:
            for rank in _ranks(result.key):
                of_node[rank].append(result)
        passed = sum(r.status is Status.PASS for r in self.pings)
        for node, mine in sorted(of_node.items()):
            others_do = passed > sum(r.status is Status.PASS for r in mine)
            if others_do and len({r.key.device for r in mine}) > 1 and self._all_bad(mine):
                text = f"node {node} reaches no node and none reaches it; the others do"
                yield self._reading(
                    Kind.NODE, Problem.PING_NODE, text, [(node, None)],
                    [r.key for r in mine if r.key in self.left],
                )  # fmt: skip

    def _blocks(self) -> Iterable[Reading]:
        """Two nodes, or two switches, between which nothing gets through in either direction."""
        groups: dict[frozenset[int], list[Result]] = defaultdict(list)
        walls: dict[frozenset[str], list[Result]] = defaultdict(list)
        for result in self.pings:
            groups[frozenset(_ranks(result.key))].append(result)
            sides = {self.switches.get(end, "") for end in ends(result.key)}
            if len(sides) == 2 and "" not in sides:
                walls[frozenset(sides)].append(result)
        for wall, cells in sorted(walls.items(), key=lambda item: sorted(item[0])):
            pairs = {frozenset(_ranks(r.key)) for r in cells}
            if len(pairs) > 1 and self._block(cells):
                one, two = sorted(wall)
                text = f"nothing gets from switch {one} to {two} or back"
                nodes = sorted({rank for r in cells for rank in _ranks(r.key)})
                keys = [r.key for r in cells]
                yield self._reading(
                    Kind.BLOCK, Problem.PING_BLOCK, text, [(n, None) for n in nodes],
                    keys,
                )  # fmt: skip
        for nodes_, cells in sorted(groups.items(), key=lambda item: sorted(item[0])):
            if self._block(cells):
                one_, two_ = sorted(nodes_)
                text = f"node {one_} and node {two_} do not reach each other at all"
                keys = [r.key for r in cells]
                yield self._reading(
                    Kind.BLOCK, Problem.PING_BLOCK, text, [(one_, None), (two_, None)],
                    keys,
                )  # fmt: skip

    def _block(self, cells: list[Result]) -> bool:
        return len({r.key.device for r in cells}) > 1 and self._all_bad(cells)

    def _devices(self) -> Iterable[Reading]:
        """Devices all of whose pings fail, most failures first.

        One whose every failure is shared with a likelier culprit is not named.
        """
        mine = {d: self.out[d] + self.into[d] for d in {*self.out, *self.into}}
        silent = {d for d, all_ in mine.items() if self._all_bad(all_)}
        named: set[Device] = set()
        for device in sorted(silent, key=lambda d: (d not in self.suspects, -len(mine[d]), d)):
            peers = {e for r in self._unexplained(mine[device]) for e in ends(r.key)} - {device}
            alone = not peers & silent
            likely = device in self.suspects and not peers & silent & self.suspects
            if not peers & named and (alone or likely):
                named.add(device)
                text = f"{device_name(device)}: none of its {len(mine[device])} pings gets through"
                reading = self._reading(
                    Kind.DEVICE, Problem.PING_DEVICE, text, [device],
                    [key for key in self.left if device in ends(key)],
                )  # fmt: skip
                if reading.cells:
                    yield reading

    def _lines(self) -> Iterable[Reading]:
        """Devices of which one direction alone fails, with every peer: a row or a column."""
        for kind, there, back, words in (
            (Kind.ROW, self.out, self.into, "reaches nobody, though all reach it"),
            (Kind.COLUMN, self.into, self.out, "is reached by nobody, though it reaches all"),
        ):
            for device in sorted(there):
                if not self._all_bad(there[device]):
                    continue
                bad, good = (self._unexplained(c[device]) for c in (there, back))
                if len(bad) < 2 or not good:
                    continue
                if all(r.status is Status.PASS for r in good):
                    who = device_name(device)
                    text = f"{who} {words}: one direction only (ARP, routing or an ACL)"
                    keys = [r.key for r in bad]
                    yield self._reading(kind, Problem.PING_ONE_WAY, text, [device], keys)

    def _outsiders(self) -> Iterable[Reading]:
        """Devices without which the largest group reach each other fully; a pair has no such."""
        while True:
            partners: dict[Device, set[Device]] = defaultdict(set)
            for key in self.left:
                source, target = ends(key)
                partners[source].add(target)
                partners[target].add(source)
            order = Counter({d: len(peers) for d, peers in partners.items()}).most_common(2)
            if not order or order[0][1] < 2 or (len(order) > 1 and order[0][1] == order[1][1]):
                return
            device, count = order[0]
            healthy = len({*self.out, *self.into}) - len(partners)
            who = device_name(device)
            text = f"{who} fails with {count} others; {healthy} NPUs all reach each other"
            yield self._reading(
                Kind.OUTSIDER, Problem.PING_DEVICE, text, [device],
                [key for key in self.left if device in ends(key)],
            )  # fmt: skip

    def _pairs(self) -> Iterable[Reading]:
        for key, result in list(self.left.items()):
            source, target = ends(key)
            back = self.by_key.get(reverse(key))
            problem = str(result.value.get("problem"))
            kind, text = (
                Kind.PAIR,
                f"{device_name(source)} to {device_name(target)}: {result.summary}",
            )
            if problem == Problem.PING_LOSS and back is not None and back.status is Status.PASS:
                problem, kind = Problem.PING_ONE_WAY.value, Kind.ONE_WAY
                way = f"{device_name(source)} does not reach {device_name(target)}"
                text = f"{way}, but the way back works"
            yield Reading(kind, problem, text, (source, target), (key,))
        self.left.clear()

    def _all_bad(self, cells: Iterable[Result]) -> bool:
        """Whether all of these fail for no reason known yet, and there are any."""
        found = False
        for result in cells:  # most often the first tells
            if result.key not in self.explained:
                if result.key not in self.left:
                    return False
                found = True
        return found

    def _unexplained(self, cells: Iterable[Result]) -> list[Result]:
        return [r for r in cells if r.key not in self.explained]


def ends(key: CellKey) -> tuple[Device, Device]:
    """Return source and target of a ping."""
    assert key.device is not None
    assert key.peer_node is not None
    assert key.peer_device is not None
    return (key.node, key.device), (key.peer_node, key.peer_device)


def reverse(key: CellKey) -> CellKey:
    """Return the cell of the way back."""
    source, target = ends(key)
    return CellKey(*target, key.check, *source)


def _ranks(key: CellKey) -> tuple[int, int]:
    source, target = ends(key)
    return source[0], target[0]
