"""One launch of a preset on all its nodes: started, followed, found again, stopped.

The launch belongs to the nodes, not to this process: containers run detached and are known by
their labels. What is here can be thrown away at any time and made again by :meth:`Launch.attach`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace

from wizard import apikey
from wizard.deviations import unsupervisable
from wizard.discovery import is_complete
from wizard.errors import LaunchError, UsageError, WizardError
from wizard.launch import pending, remains, report
from wizard.launch.conflict import Taken
from wizard.launch.ended import look_back
from wizard.launch.ending import Ending, blame, who_stops
from wizard.launch.fence import Fence, new_fence
from wizard.launch.gang import GangStart, claims
from wizard.launch.headstart import RPC_WAIT_S
from wizard.launch.heartbeat import Heartbeat
from wizard.launch.loadprobe import LoadProbe
from wizard.launch.lookout import Lookout
from wizard.launch.moved import require_same_nodes
from wizard.launch.node import LaunchNode
from wizard.launch.plan import plan
from wizard.launch.ports import ports
from wizard.launch.proofread import proofread
from wizard.launch.record import Record
from wizard.launch.restarting import STOPPED, make_sure, told, untouched
from wizard.launch.runtime import STOP_S, Container, Runtime
from wizard.launch.seen import INTERVAL_S
from wizard.launch.serving import ServingProbe
from wizard.launch.state import StatusReport
from wizard.launch.stopping import stop_all
from wizard.launch.supervising import Supervision
from wizard.launch.survey import Survey, survey
from wizard.launch.together import together
from wizard.launch.watch import NodeWatch
from wizard.presets import Preset
from wizard.remote.api import Fleet
from wizard.scripts import NodeScripts, render

_ALL_RUN = "All nodes run; waiting until the model is served"


class Launch(Record):
    """One launch: what is known of it, and what can be done with it."""

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
        super().__init__(preset, new_fence(launch_id))
        self.fetch_image = False  # whether start() may pull or load it where it is missing
        self._rpc_wait_s, self._interval_s, self._grace_s = rpc_wait_s, interval_s, grace_s
        runtime = Runtime(preset.container.runtime)
        self._nodes = [
            LaunchNode(remote, runtime, preset.name, state, self.touch, self.fence)
            for remote, state in zip(fleet.remotes, self.ranks, strict=True)
        ]
        self._watches = self._new_watches()
        self._supervision: Supervision | None = None
        self.notes: tuple[str, ...] = ()  # what a stop could not verify, and is no problem
        self._half = False  # found with containers that were made and never started

    def plan(self) -> list[str]:
        """Return the steps to show before confirming; nothing is asked of the nodes."""
        return plan(self.preset, self.launch_id)

    async def survey(self, *, held: bool = False) -> Survey:
        """Ask the nodes what a start would find there; nothing is changed.

        With ``held``, what a launch of this preset holds there is no matter.
        """
        scripts = render(self.preset) if is_complete(self.preset) else []
        wanted = claims(self.preset, scripts, self.fence)
        return await survey(self._nodes, wanted, self.preset, held=held)

    async def refuse(self) -> None:
        """Say before any long work what would make :meth:`start` refuse anyway.

        Raises:
            UsageError: the preset asks for strict_guide, or its scripts have errors.
            Taken: it is launched already, or its name or NPUs are; ``conflict`` says so too.
            LaunchError, RemoteError: a node cannot be asked.
        """
        self.require_supervisable()
        scripts: list[NodeScripts] = []
        if is_complete(self.preset):  # otherwise the nodes are asked first, and start() looks
            scripts = render(self.preset)
            await proofread(self.preset, scripts)
        wanted = claims(self.preset, scripts, self.fence)
        self.conflict = None
        try:
            await together(n.refuse_others(c) for n, c in zip(self._nodes, wanted, strict=True))
        except Taken as error:
            self.conflict = error.holder
            raise

    def require_supervisable(self) -> None:
        """Raise UsageError when the preset's own choices make its launch one nobody can watch."""
        if (why := unsupervisable(self.preset)) is not None:
            raise UsageError(f"{why.key}: {why.text}", hint=why.right)

    async def start(self) -> None:
        """Start all nodes, or none: on any error, and when cancelled, what was made is undone.

        Raises:
            UsageError: the preset cannot be launched (strict_guide, an address missing, an error
                in its scripts).
            Taken: somebody holds what it needs; ``conflict`` says so too.
            LaunchError, RemoteError: something else stood in the way on a node; names it.
        """
        self.require_supervisable()
        if self.state not in ("pending", "failed", "stopped"):
            raise LaunchError(f"this launch is {self.state} already.")
        await proofread(self.preset, render(self.preset))
        if self.state != "pending":  # what the last one left in its directory is not overwritten
            self._adopt(new_fence())
        self._watches = self._new_watches()
        self.started_at = time.time()
        self.begin_anew()
        self.put("starting", "Starting")
        gang = self._gang()
        try:
            await gang.run()
        except BaseException as error:
            await self._undo(gang, error, made_anything=gang.made_anything)
            raise
        await self._settled()
        self.put("waiting", _ALL_RUN)

    async def finish(self) -> None:
        """Start what another wizard made and did not start: it was killed, or is still at it.

        Cancelling leaves everything as it is.

        Raises:
            WizardError: as :meth:`start`.
        """
        if not self._half:
            return
        gang = self._gang()
        try:
            await gang.go_on()
        except WizardError as error:
            await self._undo(gang, error, made_anything=True)
            raise
        self._half = False
        self.put("waiting", _ALL_RUN)

    async def _undo(self, gang: GangStart, error: BaseException, *, made_anything: bool) -> None:
        """Undo a start that failed.

        Raises:
            WizardError: the same error again, which says too what of the start may be left.
        """
        self.diagnosis = gang.failure.diagnosis
        self.conflict = error.holder if isinstance(error, Taken) else None
        left = await self._ending().undo(error, made_anything=made_anything)
        self.brief = gang.failure.brief
        if left and isinstance(error, WizardError):
            raise told(error, " ".join(left)) from error

    def _gang(self) -> GangStart:
        return GangStart(
            self.preset,
            self.fence,
            self._watches,
            rpc_wait_s=self._rpc_wait_s,
            interval_s=self._interval_s,
            fetch_image=self.fetch_image,
        )

    async def _settled(self) -> None:
        """Forget what an earlier stop may have left: the nodes have just been asked."""
        gone = [node.state.rank for node in self._nodes if not node.unasked]
        with suppress(OSError):
            await asyncio.to_thread(pending.settle, self.preset, gone)

    @property
    def half_started(self) -> bool:
        """Whether not all of what was made is started, and whoever follows it does that first."""
        return self._half

    async def restart(self) -> None:
        """Stop what runs of this preset, whoever launched it, and start it anew.

        What can be told while it runs is made sure of first; what it holds itself, afterwards.

        Raises:
            LaunchError: it could not be stopped wholly; nothing was started then.
            WizardError: as :meth:`start`; says whether what ran was stopped.
        """
        self.require_supervisable()
        self.conflict, preset = None, self.preset
        self.put("starting", "Looking at the nodes; what runs is not stopped yet")
        sure = make_sure(self._nodes, preset, self.fence, fetch_image=self.fetch_image)
        try:
            await Lookout(self._watches, interval_s=self._interval_s).beside(sure)
        except asyncio.CancelledError:
            self.put("failed", f"Cancelled. {untouched(preset)}")
            raise
        except WizardError as error:
            why = told(error, untouched(preset))
            await self._ending().undo(why, made_anything=False)
            raise why from error
        if problems := await self.stop():
            raise LaunchError(f"not launched anew: {' '.join(problems)}")
        try:
            await self.start()
        except (WizardError, asyncio.CancelledError) as error:
            self.put("failed", f"{self.message} {STOPPED}", self.brief)
            if isinstance(error, WizardError):
                raise told(error, STOPPED) from error
            raise

    async def follow(self, *, until_ready: bool = False) -> None:
        """Supervise until the launch fails; with ``until_ready``, until it serves.

        Cancelling leaves the launch running and no stream behind.

        A launch that was found half started is first started wholly.

        Raises:
            LaunchError: nothing runs that could be followed, or the rest could not be started.
        """
        if self.state not in ("waiting", "ready"):
            raise LaunchError(f"nothing to follow: this launch is {self.state}.")
        await self.finish()
        head = self._nodes[0].remote
        probe = ServingProbe(
            head, self.preset, self.ranks[0], self.touch, interval_s=self._interval_s
        )
        beside = [LoadProbe(head, self).run]
        if (every_s := self.preset.serve.probe_s) is not None:
            beside.append(Heartbeat(head, self, every_s).run)
        self._supervision = Supervision(
            self, self._nodes, self._watches, probe, self._ending(), beside=beside
        )
        await self._supervision.run(until_ready=until_ready)

    async def attach(self) -> bool:
        """Find a launch of this preset that runs; take it over. Return whether there is one.

        One that has ended while nobody followed it is read, so that why it failed is known here;
        of one that is there in parts only it is said what and where. Nothing of them is changed.

        Raises:
            RemoteError, LaunchError: no node at all could be asked; or the launch that runs was
                made for other nodes, or under another engine, than the preset has now; or one may
                run under that engine, which cannot be asked.
        """
        answers = await report.ask_all(self._nodes)
        errors = [answer for answer in answers if isinstance(answer, Exception)]
        if len(errors) == len(answers):
            raise errors[0]
        container = report.newest(answers)
        if container is None:
            if told := report.under_another(answers, self.preset):
                raise LaunchError(told)
            if why := report.unasked(answers):
                raise LaunchError(why)
            return False
        fence = Fence.of(container)
        mine = [report.held_by(fence, answer) for answer in answers]
        there = [found for found in mine if found is not None]
        half = len(there) == len(mine) and any(found.unstarted for found in there)
        hosts = [node.state.host for node in self._nodes]
        require_same_nodes(mine, hosts, self.preset.name)
        has = report.parts(self._nodes, answers, fence.launch_id)
        torn = remains.headless(has) or remains.unmade(has)
        self._adopt(fence)
        self.found = True
        # where one has ended already, following says so: it is not started a second time
        self._half = half and all(found.running or found.unstarted for found in there)
        self.started_at = container.started_at or time.time()
        self._watches = self._new_watches(found=True)
        for node, answer, one in zip(self._nodes, answers, mine, strict=True):
            node.state.container = one.id if one is not None else ""
            if torn and one is not None:
                node.put("running" if one.running else "pending", "container", one.status)
            else:
                node.put("pending", "" if torn else "container", "")
            if isinstance(answer, Exception):
                node.out_of_reach(str(answer), engine=isinstance(answer, LaunchError))
        if torn and all(found.running or found.unstarted for found in there):
            self.put("failed", remains.told(has, self.preset.name, self.launch_id, container.owner))
            return False
        ended = [node for node, one in zip(self._nodes, mine, strict=True) if one and one.ended]
        if container.running and ended and (by := await who_stops(ended[0])):
            self.put("failed", remains.unstopped(has, self.preset.name, by))
            for node, one in zip(self._nodes, mine, strict=True):
                node.put("running" if one and one.running else "stopped")
            return False
        if torn or not (container.running or half):
            left = remains.advice(has, self.preset.name)
            await look_back(self, self._nodes, self._watches, left=left)
            return False
        self.put("waiting", f"Found the launch {self.launch_id}")
        return True

    async def present(self) -> list[str]:
        """Say what :meth:`stop` would take away, a line per container, and who cannot be asked."""
        return report.present(self._nodes, await report.ask_all(self._nodes))

    async def in_place(self) -> Container | None:
        """Return what a restart would stop, as far as the nodes can be asked; None for nothing."""
        return report.in_place(await report.ask_all(self._nodes))

    async def others(self) -> list[str]:
        """Say what of other presets runs on the nodes, as far as they can be asked."""
        return await report.others(self._nodes)

    async def stop(self) -> list[str]:
        """Stop every container of ours for this preset and verify it; return the problems.

        The API node goes first. May be repeated; a node out of reach is named as one where
        something may be left.
        """
        if self._supervision is not None:
            self._supervision.leave()
        self.message = "Stopping"
        ending = self._ending()
        stopped = await stop_all(
            self._nodes,
            lambda c: bool(c.launch),
            ports(self.preset),
            grace_s=self._grace_s,
            wanted=True,
        )
        problems = [*stopped.lines, *await ending.remember(stopped)]
        self.notes = (*stopped.notes, *await self.others())
        for node in self._nodes:
            left = stopped.of(node.state.rank)
            if left and left[0].what == "container":
                blame(node, left[0].text)
            elif node.state.state not in ("failed", "aborted"):
                node.put("stopped", "", left[0].text if left else "")
        if self.preset.serve.api_key:
            await ending.drop_key(every=True)
            if not problems and (kept := apikey.forget(self.preset)):
                self.notes = (*self.notes, kept)
        done = " ".join(["Stopped on every node.", *self.notes]).removesuffix(".")
        self.put("failed" if problems else "stopped", " ".join(problems) or done)
        return problems

    async def status(self) -> StatusReport:
        """Ask every node what runs there, and node 0 whether it serves. Changes no state here.

        A pending stop of a node that turns out to have nothing of the preset is forgotten.
        """
        found = await report.status(self._nodes, self.preset)
        gone = [node.rank for node in found.nodes if node.state == "absent" and not node.error]
        with suppress(OSError):
            await asyncio.to_thread(pending.settle, self.preset, gone)
        left = await asyncio.to_thread(pending.of_preset, self.preset.name)
        return replace(found, pending=tuple(left))

    def logs(self, rank: int, *, follow: bool = False) -> AsyncIterator[str]:
        """Yield the serve log of one node from its start, cleaned for display.

        Raises:
            UsageError: no container of this preset is there.
        """
        return report.logs(self._nodes[rank], follow=follow)

    def _adopt(self, fence: Fence) -> None:
        self.fence = fence
        for node in self._nodes:
            node.fence = fence

    def _ending(self) -> Ending:
        return Ending(self, self._nodes, self._watches, grace_s=self._grace_s)

    def _new_watches(self, *, found: bool = False) -> list[NodeWatch]:
        return [NodeWatch(node, interval_s=self._interval_s, found=found) for node in self._nodes]
