"""Whether a launch that has failed may still hold something on the nodes, and can be stopped.

What serves is not ended because one rank died, and a node out of reach keeps what it has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wizard.session import Session

_HOLDING = frozenset({"running", "ready", "unreachable"})  # states of ranks


def left_over(session: Session) -> bool:
    """Return whether the session's launch has failed and was not wholly stopped."""
    launch = session.launch
    if launch is None or launch.state != "failed" or session.launch_active:
        return False
    return bool(session.stop_error) or any(
        rank.state in _HOLDING or (rank.state == "pending" and rank.container)
        for rank in launch.ranks
    )


def stoppable(session: Session) -> bool:
    """Return whether there is something to stop: a launch that runs, or what is left of one."""
    return session.launch_active or left_over(session)
