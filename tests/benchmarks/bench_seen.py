"""How soon what happens to a node of a launch is seen, over real SSH. The goal: 5 s.

Run by hand: ``make bench-seen``, or this file with [--rounds 5] [--phase starting|loading|serving].

Two simulated nodes (real SSH servers, real processes in place of containers) behind TCP relays that
can fall silent as a cut cable does. At a moment that chance decides, a fault befalls a node: a
container ends, node 0's while the worker waits for it, the worker's while it loads and while it
serves; or the worker is cut off. Measured is from then until the record of the launch names the
node, with the values that the code really has: "failed" for a container that ended, "unreachable"
for a node that is cut off. What ends with code 1 does so in the scenario (out of memory), at its
own time. Of nodes that are cut off, also how long it takes until the record is as it was before,
once they can be reached again.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.launch.simulated import played
from tests.launch.ways import Way, by_ways
from wizard.errors import WizardError
from wizard.launch import Launch
from wizard.launch.seen import ANSWER_S, INTERVAL_S, SEEN_WITHIN_S
from wizard.presets import Preset
from wizard.remote.fleet import open_fleet
from wizard.simulator.cluster import SimulatedCluster

SPEED = 60.0
LIMIT_S = 120.0
PHASES = ("starting", "loading", "serving")
STAYS = {
    "starting": "{node: 0, at: start, does: hangs}",
    "loading": "{node: 1, at: load, does: hangs}",
}
OOM = {"starting": "start", "loading": "load", "serving": "serving"}


@dataclass
class Field:
    """A simulated cluster and the launch on it."""

    simulated: SimulatedCluster
    preset: Preset
    ways: list[Way]
    phase: str
    work: Launch
    task: asyncio.Task[None] | None = None

    @property
    def victim(self) -> int:
        """Whose container ends: nobody's but node 0's runs while it starts."""
        return 0 if self.phase == "starting" else 1

    @property
    def container(self) -> Any:
        """The victim's, as the engine of its node has it."""
        assert self.simulated.daemon is not None
        return self.simulated.daemon.containers[self.victim][0]

    @property
    def there(self) -> bool:
        """Whether the launch is in its phase."""
        if self.phase == "starting":
            return "RPC port" in self.work.ranks[1].detail
        if self.phase == "loading":
            return self.work.ranks[1].stage.startswith("weights")
        return self.work.state == "ready"

    async def begin(self) -> None:
        """Launch, in the background."""

        async def whole() -> None:
            await self.work.start()
            await self.work.follow()

        self.task = asyncio.create_task(whole())

    async def end(self) -> None:
        """Take away whatever is there."""
        if self.task is not None:
            self.task.cancel()
            with suppress(asyncio.CancelledError, WizardError):
                await self.task
        problems = await self.work.stop()
        assert problems == [], problems


@asynccontextmanager
async def field_of(phase: str, fault: str) -> AsyncIterator[Callable[[], Field]]:
    """A cluster with a scenario; yields a maker of launches on it."""
    with tempfile.TemporaryDirectory(prefix="v32-bench-") as name:
        os.environ["V32_WIZARD_HOME"] = f"{name}/wizard"
        scenario = f"launch: [{fault}]" if fault else "{}"
        async with (
            played(scenario, Path(name), speed=SPEED) as (simulated, direct, _),
            by_ways(direct, Path(name)) as (preset, ways),
            open_fleet(preset.cluster) as fleet,
        ):
            await fleet.connect()
            yield lambda: Field(simulated, preset, list(ways), phase, Launch(fleet, preset))


async def until(condition: Callable[[], object]) -> float:
    """Wait, and return the moment."""
    async with asyncio.timeout(LIMIT_S):
        while not condition():
            await asyncio.sleep(0.005)
    return time.time()


async def shown(field: Field, rank: int, state: str) -> float:
    """Wait until the record tells a state of a node, and return the moment."""
    return await until(lambda: field.work.ranks[rank].state == state)


# -- faults: each is brought about, and returns since when it is so


async def exits(field: Field) -> float:
    """Its first process ends by itself, with code 0."""
    container = field.container
    container.send(signal.SIGTERM)
    await until(lambda: not container.running)
    assert container.exit_code == 0, container.exit_code
    return float(container.finished)


async def removed(field: Field) -> float:
    """Somebody removes the container."""
    daemon, container = field.simulated.daemon, field.container
    assert daemon is not None
    began = time.time()
    container.send(signal.SIGKILL)
    daemon._forget(container)
    return began


