"""What a run of the checks is beside its board: ignores, the run before it, its place in history.

The engine answers cells; the book says what they amount to for one preset, keeps the run, and
compares it with the one before. Both faces use it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from wizard.checks.changes import Since, compare
from wizard.checks.history import History, run_id
from wizard.checks.ignores import Ignore, Settled, settle
from wizard.checks.model import Status
from wizard.checks.problems import Problem
from wizard.checks.report import (
    Report,
    Run,
    findings_of,
    from_json,
    make_report,
    to_json,
    topology_of,
)
from wizard.troubleshooting.findings import Finding


class Book:
    """Keeps one run.

    Attributes:
        ignores: the preset's; may be replaced at any time.
        since: what changed since the run before; None until :meth:`keep`, or when there is none.
        problem: why the run could not be kept, or "".
    """

    def __init__(
        self, run: Run, preset: str, ignores: Iterable[Ignore] = (), history: History | None = None
    ) -> None:
        self._run, self._preset = run, preset
        self.ignores = list(ignores)
        self.since: Since | None = None
        self.problem = ""
        self._settled: Settled | None = None
        self._of = (-1, 0)  # what ``_settled`` is of: the board's revision, the ignores
        self._at = 0.0
        self._unanswered = (-1, 0)  # revision of the board, and what was counted then
        self._network: tuple[int, tuple[str, ...]] = (-1, ())
        self._history = history or History(preset, run.cluster)

    @property
    def run(self) -> Run:
        """The run that it is about."""
        return self._run

    def settled(self, every_s: float = 0.0) -> Settled:
        """Return the board in the light of the ignores; not anew more often than ``every_s``."""
        if not self.ignores:
            return Settled(self._run.board, {})
        now = (self._run.board.revision, hash(tuple(self.ignores)))
        stale = now != self._of and (
            now[1] != self._of[1] or time.monotonic() - self._at >= every_s
        )
        if self._settled is None or stale:
            self._settled = settle(self._run.board, self._run.cluster, self.ignores)
            self._of, self._at = now, time.monotonic()
        return self._settled

    def open(self, status: Status, node: int | None = None) -> int:
        """Return how many cells have a status and are not ignored, on one node or on all."""
        ignored = self.settled(every_s=1.0).ignored
        soft = sum(
            applied.status is status and node in (None, key.node)
            for key, applied in ignored.items()
        )
        return max(0, self._run.board.count(status, node) - soft)

    @property
    def unanswered(self) -> int:
        """How many cells have no answer: never asked, or stopped before one came."""
        revision = self._run.board.revision
        if self._unanswered[0] != revision:
            count = sum(
                not r.status.final or r.value.get("problem") == Problem.CANCELLED
                for r in self._run.board
            )
            self._unanswered = (revision, count)
        return self._unanswered[1]

    @property
    def network(self) -> tuple[str, ...]:
        """How the NPUs are joined, in sentences."""
        revision = self._run.board.revision
        if self._network[0] != revision:
            self._network = (revision, topology_of(self._run))
        return self._network[1]

    def findings(self) -> list[Finding]:
        """Return what is wrong now, worst first; an ignored finding is a warning and says why."""
        return findings_of(self.settled(), self._run.cluster)

    def report(self) -> Report:
        """Return what the run amounts to now."""
        return make_report(self._run, self._preset, ignores=self.ignores, since=self.since)

    async def begin(self) -> None:
        """Tell the run, before it starts, what the one before it found: links flap in between."""
        remember = getattr(self._run, "remember", None)
        if remember is None:
            return
        before = await asyncio.to_thread(self._history.last)
        if before is not None:
            remember(from_json(before[1]).board)

    async def keep(self) -> None:
        """Keep the run as it stands, and compare it with the one before; again after a re-run.

        That it cannot be kept never stops the work: ``problem`` says why.
        """
        if self._run.started_at is None:
            return
        try:
            # the run has ended: nothing writes to its board while the thread reads
            self.since = await asyncio.to_thread(self._keep, self._run)
            self.problem = ""
        except OSError as error:
            self.problem = f"The run could not be kept in {self._history.folder}: {error.strerror}."

    def _keep(self, run: Run) -> Since | None:
        assert run.started_at is not None
        name = run_id(run.started_at)
        report = to_json(make_report(run, self._preset, ignores=self.ignores))
        before = self._history.last(before=name)
        since = Since(before[0], tuple(compare(before[1], report))) if before else None
        report["since_last_run"] = since.to_json() if since else None
        self._history.add(name, report)
        return since
