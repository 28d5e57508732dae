"""The ranks of a launch as a table: state, stage, time against the usual, whom one waits for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from textwrap import wrap

from rich.cells import cell_len, set_cell_size
from textual.content import Content
from textual.widgets import Static

from screens.widgets.glyphs import glyph, known
from screens.widgets.palette import COLOURS, MUTED, plain
from wizard.launch.stages import Look, clock, usual

_ORDER = {"failed": 0, "unreachable": 1, "stalled": 2, "aborted": 3}
_HOST, _STATE, _STAGE = 15, 15, 20  # columns
_WIDE = 120
_INDENT = 5  # of what stands below a row: the column of the host
_WHY_LINES = 3  # of why a node ended; the line above the table says it whole
_ENDED = frozenset({"failed", "unreachable", "aborted", "stopped", "pending"})


class RankTable(Static):
    """Shows looks, the worst first; :meth:`show` draws only what changed."""

    DEFAULT_CSS = """
    RankTable { height: auto; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self) -> None:
        super().__init__("", markup=False)
        self._told: object = None

    def show(self, looks: Sequence[Look], width: int, *, room: int) -> None:
        """Show how the ranks stand; details go on lines of their own as far as ``room`` allows."""
        told = (tuple(looks), width, room)
        if told != self._told:
            self._told = told
            self.update(table(looks, width, room=room))


def table(looks: Sequence[Look], width: int, *, room: int) -> Content:
    """Return the table for a terminal ``width`` columns wide and ``room`` lines high."""
    looks = sorted(looks, key=lambda one: (_ORDER.get(one.state, 9), one.rank))
    host = min(
        max((cell_len(one.host) for one in looks), default=4), _HOST if width < _WIDE else 40
    )
    wide = width >= _WIDE
    head = f"{'node':<5}{'host':<{host + 2}}{'state':<{_STATE}}{'stage':<{_STAGE}}"
    head += f"{'for':<8}{'usually':<13}"
    lines = [plain(head + (f"{'moved':<12}detail" if wide else ""), MUTED)]
    spare = room - 1 - len(looks) - sum(bool(one.note) for one in looks)
    for one in looks:
        row = _row(one, host, wide=wide)
        below = _why(one, row, width, wide=wide)
        if len(below) > spare > 0 and one.state not in _ENDED:
            below = [_below(_said(one), MUTED)]
        if below and len(below) <= spare:
            lines += [_row(one, host, wide=wide, why=False), *below]
            spare -= len(below)
            continue
        if below and one.state in _ENDED:  # what it was at matters less than why it ended
            row = _row(replace(one, stage=""), host, wide=wide)
        lines.append(row)
        if one.note:
            lines.append(_below(one.remark, COLOURS.get(one.state, MUTED)))
    return Content("\n").join(lines)


def _why(one: Look, row: Content, width: int, *, wide: bool) -> list[Content]:
    """Return the detail as lines of their own, where it does not stand in the row whole.

    Of a node that goes on with something to wait for, the note stands there.
    """
    ended = one.state in _ENDED
    whole = (ended or wide) and row.cell_length <= width - 2
    if whole or not one.detail or (one.note and not ended):
        return []
    style = "" if ended else MUTED
    return [_below(line, style) for line in wrap(_said(one), width - 2 - _INDENT)[:_WHY_LINES]]


def _said(one: Look) -> str:
    """Return the detail without the node's own name, which stands before it in the row."""
    return one.detail.removeprefix(f"node {one.rank} ({one.host}) ")


def _row(one: Look, host: int, *, wide: bool, why: bool = True) -> Content:
    sign = glyph(one.state) if known(one.state) else " "
    row = plain(f"{one.rank:<5}{_fit(one.host, host)}  ")
    row += plain(f"{sign} {one.state:<{_STATE - 2}}", f"bold {COLOURS.get(one.state, '$text')}")
    if one.state in _ENDED:  # why, rather than a time that no longer runs
        stage = "" if one.stage in ("", one.state) else f"was at {one.stage}"
        detail = _said(one) if why and one.detail != one.state else ""
        return row + plain("  ".join(filter(None, (stage, detail))))
    row += plain(f"{_fit(one.stage, _STAGE - 1)} ")
    spent = clock(one.elapsed_s) if one.elapsed_s is not None else ""
    row += plain(f"{spent:<8}", "bold $text-warning" if one.late else "")
    row += plain(f"{usual(one.typical) if one.typical is not None else '':<13}", MUTED)
    if not wide:
        return row
    moved = f"{clock(one.still_s)} ago" if one.still_s is not None else ""
    detail = "" if one.state == "done" and one.note else one.detail  # the note below says more
    return row + plain(f"{moved:<12}", MUTED) + plain(detail if why else "")


def _below(text: str, style: str) -> Content:
    return plain(f"{' ' * _INDENT}{text}", style)


def _fit(text: str, cells: int) -> str:
    """Return text in exactly so many cells; what is cut off is seen to be."""
    if cell_len(text) <= cells:
        return set_cell_size(text, cells)
    more = glyph("more")
    return set_cell_size(text, cells - cell_len(more)) + more
