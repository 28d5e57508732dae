"""Earlier runs of the checks, on disk: one compressed report each, bounded in number and size.

Runs are kept apart by the preset's name and the nodes' hosts, because only runs on the same nodes
can be compared. Files are readable by their owner only and written at once or not at all. Raw
output is kept of what did not pass.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wizard.checks.ignores import endpoint
from wizard.cluster import Cluster
from wizard.errors import UsageError
from wizard.paths import state_dir, write_private

KEEP_RUNS = 30  # of one preset on the same nodes
KEEP_BYTES = 64 * 1024 * 1024  # of all
_SUFFIX = ".json.gz"
_ID = re.compile(r"\d{8}T\d{6}\.\d{3}Z")


@dataclass(frozen=True, slots=True)
class Run:
    """One kept run: its id (UTC, also its file's name) and what it amounted to."""

    id: str
    verdict: str
    summary: Mapping[str, int]
    duration_s: float

    @property
    def started(self) -> str:
        """When it was started, for people, in UTC."""
        return f"{self.id[:4]}-{self.id[4:6]}-{self.id[6:8]} {self.id[9:11]}:{self.id[11:13]} UTC"

    @property
    def words(self) -> str:
        """The run in one line."""
        counts = ", ".join(f"{n} {s}" for s, n in self.summary.items() if n)
        return f"{self.id}  {self.verdict:<5}  {counts or 'nothing'} in {self.duration_s:.0f} s"


class History:
    """The runs of one preset on its nodes. Blocks on the disk: call it in a thread."""

    def __init__(
        self,
        preset: str,
        cluster: Cluster,
        *,
        root: Path | None = None,
        keep: int = KEEP_RUNS,
        max_bytes: int = KEEP_BYTES,
    ) -> None:
        hosts = "\n".join(endpoint(node) for node in cluster.nodes)
        key = hashlib.sha256(f"{preset}\n{hosts}".encode()).hexdigest()[:12]
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", preset)[:40].strip(".-") or "preset"
        self._root = root or state_dir() / "history"
        self.folder = self._root / f"{name}-{key}"
        self._keep, self._max_bytes = keep, max_bytes

    def add(self, run_id: str, report: Mapping[str, Any]) -> None:
        """Keep a report; a run of the same id (a re-run of parts of it) is replaced.

        Raises:
            OSError: it cannot be written; what was kept before stays.
        """
        head = {name: report[name] for name in ("verdict", "summary", "duration_s")}
        kept = {**report, "results": [_trimmed(cell) for cell in report["results"]]}
        lines = (json.dumps(part, ensure_ascii=False) for part in (head, kept))
        data = gzip.compress("\n".join(lines).encode("utf-8", "surrogatepass"), 5)
        write_private(self._path(run_id), data)
        self._bound(self._path(run_id))

    def runs(self) -> list[Run]:
        """Return the kept runs, newest first; a damaged file is passed over."""
        found = []
        for path in sorted(self.folder.glob(f"*{_SUFFIX}"), reverse=True):
            run_id = path.name.removesuffix(_SUFFIX)
            if not _ID.fullmatch(run_id):
                continue
            try:
                with gzip.open(path, "rt", encoding="utf-8", errors="surrogatepass") as file:
                    head = json.loads(file.readline())
                run = Run(run_id, str(head["verdict"]), dict(head["summary"]), head["duration_s"])
            except (OSError, EOFError, ValueError, KeyError, TypeError):
                continue
            found.append(run)
        return found

    def load(self, run_id: str) -> dict[str, Any]:
        """Return the report of a run.

        Raises:
            UsageError: there is none of that id, or its file is damaged.
        """
        if not _ID.fullmatch(run_id) or not self._path(run_id).is_file():
            known = [run.id for run in self.runs()]
            raise UsageError(
                f"There is no run {run_id!r} of these checks.",
                hint=f"The last one is {known[0]}." if known else "None was kept yet.",
            )
        try:
            with gzip.open(self._path(run_id), "rt", encoding="utf-8", errors="surrogatepass") as f:
                f.readline()
                report: dict[str, Any] = json.loads(f.readline())
        except (OSError, EOFError, ValueError) as error:
            raise UsageError(f"The kept run {run_id} is damaged: {error}.") from error
        return report

    def last(self, *, before: str = "~") -> tuple[str, dict[str, Any]] | None:
        """Return id and report of the newest run that is older than the id ``before``."""
        for run in self.runs():
            if run.id < before:
                try:
                    return run.id, self.load(run.id)
                except UsageError:
                    continue
        return None

    def _path(self, run_id: str) -> Path:
        return self.folder / f"{run_id}{_SUFFIX}"

    def _bound(self, newest: Path) -> None:
        """Delete the oldest beyond the bounds, never the newest."""
        for path in sorted(self.folder.glob(f"*{_SUFFIX}"))[: -self._keep or None]:
            path.unlink(missing_ok=True)
        everything = sorted(self._root.glob(f"*/*{_SUFFIX}"), key=lambda path: path.name)
        sizes = {path: path.stat().st_size for path in everything}
        total = sum(sizes.values())
        for path in everything:
            if total <= self._max_bytes:
                break
            if path != newest:
                path.unlink(missing_ok=True)
                total -= sizes[path]


def run_id(started: datetime) -> str:
    """Return the id of a run that was started then: UTC, sortable as text."""
    return started.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%f")[:-3] + "Z"


def _trimmed(cell: Mapping[str, Any]) -> dict[str, Any]:
    return {**cell, "output": "" if cell["status"] in ("pass", "skipped") else cell["output"]}


def listing(runs: Iterable[Run]) -> str:
    """Return the kept runs as text, newest first."""
    return "".join(f"{run.words}\n" for run in runs) or "No run was kept yet.\n"
