"""Taking the nodes of a launch: a container is made on each, node 0 first; none is started yet.

Two presets that share nodes in another order may each hold what the other lacks. Then both give
back and try again after a while that chance decides: who comes second meets the containers of the
first, and is told.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from wizard.launch.conflict import Claim, Holder, Taken
from wizard.launch.node import LaunchNode
from wizard.launch.together import to_the_end, together

_TRIES = 3
_PAUSE_S = (1.0, 4.0)  # longer than it takes to make a container


async def reserve_all(nodes: Sequence[LaunchNode], claims: Sequence[Claim]) -> None:
    """Make the containers: on node 0, whose name is the lock, then on the others side by side.

    Raises:
        Taken: somebody holds what the launch needs, and goes on.
        LaunchError, RemoteError: an engine refuses, or a node is out of reach.
    """
    for tried in range(1, _TRIES + 1):
        try:
            await nodes[0].reserve(claims[0])
            await together(n.reserve(c) for n, c in zip(nodes[1:], claims[1:], strict=True))
            return
        except Taken as error:
            if tried == _TRIES or not _undecided(error.holder):
                raise
        await to_the_end(together(_give_back(node) for node in nodes))
        await _pause()
        await together(n.refuse_others(c) for n, c in zip(nodes, claims, strict=True))


def _undecided(holder: Holder) -> bool:
    """Whether another preset's launch holds it that has not begun, and may give back as well."""
    another = bool(holder.launch) and holder.what != "preset"
    return another and holder.unstarted


async def _give_back(node: LaunchNode) -> None:
    if (container := await node.mine()) is not None:
        await node.remove(container)
    node.state.container = ""
    node.put("starting", "container", "another launch reserves it just now; tries again")


async def _pause() -> None:
    await asyncio.sleep(random.uniform(*_PAUSE_S))  # noqa: S311 - no secret
