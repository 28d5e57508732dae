"""Reading the audit log: what was run on the nodes, oldest first, and what is added to it.

Everything here blocks for as long as a disk does: screens read it off the event loop.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from wizard.errors import UsageError
from wizard.remote.audit import FILES, put_aside
from wizard.remote.text import clean

_AGO = re.compile(r"(\d+)\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_TAIL = 2 << 20  # bytes read of the end of a log, unless all of it is wanted


@dataclass(frozen=True, slots=True)
class Record:
    """A line of the audit log. ``text`` is the line as it stands there.

    ``user`` is who ran it on the node, "" where nobody was logged in.
    """

    time: datetime
    node: int
    host: str
    port: int | None
    kind: str
    command: str
    duration_s: float
    exit_status: int | None
    note: str
    text: str
    user: str = ""

    @property
    def failed(self) -> bool:
        """Whether it did not end well. What somebody here cancelled or closed did not fail."""
        if self.exit_status is None:
            return self.note not in ("started", "closed", "cancelled")
        return self.exit_status != 0

    @property
    def outcome(self) -> str:
        """How it ended, in a word or two."""
        if self.note:
            return self.note
        return "ok" if self.exit_status == 0 else f"exit {self.exit_status}"

    @property
    def where(self) -> str:
        """Who and where, as ``user@host``, fit to be shown."""
        return clean(f"{self.user}@{self.host}" if self.user else self.host)

    @property
    def line(self) -> str:
        """The command on one line, fit to be shown."""
        return clean(self.command).strip().replace("\n", "\\n").replace("\t", " ")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records are wanted; None and False mean that it does not matter.

    Attributes:
        places: host and port of the nodes of a preset.
    """

    places: frozenset[tuple[str, int | None]] | None = None
    node: int | None = None
    since: datetime | None = None
    failed: bool = False

    def __contains__(self, record: Record) -> bool:
        return (
            (self.places is None or (record.host, record.port) in self.places)
            and self.node in (None, record.node)
            and (self.since is None or record.time >= self.since)
            and (record.failed or not self.failed)
        )


def parse(line: str) -> Record | None:
    """Read a line; None for one that is none of ours (torn by a full disk, say)."""
    try:
        entry: dict[str, Any] = json.loads(line)
        time = datetime.fromisoformat(entry["time"])
        status = entry["exit_status"]
        return Record(
            time=time if time.tzinfo else time.astimezone(),
            node=int(entry["node"]),
            host=str(entry["host"]),
            port=entry.get("port"),
            kind=str(entry.get("kind", "command")),
            command=str(entry["command"]),
            duration_s=float(entry["duration_s"]),
            exit_status=None if status is None else int(status),
            note=str(entry.get("note", "")),
            text=line,
            user=str(entry.get("user", "")),
        )
    except (ValueError, KeyError, TypeError):
        return None


class Trail:
    """The records of a log, from its beginning or its end, and then what is added.

    Args:
        path: the file that is written to; those put aside lie beside it.
        everything: from the oldest line on; else from about the last two megabytes.
    """

    def __init__(self, path: Path, *, everything: bool = True) -> None:
        self.path = path
        self._everything = everything
        self._file: tuple[os.stat_result, int] | None = None  # of the one read last, and how far
        self._rest = b""

    def news(self) -> Iterator[Record]:
        """Yield the records since the last time; those of before at first.

        Raises:
            OSError: a file is there but cannot be read.
        """
        found, begin = self._files(), 0
        first = self._file is None
        if self._file is None:
            begin = max(0, sum(stat.st_size for _, stat in found) - _TAIL)
            begin = 0 if self._everything else begin
            while found and begin >= found[0][1].st_size > 0:
                begin -= found.pop(0)[1].st_size
        else:
            known, read = self._file
            places = [n for n, (_, stat) in enumerate(found) if os.path.samestat(stat, known)]
            if places:  # else it is gone, and all that is there is newer
                found = found[places[0] :]
                begin = read if found[0][1].st_size >= read else 0  # somebody may have emptied it
        for number, (path, stat) in enumerate(found):
            try:
                file = path.open("rb")
            except FileNotFoundError:
                return
            with file:
                if not os.path.samestat(os.fstat(file.fileno()), stat):
                    return  # put aside this moment: it goes on from here next time
                yield from self._read(file, 0 if number else begin, middle=first and not number)

    def _files(self) -> list[tuple[Path, os.stat_result]]:
        """Return the files there are, oldest first, each once though one is put aside just now."""
        found: list[tuple[Path, os.stat_result]] = []
        for number in range(FILES):
            path = put_aside(self.path, number)
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue
            if not any(os.path.samestat(stat, other) for _, other in found):
                found.append((path, stat))
        return found[::-1]

    def _read(self, file: BinaryIO, begin: int, *, middle: bool) -> Iterator[Record]:
        file.seek(begin)
        if not begin:
            self._rest = b""
        elif middle:
            file.readline()  # the rest of a line whose beginning is not wanted
        while piece := file.read(1 << 18):
            lines = (self._rest + piece).split(b"\n")
            self._rest = lines.pop()
            self._file = (os.fstat(file.fileno()), file.tell())
            for line in lines:
                record = parse(line.decode("utf-8", "replace"))
                if record is not None:
                    yield record


def since(text: str, now: datetime) -> datetime:
    """Read what was typed for a time: ``30m``, ``2h``, ``3d``, ``today``, ``14:05``, a date.

    Args:
        text: as typed.
        now: the time now, with its zone, which is meant where none is given.

    Raises:
        UsageError: it is none of these.
    """
    words = text.strip().lower()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if found := _AGO.fullmatch(words):
        return now - timedelta(**{_UNITS[found[2]]: int(found[1])})
    if words in ("today", "yesterday"):
        return midnight - timedelta(days=words == "yesterday")
    if found := re.fullmatch(r"(\d{1,2}):(\d\d)", words):
        hour, minute = int(found[1]), int(found[2])
        if hour < 24 and minute < 60:
            return midnight.replace(hour=hour, minute=minute)
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(
            f"--since {text}: this is no time.",
            hint="Right would be 30m, 2h, 3d, today, 14:05, 2026-11-24 or 2026-11-24T14:05.",
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=now.tzinfo)
