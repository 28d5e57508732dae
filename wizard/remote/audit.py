"""What was run on the nodes: JSON lines, appended, readable by their owner only."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from wizard.cluster import Node
from wizard.paths import state_dir


class AuditLog:
    """One line per remote command. What goes to a command's stdin is never written.

    A line is one small append, so it does not hold up the event loop, and several processes may
    write the same file. An audit log that cannot be written never stops the work; ``problem``
    says why then.

    Attributes:
        path: the file, ``audit.jsonl`` in the state folder by default.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or state_dir() / "audit.jsonl"
        self.problem = ""
        self._descriptor: int | None = None

    def record(
        self,
        node: Node,
        command: str,
        *,
        duration_s: float,
        exit_status: int | None,
        note: str = "",
    ) -> None:
        """Append a line. ``exit_status`` None: not known (lost, timed out, cancelled: ``note``)."""
        entry: dict[str, object] = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "node": node.rank,
            "host": node.host,
            "command": command,
            "duration_s": round(duration_s, 3),
            "exit_status": exit_status,
        }
        if note:
            entry["note"] = note
        line = json.dumps(entry, ensure_ascii=True) + "\n"
        try:
            os.write(self._open(), line.encode())
        except OSError as error:
            self.problem = f"The audit log {self.path} cannot be written: {error.strerror}."

    def close(self) -> None:
        """Close the file; a later record opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        if self._descriptor is None:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(self.path, flags, 0o600)
        return self._descriptor
