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


def doubt_of_scripts(review: Review) -> str:
    """Return what is to be said of the warnings when the launch is asked for, or ""."""
    count = len(review.warnings)
    if not count:
        return ""
    return f"{count} warning{'s' if count > 1 else ''} about the scripts; none blocks the launch."
