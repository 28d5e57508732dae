"""Which pings may be sent, and where to: decided pair by pair as soon as both ends are known.

Nothing waits for the slowest node: a ping is put into its node's line once the addresses and the
wiring of its two NPUs are known, in the order of the rounds (:func:`wizard.checks.plan.mesh`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from wizard.checks.answers import AnswerBook
from wizard.checks.asking import Question, skipped
from wizard.checks.model import CellKey, Status
from wizard.checks.nodeline import Device, NodeLine
from wizard.checks.plan import rounds_of
from wizard.checks.problems import Problem
from wizard.checks.topology import read_topology
from wizard.cluster import Cluster

_OF_DEVICE = ("link", "lldp", "ip", "vnic")
_OF_NODE = "spod"
_ADDRESS = {"ping": "ip", "hccs_ping": "vnic"}
_BEHIND = 1000  # pings come after everything else in line


class PairGate:
    """Holds pings back until both ends are known."""

    def __init__(self, book: AnswerBook, cluster: Cluster) -> None:
        self.lines: Mapping[int, NodeLine] = {}
        self._book = book
        self._cluster = cluster
        self._nodes = {node.rank: node for node in cluster.nodes}
        self._waits: dict[Device, int] = {}  # open answers that the ping of a device needs
        self._held: dict[Device, list[Question]] = {}
        self._ready: list[Question] = []

    def begin(self, keys: Iterable[CellKey]) -> dict[int, int]:
        """Take the pings of a run; return how many each node has."""
        self._waits, self._held, self._ready = defaultdict(int), defaultdict(list), []
        for key in self._book.open:
            for device in self._concerned(key):
                self._waits[device] += 1
        counts: dict[int, int] = defaultdict(int)
        for number, step in enumerate(rounds_of(keys, self._cluster)):
            for key in step:
                question = Question(key, order=_BEHIND + number)
                counts[key.node] += 1
                self._hold(question)
        return dict(counts)

    def open(self) -> None:
        """Let go of those that nothing holds back."""
        ready, self._ready = self._ready, []
        self._let_go(ready)

    def answered(self, key: CellKey) -> None:
        """Take note of an answer; let go of the pings that waited for it."""
        ready = []
        for device in self._concerned(key):
            self._waits[device] -= 1
            if self._waits[device] == 0:
                held = self._held.pop(device, [])
                ready += [q for q in held if not self._blocked(q)]
                for question in held:
                    if (other := self._blocked(question)) is not None:
                        self._held[other].append(question)
        self._let_go(ready)

    def hung(self, node: int, device: int) -> None:
        """Answer the pings from an NPU that does not respond; they wait for nothing any more."""
        for questions in self._held.values():
            for question in questions:
                key = question.key
                if (key.node, key.device) == (node, device) and key in self._book.open:
                    self._book.put_hung(key)

    def _concerned(self, key: CellKey) -> list[Device]:
        if key.check == _OF_NODE:
            return [(key.node, n) for n in range(self._cluster.series.devices)]
        if key.check in _OF_DEVICE and key.device is not None:
            return [(key.node, key.device)]
        return []

    def _blocked(self, question: Question) -> Device | None:
        key = question.key
        assert key.device is not None
        assert question.target is not None
        ends = ((key.node, key.device), question.target)
        return next((end for end in ends if self._waits.get(end)), None)

    def _hold(self, question: Question) -> None:
        blocker = self._blocked(question)
        if blocker is None:
            self._ready.append(question)
        else:
            self._held[blocker].append(question)

    def _let_go(self, questions: list[Question]) -> None:
        by_node: dict[int, list[Question]] = defaultdict(list)
        for question in questions:
            by_node[question.key.node].append(question)
        for rank, mine in by_node.items():
            asked = [q for q in mine if q.key in self._book.open and self._may_ask(q)]
            self.lines[rank].came(len(mine), asked)

    def _may_ask(self, question: Question) -> bool:
        """Give a ping its address; or answer its cell here when it cannot or need not be sent."""
        key, target = question.key, question.target
        assert key.device is not None
        assert target is not None
        if key.device in self.lines[key.node].hung:
            self._book.put_hung(key)
            return False
        source = (key.node, key.device)
        if why := self._why_not(key.check, source, target):
            self._book.put(skipped(key, self._nodes[key.node], f"not sent: {why}"))
            return False
        found = self._book.answers.get(CellKey(*target, _ADDRESS[key.check]))
        if found is not None and found.value.get("address"):
            question.address = str(found.value["address"])
            return True
        peer = f"node {target[0]} device {target[1]}"
        unset = found is not None and found.value.get("problem") == Problem.NO_IP
        status = Status.FAIL if unset else Status.ERROR
        what = f"{peer} has no address" if unset else f"the address of {peer} is not known"
        self._book.put_missing(key, Problem.PING_NO_ADDRESS, f"not sent: {what}", status=status)
        return False

    def _why_not(self, check: str, source: Device, target: Device) -> str:
        keys = [CellKey(*source, "lldp"), CellKey(*target, "lldp")]
        keys += [CellKey(source[0], None, "spod"), CellKey(target[0], None, "spod")]
        known = {k: r for k in keys if (r := self._book.answers.get(k)) is not None}
        return read_topology(known, self._cluster).why_not(check, source, target)
