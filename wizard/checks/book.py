"""What a run of the checks is beside its board: ignores, the run before it, its place in history.

The engine answers cells; the book says what they amount to for one preset, keeps the run, and
compares it with the one before. Both faces use it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from wizard.checks.board import Board
from wizard.checks.changes import Since, compare
from wizard.checks.history import History, run_id
from wizard.checks.ignores import Ignore
from wizard.checks.model import Result
from wizard.checks.report import Report, Run, make_report, to_json
from wizard.cluster import Cluster


@dataclass
class _Snapshot:
    """A run as it stands now, for a thread to work on while the engine goes on."""

    board: Board
    cluster: Cluster
    started_at: datetime | None
    duration_s: float


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
        self._history = history or History(preset, run.cluster)

    def report(self) -> Report:
        """Return what the run amounts to now."""
        return make_report(self._run, self._preset, ignores=self.ignores, since=self.since)

    async def keep(self) -> None:
        """Keep the run as it stands, and compare it with the one before; again after a re-run.

        That it cannot be kept never stops the work: ``problem`` says why.
        """
        run = self._run
        if run.started_at is None:
            return
        answers = list(run.board)
        snapshot = _Snapshot(Board(), run.cluster, run.started_at, run.duration_s)
        network = {name: getattr(run, name) for name in ("topology",) if hasattr(run, name)}
        for name, value in network.items():
            setattr(snapshot, name, value)
        try:
            self.since = await asyncio.to_thread(self._keep, snapshot, answers)
            self.problem = ""
        except OSError as error:
            self.problem = f"The run could not be kept in {self._history.folder}: {error.strerror}."

    def _keep(self, run: _Snapshot, answers: list[Result]) -> Since | None:
        assert run.started_at is not None
        for result in answers:
            run.board.put(result)
        name = run_id(run.started_at)
        report = to_json(make_report(run, self._preset, ignores=self.ignores))
        before = self._history.last(before=name)
        since = Since(before[0], tuple(compare(before[1], report))) if before else None
        report["since_last_run"] = since.to_json() if since else None
        self._history.add(name, report)
        return since
