"""Keeps the answers of a wizard run on disk while it goes on, so that none is ever lost."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from wizard.draft import Draft
from wizard.paths import state_dir, write_private


@dataclass(frozen=True)
class Saved:
    """What an earlier run left. ``age_s`` is how long ago it was written, in seconds."""

    draft: Draft
    step: str
    age_s: float


class Autosave:
    """One file, written a moment after the last change, atomically, readable by its owner only."""

    def __init__(self, path: Path | None = None, delay_s: float = 0.5) -> None:
        self._given, self._delay_s = path, delay_s
        self._waiting: asyncio.TimerHandle | None = None
        self._pending: dict[str, Any] | None = None
        self._took_over = False
        self.problem = ""  # why the last write failed, or ""

    @property
    def path(self) -> Path:
        """The file."""
        return self._given or state_dir() / "session.yaml"

    def load(self) -> Saved | None:
        """Return what an earlier run left, or None when there is nothing that can be read."""
        try:
            text = self.path.read_text(encoding="utf-8")
            age_s = max(0.0, time.time() - self.path.stat().st_mtime)
            state = yaml.safe_load(text)
            return Saved(Draft.from_state(state["draft"]), str(state["step"]), age_s)
        except (OSError, UnicodeError, yaml.YAMLError, KeyError, TypeError, ValueError):
            return None

    def continue_saved(self) -> None:
        """Say that this run goes on with what was saved: it needs no copy."""
        self._took_over = True

    def put(self, draft: Draft, step: str) -> None:
        """Write soon; a burst of changes is one write. Without a running loop, write at once."""
        self._pending = {"version": 1, "step": step, "draft": draft.to_state()}
        if self._waiting is not None:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
            return
        self._waiting = loop.call_later(self._delay_s, self.flush)

    def flush(self) -> None:
        """Write what is still to be written, now."""
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        state, self._pending = self._pending, None
        if state is None:
            return
        try:
            if not self._took_over:
                self._keep_previous()
                self._took_over = True
            write_private(self.path, yaml.safe_dump(state, sort_keys=False, allow_unicode=True))
            self.problem = ""
        except OSError as error:
            self.problem = f"Your answers could not be saved to {self.path}: {error.strerror}."

    def _keep_previous(self) -> None:
        # A new run must not destroy the answers of the one before: they move aside.
        if self.path.exists():
            self.path.replace(self.path.with_name("session-previous.yaml"))
