"""The state of a launch: what screens and the command line read at any time."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, ClassVar

from wizard.logbuffer import LogBuffer


@dataclass
class RankState:
    """One node of a launch.

    Attributes:
        state: pending, starting, running, ready, failed (the first to fail: the cause), aborted
            (stopped because another failed), stopped, or unreachable (which is not dead).
        stage: what its log says it is doing, with its count: ``weights 12 of 163``.
        stage_since: when the phase began, epoch seconds here.
        detail: more about the stage, or why it failed.
        container: id of its container, or "".
    """

    rank: int
    host: str
    state: str = "pending"
    stage: str = ""
    stage_since: float = field(default_factory=time.time)
    detail: str = ""
    log: LogBuffer = field(default_factory=LogBuffer)
    container: str = ""

    @property
    def label(self) -> str:
        """Name for sentences: ``node 1 (10.0.0.12)``."""
        return f"node {self.rank} ({self.host})"


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """What one node said about our container: ``state`` is the engine's word, or ``absent``, or
    ``unreachable``."""

    rank: int
    host: str
    state: str
    container: str = ""
    started_at: float | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class StatusReport:
    """What runs where, and whether it serves. ``launch_id`` is "" when nothing of ours is there."""

    SCHEMA: ClassVar[str] = "v32-wizard/status/1"

    preset: str
    launch_id: str
    serving: bool
    model: str
    nodes: tuple[NodeStatus, ...]

    @property
    def exit_status(self) -> int:
        """0 serving, 3 when a node could not be asked, 1 not serving (contract.md)."""
        if any(node.state == "unreachable" for node in self.nodes):
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
            "nodes": [
                {
                    "node": node.rank,
                    "host": node.host,
                    "state": node.state,
                    "container": node.container,
                    "started_at": node.started_at,
                    "error": node.error,
                }
                for node in self.nodes
            ],
        }

    def to_text(self) -> str:
        """Return the report for people, a line per node."""
        what = f"serving {self.model}" if self.serving else "not serving"
        lines = [f"{self.preset}: {what}" + (f" (launch {self.launch_id})" * bool(self.launch_id))]
        for node in self.nodes:
            since = ""
            if node.started_at is not None and node.state == "running":
                since = time.strftime(" since %Y-%m-%d %H:%M:%S", time.localtime(node.started_at))
            error = f": {node.error}" if node.error else ""
            lines.append(f"  node {node.rank} ({node.host}): {node.state}{since}{error}")
        return "\n".join(lines) + "\n"
