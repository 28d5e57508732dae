"""Colours by meaning, for text that is drawn by line. A colour never stands alone (glyph, word)."""

from __future__ import annotations

from textual.content import Content
from textual.style import Style as ContentStyle

from screens.widgets.glyphs import glyph, known

# Not $text-muted: a piece of text drops its alpha, and it comes out brighter than all the rest.
MUTED = "$text 60%"

# theme variables, so that a theme change reaches every widget
COLOURS = {
    "pass": "$text-success",
    "ready": "$text-success",
    "done": "$text-success",
    "fail": "$text-error",
    "failed": "$text-error",
    "error": "$text-accent",
    "unreachable": "$text-accent",
    "warn": "$text-warning",
    "ignored": "$text-warning",
    "review": "$text-warning",
    "aborted": "$text-warning",
    "stalled": "$text-warning",
    "stopped": MUTED,
    "skipped": MUTED,
    "pending": MUTED,
    "running": "$text-primary",
    "starting": "$text-primary",
    "waiting": "$text-primary",
}


def status_text(name: str, text: str = "") -> Content:
    """Return ``✗ FAIL`` (or the glyph with ``text``) in the colour of the status.

    ``text`` may be remote: it is never read as markup.
    """
    sign = glyph(name) if known(name) else ""
    words = f"{sign} {text or name.upper()}".strip()
    return Content.styled(words, f"bold {COLOURS.get(name, '$text')}")


def plain(text: str, style: str | ContentStyle = "") -> Content:
    """Return text, remote or not, that is never read as markup."""
    return Content.styled(text, style) if style else Content(text)