async def restarted(field: Field) -> float:
    """Somebody restarts the container."""
    daemon, container = field.simulated.daemon, field.container
    assert daemon is not None
    began = time.time()
    await container.stop(0, signal.SIGKILL)
    await daemon._begin(container, "", 1)
    return began


async def silent(field: Field) -> float:
    """Nothing gets through to the node any more, and nothing back."""
    field.ways[1].fall_silent()
    return time.time()


async def cut(field: Field) -> float:
    """Its connections are reset, and new ones are refused."""
    await field.simulated.take_away(1)
    field.ways[1].reset()
    return time.time()


Fault = Callable[[Field], Awaitable[float]]
DEATHS: dict[str, Fault] = {
    "exits with code 0": exits,
    "container removed": removed,
    "container restarted": restarted,
}
LOSSES: dict[str, Fault] = {"connections reset, refused": cut, "silent (packets dropped)": silent}


@dataclass
class Times:
    """Seconds until a fault was named; and until it was over, once it was."""

    named: list[float] = field(default_factory=list)
    back: list[float] = field(default_factory=list)


async def by_chance() -> None:
    """Let the fault come at any moment between two questions."""
    await asyncio.sleep(random.uniform(0, INTERVAL_S + 1))


async def deaths(phase: str, fault: Fault, rounds: int) -> Times:
    """A launch for each round."""
    times = Times()
    async with field_of(phase, STAYS.get(phase, "")) as make:
        for _ in range(rounds):
            field = make()
            await field.begin()
            await until(lambda field=field: field.there)
            await by_chance()
            since = await fault(field)
            times.named.append(await shown(field, field.victim, "failed") - since)
            await field.end()
    return times


async def out_of_memory(phase: str, rounds: int) -> Times:
    """The same, where the victim ends by itself with code 1."""
    times, node = Times(), 0 if phase == "starting" else 1
    async with field_of(phase, f"{{node: {node}, at: {OOM[phase]}, does: out_of_memory}}") as make:
        for _ in range(rounds):
            field = make()
            await field.begin()
            daemon = field.simulated.daemon
            assert daemon is not None
            await until(lambda daemon=daemon: daemon.containers[node])
            container = field.container
            named = await shown(field, node, "failed")
            assert container.exit_code == 1, container.exit_code
            times.named.append(named - container.finished)
            await field.end()
    return times


async def losses(phase: str, fault: Fault, rounds: int) -> Times:
    """One launch, whose worker is lost and found again."""
    times = Times()
    async with field_of(phase, STAYS.get(phase, "")) as make:
        field = make()
        await field.begin()
        await until(lambda: field.there)
        way = field.ways[1]
        for _ in range(rounds):
            before = field.work.ranks[1].state
            await by_chance()
            since = await fault(field)
            times.named.append(await shown(field, 1, "unreachable") - since)
            way.speak()
            if fault is cut:
                await field.simulated.bring_back(1)
            since = time.time()
            times.back.append(await shown(field, 1, before) - since)
        await field.end()
    return times


# -- the table


def line(name: str, phase: str, times: Times) -> str:
    """One row."""
    median, worst = statistics.median(times.named), max(times.named)
    sign = "" if worst <= SEEN_WITHIN_S else "  OVER THE GOAL"
    row = f"{name:<28}{phase:<10}{len(times.named):>3}{median:>9.2f}{worst:>8.2f}"
    if times.back:
        row += f"{statistics.median(times.back):>12.2f}{max(times.back):>8.2f}"
    return row + sign


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--phase", choices=PHASES, default=None)
    arguments = parser.parse_args()
    phases = [arguments.phase] if arguments.phase else list(PHASES)
    print(
        f"asked every {INTERVAL_S:g} s, patience {ANSWER_S:g} s; seconds until named, goal "
        f"{SEEN_WITHIN_S:g}"
    )
    head = f"{'fault':<28}{'phase':<10}{'n':>3}{'median':>9}{'worst':>8}"
    print(head + f"{'back again':>12}{'worst':>8}", flush=True)
    for phase in phases:
        rows: dict[str, Callable[[str, int], Awaitable[Times]]] = {
            name: lambda p, n, fault=fault: deaths(p, fault, n) for name, fault in DEATHS.items()
        }
        rows["exits with code 1"] = out_of_memory
        for name, fault in LOSSES.items():
            rows[name] = lambda p, n, fault=fault: losses(p, fault, n)
        for name, measure in rows.items():
            work: Any = measure(phase, arguments.rounds)
            print(line(name, phase, asyncio.run(work)), flush=True)


if __name__ == "__main__":
    main()
