"""Which known presets are launched right now: looked for in the background, a few at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from wizard.errors import WizardError

if TYPE_CHECKING:
    from wizard.background import Background
    from wizard.launch.finding import RunningLaunch
    from wizard.presets import Preset
    from wizard.rooms import Rooms

MOST = 12  # presets that are asked about: more would be a scan of the network
RETRY_S = 60.0  # before nodes that could not be asked are tried again: sshd counts failed logins
_AT_ONCE = 4


class RunningLaunches:
    """What was found so far. ``revision`` moves on every change.

    Attributes:
        found: launches that run, in the order of the presets.
        asking: names of the presets whose nodes are being asked.
        away: names of the presets none of whose nodes could be asked.
    """

    def __init__(self, rooms: Rooms, work: Background) -> None:
        self._rooms, self._work = rooms, work
        self.found: list[RunningLaunch] = []
        self.asking: list[str] = []
        self.away: list[str] = []
        self.revision = 0
        self._tried: dict[str, float] = {}  # monotonic: when those that are away were asked

    def look(self, presets: Iterable[Preset]) -> None:
        """Ask about these presets in the background, unless that goes on already."""
        if self._work.busy("running"):
            return
        known = list(presets)[:MOST]
        now = time.monotonic()
        self.away = [p.name for p in known if now - self._tried.get(p.name, -RETRY_S) < RETRY_S]
        chosen = [preset for preset in known if preset.name not in self.away]
        self.asking = [preset.name for preset in chosen]
        names = {preset.name for preset in known}
        self.found = [one for one in self.found if one.preset.name in names]
        self.revision += 1
        if chosen:
            self._work.start("running", self._look(chosen))

    async def _look(self, presets: list[Preset]) -> None:
        gate = asyncio.Semaphore(_AT_ONCE)
        order = {preset.name: place for place, preset in enumerate(presets)}

        async def ask(preset: Preset) -> None:
            found = None
            async with gate:
                try:
                    found = await self._rooms.running(preset)
                    self._tried.pop(preset.name, None)
                except (WizardError, OSError, TimeoutError):
                    self.away.append(preset.name)
                    self._tried[preset.name] = time.monotonic()
            self.asking.remove(preset.name)
            self.found = [one for one in self.found if one.preset.name != preset.name]
            if found is not None:
                self.found.append(found)
                self.found.sort(key=lambda one: order.get(one.preset.name, MOST))
            self.revision += 1

        try:
            await asyncio.gather(*(ask(preset) for preset in presets))
        finally:
            self.asking = []
            self.revision += 1
