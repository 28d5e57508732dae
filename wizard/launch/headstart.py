"""Node 0's lead: the workers start once its RPC port listens.

A worker of vLLM gives up after five minutes when nobody answers there, and node 0 may take longer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from wizard.errors import RemoteError
from wizard.launch.engine import tried_until
from wizard.launch.feed import LogFeed
from wizard.launch.node import LaunchNode
from wizard.launch.startfailure import StartFailure

RPC_WAIT_S = 600.0  # importing Python and the plugin from a cold disk takes minutes
AWAY_S = 60.0  # a node that comes back within this time did not fail
_POLL_S = 1.0


class HeadStart:
    """Waits for node 0, with its log shown. That its container ends is seen by the lookout."""

    def __init__(
        self, nodes: Sequence[LaunchNode], feed: LogFeed, failure: StartFailure, *, wait_s: float
    ) -> None:
        self._nodes, self._feed, self._failure = nodes, feed, failure
        self._wait_s = wait_s
        self._away: tuple[float, float] | None = None  # until when it may be; as it is shown

    async def wait(self, port: int) -> None:
        """Wait until node 0's RPC port listens.

        Raises:
            LaunchError: the port did not listen in time.
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
                raise await self._failure.of(head, f"{head.state.label} {late}") from None

    async def _listens(self, port: int) -> bool:
        """Ask node 0 once. One that is out of reach for a moment has not failed."""
        head = self._nodes[0]
        try:
            found = await head.listening({port: "data-parallel RPC"}, patience_s=0.0)
        except RemoteError as error:
            now = time.monotonic()
            until, shown = self._away = self._away or (now + AWAY_S, time.time() + AWAY_S)
            if now > until:
                raise
            head.out_of_reach(tried_until(error, shown, head.state.label))
            return False
        self._away = None
        return bool(found)

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
