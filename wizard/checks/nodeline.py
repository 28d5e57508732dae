"""One node's line of questions: which is asked when, so that the tool is neither idle nor crowded.

An NPU is never asked two things at once, and is the target of at most one ping at a time. Calls of
hccn_tool are bounded by the node's :class:`Width`; other commands run beside them, a few at a
time. A call that takes far longer than calls do no longer holds its place: a hung NPU costs its
own time limit and nobody else's time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from wizard.checks.asking import Question, read
from wizard.checks.model import CellKey, Result
from wizard.checks.problems import Problem
from wizard.checks.width import Width
from wizard.cluster import Node
from wizard.errors import RemoteError
from wizard.remote.api import Desk, JobResult

TRIES = 7  # of one question while the tool says busy
OVERDUE_S = 1.5  # a call takes 0.1 to 0.6 s; pings may take as long as their packets
BESIDE = 3  # commands that are no calls of the tool, at a time
_LONGEST_WAIT_S = 3.0
_FAR = 256  # how many questions are looked at for one that may be asked now

Device = tuple[int, int]


class NodeLine:
    """The questions of one node, over one desk.

    Args:
        node: whom they go to.
        width: how many calls at a time; kept from run to run.
        targets: NPUs that are being pinged now, shared by all nodes.
        begun: told of every question when it is asked.
        put: takes every result.
        freed: called when a ping's target is free again.
        backoff_s: first pause before a busy question is asked again; doubles every time.
    """

    def __init__(
        self,
        node: Node,
        width: Width,
        targets: set[Device],
        begun: Callable[[Question], None],
        put: Callable[[Question, list[Result]], None],
        freed: Callable[[], None],
        backoff_s: float,
    ) -> None:
        self.node = node
        self.width = width
        self.starved = False  # a question waits for a target that another node is pinging
        self.hung: set[int] = set()  # NPUs that did not respond in this run
        self.took: dict[str, list[float]] = {"device": [], "pair": []}  # seconds per call
        self._targets = targets
        self._begun = begun
        self._put = put
        self._freed = freed
        self._backoff_s = backoff_s
        self._line: list[Question] = []  # calls of the tool
        self._others: list[Question] = []  # commands that run beside them
        self._waiting: Counter[str] = Counter()  # calls of the tool in line, by scope
        self._lanes: set[str] = set()
        self._calls = 0  # of the tool, that hold a place
        self._beside = 0
        self._open = 0  # questions in hand: waiting, held back or being asked
        self._desk: Desk | None = None
        self._group: asyncio.TaskGroup | None = None
        self._pumping = False
        self._empty = asyncio.Event()
        self._expected = 0

    # -- filling

    def begin(self) -> None:
        """Forget what is in line: a new run begins, or the node was lost."""
        self._line.clear()
        self._others.clear()
        self._waiting.clear()
        self.hung.clear()
        self.starved = False
        self._open = self._expected = 0

    def add(self, questions: Iterable[Question]) -> None:
        """Put questions in line, each at its place (``Question.order``)."""
        new = list(questions)
        self._open += len(new)
        tools = [q for q in new if q.check.uses_hccn_tool]
        self._others += [q for q in new if not q.check.uses_hccn_tool]
        self._line = sorted([*self._line, *tools], key=_order)
        self._count(tools, 1)
        self.pump()

    def expect(self, count: int) -> None:
        """Take note that ``count`` more will come or be called off: the line is not done."""
        self._expected += count

    def came(self, count: int, questions: Iterable[Question]) -> None:
        """Take note that ``count`` were decided on: these are to be asked, the rest called off."""
        self._expected -= count
        self.add(questions)
        self._check_empty()

    def drop(self, match: Callable[[CellKey], bool]) -> list[Question]:
        """Take the questions out of the line whose cell matches, and return them."""
        out = [q for q in self._line if match(q.key)]
        self._line = [q for q in self._line if not match(q.key)]
        self._count(out, -1)
        self._open -= len(out)
        return out

    def _count(self, questions: Iterable[Question], sign: int) -> None:
        for question in questions:
            self._waiting[question.check.scope] += sign

    @property
    def left(self) -> dict[str, int]:
        """How many calls of the tool are still to come, by scope (device, pair)."""
        return {
            "device": self._waiting["device"] + self._calls,
            "pair": self._waiting["pair"] + max(0, self._expected),
        }

    # -- running

    async def run(self, desk: Desk) -> None:
        """Ask until nothing is left, nor expected.

        Raises:
            RemoteError: the connection failed; what was put until then stands.
        """
        self._desk = desk
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self.pump()
                self._check_empty()
                await self._empty.wait()
        except BaseExceptionGroup as group:
            first = next((e for e in group.exceptions if isinstance(e, RemoteError)), None)
            raise (first or group.exceptions[0]) from None
        finally:
            self._group = self._desk = None
            self._calls = self._beside = 0
            self._lanes.clear()

    @property
    def done(self) -> bool:
        """Whether nothing is left to ask, nor expected."""
        return self._open == 0 and self._expected == 0

    def _check_empty(self) -> None:
        if self.done:
            self._empty.set()
        else:
            self._empty.clear()

    def later(self, question: Question, delay_s: float) -> None:
        """Ask a question again after a while, before all others; the line waits for it."""
        self._open += 1
        self._spawn(self._return(question, delay_s))

    async def _return(self, question: Question, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        question.order = -1
        self._line.insert(0, question)  # only the tool is ever asked again
        self._count([question], 1)
        self.pump()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        assert self._group is not None
        self._group.create_task(work)

    def pump(self) -> None:
        """Ask what may be asked now."""
        if self._group is None or self._pumping:
            return
        self._pumping = True
        try:
            self.starved = False
            while (question := self._next()) is not None:
                self._begin(question)
        finally:
            self._pumping = False

    def _next(self) -> Question | None:
        if self._beside < BESIDE:
            for place, question in enumerate(self._others):
                if _lane(question) not in self._lanes:
                    return self._others.pop(place)
        if self._calls >= self.width.now:
            return None
        for place, question in enumerate(self._line[:_FAR]):
            if _lane(question) in self._lanes:
                continue
            if question.target is not None and question.target in self._targets:
                self.starved = True
                continue
            del self._line[place]
            self._count([question], -1)
            return question
        return None

    def _begin(self, question: Question) -> None:
        self._lanes.add(_lane(question))
        if question.target is not None:
            self._targets.add(question.target)
        if question.check.uses_hccn_tool:
            self._calls += 1
        else:
            self._beside += 1
        self._begun(question)
        self._spawn(self._ask(question))

    async def _ask(self, question: Question) -> None:
        assert self._desk is not None
        place = _Place(self, holds=question.check.uses_hccn_tool)
        timer = None
        if question.check.scope == "device":
            timer = asyncio.get_running_loop().call_later(OVERDUE_S, place.give_up)
        try:
            answer = await self._desk.ask(question.job())
        finally:
            if timer is not None:
                timer.cancel()
            others = self._calls - place.held
            place.give_up(pump=False)
            self._lanes.discard(_lane(question))
            if not question.check.uses_hccn_tool:
                self._beside -= 1
            if question.target is not None:
                self._targets.discard(question.target)
                self._freed()
        self._take(question, answer, others)
        self.pump()
        self._check_empty()

    def _take(self, question: Question, answer: JobResult, others: int) -> None:
        results = read(question, self.node, answer)
        if results[0].value.get("problem") == Problem.BUSY:
            self.width.busy(others)
            question.tries += 1
            if question.tries < TRIES:
                self._open -= 1
                # crowded out by our own calls: narrower is enough, the first time
                wait = self._backoff_s * 2 ** (question.tries - 1)
                crowd = others > 0 and question.tries == 1
                self.later(question, 0.0 if crowd else min(wait, _LONGEST_WAIT_S))
                return
        elif question.check.uses_hccn_tool and not answer.timed_out:
            self.width.good()
            self.took[question.check.scope].append(answer.duration_s)
        self._open -= 1
        self._put(question, results)

    def release(self) -> None:
        """Give up one place of a call."""
        self._calls -= 1


class _Place:
    """A call's place within the width; given up at its end, or earlier when it is overdue."""

    def __init__(self, line: NodeLine, *, holds: bool) -> None:
        self._line = line
        self.held = int(holds)

    def give_up(self, *, pump: bool = True) -> None:
        if self.held:
            self.held = 0
            self._line.release()
            if pump:
                self._line.pump()


def _order(question: Question) -> int:
    return question.order


def _lane(question: Question) -> str:
    """Name whom only one question at a time may go to."""
    key = question.key
    if key.device is None:
        return "npu-smi" if question.check.command.startswith("npu-smi") else key.check
    return f"npu{key.device}"
