"""Where we are among the steps, on one line."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.widget import Widget

from screens.widgets.glyphs import glyph
from screens.widgets.palette import MUTED


class Stepper(Widget):
    """Numbered step names; visited ones carry a check mark, stale ones a ``!``, busy ones ``~``."""

    DEFAULT_CSS = """
    Stepper { height: 1; background: $panel; }
    """

    def __init__(self, names: Sequence[str], current: int) -> None:
        super().__init__()
        self._names, self._current = names, current
        self._done: set[int] = set()
        self._stale: set[int] = set()
        self._busy: set[int] = set()

    def show(self, done: set[int], stale: set[int], busy: set[int]) -> None:
        """Mark the steps; nothing is drawn when nothing changed."""
        if (done, stale, busy) != (self._done, self._stale, self._busy):
            self._done, self._stale, self._busy = done, stale, busy
            self.refresh()

    def render(self) -> Content:
        """Return the line; 79 cells with our eight steps."""
        parts: list[Content] = []
        for index, name in enumerate(self._names):
            sign, style = str(index + 1), MUTED
            if index == self._current:
                style = "bold reverse"
            elif index in self._busy:
                sign, style = glyph("running"), "$text-primary"
            elif index in self._stale:
                sign, style = glyph("review"), "$text-warning"
            elif index in self._done:
                sign, style = glyph("done"), "$text"
            parts.append(Content.styled(f"{sign} {name}", style))
        return Content("  ").join(parts)
