"""Places at which something on a node waits until it is let go: for whoever must act right there.

A place is a command of the node's container engine before it is carried out (``create``), or a
stage of ``vllm serve`` once it is reached (``vllm load``).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

STAGE = "vllm "  # begins the places that are stages


@dataclass(eq=False, slots=True)
class Hold:
    """One place on one node; whatever comes there waits until ``let_go`` is set."""

    node: int
    at: str
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)


class Holds:
    """All places where something is held."""

    def __init__(self) -> None:
        self._holds: list[Hold] = []

    def put(self, node: int, at: str) -> Hold:
        """Hold from now on whatever comes to a place; stages only of a ``vllm`` not yet started."""
        hold = Hold(node, at)
        self._holds.append(hold)
        return hold

    def of(self, node: int, at: str) -> list[Hold]:
        """Return those at a place of a node that were not let go."""
        return [h for h in self._holds if (h.node, h.at) == (node, at) and not h.let_go.is_set()]

    def stages(self, node: int) -> list[str]:
        """Return the stages of ``vllm`` that are held on a node."""
        found = [h.at for h in self._holds if h.node == node and not h.let_go.is_set()]
        return [at.removeprefix(STAGE) for at in found if at.startswith(STAGE)]

    async def wait(self, node: int, at: str) -> None:
        """Come to a place, and stay there for as long as it is held."""
        for hold in self.of(node, at):
            hold.reached.set()
            await hold.let_go.wait()
