"""How bad a line of a serve log is, as quickly as thousands of lines a second need it. Pure.

Levels are vLLM's own words after its prefixes, uvicorn's, torch's (``[W1120 …``) and CANN's
(``[ERROR] …``). A traceback's lines have none: they count as the error that they belong to.
"""

from __future__ import annotations

import re
from enum import IntEnum


class Level(IntEnum):
    """From the least to the worst."""

    DEBUG = 0
    INFO = 1
    WARNING = 2
    ERROR = 3


_OWN = re.compile(
    r"(?:\([^)]{1,80}\) )*"
    r"(?:\[?(DEBUG|INFO|WARNING|ERROR|CRITICAL|FATAL)\b(?:[ :\]])|\[?([DIWEF])\d{4} )"
)
_LEVELS = {
    **{"DEBUG": Level.DEBUG, "INFO": Level.INFO, "WARNING": Level.WARNING, "ERROR": Level.ERROR},
    **{"CRITICAL": Level.ERROR, "FATAL": Level.ERROR},
    **{"D": Level.DEBUG, "I": Level.INFO, "W": Level.WARNING, "E": Level.ERROR, "F": Level.ERROR},
}
_BAD = re.compile(r"Traceback \(most|\b[A-Z]\w*(?:Error|Exception)\b:?")
_PREFIXES = re.compile(r"(?:\([^)]{1,80}\) )*")


def level_of(line: str, before: Level = Level.INFO) -> Level:
    """Return the level of a line; ``before`` is that of the line before it in the same log."""
    match = _OWN.match(line)
    if match is not None:
        return _LEVELS[match[1] or match[2]]
    if "Traceback" in line or "Error" in line or "Exception" in line:
        return Level.ERROR if _BAD.search(line) else Level.INFO
    start = _PREFIXES.match(line)
    indented = line[start.end() : start.end() + 1] in (" ", "\t") if start is not None else False
    return before if indented else Level.INFO
