"""Differences drawn by line: side by side where there is room, else one below the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from rich.cells import cell_len, chop_cells
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from wizard.textdiff import FileDiff, Kind, Row, changed_spans

WIDE = 120  # columns of the terminal
_GUTTER = 7  # number, sign and blanks before a line

Spans = list[tuple[int, int]]


class DiffView(ScrollView, can_focus=True):
    """Shows comparisons; n and p go from change to change."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "change(1)", "Next change", id="diff.next"),
        Binding("p", "change(-1)", "Previous change", id="diff.previous"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"diff--{name}" for name in ("title", "number", "note", "here", "skipped")),
        *(f"diff--{name}{end}" for name in ("removed", "added") for end in ("", "-word")),
    }
    DEFAULT_CSS = """
    DiffView { background: $surface; scrollbar-size: 1 1; overflow: hidden scroll; }
    DiffView > .diff--title { text-style: bold; background: $boost; }
    DiffView > .diff--number { color: $text-muted; }
    DiffView > .diff--here { text-style: bold reverse; }
    DiffView > .diff--skipped { color: $text-muted; }
    DiffView > .diff--note { color: $text-warning; }
    DiffView > .diff--removed { color: $text-error; }
    DiffView > .diff--added { color: $text-success; }
    DiffView > .diff--removed-word { color: $text-error; text-style: bold underline; }
    DiffView > .diff--added-word { color: $text-success; text-style: bold underline; }
    """

    class Moved(Message):
        """Another change is current; ``number`` is 1-based."""

        def __init__(self, number: int, total: int) -> None:
            super().__init__()
            self.number, self.total = number, total

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._diffs: tuple[FileDiff, ...] = ()
        self._strips: list[Strip] = []
        self._changes: list[int] = []  # y of the first line of every change
        self.current = -1

    # -- what is shown

    def show(self, diffs: Sequence[FileDiff]) -> None:
        """Show comparisons, from the beginning when they are other ones."""
        if tuple(diffs) != self._diffs:
            self._diffs, self.current = tuple(diffs), -1
            self._draw()
            self.scroll_home(animate=False)

    @property
    def total(self) -> int:
        """How many changes there are."""
        return sum(len(diff.changes) for diff in self._diffs)

    def on_resize(self, event: events.Resize) -> None:
        """Lines are wrapped to the room there is."""
        self._draw()

    def notify_style_update(self) -> None:
        """Draw in the colours of another theme."""
        super().notify_style_update()
        if self.is_mounted:
            self._draw()

    def _draw(self) -> None:
        self._strips, self._changes = [], []
        width = self.scrollable_content_region.width
        if width > 2 * _GUTTER:
            side_by_side = self.app.size.width >= WIDE
            for diff in self._diffs:
                self._draw_file(diff, width, side_by_side)
        self.virtual_size = Size(width, len(self._strips))
        self.refresh()

    def _draw_file(self, diff: FileDiff, width: int, side_by_side: bool) -> None:
        count = len(diff.changes)
        said = "no difference" if not count else f"{count} change{'s' if count > 1 else ''}"
        title = f" {diff.title}   - {diff.left}   + {diff.right}   {said}"
        self._add([Segment(title, self._style("title"))], width, "title")
        starts = set(diff.changes)
        unified: list[tuple[Row, str]] = []
        for index, row in enumerate(diff.rows):
            if index in starts:
                self._flush(unified, width)
                self._changes.append(len(self._strips))
            if row.kind is Kind.SKIPPED:
                self._flush(unified, width)
                text = f"{'':{_GUTTER}}{row.count} lines are the same"
                self._add([Segment(text, self._style("skipped"))], width)
            elif side_by_side:
                self._draw_pair(row, width)
            else:
                if row.kind is Kind.SAME:
                    self._flush(unified, width)
                unified.append((row, ""))
        self._flush(unified, width)
        for note in diff.notes:
            for number, part in enumerate(chop_cells(note, width - 4)):
                text = f"  {'  ' if number else '! '}{part}"
                self._add([Segment(text, self._style("note"))], width)

    def _flush(self, rows: list[tuple[Row, str]], width: int) -> None:
        """Draw a run of unified rows: what went, then what came."""
        for row, _ in rows:
            if row.kind in (Kind.SAME, Kind.REMOVED, Kind.CHANGED):
                sign = " " if row.kind is Kind.SAME else "-"
                for part in self._side(row, sign, width):
                    self._add(part, width)
        for row, _ in rows:
            if row.kind in (Kind.ADDED, Kind.CHANGED):
                for part in self._side(row, "+", width):
                    self._add(part, width)
        rows.clear()

    def _draw_pair(self, row: Row, width: int) -> None:
        half = (width - 3) // 2
        same = row.kind is Kind.SAME
        left = list(self._side(row, " " if same else "-", half)) if row.left_number else []
        right = (
            list(self._side(row, " " if same else "+", half, right=True))
            if row.right_number
            else []
        )
        for n in range(max(len(left), len(right))):
            first = left[n] if n < len(left) else []
            second = right[n] if n < len(right) else []
            gap = half - sum(cell_len(segment.text) for segment in first)
            between = Segment(f"{'':{gap}} | ", self.rich_style)
            self._add([*first, between, *second], width)

    def _side(
        self, row: Row, sign: str, width: int, *, right: bool = False
    ) -> Iterator[list[Segment]]:
        """Draw one side of a row, wrapped; the parts that differ are underlined."""
        on_right = right or sign == "+"
        text = (row.right if on_right else row.left).expandtabs(8)
        number = row.right_number if on_right else row.left_number
        kind = {"-": "removed", "+": "added"}.get(sign, "")
        spans: Spans = []
        if row.kind is Kind.CHANGED:
            both = changed_spans(row.left.expandtabs(8), row.right.expandtabs(8))
            spans = both[1 if on_right else 0]
        base = self._style(kind) if kind else self.rich_style
        word = self._style(f"{kind}-word") if kind else base
        at = 0
        for part in chop_cells(text, width - _GUTTER) or [""]:
            head = f"{number:>4} {sign} " if not at else " " * _GUTTER
            gutter = self._style("number") if not kind else base
            yield [Segment(head, gutter), *_styled(part, at, spans, base, word)]
            at += len(part)

    def _add(self, segments: list[Segment], width: int, fill: str = "") -> None:
        style = self._style(fill) if fill else self.rich_style
        self._strips.append(Strip(segments).adjust_cell_length(width, style))

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"diff--{name}")

    def render_line(self, y: int) -> Strip:
        """Draw one visible line."""
        at = y + self.scroll_offset.y
        if at >= len(self._strips):
            return Strip.blank(self.size.width, self.rich_style)
        strip = self._strips[at]
        if self.current >= 0 and at == self._changes[self.current]:
            head = strip.crop(0, _GUTTER - 1)
            here = [Segment(segment.text, self._style("here")) for segment in head]
            strip = Strip([*here, *strip.crop(_GUTTER - 1)])
        return strip.crop_extend(0, self.size.width, self.rich_style)

    # -- keys

    def action_change(self, by: int) -> None:
        """Go to the next or the previous change, around the ends."""
        if not self._changes:
            return
        first = self.current < 0
        self.current = (0 if by > 0 else -1) if first else self.current + by
        self.current %= len(self._changes)
        y = self._changes[self.current]
        self.scroll_to(y=max(0, y - self.size.height // 3), animate=False)
        self.refresh()
        self.post_message(self.Moved(self.current + 1, len(self._changes)))


def _styled(part: str, at: int, spans: Spans, base: Style, word: Style) -> Iterator[Segment]:
    """Cut a piece of a line, which begins at character ``at``, where its style changes."""
    done = 0
    for start, end in spans:
        first, last = max(start - at, done), min(end - at, len(part))
        if first >= last:
            continue
        if first > done:
            yield Segment(part[done:first], base)
        yield Segment(part[first:last], word)
        done = last
    if done < len(part):
        yield Segment(part[done:], base)
