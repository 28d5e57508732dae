"""What is wrong with a script, as the preview shows it: lines under it, signs on its tab."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from screens.widgets.glyphs import glyph
from screens.widgets.palette import COLOURS, plain
from screens.widgets.remarklist import Line
from wizard.patchkeys import key
from wizard.review import Review


def remark_lines(review: Review, script: str) -> list[Line]:
    """Return the edits that do not fit a script and the linter's remarks on it, errors first."""
    found = [
        Line("fail", 0, f"{text}.", "e edits, d drops") for text in review.conflicts.get(script, ())
    ]
    for remark in review.remarks:
        if key(remark.rank, remark.file) == script:
            status = "fail" if remark.severity == "error" else "warn"
            found.append(Line(status, remark.line, remark.text, remark.right))
    return sorted(found, key=lambda line: line.status)


def signs(statuses: Sequence[str]) -> Content:
    """Return how many errors and warnings there are, nothing for none."""
    return plain("").join(
        plain(f" {glyph(status)}{count}", COLOURS[status])
        for status in ("fail", "warn")
        if (count := statuses.count(status))
    )


def first_change(before: str, after: str, otherwise: int) -> int:
    """Return the 0-based number of the first line that is new and no comment."""
    known = set(before.split("\n"))
    for number, line in enumerate(after.split("\n")):
        if line not in known and not line.startswith("#"):
            return number
    return otherwise
