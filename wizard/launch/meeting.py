"""Whether the workers reach node 0, tried before they start: else vLLM says it in five minutes.

A worker of vLLM 0.11 waits so long for node 0's RPC port, and then does not say what stands
between. A connection that is closed again at once is no harm to that port.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from wizard.errors import LaunchError
from wizard.launch.engine import QUICK_S
from wizard.launch.node import LaunchNode
from wizard.launch.together import together
from wizard.remote.api import Completed
from wizard.remote.text import clean

_CONNECT_S = 5  # for one packet there and back; a lost one is sent again twice in that time
_TIMED_OUT = 124  # exit status of timeout
_WORDS = {
    "refused": "the connection is refused",
    "no route": "there is no way to it",
    "unreachable": "there is no way to it",
}


async def require_meeting(workers: Sequence[LaunchNode], address: str, port: int) -> None:
    """Make sure that every worker reaches node 0's RPC port, which listens.

    Raises:
        LaunchError: one does not; names it and what it got. Where a node cannot be tried (its bash
            has no /dev/tcp), nothing is said: vLLM will.
    """
    await together(_require(node, address, port) for node in workers)


async def _require(node: LaunchNode, address: str, port: int) -> None:
    connect = shlex.quote(f": </dev/tcp/{shlex.quote(address)}/{port:d}")
    done = await node.run(f"LC_ALL=C timeout {_CONNECT_S} bash -c {connect}", QUICK_S)
    if (why := _obstacle(done)) is None:
        return
    raise LaunchError(
        f"{node.state.label} does not reach node 0's RPC port, {address} port {port}: {why}. "
        "The ranks would never meet.",
        node=node.state.rank,
        hint="See the way (on that node: ip route get "
        f"{address}) and the firewalls between the nodes; or node 0's local_ip is not the address "
        "by which the others reach it.",
    )


def _obstacle(done: Completed) -> str | None:
    """Return what a connection met, None for nothing or what is not understood."""
    if done.exit_status == _TIMED_OUT:
        return f"no answer within {_CONNECT_S} s"
    if done.exit_status == 0:
        return None
    said = clean(done.stderr).lower()
    return next((words for part, words in _WORDS.items() if part in said), None)
