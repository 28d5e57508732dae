"""One node's log on its way from the container engine: into the state, and into a file here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from pathlib import Path

from wizard.errors import LaunchError, RemoteError
from wizard.launch.lines import Line, LineReader, stamp_of
from wizard.launch.logfile import LogFile
from wizard.launch.lookback import fetch_signs, fetch_tail, text_of
from wizard.launch.node import LaunchNode
from wizard.launch.progress import Phase, StageParser, marked

_SLICE = 1 << 16  # bytes of lines read before others get their turn
_TURN = 1 << 20  # bytes only written to the file before others get their turn
_DROPPED = b" bytes dropped: too fast]\n"  # how a stream begins a chunk before which it lost some


class LogFeed:
    """Puts a container's log into the rank's state, from its start and over dropped connections.

    Args:
        node: the node, with the rank's state.
        path: where the whole log is kept here; None keeps none.
        found: the container ran before we came. Then stages and tail are fetched first, and the
            rest of the log goes into the file without being read.
    """

    def __init__(self, node: LaunchNode, path: Path | None = None, *, found: bool = False) -> None:
        self.node = node
        self.parser = StageParser()
        self.ended = asyncio.Event()  # the whole log of a container that ended was read
        self._file = LogFile(path) if path is not None else None
        self._reader = LineReader()
        self._look_back = found
        self._begun = False
        self._behind = False  # the stream comes from before what the reader has read
        self._rest = b""

    async def once(self, container: str) -> bool:
        """Read until the stream ends; return whether it ended by itself (False: broken)."""
        file = self._file
        try:
            if file is not None:
                await file.open()
                self._note_file()
            if self._look_back:
                await self._catch_up(container)
                self._look_back = False
            command = self._command(container)
            self.ended.clear()
            # closed at once however it is left, not when the garbage is collected
            async with aclosing(self.node.stream(command)) as chunks:
                async for chunk in chunks:
                    if chunk.startswith(b"\n[") and _DROPPED in chunk[:80]:
                        return False  # asked for again from the last stamp on: nothing is lost
                    await self._take(chunk)
            self._end()
        except (RemoteError, LaunchError):
            return False
        finally:
            self._note_file()
            if file is not None:
                await file.close()
        self.ended.set()
        return True

    def _command(self, container: str) -> str:
        """Ask for the log from where reading stopped: the file's place, or the reader's."""
        reader, file, runtime = self._reader, self._file, self.node.runtime
        self._rest, self._behind = b"", False
        if self._begun:
            reader.resume()
        since = reader.since
        if file is not None and file.writes:
            file.resume()
            self._behind = bool(reader.since) and (file.empty or file.since < reader.since)
            since = file.since if self._behind else since
        self._begun = True
        # without stamps nothing tells what was seen: then only what is new is asked for
        tail = 0 if reader.count and not reader.since else None
        return runtime.logs(container, follow=True, stamps=True, since=since, tail=tail)

    async def _take(self, chunk: bytes) -> None:
        passed = 0
        for at in range(0, len(chunk), _SLICE):
            data = self._rest + chunk[at : at + _SLICE]
            cut = data.rfind(b"\n") + 1
            if not cut and len(data) < _SLICE:
                self._rest = data
                continue
            lines, self._rest = (data[:cut], data[cut:]) if cut else (data, b"")
            if self._file is not None:
                self._file.take(lines)
            if self._passed_over(lines):
                passed += len(lines)
            else:
                self._lines(self._reader.feed(lines))
            if not self._behind or passed >= _TURN:
                passed = 0
                await asyncio.sleep(0)
            if self._file is not None and self._file.full:
                await self._file.flush()
        if self._file is not None:
            await self._file.flush()
        self._note_file()

    def _passed_over(self, lines: bytes) -> bool:
        """Whether these lines are all older than what was read; then they need no reading."""
        if not self._behind:
            return False
        last = lines.rfind(b"\n", 0, len(lines) - 1) + 1
        stamp = stamp_of(lines[last : last + 64])
        if stamp is not None and stamp[0] < self._reader.last:
            return True
        self._behind = False
        return False

    def _end(self) -> None:
        """Take the last line, which had no newline."""
        if self._rest:
            if self._file is not None:
                self._file.take(self._rest)
            self._lines(self._reader.feed(self._rest))
        self._rest = b""
        self._lines(self._reader.flush())

    # -- a log that was not followed from its start

    async def _catch_up(self, container: str) -> None:
        """Fetch what tells the stage, and the tail: all that can be seen at once."""
        recent = asyncio.create_task(fetch_tail(self.node, container))
        try:
            for text, at in await fetch_signs(self.node, container):
                self._progress(text, at)
            tail = await recent
        finally:
            recent.cancel()
            await asyncio.gather(recent, return_exceptions=True)
        self._begun = True
        for begin in range(0, len(tail), _SLICE):
            self._lines(self._reader.feed(tail[begin : begin + _SLICE]))
            await asyncio.sleep(0)

    # -- into the state

    def _lines(self, lines: Sequence[Line]) -> None:
        if not lines:
            return
        self._stages(lines)
        log = self.node.state.log
        new: list[str] = []
        times: list[float] = []
        for line in lines:
            text = text_of(line)
            if not line.redraws:
                new.append(text)
                times.append(line.at)
            elif new:
                new[-1] = text
            else:
                log.replace_last(text)
        if new:
            log.extend(new, times)
        self.node.touch()

    def _stages(self, lines: Iterable[Line]) -> None:
        if self.parser.stage.phase is Phase.READY:
            return
        lines = list(lines)
        marks = marked(b"\n".join([line.text for line in lines]))
        if not marks:
            return
        for line in lines:
            if any(mark in line.text for mark in marks):
                self._progress(text_of(line), line.at)

    def _progress(self, text: str, at: float) -> None:
        before = self.parser.stage.phase
        if before is Phase.READY:
            return
        stage = self.parser.feed(text)
        if stage is None:
            return
        self.node.state.reach(stage, at)

    def _note_file(self) -> None:
        if self._file is not None:
            self.node.state.log_path = self._file.path
            self.node.state.log_problem = self._file.problem
            self.node.state.log_lost = self._file.failed
