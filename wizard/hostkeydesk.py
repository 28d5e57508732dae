"""Host keys that wait for the user's word, whichever step wanted the nodes.

State that any screen may show: what waits, whether accepted keys are being recorded, and how often
nodes have been let in since, so that a step that was kept waiting asks again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wizard.background import Background
from wizard.errors import WizardError
from wizard.remote.api import Fleet
from wizard.remote.shownkey import KeyState, ShownKey

_WORK = "host_keys"


class HostKeyDesk:
    """See the module.

    Args:
        fleet: the connections in use now, or None.
        work: where recording goes on.
        again: has nodes that can be reached now asked again, given their ranks.

    Attributes:
        problem: why the last keys could not be recorded, or "".
        let_in: how often accepted keys have let nodes in.
    """

    def __init__(
        self,
        fleet: Callable[[], Fleet | None],
        work: Background,
        again: Callable[[frozenset[int]], None],
    ) -> None:
        self._fleet, self._work, self._again = fleet, work, again
        self.problem = ""
        self.let_in = 0

    @property
    def pending(self) -> list[ShownKey]:
        """The keys that stand in the way now; those that can be accepted first."""
        fleet = self._fleet()
        return [] if fleet is None else fleet.host_keys.pending

    @property
    def revision(self) -> int:
        """Changes when ``pending`` may have; only ever compared for being the same."""
        fleet = self._fleet()
        return -1 if fleet is None else fleet.host_keys.revision

    @property
    def busy(self) -> bool:
        """Whether accepted keys are being recorded, and their nodes connected to."""
        return self._work.busy(_WORK)

    def accept(self, keys: Sequence[ShownKey]) -> bool:
        """Record these keys and connect to their nodes, in the background.

        Returns:
            False when nothing was begun: none of them can be accepted, or the last ones are still
            being recorded.
        """
        fleet = self._fleet()
        chosen = [key for key in keys if key.state is KeyState.UNKNOWN]
        if fleet is None or not chosen or self.busy:
            return False
        self.problem = ""
        self._work.start(_WORK, self._accept(fleet, chosen))
        return True

    async def _accept(self, fleet: Fleet, keys: list[ShownKey]) -> None:
        try:
            await fleet.accept(keys)
        except WizardError as error:
            self.problem = str(error)
            return
        self.let_in += 1
        self._again(frozenset(rank for key in keys for rank in key.nodes))

    def dismiss(self) -> None:
        """Refuse what waits, for now: the nodes stay out of reach until they are tried again."""
        self.problem = ""
        fleet = self._fleet()
        if fleet is not None:
            fleet.host_keys.dismiss()
