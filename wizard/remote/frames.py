r"""The answers of a batch, read from the byte stream of its script (pure).

A frame is ``\x1e NONCE KIND ID FLAG LENGTH \n``, then LENGTH raw bytes, then ``\n``. Kinds: ``H``
header (id: number of jobs), ``o`` and ``e`` a piece of a job's stdout or stderr (flag: how many
NUL bytes follow the piece, which bash cannot hold), ``x`` a job's end (flag: exit status; content:
start and end in seconds of the node's uptime), ``T`` trailer. The nonce is new for every run and
the content is skipped by length, so neither a login shell's noise nor a tool's output can forge
an answer. Anything that is not a whole frame is skipped, and what is longer than our script sends
is not kept: a node may be hostile.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

from wizard.remote.api import JobResult
from wizard.remote.shell import CHUNK, JOB_LIMIT

_HEADER_LIMIT = 200  # bytes; a longer header line is no header
_NOISE_LIMIT = 500


@dataclass(slots=True)
class _Partial:
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)


class FrameReader:
    """Puts answers together. ``ids`` are the jobs' own, in the order of the script.

    A batch names all of them at the start; a desk's list grows while it is open (``grows``).

    Attributes:
        complete: header and trailer were seen, and every job answered: nothing was lost.
        started: the header was seen; before it everything is the login shell's noise.
    """

    def __init__(self, nonce: str, ids: list[str], *, grows: bool = False) -> None:
        self._token = f"\x1e{nonce} ".encode()
        self._ids = ids
        self._announced = 0 if grows else len(ids)
        self._buffer = bytearray()
        self._partial: dict[int, _Partial] = {}
        self._answered: set[int] = set()
        self._trailer = False
        self.started = False
        self._noise = b""

    @property
    def complete(self) -> bool:
        """Whether all that was asked was answered."""
        return self.started and self._trailer and len(self._answered) == len(self._ids)

    @property
    def noise(self) -> bytes:
        """The first bytes that were no frame, for an error message."""
        return (self._noise + (b"" if self.started else self._buffer))[:_NOISE_LIMIT]

    @property
    def missing(self) -> list[str]:
        """Ids of the jobs without an answer."""
        return [name for n, name in enumerate(self._ids) if n not in self._answered]

    def feed(self, data: bytes) -> list[JobResult]:
        """Take the next bytes; return the answers that they complete."""
        self._buffer += data
        results: list[JobResult] = []
        while (frame := self._next()) is not None:
            result = self._take(*frame)
            if result is not None:
                results.append(result)
        return results

    def _next(self) -> tuple[bytes, int, int, bytes] | None:
        """Cut one whole frame off the buffer; None when more bytes are needed."""
        buffer, token = self._buffer, self._token
        while True:
            at = buffer.find(token)
            if at < 0:
                self._skip(max(0, len(buffer) - len(token) + 1))
                return None
            self._skip(at)
            end = buffer.find(b"\n", 0, _HEADER_LIMIT)
            if end < 0 and len(buffer) < _HEADER_LIMIT:
                return None
            fields = bytes(buffer[len(token) : max(end, 0)]).split(b" ")
            with contextlib.suppress(ValueError):
                kind, number, flag, length = fields[0], *map(int, fields[1:])
                last = end + 1 + length
                fits = 0 <= length <= CHUNK
                if fits and len(buffer) <= last:
                    return None
                if fits and buffer[last] == 0x0A:
                    content = bytes(buffer[end + 1 : last])
                    del buffer[: last + 1]
                    return kind, number, flag, content
            self._skip(len(token))  # torn or forged: look for the next one

    def _skip(self, count: int) -> None:
        if not self.started and len(self._noise) < _NOISE_LIMIT:
            self._noise += bytes(self._buffer[: min(count, _NOISE_LIMIT)])
        del self._buffer[:count]

    def _take(self, kind: bytes, number: int, flag: int, content: bytes) -> JobResult | None:
        if kind == b"H":
            self.started = number == self._announced
        elif kind == b"T":
            self._trailer = number == len(self._ids)
        elif not 0 <= number < len(self._ids) or number in self._answered:
            return None
        elif kind in (b"o", b"e"):
            partial = self._partial.setdefault(number, _Partial())
            stream = partial.stdout if kind == b"o" else partial.stderr
            stream += content + b"\0" * min(flag, JOB_LIMIT)
            del stream[JOB_LIMIT:]
        elif kind == b"x":
            return self._end(number, flag, content)
        return None

    def _end(self, number: int, status: int, content: bytes) -> JobResult | None:
        try:
            began, ended = map(float, content.split())
        except ValueError:
            return None
        self._answered.add(number)
        partial = self._partial.pop(number, _Partial())
        return JobResult(
            id=self._ids[number],
            exit_status=status,
            stdout=bytes(partial.stdout),
            stderr=bytes(partial.stderr),
            duration_s=max(0.0, ended - began),
        )
