"""Supervising a launch that runs: when it is ready, and when it has failed.

The nodes' watches and the probe of the API tell what is; here is decided what that means.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from wizard.launch.ending import Ending
from wizard.launch.node import LaunchNode
from wizard.launch.record import Record
from wizard.launch.serving import ServingProbe
from wizard.launch.watch import NodeWatch, first_to_fail
from wizard.scripts import served_model


class Supervision:
    """Supervises one launch until it fails, or until somebody leaves."""

    def __init__(
        self,
        record: Record,
        nodes: Sequence[LaunchNode],
        watches: Sequence[NodeWatch],
        probe: ServingProbe,
        ending: Ending,
        *,
        beside: Sequence[Callable[[], Coroutine[Any, Any, None]]] = (),
    ) -> None:
        self._beside = beside  # what else goes on as long
        self._record, self._nodes, self._watches = record, nodes, watches
        self._probe, self._ending = probe, ending
        self._left = False
        self._has_served = False

    def leave(self) -> None:
        """End the supervision: what happens to the containers from now on is no failure."""
        self._left = True
        self._record.touch()

    async def run(self, *, until_ready: bool) -> None:
        """Watch every node and the API; return on failure, or with ``until_ready`` once it serves.

        Cancelling leaves no stream behind.
        """
        async with asyncio.TaskGroup() as group:
            work = [group.create_task(watch.run()) for watch in self._watches]
            work.append(group.create_task(self._probe.run()))
            work += [group.create_task(other()) for other in self._beside]
            try:
                await self._supervise(until_ready)
            finally:
                for task in work:
                    task.cancel()

    async def _supervise(self, until_ready: bool) -> None:
        record = self._record
        while not self._left:
            record.changed.clear()
            if first_to_fail(self._watches) is not None:
                await self._ending.fall()
                return
            self._judge()
            if until_ready and record.state == "ready":
                return
            await record.changed.wait()

    def _judge(self) -> None:
        """Decide whether the launch is ready: the API serves, and every rank's container runs.

        One that was, and does not answer now, waits again: nothing is ended on a guess.
        """
        record, head = self._record, self._record.ranks[0]
        up = all(rank.state in ("running", "ready") for rank in record.ranks)
        if record.state == "waiting" and self._probe.serving and up and not record.trouble:
            for node in self._nodes:
                node.put("ready", "ready", "")
            record.put("ready", self._served())
            self._has_served = True
        elif record.state == "ready" and record.trouble:
            self._mute(record.trouble)
        elif record.state == "ready" and not self._probe.serving and head.state == "ready":
            self._mute("its API has stopped to answer.")
        elif record.state == "ready":
            for node in self._nodes:
                if node.state.state == "running":  # back after it was out of reach
                    node.put("ready", "ready", "")

    def _served(self) -> str:
        record = self._record
        name, label = served_model(record.preset), record.ranks[0].label
        if self._has_served:
            return f"{name} is served by {label} again"
        if record.found:  # it may have served for days
            return f"{name} is served by {label}"
        took = time.time() - (record.started_at or time.time())
        return f"{name} is served by {label} after {took:.0f} s"

    def _mute(self, why: str) -> None:
        """Node 0 does not answer any more, though all containers run."""
        head = self._nodes[0]
        head.put("running", detail=why)
        advice = "All containers run. If it stays so: stop, and launch again."
        self._record.put("waiting", f"{head.state.label} does not serve: {why} {advice}")
