"""The run of all checks: nodes side by side, each asked as fast as its tool bears it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from wizard.checks.answers import AnswerBook
from wizard.checks.asking import Question, skipped, together
from wizard.checks.board import Board
from wizard.checks.catalogue import CHECKS
from wizard.checks.estimate import seconds, seconds_left
from wizard.checks.expectations import Expectations, of_preset
from wizard.checks.mesh import Reading, read_mesh
from wizard.checks.model import CellKey, Result, Status
from wizard.checks.nodeline import NodeLine
from wizard.checks.pairs import PairGate
from wizard.checks.plan import plan_cells
from wizard.checks.problems import Problem
from wizard.checks.topology import Topology, read_topology
from wizard.checks.width import Width
from wizard.cluster import Cluster
from wizard.errors import RemoteError, UsageError
from wizard.remote.api import Nodes

if TYPE_CHECKING:
    from wizard.presetmodel import Preset

WIDTH, WIDEST = 4, 16
_SETTLING = (Problem.NET_HEALTH_INIT, Problem.NET_HEALTH_PENDING)
_PARTIAL = (Problem.PING_PARTIAL, Problem.HCCS_LOSS)


class CheckRun:
    """One run of the checks, and re-runs of parts of it, over connections that are kept.

    Args:
        fleet: how the nodes are reached; connections are opened when needed.
        cluster: the nodes and how many NPUs each must have.
        only: names of checks; None for all. What their verdicts need is asked as well.
        width: how many calls of hccn_tool run side by side on one node at most (1 to 16); fewer
            where the tool turns out not to bear that.
        full: ping every pair of devices across nodes rather than those of the same index.
        expect: what the preset needs of the nodes; without it that is not judged.
        settle_s: how long a network health of ``Init`` or ``Detect ip set`` may take to settle.
        backoff_s: first pause before busy questions are asked again; doubles every time.

    Raises:
        UsageError: ``only`` names a check that does not exist, or ``width`` is out of range.
    """

    def __init__(
        self,
        fleet: Nodes,
        cluster: Cluster,
        *,
        only: frozenset[str] | None = None,
        width: int = WIDTH,
        full: bool = False,
        expect: Expectations | None = None,
        settle_s: float = 5.0,
        backoff_s: float = 0.25,
    ) -> None:
        if not 1 <= width <= WIDEST:
            raise UsageError(f"The width of the checks is {width}; it must be 1 to {WIDEST}.")
        self.cluster = cluster
        self.board = Board()
        self.started_at: datetime | None = None
        self.running = False
        self._only = only
        self._expect = expect or Expectations()
        self._settle_s = settle_s
        self._remotes = {remote.node.rank: remote for remote in fleet.remotes}
        self._book = AnswerBook(self.board, cluster, self._expect)
        self._gate = PairGate(self._book, cluster)
        targets: set[tuple[int, int]] = set()
        self._lines = {
            rank: NodeLine(
                remote.node,
                Width(width),
                targets,
                self._book.hand_out,
                self._answered,
                self._freed,
                backoff_s,
            )
            for rank, remote in self._remotes.items()
        }
        self._gate.lines = self._lines
        self._book.on_answer = self._gate.answered
        self._lock = asyncio.Lock()
        self._work: asyncio.Task[None] | None = None
        self._stopping = False
        self._start = self._end = 0.0
        self.board.expect(plan_cells(cluster, only, full=full))

    @classmethod
    def of(cls, fleet: Nodes, preset: Preset, **options: object) -> CheckRun:
        """Return the run for a preset: its nodes, and what it needs of them."""
        return cls(fleet, preset.cluster, expect=of_preset(preset), **options)  # type: ignore[arg-type]

    # -- state

    @property
    def progress(self) -> tuple[int, int]:
        """How many cells have an answer, of how many."""
        total = len(self.board)
        open_cells = self.board.count(Status.PENDING) + self.board.count(Status.RUNNING)
        return total - open_cells, total

    @property
    def duration_s(self) -> float:
        """Seconds that the latest run or re-run has taken so far, or took."""
        if self.running:
            return time.monotonic() - self._start
        return self._end - self._start

    @property
    def topology(self) -> Topology:
        """How the nodes are joined, as far as the answers tell by now."""
        return read_topology(self._book.answers, self.cluster)

    def readings(self) -> list[Reading]:
        """What the pings say together, in words, with the culprit."""
        return read_mesh(self.board, self.cluster)

    def estimate(self, *, full: bool = False) -> float:
        """Return how many seconds what is open will take; of the full mesh with ``full``.

        Reckoned from how long calls took so far, or usually take, and from the width.
        """
        if self.running and not full:
            return seconds_left(self._lines.values())
        keys = [r.key for r in self.board if not r.status.final or self._unknown(r.key)]
        if full:
            every = plan_cells(self.cluster, self._only, full=True)
            keys = [k for k in every if k.peer_node is not None and self._unknown(k)]
        return seconds(keys, self._lines)

    # -- commands

    def remember(self, results: Iterable[Result]) -> None:
        """Take answers of an earlier run, which link changes are counted from."""
        self._book.last_run = {r.key: r for r in results if r.key.check == "link_stat"}

    async def run(self) -> Board:
        """Answer every cell. Bad nodes become results, never exceptions; cancelling is safe."""
        self.started_at = None
        await self._answer([r.key for r in self.board])
        return self.board

    async def rerun(self, keys: Iterable[CellKey]) -> None:
        """Answer these cells again; verdicts over all cells follow.

        Raises:
            UsageError: a cell is not part of this run.
        """
        wanted = list(dict.fromkeys(keys))
        for key in wanted:
            if self.board.get(key) is None:
                raise UsageError(f"The check {key.check} of node {key.node} is not in this run.")
        await self._answer(wanted)

    async def run_mesh(self) -> None:
        """Ping every pair of devices across nodes that was not pinged yet."""
        every = plan_cells(self.cluster, self._only, full=True)
        await self._answer([k for k in every if k.peer_node is not None and self._unknown(k)])

    def cancel(self) -> bool:
        """Stop what runs; answered cells keep their answers. False when nothing runs."""
        if self._work is None or self._work.done():
            return False
        self._stopping = True
        self._work.cancel()
        return True

    async def resume(self) -> None:
        """Answer what was not answered before it was stopped."""
        await self._answer([r.key for r in self.board if self._unknown(r.key)])

    def _unknown(self, key: CellKey) -> bool:
        result = self.board.get(key)
        if result is None or result.status is Status.PENDING:
            return True
        return result.value.get("problem") == Problem.CANCELLED

    # -- one run

    async def _answer(self, keys: list[CellKey]) -> None:
        async with self._lock:
            self.running, self._start = True, time.monotonic()
            self.started_at = self.started_at or datetime.now(UTC)
            self._stopping = False
            self._book.begin(keys)
            try:
                self._work = asyncio.create_task(self._nodes(keys))
                await self._work
            except asyncio.CancelledError:
                if not self._stopping:
                    raise
            finally:
                for key in keys:
                    if key in self._book.open:
                        why = "cancelled before an answer came"
                        self._book.put_missing(key, Problem.CANCELLED, why)
                self._book.settle_running()
                self._book.judge()
                self._end = time.monotonic()
                self.running = False

    async def _nodes(self, keys: list[CellKey]) -> None:
        by_node: dict[int, list[CellKey]] = {}
        for key in keys:
            by_node.setdefault(key.node, []).append(key)
        pairs = self._gate.begin(key for key in keys if key.peer_node is not None)
        for rank in by_node:
            self._lines[rank].begin()
            self._lines[rank].expect(pairs.get(rank, 0))
        async with asyncio.TaskGroup() as group:
            for rank, cells in by_node.items():
                group.create_task(self._node(rank, cells))
            self._gate.open()

    async def _node(self, rank: int, keys: list[CellKey]) -> None:
        """Answer all that one node is asked; pings come into its line when they may be sent."""
        ssh = CellKey(rank, None, "ssh")
        remote, line = self._remotes[rank], self._lines[rank]
        try:
            begun = time.monotonic()
            await remote.connect()
            if ssh in self._book.open:
                took = time.monotonic() - begun
                host = remote.node.host
                self._book.put(Result(ssh, Status.PASS, "connected", host=host, duration_s=took))
            line.add(self._questions([k for k in keys if k.peer_node is None and k != ssh]))
            if not line.done:
                async with remote.desk(root="must") as desk:
                    await line.run(desk)
        except RemoteError as error:
            line.begin()
            self._book.lose(rank, error)

    def _questions(self, keys: list[CellKey]) -> list[Question]:
        words = self._expect.words()
        names, found = list(CHECKS), []
        for key in keys:
            if key.device is None and (why := self._expect.lacks(key.check)):
                self._book.put(skipped(key, self._remotes[key.node].node, why))
                continue
            order = 0 if key.device is None else 1 + names.index(key.check)
            found.append(Question(key, words=words, order=order))
        return together(found)

    # -- answers

    def _freed(self) -> None:
        for line in self._lines.values():
            if line.starved:
                line.pump()

    def _answered(self, question: Question, results: list[Result]) -> None:
        for result in results:
            self._book.put(result)
        result = results[0]
        key, problem = result.key, result.value.get("problem")
        line = self._lines[key.node]
        if problem == Problem.NOT_RESPONDING and question.check.scope == "device":
            assert key.device is not None
            line.hung.add(key.device)
            for other in line.drop(lambda k: k.device == key.device):
                self._book.put_hung(other.key)
            self._gate.hung(key.node, key.device)
        elif problem in _PARTIAL and not question.again and result.value.get("received"):
            self._again(question, 0.0)
        elif key.check in ("net_health", "netdetect"):
            self._settle(key._replace(check="net_health"))

    def _settle(self, key: CellKey) -> None:
        """Read a network health that is still settling once more; ``Init`` only with a target."""
        health = self._book.answers.get(key)
        watched = key._replace(check="netdetect")
        if health is None or watched in self._book.open or key in self._book.settled:
            return
        problem = health.value.get("problem")
        target = self._book.answers.get(watched)
        targeted = target is not None and target.value.get("netdetect")
        if problem == Problem.NET_HEALTH_PENDING or (problem in _SETTLING and targeted):
            self._book.settled.add(key)
            self._again(Question(key), self._settle_s)

    def _again(self, question: Question, delay_s: float) -> None:
        question.again = True
        self._book.hand_out(question)
        self._lines[question.key.node].later(question, delay_s)
