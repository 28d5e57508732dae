"""The answers of a run as they were parsed, and the board that shows them with their verdicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from wizard.checks.asking import Question, unanswered
from wizard.checks.board import Board
from wizard.checks.expectations import Expectations
from wizard.checks.model import CellKey, Result, Status
from wizard.checks.portparsers import flapped
from wizard.checks.problems import Problem
from wizard.checks.tooltext import Parsed
from wizard.checks.verdicts import judge
from wizard.cluster import Cluster
from wizard.errors import AuthenticationFailed, ConnectionLost, HostKeyError, RemoteError


class AnswerBook:
    """Writes results to the board; what the parsers said is kept apart from the verdicts.

    Attributes:
        answers: as parsed, by cell: verdicts over all of them are always drawn from these.
        open: cells of the run that goes on without an answer yet.
        settled: network healths that were read once more already.
        lost: why nodes cannot be asked any more.
        on_answer: told of every cell that is answered for the first time in a run.
    """

    def __init__(self, board: Board, cluster: Cluster, expect: Expectations) -> None:
        self.board = board
        self.answers: dict[CellKey, Result] = {}
        self.open: set[CellKey] = set()
        self.settled: set[CellKey] = set()
        self.lost: dict[int, tuple[Problem, str]] = {}
        self.on_answer: Callable[[CellKey], None] = lambda key: None
        self._cluster = cluster
        self._expect = expect
        self._nodes = {node.rank: node for node in cluster.nodes}
        self._before: dict[CellKey, Result] = {}
        self.last_run: Mapping[CellKey, Result] = {}  # what an earlier run said, where it counts
        self._judged: dict[CellKey, None] = {}  # cells that the latest verdicts changed, in order
        self._plain = 0  # open cells that are no pings

    def begin(self, keys: list[CellKey]) -> None:
        """Begin a run of these cells: their answers are forgotten."""
        self.lost.clear()
        self.settled.clear()
        self.open = set(keys)
        self._plain = sum(key.peer_node is None for key in self.open)
        self._before = {k: r for k in keys if (r := self.answers.pop(k, None)) is not None}
        self.board.expect(keys)

    def put(self, result: Result) -> None:
        """Take an answer; once all but the pings are there, the verdicts are drawn."""
        key = result.key
        if key.check == "link_stat":
            before = self._before.get(key) or self.last_run.get(key)
            result = _compared(before, result) if before is not None else result
        self.answers[key] = result
        self.board.put(result)
        if key not in self.open:
            return
        self.open.discard(key)
        self.on_answer(key)
        if key.peer_node is None:
            self._plain -= 1
            if self._plain == 0 and self.open:
                self.judge()

    def put_missing(
        self, key: CellKey, problem: Problem, why: str, *, status: Status = Status.ERROR
    ) -> None:
        """Answer a cell that no command answered."""
        self.put(unanswered(key, self._nodes[key.node], problem, why, status=status))

    def put_hung(self, key: CellKey) -> None:
        """Answer a cell of an NPU that did not respond to another question."""
        why = "not asked: the NPU did not respond before"
        self.put_missing(key, Problem.NOT_RESPONDING, why)

    def hand_out(self, question: Question) -> None:
        """Show that a question is being asked."""
        for key in question.keys:
            host = self._nodes[key.node].host
            self.board.put(Result(key, Status.RUNNING, "", host=host))

    def lose(self, rank: int, error: RemoteError) -> None:
        """Give every open cell of a node the reason why it gets no answer."""
        problem, status = Problem.UNREACHABLE, Status.ERROR
        if isinstance(error, AuthenticationFailed):
            problem, status = Problem.AUTH_FAILED, Status.FAIL
        elif isinstance(error, HostKeyError):
            problem, status = Problem.HOST_KEY, Status.FAIL
        elif isinstance(error, ConnectionLost):
            problem = Problem.CONNECTION_LOST
        self.lost[rank] = problem, str(error)
        for key in [k for k in self.board_keys(rank) if k in self.open]:
            verdict = status if key.check == "ssh" else Status.ERROR
            self.put_missing(key, problem, str(error), status=verdict)

    def board_keys(self, rank: int) -> list[CellKey]:
        """Return the cells of one node, in the board's order."""
        return [result.key for result in self.board if result.key.node == rank]

    def settle_running(self) -> None:
        """Show the first answer again where a second one was asked for and did not come."""
        for result in [r for r in self.board if r.status is Status.RUNNING]:
            if result.key in self.answers:
                self.board.put(self.answers[result.key])

    def judge(self) -> None:
        """Bring the board in line with the verdicts over all answers.

        Only what a verdict changes, or changed before, can differ from what is shown.
        """
        changed = judge(self.answers, self._cluster, self._expect)
        for key in {**self._judged, **changed}:
            result = changed.get(key) or self.answers.get(key)
            shown = self.board.get(key)
            if result is None or shown == result:
                continue
            if shown is None or shown.status is not Status.RUNNING:
                self.board.put(result)
        self._judged = dict.fromkeys(changed)


def _compared(before: Result, now: Result) -> Result:
    """Judge a port's link changes against those at the check before."""
    old = Parsed(before.status, before.summary, before.value)
    found = flapped(old, Parsed(now.status, now.summary, now.value))
    return replace(now, status=found.status, summary=found.summary, value=found.value)
