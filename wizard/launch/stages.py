"""How each rank of a launch stands: stage, usual time, and whom it waits for. Pure.

Nothing here changes anything: a rank that makes no progress is called stalled, with what it waits
for, and whether that is a reason to stop is for people to decide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from wizard.launch.durations import NO_PROGRESS_S, PHASES, UNANSWERED_S, Typical
from wizard.launch.progress import Phase, Stage
from wizard.launch.state import IMAGE_STAGE

WEIGHTS_GB = 44  # of each 64 GB NPU, in every shape of the guide (43 to 45)
_BEREFT = "its container runs on, and may hang"
_GONE = {
    "failed": "has failed",
    "aborted": "was stopped",
    "stopped": "was stopped",
    "unreachable": "cannot be reached",
    "paused": "is paused",
}


class RankSeen(Protocol):
    """What is read of a rank's state (:class:`wizard.launch.state.RankState`)."""

    @property
    def rank(self) -> int:
        """Which node."""
        ...

    @property
    def host(self) -> str:
        """Its host as the preset names it."""
        ...

    @property
    def state(self) -> str:
        """pending, starting, running, ready, failed, aborted, stopped or unreachable."""
        ...

    @property
    def stage(self) -> str:
        """What it is doing, in words."""
        ...

    @property
    def detail(self) -> str:
        """More about it."""
        ...

    @property
    def progress(self) -> Stage | None:
        """The stage as read from its log."""
        ...

    @property
    def phases(self) -> Mapping[Phase, float]:
        """When each phase began, by the node's clock."""
        ...

    @property
    def moved_at(self) -> float:
        """When its log last told of progress, by the node's clock; 0.0 for never."""
        ...

    @property
    def silence(self) -> str:
        """Why its API, when it was asked, does not count as serving, or ""."""
        ...

    @property
    def silent_since(self) -> float:
        """Since when, by our clock."""
        ...

    @property
    def clock_offset_s(self) -> float:
        """How far its clock is ahead of ours."""
        ...


@dataclass(frozen=True, slots=True)
class Look:
    """One rank at one moment.

    Attributes:
        state: the rank's state, or ``stalled`` (no progress for too long), or ``done`` (this node
            has finished its part and waits for the others).
        stage: the phase with its count: ``weights 12 of 163``.
        elapsed_s: seconds in this phase; of a rank that is done or serves, from its container to
            there; None when there is nothing to measure.
        typical: how long the phase usually takes.
        detail: more about the stage: GB, time left, or why it failed.
        note: what it waits for, of one that is stalled or done; else "".
        still_s: seconds since its log last told of progress; None when it never did.
    """

    rank: int
    host: str
    state: str
    stage: str
    elapsed_s: float | None = None
    typical: Typical | None = None
    detail: str = ""
    note: str = ""
    still_s: float | None = None

    @property
    def remark(self) -> str:
        """The note, for a stalled one with how long it stands still."""
        if self.state != "stalled" or self.still_s is None:
            return self.note
        return f"no progress for {clock(self.still_s)}: {self.note}"

    @property
    def late(self) -> bool:
        """Whether the phase takes longer than it usually does."""
        over = self.elapsed_s is not None and self.typical is not None
        return over and (self.elapsed_s or 0.0) > (self.typical.high_s if self.typical else 0.0)


def look(ranks: Sequence[RankSeen], now: float) -> list[Look]:
    """Return how every rank stands at ``now`` (epoch seconds here), in rank order."""
    return [_look(rank, ranks, now) for rank in ranks]


