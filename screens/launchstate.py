"""What stands above the nodes of a launch: its state in a line or a few, whatever went before."""

from __future__ import annotations

import os
import time

from textual.content import Content

from screens.widgets.palette import plain, status_text
from wizard.launch.conflict import Holder
from wizard.launch.durations import WHOLE
from wizard.launch.progress import Phase
from wizard.launch.stages import clock, stalled
from wizard.launch.state import IMAGE_STAGE
from wizard.leftover import left_over
from wizard.roomtypes import LaunchLike
from wizard.session import Session

SSH_STEP_S = 5  # seconds between two times on the screen where every repaint costs
_RUNS = ("starting", "waiting", "ready")


def step_s() -> int:
    """Return how many seconds lie between two times on the screen."""
    return SSH_STEP_S if "SSH_CONNECTION" in os.environ else 1


def state_text(session: Session, launch: LaunchLike, now: float, *, caused: bool) -> Content:
    """Return how a launch that was begun stands; ``caused``: a panel below says why it failed."""
    if session.stopping:
        return status_text("waiting", "Stopping on every node ...")
    text = _told(session, launch, now, caused=caused)
    if left_over(session):
        text += (
            plain("\n") + plain("s", "bold") + plain(" stops what may be left of it on the nodes.")
        )
    return text


def _told(session: Session, launch: LaunchLike, now: float, *, caused: bool) -> Content:
    if session.stop_error:
        return status_text("failed", f"Not all is stopped: {session.stop_error}")
    if launch.brief and caused:  # the panel says the rest
        return status_text("failed", launch.brief)
    holder = session.launch_conflict
    if session.launch_error and holder is not None and holder.followable:
        return status_text("failed", _held(holder))
    if session.launch_error:
        return status_text("failed", f"The launch failed: {session.launch_error}")
    words, amiss = _words(launch), _amiss(launch, now)
    if not amiss:
        return status_text(launch.state, words + _waited(session, launch, now))
    return status_text("stalled", f"{words}; {amiss}{_waited(session, launch, now)}")


def _held(holder: Holder) -> str:
    """Say who holds the preset; what can be done is asked once more by the key that launches."""
    return f"Not launched: {holder.sentence()} l asks again what to do."


def _words(launch: LaunchLike) -> str:
    """Return state and message, the state only where the message does not say it."""
    state, message = launch.state, launch.message
    if fetching(launch):
        return f"{state}: the image is fetched first"
    if not message:
        return state
    said = message.lower().startswith(state) or (state == "waiting" and state in message)
    return message if said else f"{state}: {message}"


def _amiss(launch: LaunchLike, now: float) -> str:
    """Say which nodes are out of reach or stand still, of a launch that goes on; "" for none."""
    if launch.state not in _RUNS:
        return ""
    away = [rank.rank for rank in launch.ranks if rank.state == "unreachable"]
    still = [rank.rank for rank in launch.ranks if stalled(rank, now)]
    told = [f"{_nodes(away)} cannot be reached"] if away else []
    if still:
        told.append(f"{_nodes(still)} {'makes' if len(still) == 1 else 'make'} no progress")
    return ", ".join(told)


def _nodes(ranks: list[int]) -> str:
    return f"node{'s' if len(ranks) > 1 else ''} {', '.join(map(str, ranks))}"


def _waited(session: Session, launch: LaunchLike, now: float) -> str:
    """How long the launch has taken, against the usual; "" once that is over."""
    if launch.state not in ("starting", "waiting"):
        return ""
    head = launch.ranks[0]
    began = head.phases.get(Phase.CONTAINER)
    if began is not None:
        spent = now + head.clock_offset_s - began
    elif session.launch_since:
        spent = time.monotonic() - session.launch_since
    else:
        return ""
    spent = spent // step_s() * step_s()
    if fetching(launch):  # nobody knows how long that takes
        return f" ({clock(spent)})"
    usually = f"{WHOLE.low_s / 60:.0f}-{WHOLE.high_s / 60:.0f} min"
    return f" ({clock(spent)}, usually {usually})"


def fetching(launch: LaunchLike) -> bool:
    """Whether the image is being brought to a node, before the start proper."""
    return launch.state == "starting" and any(r.stage == IMAGE_STAGE for r in launch.ranks)
