"""The session's plan of its launch: made in the background, read by screens at any time."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from wizard.background import Background, sentence

if TYPE_CHECKING:
    from wizard.launch.launchplan import LaunchPlan
    from wizard.roomtypes import LaunchLike
    from wizard.session import Session

FRESH_S = 60.0  # what the nodes said is held for true so long
PATIENCE_S = 5.0  # for nodes that answer slowly, before people are asked without their answers


class LaunchPlanning:
    """See the module.

    Attributes:
        error: why the nodes could not be asked, or "".
        revision: moves on every change.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._work = Background(self._tell)
        self._made: tuple[LaunchLike, LaunchPlan, float] | None = None
        self.error = ""
        self.revision = 0

    @property
    def busy(self) -> bool:
        """Whether the nodes are being asked."""
        return self._work.busy("plan")

    def of(self, launch: LaunchLike | None) -> LaunchPlan | None:
        """Return the plan of a launch, None when there is none (yet)."""
        return self._made[1] if self._made and self._made[0] is launch else None

    def ask(self) -> None:
        """Ask the nodes anew what the session's launch would find, unless that goes on."""
        launch = self._session.launch
        if launch is not None and not self.busy:
            self.error = ""
            self._work.start("plan", self._ask(launch))
            self._touch()

    async def fresh(self, patience_s: float = PATIENCE_S) -> LaunchPlan | None:
        """Return a plan of which the answers are not old; None when they do not come in time."""
        launch = self._session.launch
        if self._made is None or self._made[0] is not launch or self._age() > FRESH_S:
            self.ask()
        try:
            async with asyncio.timeout(patience_s):
                await self._work.wait("plan")
        except TimeoutError:
            return None
        return self.of(launch)

    def forget(self) -> None:
        """Take what the nodes said for old; it is shown until they are asked again."""
        if self._made is not None:
            self._made = (*self._made[:2], float("-inf"))

    async def aclose(self) -> None:
        """End what runs."""
        await self._work.end_all()

    def _age(self) -> float:
        return time.monotonic() - self._made[2] if self._made else float("inf")

    async def _ask(self, launch: LaunchLike) -> None:
        try:
            plan = await self._session.rooms.plan(launch)
        except Exception as error:
            self._tell("plan", sentence(error))
            return
        self._made = (launch, plan, time.monotonic())
        self._touch()

    def _tell(self, _name: str, problem: str) -> None:
        self.error = problem
        self._touch()

    def _touch(self) -> None:
        self.revision += 1
