"""One launch of a preset on all its nodes: started, followed, found again, stopped.

The launch belongs to the nodes, not to this process: containers run detached and are known by
their labels. What is here can be thrown away at any time and made again by :meth:`Launch.attach`.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING

from wizard import apikey
from wizard.deviations import unsupervisable
from wizard.discovery import is_complete
from wizard.errors import LaunchError, RemoteError, UsageError, WizardError
from wizard.launch import report
from wizard.launch.diagnosis import diagnose_ranks, why
from wizard.launch.gang import RPC_WAIT_S, GangStart, ports
from wizard.launch.node import LaunchNode
from wizard.launch.plan import plan
from wizard.launch.proofread import proofread
from wizard.launch.runtime import STOP_S, Runtime
from wizard.launch.serving import ServingProbe
from wizard.launch.state import RankState, StatusReport
from wizard.launch.stopping import closed, remove_all
from wizard.launch.together import to_the_end, together
from wizard.launch.watch import INTERVAL_S, NodeWatch, first_to_fail
from wizard.presets import Preset
from wizard.remote.api import Fleet
from wizard.scripts import render, served_model

if TYPE_CHECKING:
    from wizard.diagnosis.verdict import Diagnosis


_DRAIN_S = 3.0  # for the last lines of a container that ended
_ABORT_S = 20  # TERM to KILL for nodes that are stopped because another failed
_CANCELLED = "Cancelled while starting"


class Launch:
    """One launch. Its state can be read at any time; ``revision`` moves on every change.

    ``state`` is pending, starting, waiting (all run, not yet serving), ready, failed or stopped.
    """

    def __init__(
        self,
        fleet: Fleet,
        preset: Preset,
        *,
        launch_id: str | None = None,
        rpc_wait_s: float = RPC_WAIT_S,
        interval_s: float = INTERVAL_S,
        grace_s: int = STOP_S,
    ) -> None:
        self.preset = preset
        self.launch_id = launch_id or new_launch_id()
        self.state = "pending"
        self.message = ""
        self.brief = ""  # of a failure: the message without the diagnosis
        self.diagnosis: Diagnosis | None = None  # why it failed, as far as the logs tell
        self.revision = 0
        self.started_at: float | None = None
        self.ranks = [RankState(node.rank, node.host) for node in preset.cluster.nodes]
        self._changed = asyncio.Event()
        self._ready = asyncio.Event()
        self._rpc_wait_s, self._interval_s, self._grace_s = rpc_wait_s, interval_s, grace_s
        runtime = Runtime(preset.container.runtime)
        self._nodes = [
            LaunchNode(remote, runtime, preset.name, state, self._touch)
            for remote, state in zip(fleet.remotes, self.ranks, strict=True)
        ]
        self._watches = self._new_watches()
        self._stopping = False

    @property
    def ready(self) -> asyncio.Event:
        """Set while the launch serves."""
        return self._ready

    def plan(self) -> list[str]:
        """Return the steps to show before confirming; nothing is asked of the nodes."""
        return plan(self.preset, self.launch_id)

    async def refuse(self) -> None:
        """Say before any long work what would make :meth:`start` refuse anyway.

        Raises:
            UsageError: the preset asks for strict_guide, or its scripts have errors.
            LaunchError, RemoteError: it is launched already, or a node cannot be asked.
        """
        self._require_supervisable()
        if is_complete(self.preset):  # otherwise the nodes are asked first, and start() looks
            await proofread(self.preset, render(self.preset))
        name = self.preset.container.name
        await together(node.refuse_others(name, self.launch_id) for node in self._nodes)

    def _require_supervisable(self) -> None:
        if (why := unsupervisable(self.preset)) is not None:
            raise UsageError(f"{why.key}: {why.text}", hint=why.right)

    async def start(self) -> None:
        """Start all nodes, or none: on any error, and when cancelled, what was made is undone.

        Raises:
            UsageError: the preset cannot be launched (strict_guide, an address missing, an error
                in its scripts).
            LaunchError, RemoteError: something stood in the way on a node; names it.
        """
        self._require_supervisable()
        if self.state not in ("pending", "failed", "stopped"):
            raise LaunchError(f"this launch is {self.state} already.")
        await proofread(self.preset, render(self.preset))
        self._stopping = False
        self._ready.clear()
        self._watches = self._new_watches()
        self.started_at = time.time()
        self.diagnosis = None
        self._set("starting", "Starting")
        feeds = [watch.feed for watch in self._watches]
        gang = GangStart(
            self.preset, self.launch_id, self._nodes, feeds, rpc_wait_s=self._rpc_wait_s
        )
        try:
            await gang.run()
        except BaseException as error:
            self.diagnosis = gang.diagnosis
            await self._undo(error, made_anything=gang.made_anything)
            self.brief = gang.brief
            raise
        self._set("waiting", "All nodes run; waiting until the model is served")

    async def follow(self, *, until_ready: bool = False) -> None:
        """Supervise until the launch fails; with ``until_ready``, until it serves.

        Cancelling leaves the launch running and no stream behind.

        Raises:
            LaunchError: nothing runs that could be followed.
        """
        if self.state not in ("waiting", "ready"):
            raise LaunchError(f"nothing to follow: this launch is {self.state}.")
        probe = ServingProbe(
            self._nodes[0].remote, self.preset, self._touch, interval_s=self._interval_s
        )
        async with asyncio.TaskGroup() as group:
            work = [group.create_task(watch.run()) for watch in self._watches]
            work.append(group.create_task(probe.run()))
            try:
                await self._supervise(probe, until_ready)
            finally:
                for task in work:
                    task.cancel()

    async def attach(self) -> bool:
        """Find a launch of this preset that runs; take it over. Return whether there is one.

        Raises:
            RemoteError, LaunchError: no node at all could be asked.
        """
        answers = await report.ask_all(self._nodes)
        errors = [answer for answer in answers if isinstance(answer, Exception)]
        if len(errors) == len(answers):
            raise errors[0]
        container = report.newest(answers)
        if container is None or not container.running:
            return False
        self.launch_id = container.launch
        self.started_at = container.started_at or time.time()
        self._stopping = False
        self._ready.clear()
        self._watches = self._new_watches()
        for node, answer in zip(self._nodes, answers, strict=True):
            if isinstance(answer, Exception):
                node.put("unreachable", "", str(answer))
            else:
                node.put("pending", "container", "")
        self._set("waiting", f"Found the launch {self.launch_id}")
        return True

    async def stop(self) -> list[str]:
        """Stop every container of ours for this preset and verify it; return the problems.

        The API node goes first. May be repeated; a node out of reach is named as one where
        something may be left.
        """
        self._stopping = True
        self._touch()
        self.message = "Stopping"
        problems = await remove_all(self._nodes, lambda c: bool(c.launch), grace_s=self._grace_s)
        if 0 not in problems and self.ranks[0].container:
            late = await closed(self._nodes[0], ports(self.preset))
            problems |= {0: late} if late else {}
        for node in self._nodes:
            if node.state.rank in problems:
                self._blame(node, problems[node.state.rank][0])
            elif node.state.state not in ("failed", "aborted"):
                node.put("stopped", "", "")
        if self.preset.serve.api_key and not problems:
            await self._drop_key()
            apikey.forget(self.preset)
        self._ready.clear()
        self._set("failed" if problems else "stopped", "Stopped on every node")
        lines = [line for rank in sorted(problems) for line in problems[rank]]
        if lines:
            self.message = "; ".join(lines)
        return lines

    async def status(self) -> StatusReport:
        """Ask every node what runs there, and node 0 whether it serves. Changes nothing here."""
        return await report.status(self._nodes, self.preset)

    def logs(self, rank: int, *, follow: bool = False) -> AsyncIterator[str]:
        """Yield the serve log of one node from its start, cleaned for display.

        Raises:
            UsageError: no container of this preset is there.
        """
        return report.logs(self._nodes[rank], follow=follow)

    # -- supervising

    async def _supervise(self, probe: ServingProbe, until_ready: bool) -> None:
        while not self._stopping:
            self._changed.clear()
            if first_to_fail(self._watches) is not None:
                await self._fall()
                return
            self._judge(probe)
            if until_ready and self.state == "ready":
                return
            await self._changed.wait()

    def _judge(self, probe: ServingProbe) -> None:
        """Decide whether the launch is ready: the API serves, and every rank's container runs."""
        up = ("running", "ready")
        if self.state == "waiting" and probe.serving and all(r.state in up for r in self.ranks):
            took = time.time() - (self.started_at or time.time())
            for node in self._nodes:
                node.put("ready", "ready", "")
            self._ready.set()
            model = served_model(self.preset)
            self._set("ready", f"{model} is served by {self.ranks[0].label} after {took:.0f} s")
        elif self.state == "ready":
            for node in self._nodes:
                if node.state.state == "running":  # back after it was out of reach
                    node.put("ready", "ready", "")

    async def _fall(self) -> None:
        """A container ended: name the first, stop the others unless the model was served."""
        await asyncio.gather(*(w.ask() for w in self._watches if w.death is None))
        first = first_to_fail(self._watches)
        assert first is not None
        assert first.death is not None
        try:
            async with asyncio.timeout(_DRAIN_S):
                await first.feed.ended.wait()
        except TimeoutError:
            pass
        was_ready = self.state == "ready"
        self._ready.clear()
        how, rank = first.death.reason, first.node.state.rank
        self.diagnosis = await diagnose_ranks(self.ranks, self.preset.series, dead=[rank])
        message = f"{first.node.state.label} failed: {how}{why(self.diagnosis, rank)}"
        brief = f"{first.node.state.label} failed: {how}."
        first.node.put("failed", detail=how)
        if was_ready:
            advice = "The others may hang: stop, and launch again."
            self._set("failed", f"{message} {advice}", f"{brief} {advice}")
            return
        self.message = f"{message} Stopping the others"
        self._touch()
        try:
            problems = await to_the_end(self._abort())
        except asyncio.CancelledError:
            stopped = "The others were stopped."
            self._set("failed", f"{message} {stopped}", f"{brief} {stopped}")
            raise
        self._set("failed", " ".join([message, *problems]), " ".join([brief, *problems]))

    async def _abort(self, why: str = "stopped because another node failed") -> list[str]:
        """Stop and remove all of this launch; the nodes that had not failed are aborted."""
        problems = await remove_all(
            self._nodes, lambda c: c.launch == self.launch_id, grace_s=min(_ABORT_S, self._grace_s)
        )
        for node in self._nodes:
            rank = node.state.rank
            if rank in problems:
                self._blame(node, problems[rank][0])
            elif node.state.state != "failed":
                node.put("aborted", detail=why)
        return [line for rank in sorted(problems) for line in problems[rank]]

    async def _undo(self, error: BaseException, *, made_anything: bool) -> None:
        """After a start that failed: name the node, take away what was made, even if cancelled."""
        if isinstance(error, WizardError) and error.node is not None:
            state = "unreachable" if isinstance(error, RemoteError) else "failed"
            self._nodes[error.node].put(state, detail=str(error))
        problems = []
        if made_anything:
            why = [_CANCELLED] if isinstance(error, asyncio.CancelledError) else []
            problems = await to_the_end(self._abort(*why))
            if self.preset.serve.api_key:
                await to_the_end(self._drop_key())
        else:
            for node in self._nodes:
                if node.state.state not in ("failed", "unreachable"):
                    node.put("aborted", "", "nothing was started")
        message = str(error)
        if isinstance(error, asyncio.CancelledError):
            message = _CANCELLED + ("." if problems else "; nothing of it is left.")
        self._set("failed", " ".join([message, *problems]))

    async def _drop_key(self) -> None:
        with suppress(RemoteError):  # out of reach: named already
            await self._nodes[0].drop_key(self.launch_id)

    # -- small parts

    @staticmethod
    def _blame(node: LaunchNode, problem: str) -> None:
        """Note a clean-up that failed; a node out of reach stays just that."""
        node.put("unreachable" if node.state.state == "unreachable" else "failed", detail=problem)

    def _new_watches(self) -> list[NodeWatch]:
        return [
            NodeWatch(node, self.launch_id, interval_s=self._interval_s) for node in self._nodes
        ]

    def _touch(self) -> None:
        self.revision += 1
        self._changed.set()

    def _set(self, state: str, message: str, brief: str = "") -> None:
        self.state, self.message, self.brief = state, message, brief
        self._touch()


def new_launch_id() -> str:
    """Return an id that nobody else has: when it was made, and chance."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
