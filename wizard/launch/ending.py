"""How a launch ends by itself: one rank fails, or its start does; the others are stopped then.

A launch is all or nothing. The first to fail is the cause; what was stopped because of it is
``aborted``, and only containers of this very launch are ever touched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from wizard.background import sentence
from wizard.errors import LaunchError, RemoteError, WizardError
from wizard.launch import pending, plog
from wizard.launch.diagnosis import diagnose_ranks, why
from wizard.launch.lookback import fetch_signs
from wizard.launch.node import LaunchNode
from wizard.launch.ports import ports
from wizard.launch.progress import StageParser
from wizard.launch.record import Record
from wizard.launch.runtime import STOP_S
from wizard.launch.seen import ANSWER_S
from wizard.launch.stopping import Stopped, stop_all
from wizard.launch.together import to_the_end
from wizard.launch.watch import NodeWatch, first_to_fail

_DRAIN_S = 3.0  # for the last lines of a container that ended
_ABORT_S = 20  # TERM to KILL for nodes that are stopped because another failed
_CANCELLED = "Cancelled while starting"


class Ending:
    """The ends of one launch; ``watches`` know which of its nodes have died."""

    def __init__(
        self,
        record: Record,
        nodes: Sequence[LaunchNode],
        watches: Sequence[NodeWatch] = (),
        *,
        grace_s: int = STOP_S,
    ) -> None:
        self._record, self._nodes, self._watches = record, nodes, watches
        self._grace_s = grace_s

    async def fall(self) -> None:
        """A container ended: name the first, stop the others unless the model was served."""
        by = await self._look_round()
        first = first_to_fail(self._watches)
        assert first is not None
        assert first.death is not None
        record, how = self._record, first.death.reason
        record.ready.clear()
        if by:
            for node in self._nodes:
                node.put("stopped", detail=f"stopped by {by}")
            told = f"It was stopped by {by}; that is no failure."
            left = f"Whether all of it is gone says: v32-wizard status {record.preset.name}"
            record.put("stopped", f"{told} {left}")
            return
        first.node.put("failed", detail=how)
        brief = f"{first.node.state.label} failed: {how}."
        record.message = f"{brief} Reading its logs"
        record.touch()
        try:
            message = await self._explained(first, brief)
            if record.served or await self._has_served():
                advice = "The others may hang: stop, and launch again."
                record.put("failed", f"{message} {advice}", f"{brief} {advice}")
                return
            record.message = f"{message} Stopping the others"
            record.touch()
            problems = await to_the_end(self.abort())
        except asyncio.CancelledError:
            if not record.served and any(
                r.state not in ("failed", "aborted") for r in record.ranks
            ):
                await to_the_end(self.abort())
            stopped = "" if record.served else " The others were stopped."
            record.put("failed", f"{brief}{stopped}", f"{brief}{stopped}")
            raise
        record.put("failed", " ".join([message, *problems]), " ".join([brief, *problems]))

    async def _look_round(self) -> str:
        """Ask all for their containers, and the dead who stops it on purpose: "" nobody.

        Of the dead, whether the container is still there. A node that is silent must not keep the
        dead from being named.
        """
        stops = [asyncio.create_task(who_stops(w.node)) for w in self._watches if w.death]
        asks = [asyncio.create_task(w.ask()) for w in self._watches]
        try:
            await asyncio.wait([*stops, *asks], timeout=ANSWER_S)
        finally:
            told = [task.result() for task in stops if task.done() and not task.cancelled()]
            for task in (*stops, *asks):
                task.cancel()
            await asyncio.gather(*stops, *asks, return_exceptions=True)
        return next(filter(None, told), "")

    async def _explained(self, first: NodeWatch, brief: str) -> str:
        """Return the failure with what the logs say about it: vLLM's own, and CANN's."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_S):
                await first.feed.ended.wait()
        rank, record = first.node.state.rank, self._record
        plogs = await plog.fetch_all(self._nodes)
        try:
            record.diagnosis = await diagnose_ranks(
                record.ranks, record.preset, dead=[rank], plogs=plogs.paths
            )
        except Exception as error:  # nothing in a log may keep the others from being stopped
            return f"{brief} Its logs could not be read: {sentence(error)}"
        said = f"{brief.removesuffix('.')}{why(record.diagnosis, rank)}"
        return " ".join([said, *plogs.problems])

    async def _has_served(self) -> bool:
        """Ask node 0's log: of a launch that was just found here, not all may have been read."""
        head, parser = self._nodes[0], StageParser()
        if not head.state.container:
            return False
        with suppress(RemoteError):
            for text, at in await fetch_signs(head, head.state.container):
                if (stage := parser.feed(text)) is not None:
                    head.state.begin(stage.phase, at)
        return self._record.served

    async def abort(self, why: str = "stopped because another node failed") -> list[str]:
        """Stop and remove all of this launch; the nodes that had not failed are aborted."""
        stopped = await stop_all(
            self._nodes,
            self._record.fence.holds,
            ports(self._record.preset),
            grace_s=min(_ABORT_S, self._grace_s),
        )
        forgotten = await self.remember(stopped)
        for node in self._nodes:
            left = stopped.of(node.state.rank)
            if left and left[0].what == "container":
                blame(node, left[0].text)
            elif node.state.state != "failed":
                node.put("aborted", detail=left[0].text if left else why)
        return [*stopped.lines, *forgotten]

    async def remember(self, stopped: Stopped) -> list[str]:
        """Keep on the disk here what a stop has left on nodes; return why that failed, if so."""
        try:
            await asyncio.to_thread(pending.note, self._record.preset, stopped)
        except OSError as error:
            lost = [left for left in stopped.left if left.what == "container"]
            return [f"That cannot be remembered here: {error.strerror or error}."] if lost else []
        return []

    async def undo(self, error: BaseException, *, made_anything: bool) -> list[str]:
        """After a start that failed: name the node, take away what was made, even if cancelled.

        Return what is, or may be, left.
        """
        if isinstance(error, WizardError) and error.node is not None:
            state = "unreachable" if isinstance(error, RemoteError) else "failed"
            node = self._nodes[error.node]
            told = node.state.state in ("failed", "unreachable") and not node.away
            if not told:  # whoever saw it has said why in fewer words
                node.put(state, detail=str(error))
        problems: list[str] = []
        if made_anything:
            why = [_CANCELLED] if isinstance(error, asyncio.CancelledError) else []
            problems = await to_the_end(self.abort(*why))
            if self._record.preset.serve.api_key:
                await to_the_end(self.drop_key())
            if isinstance(error, WizardError):
                problems = [_said_once(problem, error) for problem in problems]
        else:
            for node in self._nodes:
                if node.state.state not in ("failed", "unreachable"):
                    node.put("aborted", "", "nothing was started")
        message = str(error)
        if isinstance(error, asyncio.CancelledError):
            message = _CANCELLED + ("." if problems else "; nothing of it is left.")
        self._record.put("failed", " ".join([message, *problems]))
        return problems

    async def drop_key(self, *, every: bool = False) -> None:
        """Remove an API key that serve.sh has not taken, of whatever launch; best effort."""
        with suppress(RemoteError):  # out of reach: named already
            await self._nodes[0].drop_key()
            if every:
                await self._nodes[0].drop_keys()


def _said_once(problem: str, error: WizardError) -> str:
    """Return what is left without the reason, or its hint alone, that the error says already."""
    problem = problem.replace(f": {error}", ".")
    return problem.replace(f" {error.hint}", "") if error.hint else problem


async def who_stops(node: LaunchNode) -> str:
    """Return who stops this launch on purpose just now, from another wizard; "" for nobody."""
    with suppress(RemoteError, LaunchError):
        return await node.stopped_by()
    return ""


def blame(node: LaunchNode, problem: str) -> None:
    """Note a clean-up that failed; a node out of reach stays just that."""
    node.put("unreachable" if node.state.state == "unreachable" else "failed", detail=problem)