def _look(rank: RankSeen, ranks: Sequence[RankSeen], now: float) -> Look:
    phase, theirs = phase_of(rank), now + rank.clock_offset_s
    if (lost := bereft(rank, ranks)) is not None:
        return Look(rank.rank, rank.host, "running", f"without node {lost}", detail=_BEREFT)
    if rank.state not in ("starting", "running"):
        served = _took(ranks[0], Phase.READY) if rank.state == "ready" else None
        stage = rank.stage if served is None else "serves; start took"
        return Look(rank.rank, rank.host, rank.state, stage, served, None, rank.detail)
    if rank.state == "starting" and rank.stage in ("", IMAGE_STAGE):  # before any phase
        return Look(rank.rank, rank.host, rank.state, rank.stage, detail=rank.detail)
    began = rank.phases.get(phase)
    elapsed = max(0.0, theirs - began) if began is not None else None
    state, note = rank.state, ""
    typical = PHASES.get(phase)
    if rank.state == "running" and phase >= Phase.ENGINE:
        state, note = "done", _others_behind(rank, ranks, phase) or _silent(rank, now)
        took = _took(rank, Phase.ENGINE)  # it waits only, however long
        elapsed, typical = _took(rank, phase) if took is None else took, None
    elif stalled(rank, now):
        state, note = "stalled", waits_for(rank, ranks)
    still = max(0.0, theirs - rank.moved_at) if rank.moved_at else None
    return Look(
        rank.rank, rank.host, state, rank.stage, elapsed, typical, _detail(rank), note, still
    )


def bereft(rank: RankSeen, ranks: Sequence[RankSeen]) -> int | None:
    """Return which rank failed, of one that had done its part and runs on; None of any other."""
    if rank.state != "ready" and (rank.state != "running" or phase_of(rank) < Phase.ENGINE):
        return None
    return next((other.rank for other in ranks if other.state == "failed"), None)


def phase_of(rank: RankSeen) -> Phase:
    """Return the phase that a rank is in."""
    return rank.progress.phase if rank.progress is not None else Phase.CONTAINER


def stalled(rank: RankSeen, now: float) -> bool:
    """Whether a rank that runs has made no progress for too long; one that is done has not."""
    if rank.state != "running" or phase_of(rank) >= Phase.ENGINE or not rank.moved_at:
        return False
    return now + rank.clock_offset_s - rank.moved_at >= NO_PROGRESS_S


def _took(rank: RankSeen, phase: Phase) -> float | None:
    """Return the seconds from a rank's container to a phase; None when either is not known."""
    began = rank.phases
    if Phase.CONTAINER not in began or phase not in began:
        return None
    return began[phase] - began[Phase.CONTAINER]


def _detail(rank: RankSeen) -> str:
    """Return the detail; of weights that are being loaded with how much that is, about."""
    stage = rank.progress
    if stage is None or stage.phase is not Phase.WEIGHTS or not stage.total or stage.done is None:
        return rank.detail
    if stage.done >= stage.total:
        return rank.detail
    gigabytes = WEIGHTS_GB * stage.done / stage.total
    left = f", {stage.eta} left" if stage.eta else ""
    return f"about {gigabytes:.0f} of {WEIGHTS_GB} GB on each NPU{left}"


def waits_for(rank: RankSeen, ranks: Sequence[RankSeen]) -> str:
    """Say what a rank that stands still waits for, and which other rank is missing."""
    phase = phase_of(rank)
    others = [other for other in ranks if other.rank != rank.rank]
    missing = [other for other in others if other.state in _GONE or phase_of(other) < phase]
    if missing and phase >= Phase.HANDSHAKE:
        return f"waits for {_named(missing)}"
    ahead = bool(others) and all(phase_of(other) > phase for other in others)
    if ahead and phase in (Phase.HANDSHAKE, Phase.RANKS):
        return "the other nodes are past this, only this one is not"
    if phase is Phase.HANDSHAKE:
        return _handshake(rank, alone=not others)
    if phase is Phase.RANKS:
        return _ranks(alone=not others)
    return _ALONE[phase]


def where(rank: RankSeen) -> str:
    """Say where a rank stands that another waits for: ``has not started its container``."""
    if rank.state in _GONE:
        return _GONE[rank.state]
    if rank.state in ("pending", "starting"):
        return "has not started its container"
    phase = phase_of(rank)
    if phase is Phase.CONTAINER:
        return "runs, but its log says nothing yet"
    return f"is at {rank.stage or phase.title}"


