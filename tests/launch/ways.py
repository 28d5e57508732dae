"""Ways to the SSH servers of a simulated cluster that can fall silent, as a cut cable does: what is
sent is not refused and not answered. TCP relays in front of the real servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from wizard.presets import Preset


@dataclass
class Way:
    """The way to one node."""

    host: str
    target: int
    port: int = 0
    opened: int = 0  # connections that were let through so far
    _open: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _server: asyncio.Server | None = None

    async def start(self) -> None:
        self._open.set()
        self._server = await asyncio.start_server(self._take, self.host, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self.reset()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def fall_silent(self) -> None:
        """Let nothing through any more, either way; connections stay, and are taken."""
        self._open.clear()

    def speak(self) -> None:
        """Let through what waits, and all that comes."""
        self._open.set()

    def reset(self) -> None:
        """Break every connection; new ones are taken."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            await self._open.wait()
            self.opened += 1
            there, back = await asyncio.open_connection(self.host, self.target)
            self._writers.add(back)
            with suppress(OSError, asyncio.CancelledError):
                await asyncio.gather(self._copy(reader, back), self._copy(there, writer))
            self._writers.discard(back)
            back.transport.abort()
        except (OSError, asyncio.CancelledError):
            pass  # its target is gone, or the test is over
        finally:
            self._writers.discard(writer)
            self._tasks.discard(task)
            writer.transport.abort()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            await self._open.wait()
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError  # the other direction ends with this one


@asynccontextmanager
async def by_ways(preset: Preset, folder: Path) -> AsyncIterator[tuple[Preset, Sequence[Way]]]:
    """The preset with its nodes reached by ways, as long as the block runs."""
    ways = [Way(node.host, node.port or 22) for node in preset.nodes]
    known = folder / "known_by_ways"
    nodes = []
    try:
        for way, node in zip(ways, preset.nodes, strict=True):
            await way.start()
            line = next(
                line
                for line in Path(node.known_hosts or "").read_text().splitlines()
                if line.startswith(f"[{way.host}]:{way.target} ")
            )
            with known.open("a") as file:
                file.write(line.replace(f"]:{way.target} ", f"]:{way.port} ") + "\n")
            nodes.append(node.model_copy(update={"port": way.port, "known_hosts": str(known)}))
        yield preset.model_copy(update={"nodes": nodes}), ways
    finally:
        for way in ways:
            await way.stop()
