"""What was run on the nodes as a list drawn by line, newest last, with a cursor."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from screens.widgets.glyphs import glyph
from wizard.audittrail import Record

_OUTCOME = 11  # cells: "not started"
_SHORT = {"connection lost": "lost"}
_MORE = 2
_NARROW = 120  # cells of the terminal: below, hosts and a command's first settings are left out
_LONG = 40  # cells of such settings, which leave little room for the command anywhere
_SETTINGS = re.compile(r"^(?:export(?: \w+=[^\s;'\"]*)+; )+")


class AuditList(ScrollView, can_focus=True):
    """The cursor stays with its record when others come; at the end it follows the newest."""

    COMPONENT_CLASSES = {"auditlist--bad", "auditlist--dim", "auditlist--cursor"}  # noqa: RUF012
    DEFAULT_CSS = """
    AuditList { background: $surface; scrollbar-size-horizontal: 0; scrollbar-size-vertical: 1; }
    AuditList > .auditlist--bad { color: $text-error; text-style: bold; }
    AuditList > .auditlist--dim { color: $foreground-muted; }
    AuditList > .auditlist--cursor { background: $primary-muted; color: $text; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "Up", show=False, id="audit.up"),
        Binding("down", "move(1)", "Down", show=False, id="audit.down"),
        Binding("pageup", "page(-1)", "Page up", show=False, id="audit.page_up"),
        Binding("pagedown", "page(1)", "Page down", show=False, id="audit.page_down"),
        Binding("home", "to(0)", "Oldest", show=False, id="audit.oldest"),
        Binding("end", "to(-1)", "Newest", show=False, id="audit.newest"),
        Binding("enter", "open", "All of it", id="audit.open"),
    ]

    class Opened(Message):
        """Enter on a record."""

        def __init__(self, record: Record) -> None:
            super().__init__()
            self.record = record

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._records: Sequence[Record] = ()
        self._cursor = 0
        self._host_width = 0
        self._days = False

    @property
    def current(self) -> Record | None:
        """The record under the cursor."""
        return self._records[self._cursor] if self._records else None

    def show(self, records: Sequence[Record]) -> None:
        """Show these; the cursor keeps its record, or follows the end if it was there."""
        before = self.current
        at_end = self._cursor >= len(self._records) - 1
        self._records = records
        last = max(0, len(records) - 1)
        if at_end or before is None:
            self._cursor = last
        else:
            self._cursor = next((n for n, r in enumerate(records) if r is before), last)
        self._host_width = min(26, max((cell_len(r.where) for r in records), default=0))
        self._days = any(r.time.astimezone().date() != date.today() for r in records)
        self.virtual_size = Size(self.size.width, len(records))
        self._keep_in_sight()
        self.call_after_refresh(self._move_bar)
        self.refresh()

    def _move_bar(self) -> None:
        # it came with the layout, after the scrolling that it should show
        self.vertical_scrollbar.position = self.scroll_offset.y

    def _keep_in_sight(self) -> None:
        self.scroll_to_region(
            Region(0, self._cursor, 1, 1), animate=False, immediate=True, force=True
        )

    def on_resize(self) -> None:
        """Keep the cursor in sight when the room changes."""
        self._keep_in_sight()

    def action_move(self, by: int) -> None:
        """Move the cursor by some lines."""
        if self._records:
            self._cursor = max(0, min(self._cursor + by, len(self._records) - 1))
            self._keep_in_sight()
            self.refresh()

    def action_page(self, by: int) -> None:
        """Move the cursor by a page."""
        self.action_move(by * max(1, self.size.height - 1))

    def action_to(self, place: int) -> None:
        """Go to the oldest (0) or the newest (-1)."""
        self.action_move(len(self._records) * (1 if place else -1))

    def action_open(self) -> None:
        """Hand the record under the cursor to the screen."""
        if self.current is not None:
            self.post_message(self.Opened(self.current))

    def _coloured(self, name: str) -> Style:
        """Return a component's colour without its background: the row has its own."""
        style = self.get_component_rich_style(name)
        return Style(color=style.color, bold=style.bold)

    def render_line(self, y: int) -> Strip:
        """Draw one visible line."""
        number = y + self.scroll_offset.y
        width = self.size.width
        if number >= len(self._records):
            return Strip.blank(width, self.rich_style)
        record = self._records[number]
        style = self.rich_style
        here = number == self._cursor
        if here:
            style += self.get_component_rich_style("auditlist--cursor", partial=True)
        dim = (
            style if here else style + self.get_component_rich_style("auditlist--dim", partial=True)
        )
        bad = style + self.get_component_rich_style("auditlist--bad", partial=True)
        time = record.time.astimezone().strftime("%m-%d %H:%M:%S " if self._days else "%H:%M:%S ")
        narrow = self.app.size.width < _NARROW
        host = "" if narrow else set_cell_size(record.where, self._host_width) + " "
        word = _SHORT.get(record.outcome, record.outcome)
        outcome = set_cell_size(f"{_sign(record)} {word}", _OUTCOME + _MORE)
        segments = [
            Segment(time, dim),
            Segment(f"n{record.node:<2} {host}", style),
            Segment(outcome, bad if record.failed else dim),
            Segment(f"{record.duration_s:6.1f}s  ", dim),
        ]
        room = width - sum(cell_len(s.text) for s in segments)
        line = record.line
        if (first := _SETTINGS.match(line)) and (narrow or len(first[0]) > _LONG):
            line = line[first.end() :]
        if cell_len(line) > room:
            line = set_cell_size(line, max(0, room - _MORE)) + glyph("more")
        segments.append(Segment(line, style))
        return Strip(segments).adjust_cell_length(width, style)


def _sign(record: Record) -> str:
    if record.failed:
        return glyph("fail")
    return glyph("pass" if record.exit_status == 0 else "skipped")
