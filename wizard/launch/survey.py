"""What is on the nodes before a launch: the pre-flight's answers, and who runs there.

Asked for the plan that people confirm; nothing is changed. What cannot be asked is told as unknown.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from wizard.errors import LaunchError, RemoteError
from wizard.launch import preflight
from wizard.launch.conflict import Claim, Holder, Taken
from wizard.launch.node import LaunchNode
from wizard.launch.preflight import PreFlight
from wizard.launch.runtime import Container
from wizard.presets import Preset
from wizard.wording import ago, npus


@dataclass(frozen=True, slots=True)
class Inhabitant:
    """A container that runs on a node and matters to the launch.

    Attributes:
        node: rank.
        npus: those of the launch's NPUs that it has.
        since: when it was made, epoch seconds by this machine's clock; None when unknown.
    """

    node: int
    container: Container
    npus: tuple[int, ...] = ()
    since: float | None = None

    @property
    def whose(self) -> str:
        """Say whose it is."""
        found = self.container
        if not found.launch:
            return "not one of ours"
        by = f" of {found.owner}" if found.owner else ""
        return f"ours: preset {found.preset}, launch {found.launch}{by}"

    def sentence(self) -> str:
        """Say what it is, what it holds and since when."""
        found = self.container
        holds = f", holds {npus(self.npus)}" if self.npus else ""
        age = f", made {ago(time.time() - self.since)}" if self.since is not None else ""
        return f"{found.name} ({found.image}, {found.told}): {self.whose}{holds}{age}"


@dataclass(frozen=True)
class Survey:
    """What the nodes said.

    Attributes:
        found: the pre-flight's answers.
        holders: who holds what the launch needs; one per node at most.
        running: the containers that matter, by node.
        unknown: why it is not known what, or what more, runs on a node, by rank.
    """

    found: PreFlight
    holders: tuple[Holder, ...] = ()
    running: tuple[Inhabitant, ...] = ()
    unknown: dict[int, str] = field(default_factory=dict)


async def survey(
    nodes: Sequence[LaunchNode], claims: Sequence[Claim], preset: Preset, *, held: bool = False
) -> Survey:
    """Ask all nodes side by side; what is wrong becomes part of the answer, no exception.

    With ``held`` a launch of the same preset still runs: what that one holds is not in the way.
    """
    asked = asyncio.gather(
        *(_inhabitants(node, claim) for node, claim in zip(nodes, claims, strict=True))
    )
    sought = asyncio.gather(
        *(_holder(node, claim, held=held) for node, claim in zip(nodes, claims, strict=True))
    )
    found, answers, holders = await asyncio.gather(
        preflight.look([node.remote for node in nodes], preset, held=held), asked, sought
    )
    running: list[Inhabitant] = []
    unknown: dict[int, str] = {}
    for node, answer in zip(nodes, answers, strict=True):
        there, why = answer
        running += there
        if why:
            unknown[node.state.rank] = why
    return Survey(found, tuple(h for h in holders if h), tuple(running), unknown)


async def _inhabitants(node: LaunchNode, claim: Claim) -> tuple[list[Inhabitant], str]:
    """Return who runs on a node, and why that is not all, or ""."""
    try:
        listing = await node.with_aside(node.runtime.running(), presets=True)
    except (RemoteError, LaunchError) as error:
        return [], str(error)
    ahead = 0.0 if listing.clock is None else listing.clock - time.time()
    found = []
    for container in listing.containers:
        # one without any device named may be all of a podman that is privileged, or a web server
        shared = tuple(sorted(claim.npus & (container.npus or frozenset())))
        if container.engine and not container.running:  # asked for were those that run
            continue
        if shared or container.launch or container.name == claim.name:
            since = None if container.created_at is None else container.created_at - ahead
            found.append(Inhabitant(node.state.rank, container, shared, since))
    return found, listing.unasked


async def _holder(node: LaunchNode, claim: Claim, *, held: bool) -> Holder | None:
    try:
        await node.refuse_others(claim, but_own_preset=held)
    except Taken as error:
        return error.holder
    except (RemoteError, LaunchError):
        pass  # the pre-flight says why the node, or its engine, cannot be asked
    return None
