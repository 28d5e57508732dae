"""Asking one node: what a question is, and how its answer becomes a result. Mostly pure."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from wizard.checks.catalogue import CHECKS, Check
from wizard.checks.model import CellKey, Result, Status
from wizard.checks.problems import Problem
from wizard.checks.tooltext import Parsed, bad
from wizard.cluster import Node
from wizard.remote.api import Job, JobResult
from wizard.remote.text import clean


@dataclass(slots=True)
class Question:
    """One cell to be answered by a command.

    Attributes:
        key: the cell.
        address: target of a ping.
        words: what the command is filled in with (:class:`Expectations`).
        shared: more cells that the same command answers.
        order: its place in line.
        tries: how often it was asked and the tool was busy.
        again: it was asked once more because its first answer left a doubt.
    """

    key: CellKey
    address: str | None = None
    words: Mapping[str, str] = field(default_factory=dict)
    shared: tuple[CellKey, ...] = ()
    order: int = 0
    tries: int = 0
    again: bool = False

    @property
    def check(self) -> Check:
        """The check that it is of."""
        return CHECKS[self.key.check]

    @property
    def keys(self) -> tuple[CellKey, ...]:
        """All cells that it answers."""
        return (self.key, *self.shared)

    @property
    def target(self) -> tuple[int, int] | None:
        """The NPU that a ping goes to."""
        if self.key.peer_node is None or self.key.peer_device is None:
            return None
        return self.key.peer_node, self.key.peer_device

    def job(self) -> Job:
        """Return the job that asks it."""
        command = self.check.shell(self.key.device, self.address, self.words)
        return Job(self.key.check, command, self.check.timeout_s, root=self.check.root)


def together(questions: list[Question]) -> list[Question]:
    """Join questions of whole nodes that the same command answers into one."""
    found: dict[tuple[int, str], Question] = {}
    kept: list[Question] = []
    for question in questions:
        if question.check.scope != "node":
            kept.append(question)
            continue
        place = question.key.node, question.check.display(words=question.words)
        first = found.setdefault(place, question)
        if first is question:
            kept.append(question)
        else:
            first.shared = (*first.shared, question.key)
    return kept


def read(question: Question, node: Node, answer: JobResult) -> list[Result]:
    """Turn a command's answer into results; all remote text is sanitised here."""
    stdout, stderr = clean(answer.stdout), clean(answer.stderr)
    return [_read(key, question, node, answer, stdout, stderr) for key in question.keys]


def _read(
    key: CellKey, question: Question, node: Node, answer: JobResult, stdout: str, stderr: str
) -> Result:
    check = CHECKS[key.check]
    parsed = _parsed(check, stdout, stderr, answer.exit_status)
    value = parsed.value
    if key.check == "clock":
        value = {**value, "seen_at": time.time()}  # ours, at the moment that the answer came
    return Result(
        key,
        parsed.status,
        parsed.summary,
        host=node.host,
        command=check.display(key.device, question.address, question.words),
        exit_code=answer.exit_status,
        output=_joined(stdout, stderr),
        duration_s=answer.duration_s,
        value=value,
        peer_address=question.address,
    )


def _parsed(check: Check, stdout: str, stderr: str, exit_code: int) -> Parsed:
    """Parse an answer; one that no parser bears (a number of 5000 digits) costs its cell alone."""
    try:
        return check.parse(stdout, stderr, exit_code)
    except (ArithmeticError, LookupError, ValueError) as error:
        text = f"an answer that could not be read ({type(error).__name__})"
        return bad(Status.ERROR, Problem.NOT_UNDERSTOOD, text)


def unanswered(
    key: CellKey, node: Node, problem: Problem, summary: str, *, status: Status = Status.ERROR
) -> Result:
    """Build the result of a cell that no command answered, with the reason."""
    return Result(key, status, summary, host=node.host, value={"problem": problem.value})


def skipped(key: CellKey, node: Node, summary: str) -> Result:
    """Build the result of a cell that does not apply."""
    return replace(
        unanswered(key, node, Problem.UNSUPPORTED, summary, status=Status.SKIPPED), value={}
    )


def _joined(stdout: str, stderr: str) -> str:
    gap = "\n" if stdout and stderr and not stdout.endswith("\n") else ""
    return stdout + gap + stderr
