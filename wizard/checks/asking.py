"""Asking one node: small commands in one batch, narrower and again where the tool was busy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass

from wizard.checks.catalogue import CHECKS
from wizard.checks.model import CellKey, Result, Status
from wizard.checks.problems import Problem
from wizard.cluster import Node
from wizard.remote.api import Job, JobResult, Remote
from wizard.remote.text import clean

TRIES = 7  # of one question while the tool says busy
_LONGEST_WAIT_S = 3.0


@dataclass(frozen=True, slots=True)
class Question:
    """One cell to be answered by a command; ``address`` is the target of a ping."""

    key: CellKey
    address: str | None = None


class NodeAsker:
    """Asks one node. Its width narrows when the tool says busy, and stays narrow."""

    def __init__(self, remote: Remote, *, width: int, backoff_s: float) -> None:
        self.remote = remote
        self.width = width
        self._backoff_s = backoff_s

    async def ask(self, questions: Sequence[Question], put: Callable[[Result], None]) -> None:
        """Hand every answer to ``put`` as it comes; busy ones are asked again up to ``TRIES``.

        Raises:
            RemoteError: the connection failed; what was put until then stands.
        """
        for attempt in range(1, TRIES + 1):
            busy: list[Question] = []
            async for question, result in self._batch(questions):
                if result.value.get("problem") == Problem.BUSY and attempt < TRIES:
                    busy.append(question)
                else:
                    put(result)
            if not busy:
                return
            self.width = max(1, self.width // 2)
            questions = busy
            await asyncio.sleep(min(self._backoff_s * 2 ** (attempt - 1), _LONGEST_WAIT_S))

    async def _batch(
        self, questions: Sequence[Question]
    ) -> AsyncGenerator[tuple[Question, Result], None]:
        by_id = {str(number): question for number, question in enumerate(questions)}
        jobs = [_job(number, question) for number, question in by_id.items()]
        answers = self.remote.batch(jobs, width=self.width)
        try:
            async for answer in answers:
                question = by_id[answer.id]
                yield question, read(question, self.remote.node, answer)
        finally:
            # When we are the ones who stop, the node's commands must stop now, not at collection.
            close = getattr(answers, "aclose", None)
            if close is not None:
                await close()


def _job(number: str, question: Question) -> Job:
    check, device = CHECKS[question.key.check], question.key.device
    lane = "" if device is None else f"npu{device}"
    command = check.shell(device, question.address)
    return Job(number, command, check.timeout_s, lane or f"node-{check.name}")


def read(question: Question, node: Node, answer: JobResult) -> Result:
    """Turn a command's answer into the cell's result; all remote text is sanitised here."""
    check = CHECKS[question.key.check]
    stdout, stderr = clean(answer.stdout), clean(answer.stderr)
    parsed = check.parse(stdout, stderr, answer.exit_status)
    return Result(
        question.key,
        parsed.status,
        parsed.summary,
        host=node.host,
        command=check.display(question.key.device, question.address),
        exit_code=answer.exit_status,
        output=_joined(stdout, stderr),
        duration_s=answer.duration_s,
        value=parsed.value,
        peer_address=question.address,
    )


def unanswered(
    key: CellKey, node: Node, problem: Problem, summary: str, *, status: Status = Status.ERROR
) -> Result:
    """Build the result of a cell that no command answered, with the reason."""
    return Result(key, status, summary, host=node.host, value={"problem": problem.value})


def _joined(stdout: str, stderr: str) -> str:
    gap = "\n" if stdout and stderr and not stdout.endswith("\n") else ""
    return stdout + gap + stderr
