"""Node 0's lead: the workers start once its RPC port listens; until then it is watched alone.

A worker of vLLM gives up after five minutes when nobody answers there, and node 0 may take longer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from wizard.errors import LaunchError, RemoteError
from wizard.launch import plog
from wizard.launch.diagnosis import diagnose_ranks, why
from wizard.launch.feed import LogFeed
from wizard.launch.node import LaunchNode
from wizard.presets import Preset

if TYPE_CHECKING:
    from wizard.diagnosis.verdict import Diagnosis

RPC_WAIT_S = 600.0  # importing Python and the plugin from a cold disk takes minutes
AWAY_S = 60.0  # a node that comes back within this time did not fail
_POLL_S = 1.0
_DRAIN_S = 3.0  # for the last lines of a container that ended


class HeadStart:
    """Waits for node 0, with its log shown and its container watched.

    ``diagnosis`` and ``brief`` (without it) say why it failed, once it has.
    """

    def __init__(
        self, preset: Preset, nodes: Sequence[LaunchNode], feed: LogFeed, *, wait_s: float
    ) -> None:
        self._preset, self._nodes, self._feed = preset, nodes, feed
        self._wait_s = wait_s
        self._away_since: float | None = None
        self.diagnosis: Diagnosis | None = None
        self.brief = ""

    async def wait(self, port: int) -> None:
        """Wait until node 0's RPC port listens.

        Raises:
            LaunchError: its container ended, or the port did not listen in time.
            RemoteError: node 0 was out of reach for longer than AWAY_S.
        """
        head = self._nodes[0]
        for node in self._nodes[1:]:
            node.put("starting", "container", f"created; waits for node 0's RPC port {port}")
        async with self._reading(self._feed):
            try:
                async with asyncio.timeout(self._wait_s):
                    while True:
                        if await self._listens(port):
                            return
                        await asyncio.sleep(_POLL_S)
            except TimeoutError:
                late = f"did not open its RPC port {port} within {self._wait_s:.0f} s"
                raise await self._failure(head, f"{head.state.label} {late}") from None

    async def _listens(self, port: int) -> bool:
        """Ask node 0 once. One that is out of reach for a moment has not failed."""
        head = self._nodes[0]
        try:
            if await head.listening({port: "data-parallel RPC"}):
                return True
            await self._still_running(head)
        except RemoteError as error:
            now = time.monotonic()
            self._away_since = self._away_since or now
            if now - self._away_since > AWAY_S:
                raise
            head.put("unreachable", detail=str(error))
            return False
        if self._away_since is not None:
            self._away_since = None
            head.put("running", detail="in reach again")
        return False

    async def _still_running(self, head: LaunchNode) -> None:
        container = await head.mine()
        if container is not None and container.running:
            return
        how = "its container was removed"
        if container is not None:
            how = container.how_it_ended()
            try:
                async with asyncio.timeout(_DRAIN_S):
                    await self._feed.ended.wait()
            except TimeoutError:
                pass
        head.put("failed", detail=how)
        raise await self._failure(head, f"{head.state.label} failed: {how}", dead=True)

    async def _failure(self, head: LaunchNode, what: str, *, dead: bool = False) -> LaunchError:
        """Return the error for node 0, with what its log says about it."""
        rank = head.state.rank
        gone = [rank] if dead else []
        states = [node.state for node in self._nodes]
        plogs = await plog.fetch_all([head])
        self.diagnosis = await diagnose_ranks(states, self._preset, dead=gone, plogs=plogs.paths)
        self.brief = f"{what}."
        said = " ".join([what + why(self.diagnosis, rank), *plogs.problems])
        return LaunchError(said, node=rank)

    @asynccontextmanager
    async def _reading(self, feed: LogFeed) -> AsyncIterator[None]:
        """Show node 0's log meanwhile; the feed remembers where it stopped."""
        task = asyncio.create_task(self._read(feed))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _read(self, feed: LogFeed) -> None:
        whole = False
        while not whole:
            whole = await feed.once(feed.node.state.container)
            await asyncio.sleep(_POLL_S)  # a broken connection is not asked again at once
