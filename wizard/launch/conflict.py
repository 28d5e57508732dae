"""Who has what a launch needs on a node: the preset itself, the container's name, or the NPUs.

Pure: containers as listed in, the holder as data and as a sentence out.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from wizard.errors import LaunchError
from wizard.launch.fence import Fence
from wizard.launch.runtime import Container, Listing
from wizard.wording import ago, npus

What = Literal["preset", "name", "npus"]
_HINTS: dict[What, str] = {
    "preset": "Attach to it (--attach), or stop it and launch anew (--restart).",
    "name": "Choose another container.name in the preset, or remove that container yourself.",
    "npus": "Wait for it, or ask its owner to stop it; it is left alone.",
}


@dataclass(frozen=True, slots=True)
class Holder:
    """A container that stands in the way of a launch.

    Attributes:
        what: what it holds: the same ``preset`` (then it can be attached to, or restarted), the
            container's ``name``, or ``npus`` that this launch needs.
        node, where: rank of the node, and its label for sentences.
        container, image, status: its name, image and the engine's word for its state.
        preset, launch, owner: of the launch that it belongs to; "" when it is none of ours, or
            of a wizard that did not say.
        since: when it was made, epoch seconds by this machine's clock; None when unknown.
        npus: the NPUs that both want.
        ended: whether it ran and does not any more.
        unstarted: whether it was made and never started.
        engine: what has it, where the preset's ``container.runtime`` is another one now.
    """

    what: What
    node: int
    where: str
    container: str
    image: str
    status: str
    preset: str = ""
    launch: str = ""
    owner: str = ""
    since: float | None = None
    npus: tuple[int, ...] = ()
    ended: bool = False
    unstarted: bool = False
    engine: str = ""

    @property
    def followable(self) -> bool:
        """Whether it is the same preset's launch, under the engine that the preset names."""
        return self.what == "preset" and not self.engine

    def age(self) -> str:
        """Say since when: ``since 2026-11-25 00:31:07 (4 minutes ago)``; "" when unknown."""
        if self.since is None:
            return ""
        clock = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        return f"since {clock} ({ago(time.time() - self.since)})"

    def whose(self) -> str:
        """Say whose it is: the preset, launch and owner, or that it is none of ours."""
        if not self.launch:
            return "not one of ours"
        owner = f" of {self.owner}" if self.owner else ""
        return f"the preset {self.preset}, launch {self.launch}{owner}"

    def sentence(self) -> str:
        """Say what stands in the way, who holds it and since when."""
        age = f", {self.age()}" if self.since is not None else ""
        if self.what == "preset":
            owner = f", launched by {self.owner}" if self.owner else ""
            return (
                f"{self.preset} is on {self.where} already, {self.status}, as launch "
                f"{self.launch}{owner}{age}."
            )
        if self.what == "npus":
            held = "is" if len(self.npus) == 1 else "are"
            return (
                f"{npus(self.npus)} of {self.where} {held} held by {self.whose()} "
                f"(container {self.container}, {self.status}){age}."
            )
        return (
            f"the container name {self.container} is taken on {self.where}: by a container of "
            f"{self.image}, {self.status}, {self.whose()}{age}."
        )


def hint_of(holder: Holder) -> str:
    """Say what can be done about a holder."""
    if holder.what == "preset" and holder.engine:
        return (
            f"The preset names another container.runtime now. {put_back(holder.engine)}, or launch "
            f"anew (--restart), or clear it away (v32-wizard stop {holder.preset})."
        )
    if holder.what == "preset" and holder.ended:
        return (
            f"It has ended: read why (v32-wizard logs {holder.preset}), then launch anew "
            f"(--restart) or clear it away (v32-wizard stop {holder.preset})."
        )
    if holder.what == "preset" and holder.unstarted:
        return (
            "It was made and not started: its wizard is at it, or has ended. Attach to it "
            "(--attach) to have it finished where every node has its container, or launch anew "
            f"(--restart), or clear it away (v32-wizard stop {holder.preset})."
        )
    if holder.what == "name" and holder.launch:
        return (
            "It is left alone: ask its owner to stop it, or choose another container.name. If that "
            "is what this preset was called before, give it that name again to follow or stop it."
        )
    return _HINTS[holder.what]


def put_back(engine: str) -> str:
    """Say how to follow a launch that another engine than the preset's has."""
    return f"To follow it, set container.runtime: {engine} again"


class Taken(LaunchError):
    """Somebody holds what the launch needs; ``holder`` tells who."""

    def __init__(self, holder: Holder) -> None:
        super().__init__(holder.sentence(), node=holder.node, hint=hint_of(holder))
        self.holder = holder


@dataclass(frozen=True, slots=True)
class Claim:
    """What a launch wants on one node.

    ``npus`` are the numbers of the NPUs that its container gets.
    """

    preset: str
    name: str
    npus: frozenset[int]
    fence: Fence

    def contested(self, rank: int, where: str, ours: Listing, named: Listing) -> Holder | None:
        """Return who stands in the way, None when nobody does.

        Args:
            rank, where: the node.
            ours: every container there that carries our labels.
            named: the containers, whoever's, that have a name like the wanted one.
        """
        others = [c for c in ours.containers if not self.fence.holds(c)]
        for container in others:
            if container.launch and container.preset == self.preset:
                return _holder("preset", rank, where, container, ours.clock)
        for container in named.containers:
            if container.name == self.name and not self.fence.holds(container):
                return _holder("name", rank, where, container, named.clock)
        return _rival(others, self.npus, rank, where, ours.clock)

    def older(self, rank: int, where: str, ours: Listing) -> Holder | None:
        """Return who took the NPUs before this launch did, once its own container was made.

        Two that reserve at once see each other: the engine's own times say who was first.
        """
        mine = next((c for c in ours.containers if self.fence.holds(c)), None)
        if mine is None:
            return None
        first = (mine.created_at or 0.0, mine.id)
        others = (c for c in ours.containers if not self.fence.holds(c))
        earlier = [c for c in others if (c.created_at or 0.0, c.id) < first]
        return _rival(earlier, mine.shares(self.npus), rank, where, ours.clock)


def _rival(
    others: Iterable[Container],
    npus: frozenset[int],
    rank: int,
    where: str,
    clock: float | None,
) -> Holder | None:
    """Return the first that has, or will have, one of these NPUs."""
    for other in others:
        if (other.running or other.unstarted) and (shared := other.shares(npus)):
            return _holder("npus", rank, where, other, clock, npus=shared)
    return None


def _holder(
    what: What,
    rank: int,
    where: str,
    container: Container,
    clock: float | None,
    *,
    npus: Iterable[int] = (),
) -> Holder:
    since = container.created_at
    if since is not None and clock is not None:
        since += time.time() - clock  # the node's clock may differ from ours
    return Holder(
        what,
        rank,
        where,
        container.name,
        container.image,
        container.told,
        container.preset,
        container.launch,
        container.owner,
        since,
        tuple(sorted(npus)),
        not (container.running or container.unstarted),
        container.unstarted,
        container.engine,
    )
