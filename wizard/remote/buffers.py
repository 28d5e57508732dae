"""Bounded places for what a node prints: it is never asked to wait, so they may not grow."""

from __future__ import annotations

import asyncio
from collections import deque

from wizard.remote import shell

_NOISE_LIMIT = 500


class Capture:
    """One output stream: what stands before the marker is noise, then up to ``limit`` bytes.

    Attributes:
        started: the marker was seen, so what follows is the command's own output.
        dropped: bytes beyond the limit.
    """

    def __init__(self, nonce: str, limit: int) -> None:
        self._marker = shell.marker(nonce)
        self._limit = limit
        self._pending = b""
        self.started = False
        self._noise = b""
        self.data = bytearray()
        self.dropped = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        data = self.strip(data)
        room = self._limit - len(self.data)
        self.data += data[:room]
        self.dropped += max(0, len(data) - room)

    def strip(self, data: bytes) -> bytes:
        """Return the part of the next bytes that is the command's own, without keeping it."""
        if self.started:
            return data
        data = self._pending + data
        before, mark, after = data.partition(self._marker)
        self.started = bool(mark)
        self._pending = b"" if mark else data[-len(self._marker) + 1 :]
        sure = before if mark else data[: len(data) - len(self._pending)]
        self._noise = (self._noise + sure)[:_NOISE_LIMIT]
        return after

    @property
    def noise(self) -> bytes:
        """The beginning of what a login shell printed before the marker."""
        return (self._noise + self._pending)[:_NOISE_LIMIT]


class Tail:
    """A queue of chunks for one reader that drops the oldest when the reader is too slow."""

    def __init__(self, limit: int = 16 << 20) -> None:
        self._chunks: deque[bytes] = deque()
        self._limit = limit
        self._size = 0
        self._dropped = 0
        self._ended = False
        self._news = asyncio.Event()

    def put(self, data: bytes) -> None:
        """Add a chunk; never waits."""
        self._chunks.append(data)
        self._size += len(data)
        while self._size > self._limit and len(self._chunks) > 1:
            oldest = self._chunks.popleft()
            self._size -= len(oldest)
            self._dropped += len(oldest)
        self._news.set()

    def end(self) -> None:
        """Tell the reader that nothing more will come."""
        self._ended = True
        self._news.set()

    async def get(self) -> bytes:
        """Return all that has come since, waiting for something; b"" is the end."""
        while not self._chunks and not self._ended:
            self._news.clear()
            await self._news.wait()
        chunks, self._size = b"".join(self._chunks), 0
        self._chunks.clear()
        if self._dropped:
            chunks = f"\n[{self._dropped} bytes dropped: too fast]\n".encode() + chunks
            self._dropped = 0
        return chunks
