"""What was run on the nodes: JSON lines, appended, readable by their owner only.

Several processes may write the same file: a line is one append. When the file is full it is put
aside (``audit.jsonl.1`` and so on) and a new one begun; who still has the old one open writes
that line into it, and then goes on with the new one, so that no line is lost on the way.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from wizard.cluster import Node
from wizard.paths import state_dir
from wizard.safetext import is_secret_name

FILE_LIMIT = 10 << 20  # bytes
FILES = 3  # the one written to, and those put aside
_COMMAND_LIMIT = 16 << 10  # characters; what is cut is said
_HIDDEN = "***"

_NAME = re.compile(r"(?:--([A-Za-z][\w-]{0,80})[ \t]+(?!-)|\b([A-Za-z_][\w-]{0,80})(?:=|:[ \t]+))")
_VALUE = re.compile(r"'[^']*(?:'|$)|\"[^\"]*(?:\"|$)|[^\s;&|'\"]+")
_CREDENTIALS = re.compile(r"(://[^/@\s:]*):[^/@\s]+@")
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]+")


def masked(command: str) -> str:
    """Return a command without the values that a secret's name stands before (pure).

    Our own commands never hold a secret; this is for what a user wrote into one.
    """
    parts, at = [], 0
    place = 0  # a value that is no secret may hold a name that is one's, so the search goes into it
    while found := _NAME.search(command, place):
        place = found.end()
        if not is_secret_name(found[1] or found[2]):
            continue
        if value := _VALUE.match(command, place):
            parts += [command[at:place], _HIDDEN]
            at = place = value.end()
    text = "".join([*parts, command[at:]])
    return _BEARER.sub(rf"\1 {_HIDDEN}", _CREDENTIALS.sub(rf"\1:{_HIDDEN}@", text))


class AuditLog:
    """One line per remote command. What goes to a command's stdin is never written.

    A line is one small append, so it does not hold up the event loop. An audit log that cannot be
    written never stops the work; ``problem`` says why then.

    Args:
        path: the file, ``audit.jsonl`` in the state folder by default.
        limit: bytes after which a new file is begun.

    Attributes:
        path: the file.
        problem: why the last line could not be written, or "".
    """

    def __init__(self, path: Path | None = None, *, limit: int = FILE_LIMIT) -> None:
        self.path = path or state_dir() / "audit.jsonl"
        self.problem = ""
        self._limit = limit
        self._descriptor: int | None = None
        self._torn = False  # the last line was written in part only

    def record(
        self,
        node: Node,
        command: str,
        *,
        duration_s: float,
        exit_status: int | None,
        note: str = "",
        kind: str = "command",
        user: str = "",
    ) -> None:
        """Append a line about something that has ended, or that began (``note`` "started").

        Args:
            node: where it ran.
            command: shell text, or what was done in words.
            duration_s: how long it took; the line's time is that of its start.
            exit_status: None when it is not known or there is none; ``note`` says why then.
            note: started, timed out, cancelled, connection lost, not started.
            kind: command, stream, upload, tunnel or host-key.
            user: whose command it was on the node: root where sudo made it so, else the login.
        """
        text = masked(command[: 2 * _COMMAND_LIMIT])
        if (more := len(command) - _COMMAND_LIMIT) > 0:
            text = f"{text[:_COMMAND_LIMIT]} ... ({more} characters more)"
        began = datetime.now(UTC) - timedelta(seconds=duration_s)
        entry: dict[str, object] = {
            "time": began.isoformat(timespec="milliseconds"),
            "node": node.rank,
            "host": node.host,
            "port": node.port,
            "kind": kind,
            "command": text,
            "duration_s": round(duration_s, 3),
            "exit_status": exit_status,
        }
        if user:
            entry["user"] = user
        if note:
            entry["note"] = note
        try:
            self._append(json.dumps(entry, ensure_ascii=True).encode() + b"\n")
            self.problem = ""
        except OSError as error:
            self.problem = f"The audit log {self.path} cannot be written: {error.strerror}."

    def close(self) -> None:
        """Close the file; a later record opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _append(self, line: bytes) -> None:
        descriptor = self._current()
        size = os.fstat(descriptor).st_size
        if size and size + len(line) > self._limit and self._rotate():
            descriptor = self._current()
        if self._torn:
            line = b"\n" + line
        written = os.write(descriptor, line)
        self._torn = written < len(line)
        if self._torn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _current(self) -> int:
        """Return the open file; another one when ours was put aside or deleted."""
        if self._descriptor is not None:
            try:
                same = os.path.samestat(os.fstat(self._descriptor), os.stat(self.path))
            except FileNotFoundError:
                same = False
            if not same:
                self.close()
        if self._descriptor is None:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(self.path, flags, 0o600)
            # another process may have ended in the middle of a line, of a full disk
            if size := os.fstat(self._descriptor).st_size:
                self._torn = os.pread(self._descriptor, 1, size - 1) != b"\n"
        return self._descriptor

    def _rotate(self) -> bool:
        """Put the full file aside, unless another process does so just now."""
        lock = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            assert self._descriptor is not None
            try:
                ours = os.path.samestat(os.stat(self.path), os.fstat(self._descriptor))
            except FileNotFoundError:  # put aside in this moment, and not made anew yet
                ours = False
            if ours:
                for number in range(FILES - 1, 0, -1):
                    older = put_aside(self.path, number - 1)
                    if older.exists():
                        older.replace(put_aside(self.path, number))
            return True
        finally:
            os.close(lock)


def put_aside(path: Path, number: int) -> Path:
    """Return the name of the file put aside ``number`` rotations ago; 0 is the one written to."""
    return path.with_name(f"{path.name}.{number}") if number else path
