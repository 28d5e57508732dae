"""How far the clocks of the nodes are from ours: their logs are put in order by it."""

from __future__ import annotations

import time

from wizard.discovery.asking import parse_clock
from wizard.errors import LaunchError, RemoteError
from wizard.launch.node import LaunchNode
from wizard.remote.text import clean

CLOCK_S = 600.0  # seconds after which a clock is looked at again: clocks drift
_ASK_S = 10.0
_SURE_S = 1.0  # an answer that took longer says too little: what was known stays


async def ask_clock(node: LaunchNode) -> None:
    """Ask a node for its time, twice since the first answer may wait for a connection.

    The better of the two goes into the rank's state. A node that does not answer, or whose ``date``
    knows no fractions, keeps what was known.
    """
    best = None
    for _ in range(2):
        sent, began = time.time(), time.monotonic()
        try:
            done = await node.run("date +%s.%N", _ASK_S)
        except (RemoteError, LaunchError):
            return
        clock = parse_clock(clean(done.stdout), sent, time.monotonic() - began)
        if clock is not None and (best is None or clock.bound < best.bound):
            best = clock
    if best is not None and best.bound <= _SURE_S:
        node.state.clock_offset_s = best.offset
        node.touch()
