"""The run of all checks: nodes side by side, one batch per node, results as they come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from datetime import UTC, datetime

from wizard.checks.asking import NodeAsker, Question, unanswered
from wizard.checks.board import Board
from wizard.checks.catalogue import CHECKS
from wizard.checks.model import CellKey, Result, Status
from wizard.checks.plan import plan_cells, rounds_of
from wizard.checks.problems import Problem
from wizard.checks.verdicts import judge
from wizard.cluster import Cluster
from wizard.errors import (
    AuthenticationFailed,
    ConnectionLost,
    HostKeyError,
    RemoteError,
    UsageError,
)
from wizard.remote.api import Fleet

_SETTLING = (Problem.NET_HEALTH_INIT, Problem.NET_HEALTH_PENDING)


class CheckRun:
    """One run of the checks, and re-runs of parts of it, over connections that are kept.

    Args:
        fleet: how the nodes are reached; connections are opened when needed.
        cluster: the nodes and how many NPUs each must have.
        only: names of checks; None for all. What their verdicts need is asked as well.
        width: how many commands run side by side on one node at most (1 to 16).
        full: ping every pair of devices across nodes rather than those of the same index.
        settle_s: how long a network health of ``Init`` or ``Detect ip set`` may take to settle.
        backoff_s: first pause before busy questions are asked again; doubles every time.

    Raises:
        UsageError: ``only`` names a check that does not exist, or ``width`` is out of range.
    """

    def __init__(
        self,
        fleet: Fleet,
        cluster: Cluster,
        *,
        only: frozenset[str] | None = None,
        width: int = 4,
        full: bool = False,
        settle_s: float = 5.0,
        backoff_s: float = 0.25,
    ) -> None:
        if not 1 <= width <= 16:
            raise UsageError(f"The width of the checks is {width}; it must be 1 to 16.")
        self.cluster = cluster
        self.board = Board()
        self.started_at: datetime | None = None
        self.running = False
        self._settle_s = settle_s
        self._nodes = {node.rank: node for node in cluster.nodes}
        self._askers = {
            remote.node.rank: NodeAsker(remote, width=width, backoff_s=backoff_s)
            for remote in fleet.remotes
        }
        self._keys = plan_cells(cluster, only, full=full)
        self._answers: dict[CellKey, Result] = {}  # as parsed, before verdicts over all of them
        self._now: set[CellKey] = set()  # the cells of the run or re-run that goes on
        self._lost: dict[int, tuple[Problem, str]] = {}  # nodes that cannot be asked any more
        self._lock = asyncio.Lock()
        self._start = self._end = 0.0
        self.board.expect(self._keys)

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

    async def run(self) -> Board:
        """Answer every cell. Bad nodes become results, never exceptions; cancelling is safe."""
        self.started_at = None
        await self._answer(self._keys)
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

    async def _answer(self, keys: list[CellKey]) -> None:
        async with self._lock:
            self.running, self._start = True, time.monotonic()
            self.started_at = self.started_at or datetime.now(UTC)
            self._lost.clear()
            self._now = set(keys)
            for key in keys:
                self._answers.pop(key, None)
            self.board.expect(keys)
            try:
                await self._phases(keys)
            finally:
                for key in keys:
                    if key not in self._answers:
                        self._put_missing(key, Problem.CANCELLED, "cancelled before an answer came")
                self._judge()
                self._end = time.monotonic()
                self.running = False

    async def _phases(self, keys: list[CellKey]) -> None:
        by_node: dict[int, list[CellKey]] = {}
        for key in keys:
            by_node.setdefault(key.node, []).append(key)
        async with asyncio.TaskGroup() as group:
            for rank, cells in by_node.items():
                group.create_task(self._node(rank, cells))
        self._judge()
        for pings in rounds_of((key for key in keys if key.check == "ping"), self.cluster):
            sources: dict[int, list[Question]] = {}
            for key in pings:
                if (question := self._ping_question(key)) is not None:
                    sources.setdefault(key.node, []).append(question)
            async with asyncio.TaskGroup() as group:
                for rank, questions in sources.items():
                    group.create_task(self._ping(rank, questions))

    # -- one node

    async def _node(self, rank: int, keys: list[CellKey]) -> None:
        """Answer what one node is asked, pings apart, which wait for the other nodes."""
        ssh = CellKey(rank, None, "ssh")
        try:
            begun = time.monotonic()
            await self._askers[rank].remote.connect()
            if self.board.get(ssh) is not None:
                took = time.monotonic() - begun
                host = self._nodes[rank].host
                self._put(Result(ssh, Status.PASS, "connected", host=host, duration_s=took))
            asked = [k for k in keys if CHECKS[k.check].scope != "pair" and k.check != "ssh"]
            await self._ask_devices(rank, asked)
        except RemoteError as error:
            self._lose(rank, error, keys)

    async def _ask_devices(self, rank: int, keys: list[CellKey]) -> None:
        """Ask each NPU one thing first: a hung one costs its time limit once, not per check."""
        asker = self._askers[rank]
        first: dict[int | None, Question] = {}
        rest: list[Question] = []
        for key in keys:
            question = Question(key)
            if key.device is None or first.setdefault(key.device, question) is not question:
                rest.append(question)
        self._hand_out([*first.values(), *rest])
        await asker.ask([*first.values()], self._put)
        answered = []
        for question in rest:
            before = first.get(question.key.device)
            if before is not None and self._hung(before.key):
                self._put_hung(question.key)
            else:
                answered.append(question)
        await asker.ask(answered, self._put)
        await self._settle(rank, keys)

    async def _settle(self, rank: int, keys: list[CellKey]) -> None:
        """Read a network health that is still settling once more; ``Init`` only with a target."""
        again = []
        for key in keys:
            result = self._answers.get(key)
            if result is None or result.value.get("problem") not in _SETTLING:
                continue
            watched = self._answers.get(key._replace(check="netdetect"))
            targeted = watched is not None and watched.value.get("netdetect")
            if targeted or result.value["problem"] == Problem.NET_HEALTH_PENDING:
                again.append(Question(key))
        if again:
            self._hand_out(again)
            await asyncio.sleep(self._settle_s)
            await self._askers[rank].ask(again, self._put)

    # -- pings

    def _ping_question(self, key: CellKey) -> Question | None:
        """Return the ping to send, or answer the cell here when it cannot be sent."""
        assert key.peer_node is not None
        if key.node in self._lost:
            if key not in self._answers:
                self._put_missing(key, *self._lost[key.node])
            return None
        if any(self._hung(CellKey(key.node, key.device, name)) for name in CHECKS):
            self._put_hung(key)
            return None
        lldp = self._answers.get(CellKey(key.node, key.device, "lldp"))
        if lldp is not None and lldp.value.get("direct") and key.device != key.peer_device:
            why = "not sent: a direct fibre joins NPUs of the same index only"
            node = self._nodes[key.node]
            self._put(Result(key, Status.SKIPPED, why, host=node.host))
            return None
        peer = f"node {key.peer_node} device {key.peer_device}"
        found = self._answers.get(CellKey(key.peer_node, key.peer_device, "ip"))
        address = found.value.get("address") if found else None
        if address:
            return Question(key, str(address))
        unset = found is not None and found.value.get("problem") == Problem.NO_IP
        status = Status.FAIL if unset else Status.ERROR
        why = f"{peer} has no address" if unset else f"the address of {peer} is not known"
        self._put_missing(key, Problem.PING_NO_ADDRESS, f"not sent: {why}", status=status)
        return None

    async def _ping(self, rank: int, questions: list[Question]) -> None:
        self._hand_out(questions)
        try:
            await self._askers[rank].ask(questions, self._put)
            again = [q for q in questions if self._problem(q.key) == Problem.PING_PARTIAL]
            if again:
                self._hand_out(again)
                await self._askers[rank].ask(again, self._put)
        except RemoteError as error:
            self._lose(rank, error, [question.key for question in questions])

    # -- writing

    def _put(self, result: Result) -> None:
        self._answers[result.key] = result
        self.board.put(result)

    def _put_missing(
        self, key: CellKey, problem: Problem, why: str, *, status: Status = Status.ERROR
    ) -> None:
        self._put(unanswered(key, self._nodes[key.node], problem, why, status=status))

    def _put_hung(self, key: CellKey) -> None:
        why = "not asked: the NPU did not respond before"
        self._put_missing(key, Problem.NOT_RESPONDING, why)

    def _hand_out(self, questions: Iterable[Question]) -> None:
        for question in questions:
            node = self._nodes[question.key.node]
            self.board.put(Result(question.key, Status.RUNNING, "", host=node.host))

    def _problem(self, key: CellKey) -> str:
        result = self._answers.get(key)
        return str(result.value.get("problem", "")) if result is not None else ""

    def _hung(self, key: CellKey) -> bool:
        return key in self._now and self._problem(key) == Problem.NOT_RESPONDING

    def _lose(self, rank: int, error: RemoteError, keys: Iterable[CellKey]) -> None:
        """Give every cell of a node that has no answer yet the reason why it gets none."""
        problem = Problem.UNREACHABLE
        status = Status.ERROR
        if isinstance(error, AuthenticationFailed):
            problem, status = Problem.AUTH_FAILED, Status.FAIL
        elif isinstance(error, HostKeyError):
            problem, status = Problem.HOST_KEY, Status.FAIL
        elif isinstance(error, ConnectionLost):
            problem = Problem.CONNECTION_LOST
        self._lost[rank] = problem, str(error)
        for key in keys:
            current = self.board.get(key)
            if key not in self._answers or (current and not current.status.final):
                verdict = status if key.check == "ssh" else Status.ERROR
                self._put_missing(key, problem, str(error), status=verdict)

    def _judge(self) -> None:
        """Bring the board in line with the verdicts over all answers."""
        changed = judge(self._answers, self.cluster)
        for key, answer in self._answers.items():
            result = changed.get(key, answer)
            if self.board.get(key) != result:
                self.board.put(result)
