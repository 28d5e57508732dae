"""A node's device × check matrix, drawn by line; a changed cell repaints three character cells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
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
from screens.widgets.matrixlayout import ACROSS, Layout, Place, most_telling
from wizard.checks.board import Board
from wizard.checks.model import CellKey, Result, Status

HEADER = 2  # title and device numbers, always in sight
LABEL = 11
CELL = 3
NAMED = 14  # a check of the node: its sign and its name
WIDE = 59  # sixteen devices, or four names; two such panes fit into 120 columns
IGNORED = "ignored"
BAD = (Status.FAIL, Status.ERROR)
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
        "matrix--ignored",
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
    BoardMatrix > .matrix--ignored { color: $text-warning; }
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
        self.ignored: Collection[CellKey] = frozenset()
        self._shows: Callable[[CellKey], bool] | None = None  # None: everything
        self.cursor = Place(0, 0)
        self.take_keys(result.key for result in board if result.key.node == node)

    # -- what is shown

    def take_keys(self, keys: Iterable[CellKey]) -> None:
        """Take up which cells the board has for this node: more may have come."""
        self._all = list(keys)
        self._devices = sorted({key.device for key in self._all if key.device is not None})
        self._lay_out()

    def _lay_out(self) -> None:
        keys = self._all if self._shows is None else [k for k in self._all if self._shows(k)]
        self.layout_of = Layout(keys, self._devices)
        rows = max(len(self.layout_of.rows), 1)
        self.virtual_size = Size(WIDE, HEADER + rows)
        self.styles.height = HEADER + rows

    def show_only(self, shows: Callable[[CellKey], bool] | None) -> None:
        """Show the cells that a rule lets through, or all; the cursor stays on its cell."""
        here = self.selected
        self._shows = shows
        self._lay_out()
        place = self.layout_of.place(here.key) if here else None
        self.cursor = place or next(iter(self.failures), self.layout_of.first)
        self.scroll_to(y=max(0, self.cursor.row - self.size.height + HEADER + 1), animate=False)
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
        """Places where something failed or could not be checked and is not ignored, by rows."""
        places = {
            self.layout_of.place(key)
            for key in self._all
            if self._status(key) in BAD and key not in self.ignored
        }
        return sorted(place for place in places if place is not None)

    def place_of(self, check: object, device: object = None) -> Place | None:
        """Return where a check stands: on a device, or the first place of it that is bad."""
        keys = [k for k in self._all if k.check == check and device in (None, k.device)]
        bad = [key for key in keys if self._status(key) in BAD]
        places = (self.layout_of.place(key) for key in (*bad, *keys))
        return next((place for place in places if place is not None), None)

    def is_ping(self, place: Place) -> bool:
        """Whether a place is about a pair of devices."""
        result = self.result_at(place)
        return result is not None and result.key.peer_node is not None

    def is_check(self, place: Place, name: str) -> bool:
        """Whether a place is a cell of this check."""
        return any(key.check == name for key in self.layout_of.keys(place))

    def update_cells(self, keys: Iterable[CellKey]) -> None:
        """Repaint the cells that changed, and the count."""
        touched = stale = False
        for key in keys:
            touched = True
            place = self.layout_of.place(key)
            if self._shows is not None and self._shows(key) != (place is not None):
                stale = True
            self._refresh_place(place)
        if stale:
            self.show_only(self._shows)
        elif touched:
            self.refresh(Region(0, 0, self.size.width, 1))

    def _refresh_place(self, place: Place | None) -> None:
        if place is None or place.row >= len(self.layout_of.rows):
            return
        y = HEADER + place.row - self.scroll_offset.y
        if HEADER <= y < self.size.height:
            of_node = self.layout_of.rows[place.row].of_node
            width = NAMED if of_node else CELL
            x = (1 if of_node else LABEL) + width * place.column - self.scroll_offset.x
            self.refresh(Region(x, y, width, 1))

    # -- cursor

    def action_move(self, rows: int, columns: int) -> None:
        """Move the cursor; between devices and the node's own checks it keeps its place across."""
        layout, (row, column) = self.layout_of, self.cursor
        if not layout.rows:
            return
        target = layout.near(row + rows, column + columns)
        old, new = layout.rows[min(row, len(layout.rows) - 1)], layout.rows[target.row]
        if old.of_node != new.of_node and layout.devices:
            ratio = len(layout.devices) / ACROSS
            across = int(column / ratio) if new.of_node else int(column * ratio)
            target = layout.near(target.row, across)
        self.go_to(target)

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
            x = event.x + self.scroll_offset.x
            of_node = self.layout_of.rows[row].of_node
            column = (x - 1) // NAMED if of_node else (x - LABEL) // CELL
            self.go_to(self.layout_of.near(row, column))

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
        board, total = self._board, len(self._all)
        done = total - sum(board.count(s, self.node) for s in (Status.PENDING, Status.RUNNING))
        words = [f" {self._title}  {done}/{total}"]
        soft = Counter(self._status(key) for key in self.ignored if key.node == self.node)
        for status, word in _COUNTED:
            if count := board.count(status, self.node) - soft[status]:
                words.append(f"{glyph(status)} {count} {word}")
        if soft:
            words.append(f"{glyph(IGNORED)} {sum(soft.values())} ignored")
        if len(words) == 1 and done == total:
            words.append(f"{glyph(Status.PASS)} passed")
        return "  ".join(words)

    def _row(self, number: int) -> Strip:
        if not 0 <= number < len(self.layout_of.rows):
            text = " nothing to show on this node" if self._shows and number == 0 else ""
            return Strip([Segment(text, self._style("head"))])
        row = self.layout_of.rows[number]
        if row.of_node:
            segments = [Segment(" ", self.rich_style)]
            for column in sorted(row.cells):
                segments += self._named(Place(number, column))
            return Strip(segments)
        segments = [Segment(f"{row.label:<{LABEL}}", self.rich_style)]
        for column in range(len(self.layout_of.devices)):
            place = Place(number, column)
            here = self._is_cursor(number, column)
            result = self.result_at(place)
            if result is None:
                segments.append(Segment("[ ]" if here else "   ", self._style("head")))
            else:
                segments.append(self._cell(self._sign_of(result), here))
        return Strip(segments)

    def _named(self, place: Place) -> list[Segment]:
        result = self.result_at(place)
        if result is None:
            return [Segment(" " * NAMED, self.rich_style)]
        name = self._sign_of(result)
        text = f"{result.key.check:<{NAMED - CELL}}"
        quiet = name in (Status.PASS, Status.PENDING, Status.SKIPPED)
        style = self.rich_style if quiet else self._style(name)
        return [self._cell(name, self._is_cursor(*place)), Segment(text, style)]

    def _sign_of(self, result: Result) -> str:
        return IGNORED if result.key in self.ignored else result.status.value

    def _is_cursor(self, row: int, column: int) -> bool:
        return self.has_focus and self.cursor == (row, column)

    def _cell(self, name: str, cursor: bool) -> Segment:
        style = self._style(name)
        if cursor:
            return Segment(f"[{glyph(name)}]", style + Style(reverse=True))
        return Segment(f" {glyph(name)} ", style)
