"""The whole log of one node of a launch, kept in a file here beside what the node itself keeps.

Bytes go in as the container engine gave them, stamps included, so that reading can go on exactly
where it stopped, even by another run of the wizard. Text from a node may hold what a terminal acts
on: look at such a file with ``less``, or by ``v32-wizard diagnose``.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import threading
from contextlib import suppress
from pathlib import Path

from wizard.launch.lines import Moment, since, stamp_of
from wizard.paths import state_dir

HEAD_LIMIT = 64 << 20  # bytes from the start of a log: where causes and stages are
LATER_LIMIT = 32 << 20  # bytes of each of the two files that hold what comes after that
KEPT_LAUNCHES = 20
_PENDING = 1 << 20  # bytes that wait for the disk before the reader waits as well
_BLOCK = 1 << 16
_LAUNCH = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}")  # as ids are made (fence.py)
_LOG = re.compile(r"\.?node\d{1,4}(?:\.later(?:\.1)?)?\.log(?:\.lock)?")


def launches_dir() -> Path:
    """Return the folder that has one folder per launch that was followed from here."""
    return state_dir() / "launches"


def log_path(launch_id: str, rank: int) -> Path:
    """Return where the log of a node of a launch lies here, whether it does or not."""
    return launches_dir() / launch_id / f"node{rank}.log"


def parts(path: Path) -> list[Path]:
    """Return the files that hold what is kept of a log, in order; a long one lacks its middle."""
    later = path.with_suffix(".later.log")
    return [p for p in (path, path.with_suffix(".later.1.log"), later) if p.is_file()]


class LogFile:
    """Appends to one log file. Of several wizards that follow a launch, the first one writes.

    A disk that is full or a folder that cannot be written is told in ``problem`` and by ``failed``;
    the launch does not depend on it.
    """

    def __init__(
        self, path: Path, *, head_limit: int = HEAD_LIMIT, later_limit: int = LATER_LIMIT
    ) -> None:
        self.path = path
        self.problem = ""
        self._head_limit, self._later_limit = head_limit, later_limit
        self.failed = False
        self._lock = -1
        self._file = -1
        self._size = 0
        self._later = False
        self._pending: list[bytes] = []
        self._waiting = 0
        self._last = b""  # the last block of whole lines that was written
        self._skip: tuple[Moment, int] | None = None
        self._guard = threading.RLock()  # a file is not closed under the thread that writes it

    @property
    def writes(self) -> bool:
        """Whether this one writes: it was opened, nobody else writes, the disk takes it."""
        return self._file >= 0

    async def open(self) -> None:
        """Open the file for appending, unless it is open; find where it ends."""
        if not self.writes and not self.failed:
            self.problem = ""
            await asyncio.to_thread(self._open)

    def _open(self) -> None:
        try:
            folder = self.path.parent
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _forget_old(folder)
            self._lock = os.open(folder / f".{self.path.name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._later = self._later_path.exists()
            self._append_to(self._later_path if self._later else self.path)
            self._cut_to_whole_lines()
        except BlockingIOError:
            self._close()
            self.problem = "another wizard here writes it"
        except OSError as error:
            self._fail(error)

    @property
    def _later_path(self) -> Path:
        return self.path.with_suffix(".later.log")

    def _append_to(self, path: Path) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._size = os.fstat(self._file).st_size

    def _cut_to_whole_lines(self) -> None:
        """Drop what a killed wizard wrote by half: it is written anew."""
        block = os.pread(self._file, _BLOCK, max(0, self._size - _BLOCK))
        whole = block.rfind(b"\n") + 1
        self._size -= len(block) - whole
        os.ftruncate(self._file, self._size)
        self._last = block[:whole]

    @property
    def empty(self) -> bool:
        """Whether nothing was written yet."""
        return not self._last and not self._waiting

    @property
    def since(self) -> str:
        """What to give to ``--since`` to go on where the file ends; "" from the start."""
        place = self._place()
        return since(place[0], place[1]) if place is not None else ""

    def resume(self) -> None:
        """Begin to take a stream that was asked for again with :attr:`since`."""
        place = self._place()
        self._skip = (place[0], place[2]) if place is not None else None

    def _place(self) -> tuple[Moment, bytes, int] | None:
        """Return moment and zone of the last line, and how many lines have that moment."""
        found: tuple[Moment, bytes] | None = None
        count = 0
        for raw in reversed(self._last.split(b"\n")):
            stamp = stamp_of(raw)
            if stamp is None:
                continue
            if found is not None and stamp[0] != found[0]:
                break
            found, count = stamp, count + 1
        return (found[0], found[1], count) if found is not None else None

    def take(self, lines: bytes) -> None:
        """Take whole lines with their newlines; :meth:`flush` brings them to the disk."""
        if not self.writes:
            return
        if self._skip is not None:
            lines = self._unseen(lines)
        if lines:
            self._pending.append(lines)
            self._waiting += len(lines)
            self._last = lines[-_BLOCK:] if len(lines) >= _BLOCK else (self._last + lines)[-_BLOCK:]

    def _unseen(self, lines: bytes) -> bytes:
        assert self._skip is not None
        last, times = self._skip
        at = 0
        while at < len(lines):
            end = lines.find(b"\n", at) + 1 or len(lines)
            stamp = stamp_of(lines[at : at + 64])
            if stamp is not None and stamp[0] >= last:
                if stamp[0] > last or times == 0:
                    self._skip = None
                    return lines[at:]
                times -= 1
                self._skip = (last, times)
            at = end
        return b""

    @property
    def full(self) -> bool:
        """Whether so much waits for the disk that reading should wait for :meth:`flush`."""
        return self._waiting >= _PENDING

    async def flush(self) -> None:
        """Write what waits, beside the event loop."""
        if self._pending and self.writes:
            data, self._pending, self._waiting = b"".join(self._pending), [], 0
            await asyncio.to_thread(self._write, data)

    def _write(self, data: bytes) -> None:
        with self._guard:
            if self.writes:
                self._write_now(data)

    def _write_now(self, data: bytes) -> None:
        try:
            if self._later and self._size + len(data) > self._later_limit:
                self._later_path.replace(self.path.with_suffix(".later.1.log"))
                self._append_to(self._later_path)
            elif not self._later and self._size + len(data) > self._head_limit:
                self._later = True
                self._append_to(self._later_path)
            view = memoryview(data)
            while view:
                view = view[os.write(self._file, view) :]
            self._size += len(data)
        except OSError as error:
            self._fail(error)

    async def close(self) -> None:
        """Write what waits and let others write."""
        try:
            await self.flush()
        finally:
            self._close()

    def _fail(self, error: OSError) -> None:
        self.failed, self.problem = True, f"{self.path}: {error.strerror or error}"
        self._close()

    def _close(self) -> None:
        with self._guard:
            for descriptor in (self._file, self._lock):
                if descriptor >= 0:
                    with suppress(OSError):
                        os.close(descriptor)
            self._file = self._lock = -1


def _forget_old(current: Path) -> None:
    """Remove the logs of all but the newest launches; ids begin with their time.

    Only in the folder that is ours, only folders that are named like a launch, and only files that
    are named like a log of ours: whatever else lies there is somebody's.
    """
    if current.parent != launches_dir():
        return
    folders = sorted(p for p in current.parent.iterdir() if _LAUNCH.fullmatch(p.name))
    for old in folders[: max(0, len(folders) - KEPT_LAUNCHES)]:
        if old == current or old.is_symlink() or not old.is_dir():
            continue
        for file in old.iterdir():
            if _LOG.fullmatch(file.name):
                file.unlink(missing_ok=True)
        with suppress(OSError):  # not empty: something else lies in it
            old.rmdir()
