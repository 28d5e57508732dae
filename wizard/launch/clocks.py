"""How far the clocks of the nodes are from ours: their logs are put in order by it."""

from __future__ import annotations

import time

from wizard.discovery.asking import parse_clock
from wizard.errors import LaunchError, RemoteError
from wizard.launch.node import LaunchNode
from wizard.remote.text import clean

CLOCK_S = 600.0  # seconds after which a clock is looked at again: clocks drift
_ASK_S = 10.0
_TRIES = 4
_GOOD_S = 0.1  # an error that nobody sees in merged logs: then no further try
_SURE_S = 1.0  # with a larger error, a difference within it is as good as none


async def ask_clock(node: LaunchNode) -> None:
    """Ask a node for its time, twice at least since the first answer may wait for a connection.

    The best answer goes into the rank's state; half of how long it took is its error. A node that
    does not answer, or whose ``date`` knows no fractions, keeps what was known, and so does one
    whose answers are slower now.
    """
    best = None
    for tried in range(1, _TRIES + 1):
        sent, began = time.time(), time.monotonic()
        try:
            done = await node.run("date +%s.%N", _ASK_S)
        except (RemoteError, LaunchError):
            break
        clock = parse_clock(clean(done.stdout), sent, time.monotonic() - began)
        if clock is not None and (best is None or clock.bound < best.bound):
            best = clock
        if tried > 1 and (best is None or best.bound <= _GOOD_S):
            break
    state = node.state
    if best is None or best.bound > max(_SURE_S, state.clock_bound_s):
        return
    doubtful = best.bound > _SURE_S and abs(best.offset) <= best.bound
    state.clock_offset_s = 0.0 if doubtful else best.offset
    state.clock_bound_s = best.bound
    node.touch()
