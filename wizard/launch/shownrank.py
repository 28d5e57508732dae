"""A rank's state as people see it, with a node out of reach laid over what the rank did before.

Out of reach is no state of the rank: it is kept apart, and what the rank was comes back when the
node answers again.
"""

from __future__ import annotations

from collections.abc import Callable

from wizard.launch.state import RankState

_GOES_ON = frozenset({"pending", "starting", "running"})  # what we do does not tell that it answers
_OVER = frozenset({"failed", "aborted", "stopped"})


class ShownRank:
    """Writes the state of one rank; ``touch`` is called on every change.

    Attributes:
        reached: whether the node has answered since the launch began here.
    """

    def __init__(self, state: RankState, touch: Callable[[], None]) -> None:
        self.state = state
        self.touch = touch
        self.reached = False
        self._before: tuple[str, str, str] | None = None  # what it was when it went out of reach
        self._by_engine = False

    @property
    def away(self) -> bool:
        """Whether it is shown as out of reach for now."""
        return self._before is not None

    def put(self, state: str, stage: str | None = None, detail: str | None = None) -> None:
        """Set the state that people see; ``None`` leaves a part as it is.

        While the node is out of reach, what the launch does with it waits for its return; what
        ends it (failed, aborted, stopped, unreachable for good) is shown at once.
        """
        waits = self._before if state in _GOES_ON else None
        _, old_stage, old_detail = waits or self._shown()
        new = (
            state,
            old_stage if stage is None else stage,
            old_detail if detail is None else detail,
        )
        if waits is not None:
            self._before = new
            return
        self._before = None
        self._show(new)

    def out_of_reach(self, why: str, *, engine: bool = False) -> None:
        """Show that it cannot be asked for now; ``engine``: the node may answer, its engine not."""
        if self.state.state in _OVER:
            return
        if self._before is None:
            self._before = self._shown()
        self._by_engine = engine
        self._show(("unreachable", self.state.stage, why))

    def in_reach(self, *, engine: bool = False) -> None:
        """Show again what it was: the node has answered; ``engine``: its engine has as well."""
        self.reached = True
        if self._before is None or (self._by_engine and not engine):
            return
        state, stage, detail = self._before
        self._before = None
        if state == "running" and self.state.progress is not None:
            stage, detail = self.state.told  # its log may have gone on meanwhile
        self._show((state, stage, detail))

    def _shown(self) -> tuple[str, str, str]:
        return self.state.state, self.state.stage, self.state.detail

    def _show(self, new: tuple[str, str, str]) -> None:
        if new != self._shown():
            self.state.state, self.state.stage, self.state.detail = new
            self.touch()
