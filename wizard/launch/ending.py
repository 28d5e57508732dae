"""How a launch ends by itself: one rank fails, or its start does; the others are stopped then.

A launch is all or nothing. The first to fail is the cause; what was stopped because of it is
``aborted``, and only containers of this very launch are ever touched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from wizard.errors import RemoteError, WizardError
from wizard.launch.diagnosis import diagnose_ranks, why
from wizard.launch.node import LaunchNode
from wizard.launch.record import Record
from wizard.launch.runtime import STOP_S
from wizard.launch.stopping import remove_all
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
        await asyncio.gather(*(w.ask() for w in self._watches if w.death is None))
        first = first_to_fail(self._watches)
        assert first is not None
        assert first.death is not None
        try:
            async with asyncio.timeout(_DRAIN_S):
                await first.feed.ended.wait()
        except TimeoutError:
            pass
        record = self._record
        was_ready = record.state == "ready"
        record.ready.clear()
        how, rank = first.death.reason, first.node.state.rank
        record.diagnosis = await diagnose_ranks(record.ranks, record.preset, dead=[rank])
        message = f"{first.node.state.label} failed: {how}{why(record.diagnosis, rank)}"
        brief = f"{first.node.state.label} failed: {how}."
        first.node.put("failed", detail=how)
        if was_ready:
            advice = "The others may hang: stop, and launch again."
            record.put("failed", f"{message} {advice}", f"{brief} {advice}")
            return
        record.message = f"{message} Stopping the others"
        record.touch()
        try:
            problems = await to_the_end(self.abort())
        except asyncio.CancelledError:
            stopped = "The others were stopped."
            record.put("failed", f"{message} {stopped}", f"{brief} {stopped}")
            raise
        record.put("failed", " ".join([message, *problems]), " ".join([brief, *problems]))

    async def abort(self, why: str = "stopped because another node failed") -> list[str]:
        """Stop and remove all of this launch; the nodes that had not failed are aborted."""
        problems = await remove_all(
            self._nodes,
            self._record.fence.holds,
            grace_s=min(_ABORT_S, self._grace_s),
        )
        for node in self._nodes:
            rank = node.state.rank
            if rank in problems:
                blame(node, problems[rank][0])
            elif node.state.state != "failed":
                node.put("aborted", detail=why)
        return [line for rank in sorted(problems) for line in problems[rank]]

    async def undo(self, error: BaseException, *, made_anything: bool) -> None:
        """After a start that failed: name the node, take away what was made, even if cancelled."""
        if isinstance(error, WizardError) and error.node is not None:
            state = "unreachable" if isinstance(error, RemoteError) else "failed"
            self._nodes[error.node].put(state, detail=str(error))
        problems = []
        if made_anything:
            why = [_CANCELLED] if isinstance(error, asyncio.CancelledError) else []
            problems = await to_the_end(self.abort(*why))
            if self._record.preset.serve.api_key:
                await to_the_end(self.drop_key())
        else:
            for node in self._nodes:
                if node.state.state not in ("failed", "unreachable"):
                    node.put("aborted", "", "nothing was started")
        message = str(error)
        if isinstance(error, asyncio.CancelledError):
            message = _CANCELLED + ("." if problems else "; nothing of it is left.")
        self._record.put("failed", " ".join([message, *problems]))

    async def drop_key(self) -> None:
        """Remove an API key that serve.sh has not taken; best effort."""
        with suppress(RemoteError):  # out of reach: named already
            await self._nodes[0].drop_key()


def blame(node: LaunchNode, problem: str) -> None:
    """Note a clean-up that failed; a node out of reach stays just that."""
    node.put("unreachable" if node.state.state == "unreachable" else "failed", detail=problem)
