"""The one table of signs that we draw. ``--ascii`` swaps the table; nothing else knows of it.

``✓`` and ``✗`` are one cell wide in every terminal; box drawing and arrows are not, so none is used
where columns must align.
"""

from __future__ import annotations

from wizard.checks.model import Status

_UNICODE = {
    "pass": "✓",
    "fail": "✗",
    "warn": "!",
    "error": "?",
    "pending": "·",
    "running": "~",
    "skipped": "-",
    "ignored": "i",
    "ready": "✓",
    "failed": "✗",
    "aborted": "-",
    "stopped": "-",
    "unreachable": "?",
    "starting": "~",
    "waiting": "~",
    "stalled": "!",
    "done": "✓",
    "review": "!",
    "more": "…",
    "dash": "–",
    "dot": "·",
}
_ASCII = _UNICODE | {
    "pass": "+",
    "fail": "X",
    "pending": ".",
    "ready": "+",
    "failed": "X",
    "done": "+",
    "more": "..",
    "dash": "-",
    "dot": "-",
}
_current = dict(_UNICODE)


def use_ascii(on: bool) -> None:
    """Choose the table for everything drawn from now on."""
    _current.update(_ASCII if on else _UNICODE)


def glyph(name: str | Status) -> str:
    """Return the sign of a status, a rank's state or another name of the table."""
    return _current[str(name)]


def known(name: str) -> bool:
    """Whether the table has a sign of this name."""
    return name in _UNICODE
