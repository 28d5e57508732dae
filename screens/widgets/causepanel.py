"""Why a launch failed, in few lines: the cause, the line that says so, and what to do about it."""

from __future__ import annotations

import re

from textual.content import Content
from textual.widgets import Static

from screens.widgets.glyphs import glyph
from screens.widgets.palette import plain
from wizard.diagnosis.report import goto_text, links_text
from wizard.diagnosis.verdict import Cause

_COLOURS = {"cause": "$text-error", "possible": "$text-warning", "consequence": "$text-warning"}
_SIGNS = {"cause": "fail", "possible": "warn", "consequence": "warn"}
_LINKS = 4
_LONGEST = 120  # characters of the line that says so: the log has it whole
# What CANN puts before a message: level, module and process, time, place in the source.
_HEAD = re.compile(r"^\[[A-Z]+\] \w+\([^)]*\):\S+ (?:\[[^\]]*\.\w+:\d+\]\s*)?")
_TITLES = {
    "cause": "CAUSE",
    "possible": "POSSIBLE CAUSE",
    "consequence": "FOLLOWS FROM ANOTHER ERROR",
}


class CausePanel(Static):
    """Shows the first cause of a diagnosis; hidden without one."""

    DEFAULT_CSS = """
    CausePanel { height: auto; max-height: 10; padding: 0 2; background: $boost; }
    """

    def __init__(self) -> None:
        super().__init__("", markup=False)
        self.display = False
        self.can_focus = False

    def show(self, cause: Cause | None, key: str) -> None:
        """Show a cause; ``key`` is the one that goes where its fix leads."""
        self.display = cause is not None
        if cause is not None:
            self.update(told(cause, key))


def told(cause: Cause, key: str) -> Content:
    """Return the cause as lines of text, none of it read as markup."""
    colour = f"bold {_COLOURS[cause.confidence]}"
    head = f"{glyph(_SIGNS[cause.confidence])} {_TITLES[cause.confidence]} on node {cause.node}"
    title = plain(head, colour) + plain(f"  {cause.signature.id}", "dim")
    if where := goto_text(cause):  # above all that may be cut where there is little room
        title += plain(f"  {key}", "bold") + plain(f" goes to {where}")
    message = " ".join(_HEAD.sub("", cause.mark.text).split())  # a table's row is mostly blanks
    return Content("\n").join(
        [
            title,
            plain(cause.meaning()),
            plain("To do: ", "bold") + plain(cause.fix()),  # before what may be cut off below
            *([plain(links)] if (links := links_text(cause, most=_LINKS)) else []),
            plain(f"{_place(cause.file)}, line {cause.mark.line}: ", "dim") + plain(_cut(message)),
        ]
    )


def _place(file: str) -> str:
    """Return a log's name, of a long path the end: the key that says where logs are has it all."""
    parts = file.split("/")
    return file if len(parts) <= 2 else f"{glyph('more')}/{parts[-1]}"


def _cut(text: str) -> str:
    """Return as much of a line as there is room for; what is cut off is seen to be."""
    return text if len(text) <= _LONGEST else text[:_LONGEST] + glyph("more")
