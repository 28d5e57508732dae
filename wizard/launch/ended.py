"""A launch that has ended while nobody followed it: how, and why, without changing anything.

Its containers are still there, so that their logs can be read; they are removed only when somebody
asks for it (``stop``, or launching anew).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from wizard.launch import plog
from wizard.launch.diagnosis import diagnose_ranks, why
from wizard.launch.node import LaunchNode
from wizard.launch.record import Record
from wizard.launch.watch import Death, NodeWatch, first_to_fail
from wizard.wording import ago

LOGS_S = 15.0  # for the whole logs; after that the tails must do
_NOT_WHOLE = "it was not read to its end"


async def look_back(
    record: Record,
    nodes: Sequence[LaunchNode],
    watches: Sequence[NodeWatch],
    *,
    left: str = "",
    logs_s: float = LOGS_S,
) -> None:
    """Read what is left of a launch that has ended, and put the record to failed.

    The first to end is taken for the cause, as if it had been seen. ``left`` says what is there
    still, when it is not all.
    """
    await asyncio.gather(*(watch.ask() for watch in watches))
    first = first_to_fail(watches)
    if first is None or first.death is None:
        record.put("failed", "It has ended while nobody followed it; how, is not known any more.")
        return
    await asyncio.gather(*(_read(watch, logs_s) for watch in watches if watch.death is not None))
    for watch in watches:
        if watch.death is not None:
            watch.node.put("failed" if watch is first else "stopped", None, watch.death.reason)
    rank = first.node.state.rank
    plogs = await plog.fetch_all(nodes)
    record.diagnosis = await diagnose_ranks(
        record.ranks, record.preset, dead=[rank], plogs=plogs.paths
    )
    said = f"it ended while nobody followed it: {first.node.state.label} {_how(first.death)}"
    rest = [*plogs.problems, *filter(None, [left])]
    record.put("failed", " ".join([said + why(record.diagnosis, rank), *rest]), f"{said}.")


def _how(death: Death) -> str:
    return f"{death.reason}, {ago(death.age_s)}" if death.age_s is not None else death.reason


async def _read(watch: NodeWatch, limit_s: float) -> None:
    """Read a container's log once, into memory and into the file here."""
    state = watch.node.state
    if not state.container:
        return
    try:
        async with asyncio.timeout(limit_s):
            whole = await watch.feed.once(state.container)
    except TimeoutError:
        whole = False
    if not whole:  # then the tail in memory says more than half a file
        state.log_problem = state.log_problem or _NOT_WHOLE
