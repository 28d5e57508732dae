r"""One line of a log taken apart: node, stamps, process, level, and the bare text.

Lines carry prefixes such as ``(EngineCore_DP1 pid=312) ERROR 11-20 10:12:33 [core.py:708]``, also
doubled; ``docker logs -t`` puts an RFC 3339 stamp before them, ``v32-wizard logs`` a node; torch
writes ``[W1120 10:12:33.1 …]``, CANN's plog ``[ERROR] HCCL(1,python):2026-11-20-10:12:33.1``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

LONGEST = 4000  # characters of a line that are looked at; no message of interest is longer
CALM = frozenset({"INFO", "WARNING", "DEBUG"})

_NODE = re.compile(r"node(\d{1,4}) \| ")
_ENGINE = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d) ?"
)
_KIND = re.compile(r"(?:stdout|stderr) [FP] ")  # kubelet's files put it behind the stamp
_RANK = re.compile(r"\[rank(\d{1,5})\]: ?")  # torch, before every line of a rank's traceback
_PROCESS = re.compile(r"\(([A-Za-z][\w .:-]{0,60}?)(?: pid=(\d+))?(?:, ip=([\d.]+))?\) ?")
_VLLM = re.compile(
    r"(DEBUG|INFO|WARNING|ERROR|CRITICAL) "
    r"((?:\d{4}-)?(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d))(?:[.,]\d+)? (?:\[[^\]]{0,200}\] ?)?"
)
_UVICORN = re.compile(r"(DEBUG|INFO|WARNING|ERROR|CRITICAL): {1,9}")
_GLOG = re.compile(r"\[?([IWEF])((\d\d)(\d\d) (\d\d):(\d\d):(\d\d))\.\d+ ")
_ANYWHERE = re.compile(r"((?:20\d\d)-(\d\d)-(\d\d)[-T ](\d\d):(\d\d):(\d\d))")
_PLOG_LEVEL = re.compile(r"\[(DEBUG|INFO|WARNING|ERROR|FATAL|CRITICAL)\]")
_GLOG_LEVEL = {"I": "INFO", "W": "WARNING", "E": "ERROR", "F": "CRITICAL"}
_STAMP_WITHIN = 160  # characters from the start that a stamp may begin in


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line taken apart.

    Attributes:
        text: without prefixes and vLLM's stamp; a traceback's indentation stays.
        level: in vLLM's words, or "" where the line has none of its own.
        process: such as ``EngineCore_DP1``, the innermost where prefixes are doubled, or "".
        node: as ``v32-wizard logs`` prefixes it, or None.
        engine_s: the container engine's stamp, seconds since 1970 UTC, or None.
        clock_s: the program's own stamp, seconds in a year of its own, or None.
        address: of the node that said it, where a line of Ray's names one, or "".
        stamp: the stamp as written, "" for none; the program's own goes before the engine's.
    """

    text: str
    level: str = ""
    process: str = ""
    node: int | None = None
    engine_s: float | None = None
    clock_s: float | None = None
    stamp: str = ""
    address: str = ""


def parse(line: str) -> LogLine:
    """Take one line apart. Colours must be gone already."""
    at, node, engine_s, stamp = 0, None, None, ""
    clock_s: float | None = None
    level = process = address = ""
    if match := _NODE.match(line):
        at, node = match.end(), int(match[1])
    if match := _ENGINE.match(line, at):
        at, engine_s, stamp = match.end(), _epoch(match), match[0].strip()
        if match := _KIND.match(line, at):
            at = match.end()
    while True:
        if match := _PROCESS.match(line, at):
            process, address = match[1], match[3] or address
        elif match := _RANK.match(line, at):
            process = process or f"rank {match[1]}"
        elif match := _VLLM.match(line, at):
            level, stamp, clock_s = match[1], match[2], _clock(match, 3)
        elif (match := _UVICORN.match(line, at)) and not level:
            level = match[1]
        else:
            break
        at = match.end()
    text = line[at:]
    if clock_s is None:
        if match := _GLOG.match(text):
            level, stamp, clock_s = _GLOG_LEVEL[match[1]], match[2], _clock(match, 3)
        elif match := _ANYWHERE.search(text, 0, _STAMP_WITHIN):
            stamp, clock_s = match[1], _clock(match, 2)
    if not level and (match := _PLOG_LEVEL.match(text)):
        level = match[1]
    return LogLine(text, level, process, node, engine_s, clock_s, stamp, address)


def _clock(match: re.Match[str], first: int) -> float | None:
    """Return month, day and time of day from five groups on, as seconds; None if they are none.

    vLLM writes no year. All stamps are put into one leap year; :mod:`wizard.diagnosis.clock` sees
    to logs that cross a New Year.
    """
    month, day, hour, minute, second = (int(match[first + i]) for i in range(5))
    try:
        return datetime(2024, month, day, hour, minute, min(second, 59), tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _epoch(match: re.Match[str]) -> float | None:
    year, month, day, hour, minute, second = (int(match[i]) for i in range(1, 7))
    try:
        moment = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC).timestamp()
    except ValueError:
        return None
    moment += float(f"0.{match[7] or 0}")
    zone = match[8]
    if zone != "Z":
        offset = int(zone[1:3]) * 3600 + int(zone[4:6]) * 60
        moment -= offset if zone[0] == "+" else -offset
    return moment
