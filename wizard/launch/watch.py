"""Watching one node of a launch: its container, asked about again and again, beside its log.

What is seen goes into the rank's state. Whether the launch as a whole goes on is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from wizard.errors import LaunchError, RemoteError
from wizard.launch.clocks import CLOCK_S, ask_clock
from wizard.launch.feed import LogFeed
from wizard.launch.logfile import log_path
from wizard.launch.node import LaunchNode
from wizard.launch.progress import Phase
from wizard.launch.runtime import Container, Listing
from wizard.launch.seen import ANSWER_S, INTERVAL_S, no_answer

_REMOVED = "its container was removed"
_RESTARTED = "its container was restarted"


@dataclass(frozen=True, slots=True)
class Death:
    """A container of the launch that does not run any more.

    ``age_s`` is how long before ``seen_at`` by the node's own clock, so that nodes whose clocks
    differ can be compared, of one that was removed since it was last seen; None when that is not
    known. ``seen_at`` is when the node was asked, by ours: some answer a second later than others.
    ``removed``: there is no log of it any more.
    """

    reason: str
    age_s: float | None
    seen_at: float
    removed: bool = False


class NodeWatch:
    """Watches one node until cancelled. ``death`` is set once its container has ended.

    ``found`` tells that the launch ran before we came: its log is not read from the start.
    """

    def __init__(
        self, node: LaunchNode, *, interval_s: float = INTERVAL_S, found: bool = False
    ) -> None:
        self.node = node
        self.feed = LogFeed(node, log_path(node.fence.launch_id, node.state.rank), found=found)
        self.death: Death | None = None
        self._interval_s = interval_s
        self._ask_now = asyncio.Event()
        self._known = asyncio.Event()  # the container is there and was started
        self._first: tuple[float | None, int] | None = None  # its start, and restarts before it
        self._seen: float | None = None  # when it was last there, by our clock

    async def run(self) -> None:
        """Follow the log, ask for the container's state and for the node's time, side by side."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_time())
            group.create_task(self._keep_asking())
            group.create_task(self._keep_reading())

    async def ask(self) -> None:
        """Ask for the container's state once. A node out of reach is unreachable, not dead."""
        node = self.node
        began = time.time()
        there = asyncio.create_task(node.remote.answer(timeout_s=ANSWER_S))
        late = asyncio.get_running_loop().call_later(ANSWER_S, self._late, there)
        try:
            self._saw(await node.listing(), began)
            self._seen = began
        except RemoteError as error:
            self._out_of_reach(str(error))
        except LaunchError as error:
            self._out_of_reach(str(error), engine=True)
        finally:
            late.cancel()
            there.cancel()
            await asyncio.gather(there, return_exceptions=True)

    async def look(self) -> None:
        """Ask once, beside work of others that tells what keeps a node from answering."""
        began = time.time()
        with suppress(RemoteError, LaunchError):
            self._saw(await self.node.listing(), began)

    def _late(self, there: asyncio.Task[None]) -> None:
        """No answer in time: of the node, or of its engine alone."""
        if self.node.away:  # it was told since when
            return
        alive = there.done() and not there.cancelled() and there.exception() is None
        who = f"the node answers, {self.node.runtime.program} does not: " if alive else ""
        self._out_of_reach(no_answer(who), engine=alive)

    def _out_of_reach(self, why: str, *, engine: bool = False) -> None:
        if self.death is None:
            self.node.out_of_reach(why, engine=engine)

    async def _keep_asking(self) -> None:
        while self.death is None:
            await self.ask()
            self._ask_now.clear()
            try:
                async with asyncio.timeout(self._interval_s):
                    await self._ask_now.wait()
            except TimeoutError:
                pass

    async def _keep_time(self) -> None:
        while True:
            await ask_clock(self.node)
            await asyncio.sleep(CLOCK_S)

    async def _keep_reading(self) -> None:
        await self._known.wait()
        while not (await self.feed.once(self.node.state.container) and self.death is not None):
            self._ask_now.set()  # the stream ended: did the container?
            await asyncio.sleep(self._interval_s)
            if self.death is not None and self.feed.ended.is_set():
                return

    def _saw(self, listing: Listing, began: float) -> None:
        """Take an answer to what was asked at ``began``: then the node has read its clock, too."""
        self.node.in_reach(engine=True)
        container = next(filter(self.node.fence.holds, listing.containers), None)
        if container is None:
            self._gone()
            return
        self.node.state.container = container.id
        if container.unstarted:
            if self.node.state.state != "starting":  # whoever starts it says more
                self.node.put("pending", "container", "created, not started yet")
            return
        self._known.set()
        if container.started_at is not None:
            self.node.state.begin(Phase.CONTAINER, container.started_at)
            self.node.state.moved(container.started_at)
        first = self._first or (container.started_at, container.restarts)
        self._first = first
        if container.running and (container.started_at, container.restarts) == first:
            self._runs(container)
            return
        if container.running:  # alone in a gang it never finds the others again
            if self.death is None:
                self._died(_restarted(container, listing.clock, began))
            elif _RESTARTED not in self.death.reason:
                self._and_then(self.death, _RESTARTED)
            return
        age = None
        if listing.clock is not None and container.finished_at is not None:
            age = listing.clock - container.finished_at
        self._died(Death(container.how_it_ended(), age, began))

    def _runs(self, container: Container) -> None:
        if container.paused:
            why = f"{container.name} is paused: somebody froze it on the node"
            self._out_of_reach(why, engine=True)
        elif self.node.state.state in ("pending", "starting", ""):
            self.node.put("running")

    def _gone(self) -> None:
        """It was removed; engines kill first, so that it may have been seen dead before."""
        now, death = time.time(), self.death
        if death is None:
            # nobody removes one because another ended: it may have gone as soon as it was seen
            age = now - self._seen if self._seen is not None else None
            self._died(Death(_REMOVED, age, now, removed=True))
        elif not death.removed:
            self._and_then(replace(death, removed=True), _REMOVED)

    def _died(self, death: Death) -> None:
        if self.death is None:
            self.death = death
            self.node.touch()

    def _and_then(self, death: Death, what: str) -> None:
        self.death = replace(death, reason=f"{death.reason}, then {what}")
        self.node.touch()


def _restarted(container: Container, clock: float | None, began: float) -> Death:
    """Return the death of a container that runs again.

    Engines go on telling when it last ended, before the others' ends that this has brought about.
    """
    ended = container.finished_at or container.started_at
    age = clock - ended if clock is not None and ended is not None else None
    before = f" after it {container.how_it_ended()}" if container.exit_code else ""
    return Death(f"{_RESTARTED}{before}", age, began)


def first_to_fail(watches: Iterable[NodeWatch]) -> NodeWatch | None:
    """Return the node whose container ended first, or None while all run."""
    now = time.time()

    def ago(watch: NodeWatch) -> float:
        assert watch.death is not None
        seen_ago = now - watch.death.seen_at
        return seen_ago + (watch.death.age_s or 0.0)

    return max((w for w in watches if w.death is not None), key=ago, default=None)
