"""What stands on the page of the launch before it is begun: the steps, and what is warned of."""

from __future__ import annotations

from textual.content import Content

from screens.widgets.glyphs import glyph
from screens.widgets.palette import COLOURS, plain
from wizard.review import Review
from wizard.rooms import LaunchLike


def plan_text(launch: LaunchLike, review: Review) -> Content:
    """Return the warnings, which would be overlooked behind them, and the steps."""
    lines = [plain(f"{glyph('warn')} {text}", COLOURS["warn"]) for text in review.warnings]
    return Content("\n").join([*lines, *(plain(line) for line in launch.plan())])


def nothing_yet(review: Review) -> str:
    """Return that nothing runs, and what the first lines of the plan are."""
    if not review.warnings:
        return "Nothing runs yet."
    return f"Nothing runs yet; the scripts have {_warnings(review)}."


def doubt_of_scripts(review: Review) -> str:
    """Return what is to be said of the warnings when the launch is asked for, or ""."""
    if not review.warnings:
        return ""
    return f"{_warnings(review)} about the scripts; none blocks the launch."


def _warnings(review: Review) -> str:
    count = len(review.warnings)
    return f"{count} warning{'s' if count > 1 else ''}"
