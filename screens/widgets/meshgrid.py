"""A square of pings, from rows to columns: nodes, or the devices of two nodes. Drawn by line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from screens.widgets.glyphs import glyph
from wizard.checks.model import Status

HEADER = 1
LABEL = 10
CELL, NARROW = 5, 4  # with two digits between brackets; without, or where many must fit
MANY = 14  # more columns than that are narrow, to fit into 80
Square = tuple[int, int]  # row, column


class MeshGrid(ScrollView, can_focus=True):
    """Cells with a sign and a short text, and a cursor. The owner says what stands where."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1,0)", "Up", show=False, id="mesh.up"),
        Binding("down", "move(1,0)", "Down", show=False, id="mesh.down"),
        Binding("left", "move(0,-1)", "Left", show=False, id="mesh.left"),
        Binding("right", "move(0,1)", "Right", show=False, id="mesh.right"),
        Binding("enter", "open", "Open", id="mesh.open"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {"mesh--head", *(f"mesh--{s}" for s in Status)}
    DEFAULT_CSS = """
    MeshGrid { background: $surface; height: auto; scrollbar-size-vertical: 1; }
    MeshGrid > .mesh--head { color: $text-muted; }
    MeshGrid > .mesh--pass { color: $text-success; }
    MeshGrid > .mesh--warn { color: $text-warning; text-style: bold; }
    MeshGrid > .mesh--fail { color: $text-error; text-style: bold; }
    MeshGrid > .mesh--error { color: $text-accent; text-style: bold; }
    MeshGrid > .mesh--running { color: $text-primary; }
    MeshGrid > .mesh--pending, MeshGrid > .mesh--skipped { color: $text-muted; }
    """

    class Moved(Message):
        """The cursor stands elsewhere, or Enter was pressed (``opened``)."""

        def __init__(self, grid: MeshGrid, *, opened: bool = False) -> None:
            super().__init__()
            self.grid, self.opened = grid, opened

    def __init__(self) -> None:
        super().__init__(id="grid")
        self._corner = ""
        self._heads: Sequence[tuple[str, str]] = ()  # of the row, of the column
        self._cells: dict[Square, tuple[Status, str]] = {}
        self._wide = CELL
        self.cursor: Square = (0, 0)

    def show(
        self,
        corner: str,
        heads: Sequence[tuple[str, str]],
        cells: dict[Square, tuple[Status, str]],
        *,
        counted: bool = False,
    ) -> None:
        """Show another square, with the cursor on its first cell; ``counted``: with numbers."""
        self._corner, self._heads, self._cells = corner, heads, dict(cells)
        self._wide = CELL if counted and len(heads) <= MANY else NARROW
        self.cursor = min(cells, default=(0, 0))
        self.virtual_size = Size(LABEL + self._wide * len(heads), HEADER + len(heads))
        self.styles.height = HEADER + max(len(heads), 1)
        self.scroll_to(0, 0, animate=False)
        self.refresh(layout=True)

    def put(self, cells: dict[Square, tuple[Status, str]]) -> None:
        """Repaint what changed."""
        for square, cell in cells.items():
            if self._cells.get(square) != cell:
                self._cells[square] = cell
                self._refresh(square)

    def _refresh(self, square: Square) -> None:
        x, y = LABEL + self._wide * square[1], HEADER + square[0]
        if y - self.scroll_offset.y >= HEADER:
            self.refresh(Region(x - self.scroll_offset.x, y - self.scroll_offset.y, self._wide, 1))

    # -- cursor

    def action_move(self, rows: int, columns: int) -> None:
        """Move the cursor."""
        last = max(len(self._heads) - 1, 0)
        row, column = self.cursor[0] + rows, self.cursor[1] + columns
        self.go_to((max(0, min(row, last)), max(0, min(column, last))))

    def go_to(self, square: Square) -> None:
        """Put the cursor on a cell and bring it into sight."""
        old, self.cursor = self.cursor, square
        self.scroll_to_region(
            Region(LABEL + self._wide * square[1], square[0], self._wide, 1 + HEADER),
            animate=False,
            force=True,
        )
        for one in (old, square):
            self._refresh(one)
        self.post_message(self.Moved(self))

    def bad(self) -> Iterable[Square]:
        """Return the squares in which something fails, row by row."""
        return sorted(s for s, (status, _) in self._cells.items() if status in _BAD)

    def action_open(self) -> None:
        """Ask for more about the cell."""
        self.post_message(self.Moved(self, opened=True))

    def on_focus(self) -> None:
        """Only the focused grid shows its cursor."""
        self.refresh()

    def on_blur(self) -> None:
        """Likewise."""
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        """Put the cursor where the mouse points."""
        row = event.y - HEADER + self.scroll_offset.y
        column = (event.x - LABEL + self.scroll_offset.x) // self._wide
        if event.y >= HEADER and 0 <= row < len(self._heads) and 0 <= column < len(self._heads):
            self.go_to((row, column))

    # -- drawing

    def render_line(self, y: int) -> Strip:
        """Draw one line."""
        x, top = self.scroll_offset
        head = self.get_component_rich_style("mesh--head")
        if y < HEADER:
            segments = [Segment(_fit(self._corner, LABEL), head)]
            segments += [Segment(_fit(column, self._wide), head) for _, column in self._heads]
        else:
            segments = self._row(y - HEADER + top, head)
        return Strip(segments).crop_extend(x, x + self.size.width, self.rich_style)

    def _row(self, row: int, head: Style) -> list[Segment]:
        if not 0 <= row < len(self._heads):
            return []
        segments = [Segment(_fit(self._heads[row][0], LABEL), self.rich_style)]
        for column in range(len(self._heads)):
            status, text = self._cells.get((row, column), (Status.SKIPPED, ""))
            room = self._wide - 3  # between brackets, beside the sign
            text = text if len(text) <= room else "+" * room
            sign = glyph(status) if (row, column) in self._cells else " "
            style = self.get_component_rich_style(f"mesh--{status}")
            here = self.has_focus and self.cursor == (row, column)
            if here:
                body = f"[{sign}{text}]"
                segments.append(Segment(_fit(body, self._wide), style + Style(reverse=True)))
            else:
                segments.append(Segment(_fit(f" {sign}{text}", self._wide), style))
        return segments


_BAD = (Status.FAIL, Status.ERROR, Status.WARN)


def _fit(text: str, width: int) -> str:
    return text[:width] + " " * (width - cell_len(text[:width]))
