"""Asking all nodes side by side; what has come so far can be read at any time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from wizard.discovery.asking import ask
from wizard.discovery.facts import NodeFacts
from wizard.errors import RemoteError, WizardError
from wizard.remote.api import Fleet

State = Literal["waiting", "asking", "known", "failed"]


@dataclass(slots=True)
class Answer:
    """What one node has said. ``facts`` of an earlier time stay while it is asked again."""

    state: State = "waiting"
    facts: NodeFacts | None = None
    error: WizardError | None = None


class DiscoveryRun:
    """One fleet's nodes, asked together; each fails alone, and can be asked again alone.

    Attributes:
        answers: by rank.
        revision: bumped on every change.
    """

    def __init__(self, fleet: Fleet, places: Sequence[str]) -> None:
        self._fleet = fleet
        self._places = tuple(places)
        self.answers = {remote.node.rank: Answer() for remote in fleet.remotes}
        self.revision = 0

    @property
    def facts(self) -> dict[int, NodeFacts]:
        """The facts of every node that answered last time, by rank."""
        return {
            rank: a.facts
            for rank, a in self.answers.items()
            if a.facts is not None and a.state == "known"
        }

    @property
    def errors(self) -> dict[int, WizardError]:
        """Why a node did not answer, by rank."""
        return {rank: a.error for rank, a in self.answers.items() if a.error is not None}

    async def run(self, ranks: Iterable[int] | None = None) -> None:
        """Ask these nodes, or all. Errors are in ``errors``; only a cancellation comes out."""
        chosen = list(self.answers) if ranks is None else list(ranks)
        for rank in chosen:
            self._put(rank, state="asking")
        try:
            await asyncio.gather(*(self._ask(rank) for rank in chosen))
        finally:
            for rank in chosen:
                if self.answers[rank].state == "asking":
                    self._put(rank, state="waiting")

    async def _ask(self, rank: int) -> None:
        remote = self._fleet.remotes[rank]
        peers = [other.node.host for other in self._fleet.remotes if other is not remote]
        try:
            facts = await ask(remote, peers, self._places)
        except WizardError as error:
            self._put(rank, state="failed", error=error)
        except Exception as error:  # a fault of ours is this node's error too, not the others'
            text = f"{remote.node.label} could not be asked: {type(error).__name__}: {error}."
            self._put(rank, state="failed", error=RemoteError(text, node=rank))
        else:
            self._put(rank, state="known", facts=facts)

    def _put(
        self,
        rank: int,
        *,
        state: State,
        facts: NodeFacts | None = None,
        error: WizardError | None = None,
    ) -> None:
        old = self.answers[rank]
        self.answers[rank] = Answer(state, facts or old.facts, error)
        self.revision += 1
