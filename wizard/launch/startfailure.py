"""Why a start failed on a node, in a sentence, with what its log and CANN's say about it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from wizard.errors import LaunchError
from wizard.launch import plog
from wizard.launch.diagnosis import diagnose_ranks, why
from wizard.launch.ending import who_stops
from wizard.launch.node import LaunchNode, stopped_while_starting
from wizard.launch.seen import ANSWER_S
from wizard.launch.watch import NodeWatch
from wizard.presets import Preset

if TYPE_CHECKING:
    from wizard.diagnosis.verdict import Diagnosis

_DRAIN_S = 3.0  # for the last lines of a container that ended


class StartFailure:
    """Explains; ``diagnosis`` and ``brief`` (the sentence without it) stay to be read."""

    def __init__(self, preset: Preset, nodes: Sequence[LaunchNode]) -> None:
        self._preset, self._nodes = preset, nodes
        self.diagnosis: Diagnosis | None = None
        self.brief = ""

    async def of_container(self, watch: NodeWatch) -> LaunchError:
        """Return the error for a node whose container has ended; the node is named at once."""
        node, death = watch.node, watch.death
        assert death is not None
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                if by := await who_stops(node):
                    self.brief = stopped_while_starting(by)
                    return LaunchError(self.brief)
        node.put("failed", detail=death.reason)
        if not (death.removed or watch.feed.ended.is_set()):
            with suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN_S):
                    await watch.feed.once(node.state.container)
        return await self.of(node, f"{node.state.label} failed: {death.reason}", dead=True)

    async def of(self, node: LaunchNode, what: str, *, dead: bool = False) -> LaunchError:
        """Return the error for a node, ``dead`` when its container ended by itself."""
        rank = node.state.rank
        states = [one.state for one in self._nodes]
        plogs = await plog.fetch_all([node])
        self.diagnosis = await diagnose_ranks(
            states, self._preset, dead=[rank] if dead else [], plogs=plogs.paths
        )
        self.brief = f"{what}."
        said = " ".join([what + why(self.diagnosis, rank), *plogs.problems])
        return LaunchError(said, node=rank)
