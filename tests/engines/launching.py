"""Launches of a lab's preset by the engine itself, and what the tests look at."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.launch.bench import until
from wizard.launch import Launch
from wizard.presets import Preset
from wizard.remote.fleet import SSHFleet, open_fleet

LIMIT_S = 300.0


@asynccontextmanager
async def fleet_of(preset: Preset, *, limit_s: float = LIMIT_S) -> AsyncIterator[SSHFleet]:
    """The preset's nodes by real SSH, for a limited time."""
    async with open_fleet(preset.cluster) as fleet, asyncio.timeout(limit_s):
        yield fleet


def launch_of(fleet: SSHFleet, preset: Preset, **options: Any) -> Launch:
    """A launch that asks often, so that tests wait little."""
    return Launch(fleet, preset, **{"interval_s": 0.2, "grace_s": 3} | options)


@dataclass
class Followed:
    """A launch that is being followed; ``task`` ends when it fails."""

    fleet: SSHFleet
    work: Launch
    task: asyncio.Task[None]
    limit_s: float

    async def stage(self, rank: int, words: str) -> None:
        """Wait until a rank's stage holds these words."""
        seen = self.work.ranks[rank]
        await until(lambda: words in seen.stage or self.task.done(), limit_s=self.limit_s)
        assert words in seen.stage, self.work.message

    async def state(self, rank: int, state: str) -> None:
        """Wait until a rank is in a state."""
        seen = self.work.ranks[rank]
        await until(lambda: seen.state == state or self.task.done(), limit_s=self.limit_s)
        assert seen.state == state, self.work.message

    async def log(self, rank: int, words: str) -> None:
        """Wait until a rank's log holds these words."""
        log = self.work.ranks[rank].log
        await until(lambda: any(words in line for line in log.tail(1000)), limit_s=self.limit_s)

    async def ready(self) -> None:
        """Wait until the model is served."""
        work = self.work
        await until(lambda: work.ready.is_set() or self.task.done(), limit_s=self.limit_s)
        assert work.state == "ready", work.message

    async def over(self) -> None:
        """Wait until it has failed."""
        await self.task
        assert self.work.state == "failed"


@asynccontextmanager
async def followed(
    preset: Preset, *, found: bool = False, limit_s: float = LIMIT_S, **options: Any
) -> AsyncIterator[Followed]:
    """A launch that is started, or ``found`` on the nodes, and followed as long as this lasts."""
    async with fleet_of(preset, limit_s=limit_s) as fleet:
        work = launch_of(fleet, preset, **options)
        if found:
            assert await work.attach(), work.message
        else:
            await work.start()
        task = asyncio.create_task(work.follow())
        try:
            yield Followed(fleet, work, task, limit_s)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def states(work: Launch) -> list[str]:
    """By node, what its engine says about our container."""
    return [node.state for node in (await work.status()).nodes]
