"""Stopping: the API node first, then the workers, each verified. Safe to repeat.

Verified is: our containers are gone, node 0's ports are closed, the NPUs' memory is free. What is,
or may be, left is told with its node, never taken for done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from wizard.errors import CommandTimeout, LaunchError, RemoteError
from wizard.launch import freed
from wizard.launch.lookout import in_touch
from wizard.launch.moved import left_elsewhere
from wizard.launch.node import LaunchNode
from wizard.launch.runtime import STOP_S, Container, Listing
from wizard.launch.together import together

_ROUNDS = 2  # somebody may start a container between our stop and our rm
Choose = Callable[[Container], bool]


@dataclass(frozen=True, slots=True)
class Left:
    """What is, or may be, left on a node: a ``container`` of ours, or what one has ``held``.

    ``elsewhere`` (rank -1) is on a node that the preset does not name any more.
    """

    rank: int
    what: Literal["container", "held", "elsewhere"]
    text: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """How a stop went. ``notes`` say what could not be verified and is no problem by itself."""

    left: tuple[Left, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def lines(self) -> list[str]:
        """What is left, in sentences."""
        return [left.text for left in self.left]

    def of(self, rank: int) -> list[Left]:
        """Return what is left on one node."""
        return [left for left in self.left if left.rank == rank]


@dataclass(slots=True)
class _Cleared:
    """What was done on one node."""

    node: LaunchNode
    left: list[Left] = field(default_factory=list)
    had: list[Container] = field(default_factory=list)

    @property
    def ran(self) -> bool:
        """Whether a container of ours has run there, as far as we know."""
        if self.had:
            return any(not container.unstarted for container in self.had)
        return bool(self.node.state.container)  # it was removed under us

    @property
    def npus(self) -> frozenset[int] | None:
        """The NPUs that our containers had there; None for all."""
        known = [container.npus for container in self.had]
        found = frozenset[int]().union(*(npus for npus in known if npus is not None))
        return None if not known or None in known else found


async def stop_all(
    nodes: Sequence[LaunchNode],
    choose: Choose,
    ports: Mapping[int, str],
    *,
    grace_s: int = STOP_S,
    wanted: bool = False,
) -> Stopped:
    """Stop and remove our containers that ``choose`` takes, and see that what they held is free.

    Args:
        nodes: in rank order: node 0 serves the API, and goes first.
        choose: which of the preset's containers.
        ports: those that node 0 listens on, with what each is for.
        grace_s: seconds from TERM to KILL.
        wanted: somebody asked for it, and it follows from no failure.
    """
    async with in_touch(nodes):
        head, *workers = nodes
        cleared = [await _clear(head, choose, grace_s, wanted)]
        cleared += await together(_clear(node, choose, grace_s, wanted) for node in workers)
        clean = [one for one in cleared if one.ran and not one.left]
        left = [left for one in cleared for left in one.left]
        notes: list[str] = []
        checks = [_idle(one, notes) for one in clean]
        checks += [_closed(one.node, ports) for one in clean if one.node is head]
        for found in await together(checks):
            left += found
        had = [container for one in cleared for container in one.had]
        hosts = [node.state.host for node in nodes]
        left += [Left(-1, "elsewhere", text) for text in left_elsewhere(had, hosts)]
    return Stopped(tuple(sorted(left, key=lambda one: one.rank)), tuple(notes))


async def _clear(node: LaunchNode, choose: Choose, grace_s: int, wanted: bool) -> _Cleared:
    """Stop and remove our containers on one node and look again.

    A node out of reach is a problem, never a success: something may be left there.
    """
    done, rank = _Cleared(node), node.state.rank
    problems: list[str] = []
    try:
        listing = await _ours(node, wanted)
        done.had = still = [*filter(choose, listing.containers)]
        for _ in range(_ROUNDS):
            problems.clear()
            for container in still:
                problems += await node.remove(container, grace_s=grace_s, wanted=wanted)
            if still:
                listing = await _ours(node, wanted)
                still = [*filter(choose, listing.containers)]
    except (RemoteError, LaunchError) as error:
        if isinstance(error, RemoteError) and not isinstance(error, CommandTimeout):
            node.put("unreachable")
        done.left = [Left(rank, "container", f"{_maybe(node, done.had)}: {error}")]
        return done
    if still:  # what complained on the way does not matter once the container is verifiably gone
        problems += [f"{c.name} is still on {node.state.label}, {c.told}." for c in still]
        done.left = [Left(rank, "container", text) for text in problems]
    if listing.unasked:  # no answer is no "none"
        aside = [container for container in done.had if container.engine]
        done.left.append(Left(rank, "container", f"{_maybe(node, aside)}: {listing.unasked}"))
    if not done.left and (gone := {c.launch for c in done.had} | _undone(node, wanted)):
        await node.note_removed(gone)
    return done


def _undone(node: LaunchNode, wanted: bool) -> set[str]:
    """Return the launch whose start is undone: it has a directory even where none was made."""
    return set() if wanted else {node.fence.launch_id}


async def _ours(node: LaunchNode, wanted: bool) -> Listing:
    """Ask what is there: under the other engine too where somebody wants all of it gone."""
    return await (node.everywhere() if wanted else node.listing())


def _maybe(node: LaunchNode, had: Iterable[Container]) -> str:
    """Say what may be left on a node that cannot be asked."""
    names = " and ".join(f"{c.name} (launch {c.launch})" for c in had)
    what = f"the container {names}" if names else f"a container of {node.preset}"
    return f"{what} may be left on {node.state.label}, with its NPUs held"


async def _idle(one: _Cleared, notes: list[str]) -> list[Left]:
    try:
        texts = await freed.idle(one.node, one.npus)
    except freed.NoTool as note:
        notes.append(note.message)
        return []
    return [Left(one.node.state.rank, "held", text) for text in texts]


async def _closed(node: LaunchNode, ports: Mapping[int, str]) -> list[Left]:
    return [Left(node.state.rank, "held", text) for text in await freed.closed(node, ports)]