def _others_behind(rank: RankSeen, ranks: Sequence[RankSeen], phase: Phase) -> str:
    behind = [o for o in ranks if o.rank != rank.rank and phase_of(o) < Phase.ENGINE]
    if behind:
        return f"this node is done, waits for {_named(behind)}"
    if rank.rank != 0 and phase_of(ranks[0]) < Phase.READY:
        return "this node is done, node 0 is about to serve"
    return ""


def _silent(rank: RankSeen, now: float) -> str:
    """Say that node 0 serves by its log alone: its API was asked ever since, and was silent."""
    stage, began = rank.progress, rank.phases.get(Phase.READY)
    if stage is None or began is None or not rank.silence:
        return ""
    since = max(began - rank.clock_offset_s, rank.silent_since)
    if now - since < UNANSWERED_S or rank.detail not in ("", stage.detail):
        return ""  # of one that served once, more is known
    return f"its log says that it serves, but {rank.silence}"


def _named(ranks: Sequence[RankSeen]) -> str:
    """Name the ranks that are missing: what the furthest behind does, and who else."""
    order = sorted(
        ranks, key=lambda rank: (rank.state not in _GONE, phase_of(rank), _share_done(rank))
    )
    first, rest = order[0], sorted(rank.rank for rank in order[1:])
    said = f"node {first.rank}, which {where(first)}"
    if not rest:
        return said
    return f"{said}; and for node{'s' * (len(rest) > 1)} {', '.join(map(str, rest))}"


def _share_done(rank: RankSeen) -> float:
    """Return how much of its phase a rank has done, as far as it counts."""
    stage = rank.progress
    if stage is None or not stage.total:
        return 0.0
    return (stage.done or 0) / stage.total


def _handshake(rank: RankSeen, *, alone: bool) -> str:
    if alone:
        return "waits for its own engine, which does not answer"
    if rank.rank == 0:
        return (
            "all nodes are in the handshake, but it does not end: does each worker's log name "
            "node 0's right address and RPC port, and does a firewall stand between?"
        )
    return (
        "node 0 is in the handshake too, but they do not meet: is the address that this node's "
        "log names node 0's, and is its RPC port open for this node?"
    )


def _ranks(*, alone: bool) -> str:
    if alone:
        return "its NPUs do not find each other (HCCL)"
    return (
        "all nodes are here: their ranks do not find each other (HCCL, gloo): are nic and "
        "local_ip right, and do the NPUs of different nodes reach each other?"
    )


# What holds a rank up while no other is behind it; the two that depend on who is asked are above.
_ALONE = {
    Phase.CONTAINER: "its container runs, but nothing is in its log",
    Phase.PYTHON: "Python imports, from a slow disk maybe",
    Phase.WEIGHTS: "reads weights: is the disk or network share slow?",
    Phase.KV_CACHE: "profiles memory and makes the KV cache",
    Phase.GRAPH: "compiles graphs",
    Phase.ENGINE: "this node is done",
    Phase.READY: "it serves",
}


def clock(seconds: float) -> str:
    """Return a duration as ``3:05`` or ``1:02:03``."""
    whole = max(0, int(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def usual(typical: Typical) -> str:
    """Return what is typical in few columns: ``0:10-12:00``."""
    return f"{clock(typical.low_s)}-{clock(typical.high_s)}"


def history(rank: RankSeen, now: float) -> list[tuple[Phase, float | None, bool]]:
    """Return every phase with the seconds that it took, or takes now (then True).

    Seconds are None for a phase that has not begun. One that left no sign of its own (a worker
    never serves, eager mode has no graphs) has 0.0 once a later one has begun.
    """
    began, current = rank.phases, phase_of(rank)
    found: list[tuple[Phase, float | None, bool]] = []
    for phase in Phase:
        if phase > current:
            found.append((phase, None, False))
            continue
        start = began.get(phase)
        later = [at for other, at in began.items() if other > phase]
        if start is None:  # the current one has not begun, an earlier one left no sign
            found.append((phase, None if phase == current else 0.0, False))
        elif later:
            found.append((phase, max(0.0, min(later) - start), False))
        else:
            running = rank.state in ("starting", "running") and phase < Phase.ENGINE
            took = now + rank.clock_offset_s - start if running else None
            found.append((phase, took, running))
    return found
