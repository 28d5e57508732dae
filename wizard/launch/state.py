"""The state of a launch: what screens and the command line read at any time."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from wizard.launch.metrics import Load
from wizard.launch.progress import Phase, Stage
from wizard.logbuffer import LogBuffer

if TYPE_CHECKING:
    from wizard.launch.pending import Pending

KEPT_LINES = 10_000  # of a node's log in memory; the whole is in a file


IMAGE_STAGE = "image"  # the stage of a node that the image is brought to, before all others


@dataclass
class RankState:
    """One node of a launch.

    Attributes:
        state: pending, starting, running, ready, failed (the first to fail: the cause), aborted
            (stopped because another failed), stopped, or unreachable (which is not dead).
        stage: what its log says it is doing, with its count: ``weights 12 of 163``.
        detail: more about the stage, or why it failed.
        container: id of its container, or "".
        progress: the stage as read from the log; None while no log was read.
        phases: each phase that was reached and when it began, by the node's clock.
        moved_at: when the log last told of progress, by the node's clock; 0.0 for never.
        silence: why its API, when it was asked, does not count as serving; "" when it does, or was
            not asked.
        silent_since: since when, epoch seconds here.
        clock_offset_s: how far the node's clock is ahead of ours, in seconds, once it was asked.
        clock_bound_s: by how much that may err; infinite before.
        log: the tail of its log; the times of its lines are the node's.
        log_path: the whole log in a file here, as the engine gave it; None when none is kept.
        log_problem: why it is not kept there, or "".
        log_lost: whether the disk here does not take it (any more).
    """

    rank: int
    host: str
    state: str = "pending"
    stage: str = ""
    detail: str = ""
    log: LogBuffer = field(default_factory=lambda: LogBuffer(KEPT_LINES))
    container: str = ""
    progress: Stage | None = None
    phases: dict[Phase, float] = field(default_factory=dict)
    moved_at: float = 0.0
    silence: str = ""
    silent_since: float = 0.0
    clock_offset_s: float = 0.0
    clock_bound_s: float = math.inf
    log_path: Path | None = None
    log_problem: str = ""
    log_lost: bool = False

    @property
    def label(self) -> str:
        """Name for sentences: ``node 1 (10.0.0.12)``."""
        return f"node {self.rank} ({self.host})"

    def begin_anew(self) -> None:
        """Forget how far an earlier launch came; its log stays to be read."""
        self.container, self.progress, self.moved_at = "", None, 0.0
        self.phases.clear()
        self.heard("")

    def begin(self, phase: Phase, at: float) -> None:
        """Note that a phase began, by the node's clock (0.0: now); the first time counts."""
        self.phases.setdefault(phase, at or time.time() + self.clock_offset_s)

    def moved(self, at: float) -> None:
        """Note a sign of progress, by the node's clock (0.0: now)."""
        self.moved_at = max(self.moved_at, at or time.time() + self.clock_offset_s)

    def reach(self, stage: Stage, at: float) -> None:
        """Take up a stage that the log told of at ``at``, by the node's clock (0.0: now)."""
        self.begin(stage.phase, at)
        self.moved(at)
        self.progress = stage
        if self.state != "unreachable":
            self.stage, self.detail = self.told

    def heard(self, silence: str, since: float | None = None) -> None:
        """Note what asking the API has shown; of a silence that goes on the first time counts."""
        if silence and not self.silence:
            self.silent_since = time.time() if since is None else since
        self.silence = silence

    @property
    def told(self) -> tuple[str, str]:
        """Stage and detail as its log tells them; "" while it was not read."""
        stage = self.progress
        if stage is None:
            return "", ""
        return stage.title, stage.detail + (f", {stage.eta} left" if stage.eta else "")

    def ours(self, at: float) -> float:
        """Return a moment of the node's clock by our clock."""
        return at - self.clock_offset_s


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """What one node said about our container.

    Attributes:
        state: the engine's word, or ``absent``, or ``unreachable``.
        stage: how far its log says it is: ``weights 12 of 163``; "" when it was not looked at.
        note: what it waits for, of one that is stalled or done; else "".
    """

    rank: int
    host: str
    state: str
    container: str = ""
    started_at: float | None = None
    error: str = ""
    stage: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class StatusReport:
    """What runs where, and whether it serves. ``launch_id`` is "" when nothing of ours is there."""

    SCHEMA: ClassVar[str] = "v32-wizard/status/1"

    preset: str
    launch_id: str
    serving: bool
    model: str
    nodes: tuple[NodeStatus, ...]
    load: Load | None = None
    pending: tuple[Pending, ...] = ()  # stops that were not done, from here
    # of a launch made for other nodes than the preset names, there in parts, or under another
    # engine; and what of other presets runs where nothing of this one does
    remark: str = ""

    @property
    def exit_status(self) -> int:
        """0 serving, 3 when a node or its engine could not be asked, 1 not serving."""
        if any(node.state in ("unreachable", "unknown") for node in self.nodes):
            return 3
        return 0 if self.serving else 1

    def to_json(self) -> dict[str, Any]:
        """Return the report for scripts."""
        return {
            "schema": self.SCHEMA,
            "preset": self.preset,
            "launch": self.launch_id,
            "serving": self.serving,
            "model": self.model,
            "load": self.load.to_json() if self.load is not None else None,
            "nodes": [
                {
                    "node": node.rank,
                    "host": node.host,
                    "state": node.state,
                    "container": node.container,
                    "started_at": node.started_at,
                    "stage": node.stage,
                    "note": node.note,
                    "error": node.error,
                }
                for node in self.nodes
            ],
            "stop_pending": [asdict(stop) for stop in self.pending],
            "remark": self.remark,
        }

    def to_text(self) -> str:
        """Return the report for people, a line per node."""
        what = f"serving {self.model}" if self.serving else "not serving"
        lines = [f"{self.preset}: {what}" + (f" (launch {self.launch_id})" * bool(self.launch_id))]
        for node in self.nodes:
            since = ""
            if node.started_at is not None and node.state == "running":
                since = time.strftime(" since %Y-%m-%d %H:%M:%S", time.localtime(node.started_at))
            more = "".join(f": {part}" for part in (node.stage, node.note, node.error) if part)
            lines.append(f"  node {node.rank} ({node.host}): {node.state}{since}{more}")
        if self.load is not None:
            lines.append(f"  load: {self.load.total.words()}")
            if len(self.load.engines) > 1:
                each = sorted(self.load.engines.items())
                lines += [f"    engine {number}: {load.words()}" for number, load in each]
        lines += [f"  {self.remark}"] if self.remark else []
        hosts = [node.host for node in self.nodes]
        lines += [f"  {stop.sentence(hosts)}" for stop in self.pending]
        return "\n".join(lines) + "\n"
