"""A row of choices on one line: nodes, files. Left, right and digits move."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from screens.widgets.glyphs import glyph
from screens.widgets.palette import plain


class TabLine(Widget, can_focus=True):
    """Choices of which one is current. When they don't fit, the line scrolls with the current."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-1)", "Previous", show=False, id="tabs.previous"),
        Binding("right", "move(1)", "Next", show=False, id="tabs.next"),
        *(
            Binding(str(n), f"pick({n})", f"Node {n}", show=False, id=f"tabs.pick{n}")
            for n in range(10)
        ),
    ]
    DEFAULT_CSS = """
    TabLine { height: 1; background: $boost; }
    """
    current = reactive(0)

    class Changed(Message):
        """Another choice is current."""

        def __init__(self, tabs: TabLine, index: int) -> None:
            super().__init__()
            self.tabs, self.index = tabs, index

        @property
        def control(self) -> TabLine:
            """The line."""
            return self.tabs

    def __init__(self, labels: Sequence[Content], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._labels = list(labels)

    def set_labels(self, labels: Sequence[Content]) -> None:
        """Write other labels; nothing is drawn when they are the same."""
        if [(c.plain, c.spans) for c in labels] != [(c.plain, c.spans) for c in self._labels]:
            self._labels = list(labels)
            self.refresh()

    def validate_current(self, index: int) -> int:
        """Stay among the choices."""
        return max(0, min(index, len(self._labels) - 1))

    def watch_current(self, index: int) -> None:
        """Tell whoever shows what was chosen."""
        self.post_message(self.Changed(self, index))

    def action_move(self, by: int) -> None:
        """Choose a neighbour."""
        self.current += by

    def action_pick(self, index: int) -> None:
        """Choose by number."""
        if index < len(self._labels):
            self.current = index

    def render(self) -> Content:
        """Return the part of the line around the current choice."""
        first, room = 0, max(self.size.width, 1)
        widths = [label.cell_length + 2 for label in self._labels]
        while first < self.current and sum(widths[first : self.current + 1]) > room - 4:
            first += 1
        parts = [plain(glyph("more"))] if first else []
        for index, label in enumerate(self._labels[first:], first):
            text = plain(" ") + label + plain(" ")
            if index == self.current:
                style = "reverse bold" if self.has_focus else "reverse"
                text = plain(f" {label.plain} ", style)
            parts.append(text)
        return plain("").join(parts)
