"""A node's device × check matrix, drawn by line; a changed cell repaints three character cells."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from screens.widgets.glyphs import glyph
from screens.widgets.matrixlayout import Layout, Place, most_telling
from wizard.checks.board import Board
from wizard.checks.model import CellKey, Result, Status

HEADER = 2  # title and device numbers, always in sight
LABEL = 11
CELL = 3
_COUNTED = ((Status.FAIL, "failed"), (Status.ERROR, "unknown"), (Status.WARN, "warned"))


class BoardMatrix(ScrollView, can_focus=True):
    """Cells of one node of a board, with a cursor.

    The owner calls :meth:`update_cells` with the keys that changed; nothing is polled here.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1,0)", "Up", show=False, id="matrix.up"),
        Binding("down", "move(1,0)", "Down", show=False, id="matrix.down"),
        Binding("left", "move(0,-1)", "Left", show=False, id="matrix.left"),
        Binding("right", "move(0,1)", "Right", show=False, id="matrix.right"),
        Binding("home", "move(0,-99)", "First device", show=False, id="matrix.home"),
        Binding("end", "move(0,99)", "Last device", show=False, id="matrix.end"),
        Binding("enter", "open", "Details", show=False, id="matrix.open"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "matrix--title",
        "matrix--head",
        *(f"matrix--{s}" for s in Status),
    }
    DEFAULT_CSS = """
    BoardMatrix { background: $surface; height: auto; scrollbar-size-vertical: 1; }
    BoardMatrix > .matrix--title { text-style: bold; background: $boost; }
    BoardMatrix:focus > .matrix--title { text-style: bold reverse; }
    BoardMatrix > .matrix--head { color: $text-muted; }
    BoardMatrix > .matrix--pass { color: $text-success; }
    BoardMatrix > .matrix--warn { color: $text-warning; text-style: bold; }
    BoardMatrix > .matrix--fail { color: $text-error; text-style: bold; }
    BoardMatrix > .matrix--error { color: $text-accent; text-style: bold; }
    BoardMatrix > .matrix--running { color: $text-primary; }
    BoardMatrix > .matrix--pending, BoardMatrix > .matrix--skipped { color: $text-muted; }
    """

    class Moved(Message):
        """The cursor stands on another cell, or Enter was pressed on it (``opened``)."""

        def __init__(self, matrix: BoardMatrix, *, opened: bool = False) -> None:
            super().__init__()
            self.matrix, self.opened = matrix, opened

    def __init__(self, node: int, title: str, board: Board) -> None:
        super().__init__(id=f"matrix{node}")
        self.node, self._title, self._board = node, title, board
        self._all = [result.key for result in board if result.key.node == node]
        self.failures_only = False
        self.cursor = Place(0, 0)
        self.layout_of = Layout(self._all)
        self._fit()

    # -- what is shown

    def _fit(self) -> None:
        rows, columns = self.layout_of.rows, self.layout_of.devices
        width = LABEL + CELL * max(len(columns), 8)
        self.virtual_size = Size(width, HEADER + max(len(rows), 1))
        self.styles.height = HEADER + max(len(rows), 1)

    def show_failures_only(self, on: bool) -> None:
        """Hide rows in which nothing is wrong, or show all rows."""
        self.failures_only = on
        keys = self._all
        if on:
            bad = {k for k in keys if self._status(k) in (Status.FAIL, Status.ERROR, Status.WARN)}
            rows = {(k.check, k.peer_node) for k in bad}
            keys = [k for k in keys if (k.check, k.peer_node) in rows]
        here = self.selected
        self.layout_of = Layout(keys)
        self._fit()
        self.cursor = (self.layout_of.place(here.key) if here else None) or Place(0, 0)
        self.refresh(layout=True)

    def _status(self, key: CellKey) -> Status:
        result = self._board.get(key)
        return result.status if result else Status.PENDING

    def result_at(self, place: Place) -> Result | None:
        """Return what the cell at a place stands for."""
        found = (self._board.get(key) for key in self.layout_of.keys(place))
        return most_telling(result for result in found if result is not None)

    @property
    def selected(self) -> Result | None:
        """The result under the cursor."""
        return self.result_at(self.cursor)

    @property
    def failures(self) -> list[Place]:
        """Places where something failed or could not be checked, row by row."""
        bad = (Status.FAIL, Status.ERROR)
        places = {self.layout_of.place(k) for k in self._all if self._status(k) in bad}
        return sorted(place for place in places if place is not None)

    def update_cells(self, keys: Iterable[CellKey]) -> None:
        """Repaint the cells that changed, and the count."""
        touched = False
        for key in keys:
            touched = True
            if self.failures_only and self.layout_of.place(key) is None:
                self.show_failures_only(True)
            self._refresh_place(self.layout_of.place(key))
        if touched:
            self.refresh(Region(0, 0, self.size.width, 1))

    def _refresh_place(self, place: Place | None) -> None:
        if place is None:
            return
        y = HEADER + place.row - self.scroll_offset.y
        if HEADER <= y < self.size.height:
            of_node = self.layout_of.rows[place.row].of_node
            width = self.size.width - LABEL if of_node else CELL
            x = LABEL + (0 if of_node else CELL * place.column) - self.scroll_offset.x
            self.refresh(Region(x, y, width, 1))

    # -- cursor

    def action_move(self, rows: int, columns: int) -> None:
        """Move the cursor."""
        layout = self.layout_of
        row = max(0, min(self.cursor.row + rows, len(layout.rows) - 1))
        last = max(len(layout.devices) - 1, 0)
        self.go_to(Place(row, max(0, min(self.cursor.column + columns, last))))

    def go_to(self, place: Place) -> None:
        """Put the cursor on a cell and bring it into sight."""
        old, self.cursor = self.cursor, place
        for one in (old, place):
            if one.row < len(self.layout_of.rows):
                self._refresh_place(one)
        room = self.size.height - HEADER
        if not self.scroll_offset.y <= place.row < self.scroll_offset.y + room:
            self.scroll_to(y=max(0, place.row - room + 1), animate=False)
        self.post_message(self.Moved(self))

    def action_open(self) -> None:
        """Ask for all there is to say about the cell."""
        self.post_message(self.Moved(self, opened=True))

    def on_focus(self) -> None:
        """The details follow the focus."""
        self.refresh()
        self.post_message(self.Moved(self))

    def on_blur(self) -> None:
        """Only the focused matrix shows its cursor."""
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        """Put the cursor where the mouse points."""
        row = event.y - HEADER + self.scroll_offset.y
        if event.y >= HEADER and row < len(self.layout_of.rows):
            column = (event.x - LABEL + self.scroll_offset.x) // CELL
            self.go_to(Place(row, max(0, min(column, len(self.layout_of.devices) - 1))))

    # -- drawing

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"matrix--{name}")

    def render_line(self, y: int) -> Strip:
        """Draw one line."""
        x, top = self.scroll_offset
        base = self.rich_style
        if y == 0:
            base = self._style("title")
            strip = Strip([Segment(self._counts(), base)])
        elif y == 1:
            numbers = "".join(f"{device:>2} " for device in self.layout_of.devices)
            strip = Strip([Segment(f"{'device':<{LABEL}}{numbers}", self._style("head"))])
        else:
            strip = self._row(y - HEADER + top)
        return strip.crop_extend(x, x + self.size.width, base)

    def _counts(self) -> str:
        done = sum(1 for key in self._all if self._status(key).final)
        words = [f" {self._title}  {done}/{len(self._all)}"]
        for status, word in _COUNTED:
            if count := self._board.count(status, self.node):
                words.append(f"{glyph(status)} {count} {word}")
        if len(words) == 1 and done == len(self._all):
            words.append(f"{glyph(Status.PASS)} passed")
        return "  ".join(words)

    def _row(self, number: int) -> Strip:
        if not 0 <= number < len(self.layout_of.rows):
            text = " nothing failed on this node" if self.failures_only and number == 0 else ""
            return Strip([Segment(text, self._style("head"))])
        row = self.layout_of.rows[number]
        segments = [Segment(f"{row.label:<{LABEL}}", self.rich_style)]
        if row.of_node:
            result = self.result_at(Place(number, 0))
            if result is not None:
                here = self._is_cursor(number, self.cursor.column)
                segments.append(self._cell(result.status, here))
                words = f" {result.status} {result.summary}"
                segments.append(Segment(words, self._style(result.status)))
            return Strip(segments)
        for column in range(len(self.layout_of.devices)):
            result = self.result_at(Place(number, column))
            if result is None:
                segments.append(Segment(" " * CELL, self.rich_style))
            else:
                segments.append(self._cell(result.status, self._is_cursor(number, column)))
        return Strip(segments)

    def _is_cursor(self, row: int, column: int) -> bool:
        return self.has_focus and self.cursor == (row, column)

    def _cell(self, status: Status, cursor: bool) -> Segment:
        style = self._style(status)
        if cursor:
            return Segment(f"[{glyph(status)}]", style + Style(reverse=True))
        return Segment(f" {glyph(status)} ", style)
