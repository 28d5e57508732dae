"""The log of one node of a launch: followed, resumed over dropped connections, read for stages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from wizard.errors import RemoteError
from wizard.launch.lines import Line, LineReader
from wizard.launch.node import LaunchNode
from wizard.launch.progress import Phase, StageParser
from wizard.remote.text import clean


class LogFeed:
    """Puts a container's log into the rank's state, from its start and over dropped connections."""

    def __init__(self, node: LaunchNode) -> None:
        self.node = node
        self.parser = StageParser()
        self.ended = asyncio.Event()  # the whole log of a container that ended was read
        self._reader = LineReader()
        self._begun = False

    async def once(self, container: str) -> bool:
        """Read until the stream ends; return whether it ended by itself (False: broken)."""
        reader, runtime = self._reader, self.node.runtime
        if self._begun:
            reader.resume()
        self._begun = True
        # without stamps nothing tells what was seen: then only what is new is asked for
        tail = 0 if reader.count and not reader.since else None
        command = runtime.logs(container, follow=True, stamps=True, since=reader.since, tail=tail)
        self.ended.clear()
        try:
            async for chunk in self.node.stream(command):
                self._take(reader.feed(chunk))
        except RemoteError:
            return False
        self._take(reader.flush())
        self.ended.set()
        return True

    def _take(self, lines: Iterable[Line]) -> None:
        log, new = self.node.state.log, list[str]()
        took = False
        for line in lines:
            took = True
            text = clean(line.text).rstrip()
            self._progress(text)
            if not line.redraws:
                new.append(text)
            elif new:
                new[-1] = text
            else:
                log.replace_last(text)
        if new:
            log.extend(new)
        if took:
            self.node.touch()

    def _progress(self, text: str) -> None:
        before = self.parser.stage.phase
        stage = self.parser.feed(text) if before is not Phase.READY else None
        if stage is None:
            return
        state = self.node.state
        if stage.phase is not before:
            state.stage_since = time.time()
        left = f", {stage.eta} left" if stage.eta else ""
        state.stage, state.detail = stage.title, stage.detail + left
