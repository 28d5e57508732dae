"""What the session's nodes have said of themselves, whatever is done to the list meanwhile.

An answer belongs to the way to a node (user, host, port, jump host), not to its rank: moving a
node keeps it, changing the address drops it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from wizard.background import Background
from wizard.cluster import Cluster, Node, Precision, Series
from wizard.discovery.addresses import Own, own
from wizard.discovery.disagreement import Disagreement
from wizard.discovery.disagreements import disagreements
from wizard.discovery.facts import NodeFacts
from wizard.discovery.run import Answer
from wizard.draft import DraftNode
from wizard.errors import WizardError

if TYPE_CHECKING:
    from wizard.session import Session


class DiscoveryLike(Protocol):
    """The nodes, asked what they are; what has come so far can be read at any time."""

    answers: dict[int, Answer]  # by rank
    revision: int

    async def run(self, ranks: Iterable[int] | None = None) -> None:
        """Ask these nodes, or all."""
        ...


class Discovering:
    """The session's discovery. ``error`` is what went wrong with it as a whole, or ""."""

    def __init__(self, session: Session, work: Background) -> None:
        self._session, self._work = session, work
        self._where: dict[str, tuple[DiscoveryLike, int]] = {}  # way → run, and its rank there
        self._started = 0
        self.error = ""

    # -- asking

    @property
    def running(self) -> bool:
        """Whether nodes are being asked now."""
        return self._work.busy("discovery")

    def start(self, *, all_again: bool = True) -> None:
        """Ask the nodes in the background: all, or those that have not answered.

        Raises:
            UsageError: the answers do not make a preset yet.
        """
        session = self._session
        preset = session.preset()
        self._work.cancel("discovery")
        run = session.rooms.discovery(session.fleet(), preset)
        ranks = [
            rank
            for rank, node in enumerate(session.draft.nodes)
            if all_again or not self._known(self.answer(node))
        ]
        for rank in ranks:
            self._where[session.draft.nodes[rank].way] = (run, rank)
        self._started += 1
        self.error = ""
        self._work.start("discovery", self._run(run, ranks))

    def let_in(self, ranks: frozenset[int]) -> None:
        """Ask nodes again that had kept us out and now let us in."""
        nodes = self._session.draft.nodes
        kept_out = {rank for rank in self.failed if rank in ranks and rank < len(nodes)}
        if kept_out:
            try:
                self.start(all_again=False)
            except WizardError as wrong:  # the list was changed meanwhile, and is not whole
                self.error = str(wrong)

    async def _run(self, run: DiscoveryLike, ranks: list[int]) -> None:
        await run.run(ranks)
        self.settle()

    def cancel(self) -> None:
        """Stop asking; what has been answered stays."""
        self._work.cancel("discovery")

    # -- what is known

    @property
    def revision(self) -> tuple[int, int, bool]:
        """Differs whenever something that is shown may have changed."""
        runs = {id(run): run.revision for run, _ in self._where.values()}
        return self._started, sum(runs.values()), self.running

    def answer(self, node: DraftNode) -> Answer | None:
        """What a node of the list has said; None when it was not asked by its present way."""
        run, rank = self._where.get(node.way, (None, 0))
        return None if run is None else run.answers.get(rank)

    @staticmethod
    def _known(answer: Answer | None) -> bool:
        return answer is not None and answer.state == "known"

    @property
    def facts(self) -> dict[int, NodeFacts]:
        """The facts of the nodes that answered, by their present rank."""
        answers = {rank: self.answer(n) for rank, n in enumerate(self._session.draft.nodes)}
        return {
            rank: answer.facts
            for rank, answer in answers.items()
            if answer is not None and answer.facts is not None and answer.state == "known"
        }

    @property
    def failed(self) -> dict[int, str]:
        """Why nodes did not answer, by their present rank."""
        answers = {rank: self.answer(n) for rank, n in enumerate(self._session.draft.nodes)}
        return {rank: str(a.error) for rank, a in answers.items() if a is not None and a.error}

    @property
    def complete(self) -> bool:
        """Whether every node of the list has answered."""
        return len(self.facts) == len(self._session.draft.nodes) > 0

    @property
    def owns(self) -> dict[int, Own]:
        """Address and interface of the nodes that answered, as typed or found, by rank."""
        nodes = self._session.draft.nodes
        head = nodes[0].parts[1] if nodes else None
        return {
            rank: own(
                facts,
                None if rank == 0 else head,
                local_ip=nodes[rank].local_ip.strip() or None,
                nic=nodes[rank].nic.strip() or None,
            )
            for rank, facts in self.facts.items()
        }

    def disagreements(self) -> list[Disagreement]:
        """What does not fit, by what is known so far; empty while the hardware is not chosen."""
        draft, facts = self._session.draft, self.facts
        if draft.series is None or draft.precision is None or not facts:
            return []
        container = draft.extra.get("container")
        runtime = container.get("runtime") if isinstance(container, dict) else None
        return disagreements(
            facts, _cluster(draft.series, draft.precision, draft.nodes), runtime=runtime or "docker"
        )

    def settle(self) -> None:
        """Fill what was found into the draft; what the user typed stays and wins."""
        for rank, mine in self.owns.items():
            self._session.draft.nodes[rank].note_found(mine.local_ip, mine.nic)
        self._session.keep()


def _cluster(series: Series, precision: Precision, nodes: list[DraftNode]) -> Cluster:
    """The list as typed, which need not make a preset."""
    found = []
    for rank, node in enumerate(nodes):
        own_ip, nic = node.local_ip.strip() or None, node.nic.strip() or None
        found.append(Node(rank, node.parts[1], local_ip=own_ip, nic=nic))
    return Cluster(series, precision, tuple(found))
