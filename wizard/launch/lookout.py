"""The lookout beside a start: which node is out of reach, and whose container has ended.

A start is one step after another, mostly on other nodes than the one that is lost, and a step may
take minutes on a node that is well. So every node is asked beside it: its SSH server whether it
answers, which starts nothing there, and its engine for the container once there is one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

from wizard.errors import CommandTimeout, RemoteError
from wizard.launch.node import LaunchNode
from wizard.launch.seen import ANSWER_S, INTERVAL_S, no_answer
from wizard.launch.shownrank import ShownRank
from wizard.launch.watch import NodeWatch
from wizard.remote.api import Remote


class Lookout:
    """Looks after the nodes of a start, each by its watch.

    Attributes:
        made: to be set once every node has its container: until then they may come and go.
    """

    def __init__(self, watches: Sequence[NodeWatch], *, interval_s: float = INTERVAL_S) -> None:
        self._watches, self._interval_s = watches, interval_s
        self.made = asyncio.Event()

    async def beside(self, work: Coroutine[Any, Any, None]) -> NodeWatch | None:
        """Await ``work``. Return the node whose container ended meanwhile; None for none.

        In that case the work was cancelled. Nothing is given up because a node is out of reach.
        """
        main = asyncio.create_task(work)
        deaths = [asyncio.create_task(self._death(watch)) for watch in self._watches]
        touch = [
            asyncio.create_task(keep_in_touch(w.node, w.node.remote, interval_s=self._interval_s))
            for w in self._watches
        ]
        tasks: list[asyncio.Task[Any]] = [main, *deaths, *touch]
        try:
            await asyncio.wait([main, *deaths], return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended = main.done()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if ended:
            main.result()
            return None
        fallen = [task.result() for task in deaths if task.done() and not task.cancelled()]
        return fallen[0]

    async def _death(self, watch: NodeWatch) -> NodeWatch:
        """Return the watch once the container of its node has ended."""
        await self.made.wait()
        while watch.death is None:
            if watch.node.state.container:  # of a launch that was found, some may not be known
                await watch.look()
            if watch.death is None:
                await asyncio.sleep(self._interval_s)
        return watch


@asynccontextmanager
async def in_touch(nodes: Sequence[LaunchNode]) -> AsyncIterator[None]:
    """Show which of the nodes is out of reach while the block runs."""
    tasks = [asyncio.create_task(keep_in_touch(node, node.remote)) for node in nodes]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def keep_in_touch(rank: ShownRank, remote: Remote, *, interval_s: float = INTERVAL_S) -> None:
    """Show until cancelled whether a node answers, however busy it is.

    One that was never reached is left to whoever connects: a login may wait for a password.
    """
    while True:
        why = ""
        try:
            await remote.answer(timeout_s=ANSWER_S)
        except CommandTimeout:
            why = no_answer()
        except RemoteError as error:
            why = f"{error.message} Tried on."
        if not why:
            rank.in_reach()
        elif rank.reached and not rank.away:
            rank.out_of_reach(why)
        await asyncio.sleep(interval_s)
