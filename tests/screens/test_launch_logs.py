"""Every key of the launch's log: finding, levels, freezing, one node or all, copying, where."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.screens.fakes import World
from tests.screens.pilots import Open, at, shown, until, words
from tests.screens.test_checks import started
from tests.screens.test_launch import launched
from wizard.launch.metrics import EngineLoad, Load
from wizard.launch.progress import Phase, Stage
from wizard.session import Step

WARN = "(Worker pid=9) WARNING 11-20 10:15:30 [w.py:1] slow disk"
BAD = "(Worker pid=9) ERROR 11-20 10:15:31 [w.py:1] boom [not markup]"


async def logged(pilot: Pilot[int], world: World) -> None:
    """Two nodes whose lines alternate: a0 b0 a1 b1 and so on, with a warning and an error."""
    await launched(pilot, world)
    world.launch.move("running", "weights")
    now = time.time()
    for which, rank in enumerate(world.launch.ranks):
        name = "ab"[which]
        rank.clock_offset_s = ahead = which * 100.0
        times = [now + n + ahead + which / 2 for n in range(60)]
        rank.log.extend([f"{name}{n:03} said" for n in range(60)], times)
    # node 1's clock is ahead: its lines were written between those of node 0
    first, second = world.launch.ranks
    second.log.extend([WARN], [now + 200])
    first.log.extend([BAD], [now + 101])
    await until(pilot, lambda: "boom" in shown(pilot))


def texts(pilot: Pilot[int]) -> list[str]:
    """The log's lines as they are seen."""
    return re.findall(r"\b([ab]\d\d\d) said", shown(pilot))


async def test_logs_are_merged_by_the_nodes_clocks_put_right(
    world: World, open_wizard: Open
) -> None:
    async with open_wizard(started(world, Step.LAUNCH)) as pilot:
        await launched(pilot, world)
        world.launch.move("running", "weights")
        now = time.time()
        first, second = world.launch.ranks
        second.clock_offset_s = 1000.0
        first.log.extend(["a001 said", "a002 said"], [now + 1, now + 3])
        second.log.extend(["b001 said", "b002 said"], [now + 1002, now + 1004])
        await until(pilot, lambda: texts(pilot) == ["a001", "b001", "a002", "b002"])
        assert "n0 a001" in shown(pilot)
        await pilot.press("o")  # node 0
        await until(pilot, lambda: texts(pilot) == ["a001", "a002"])
        await pilot.press("o")
        await until(pilot, lambda: texts(pilot) == ["b001", "b002"])
        await pilot.press("o")
        await until(pilot, lambda: len(texts(pilot)) == 4)


async def test_level_shows_warnings_then_errors_then_all(world: World, open_wizard: Open) -> None:
    async with open_wizard(started(world, Step.LAUNCH)) as pilot:
        await logged(pilot, world)
        await pilot.press("f")
        await until(pilot, lambda: "warnings and errors · 2 of 122" in shown(pilot))
        assert "slow disk" in shown(pilot)
        assert "[not markup]" in shown(pilot)
        assert not texts(pilot)
        await pilot.press("f")
        await until(pilot, lambda: "errors · 1 of 122" in shown(pilot))
        assert "slow disk" not in shown(pilot)
        await pilot.press("f")
        await until(pilot, lambda: len(texts(pilot)) > 5)


async def test_find_shows_what_matches_and_m_the_lines_around(
    world: World, open_wizard: Open
) -> None:
    async with open_wizard(started(world, Step.LAUNCH)) as pilot:
        await logged(pilot, world)
        await pilot.press("slash", *"A00", "enter")
        await until(pilot, lambda: "10 of 122" in shown(pilot))
        assert texts(pilot) == [f"a{n:03}" for n in range(10)]
        await pilot.press("m")
        await until(pilot, lambda: "b0" in shown(pilot))
        await pilot.press("p")  # the last match before the end
        await until(pilot, lambda: "a009" in texts(pilot) and "a010" in texts(pilot))
        assert "stands still" in shown(pilot)
        await pilot.press("p", "p", "p")
        await until(pilot, lambda: "a006" in texts(pilot))
        await pilot.press("n")  # not the next step while something is looked for
        await until(pilot, lambda: "a007" in texts(pilot))
        assert "once the model is served" not in shown(pilot)
        await pilot.press("escape")  # ends the search, not the step
        await until(pilot, lambda: '"A00"' not in shown(pilot))
        await at(pilot, Step.LAUNCH)
        await pilot.press("escape")
        await at(pilot, Step.PREVIEW)


async def test_find_closes_with_escape_and_says_when_nothing_matches(
    world: World, open_wizard: Open
) -> None:
    async with open_wizard(started(world, Step.LAUNCH)) as pilot:
        await logged(pilot, world)
        await pilot.press("slash", *"zzz")
        await until(pilot, lambda: '"zzz" · 0 of 122' in shown(pilot))
        await pilot.press("down", "n")
        await until(pilot, lambda: "No line holds that." in shown(pilot))
        await pilot.press("slash", "escape")
        await until(pilot, lambda: len(texts(pilot)) > 5)
        await at(pilot, Step.LAUNCH)


async def test_freeze_keeps_the_lines_and_end_follows(world: World, open_wizard: Open) -> None:
    async with open_wizard(started(world, Step.LAUNCH)) as pilot:
        await logged(pilot, world)
        await until(pilot, lambda: "follows" in shown(pilot))
        await pilot.press("z")
        await until(pilot, lambda: "stands still" in shown(pilot))
        before = texts(pilot)
        world.launch.ranks[0].log.extend(["a999 said"], [time.time() + 300])
        world.launch.ranks[1].log.extend(["b000 late"], [time.time() + 101])  # goes in above
        revision = world.launch.ranks[0].log.revision
        await until(pilot, lambda: revision and pilot.app.screen.query("LogView"))
        await pilot.pause(0.3)
        assert texts(pilot) == before
        await pilot.press("z")
        await until(pilot, lambda: "a999" in texts(pilot))
        assert "follows" in shown(pilot)


async def test_copy_and_where_the_whole_log_is(
    world: World, open_wizard: Open, tmp_path: Path
) -> None:
    async with open_wizard(started(world, Step.LAUNCH)) as pilot:
        await logged(pilot, world)
        await pilot.press("y")
        await until(pilot, lambda: "Copied, and written to" in words(pilot))
        (copied,) = tmp_path.rglob("copied/logs.txt")
        text = copied.read_text()
        assert "node0 | a000 said\n" in text
        assert f"node1 | {WARN}\n" in text
        await pilot.press("w")
        await until(pilot, lambda: "No log is kept here yet" in shown(pilot))
        for rank in world.launch.ranks:
            rank.log_path = Path(f"/state/launches/x/node{rank.rank}.log")
        await pilot.press("w")
        await until(pilot, lambda: "The whole log is in /state/launches/x" in shown(pilot))
        world.launch.ranks[0].log_problem = "the disk is full"
        world.launch.ranks[0].log_lost = True
        await until(pilot, lambda: "! not kept here" in shown(pilot))
        await pilot.press("o", "w")
        await until(pilot, lambda: "x/node0.log; the disk is full" in words(pilot))


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_a_stalled_node_says_whom_it_waits_for(
    world: World, open_wizard: Open, size: tuple[int, int]
) -> None:
    async with open_wizard(started(world, Step.LAUNCH), size=size) as pilot:
        await launched(pilot, world)
        world.launch.move("running", "container")
        now = time.time()
        for rank, phase in zip(world.launch.ranks, (Phase.HANDSHAKE, Phase.PYTHON), strict=True):
            rank.reach(Stage(phase), now - 200)
        world.launch.revision += 1
        await until(pilot, lambda: "! stalled" in shown(pilot))
        assert "waits for node 1, which is at python" in words(pilot)
        assert ("Stages of node 1" in shown(pilot)) is (size[0] >= 120)


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_the_load_is_shown_once_it_serves(
    world: World, open_wizard: Open, size: tuple[int, int]
) -> None:
    async with open_wizard(started(world, Step.LAUNCH), size=size) as pilot:
        await launched(pilot, world)
        one = EngineLoad(3, 1, 0.25, 40.5, 10.0, 0.5)
        world.launch.load = Load(EngineLoad(5, 1, 0.25, 81.0, 20.0, 0.5), {0: one, 1: one})
        world.launch.move("ready", "ready")
        told = "5 running, 1 waiting" if size[0] < 120 else "tokens/s"
        await until(pilot, lambda: told in shown(pilot))
        assert "81.0" in shown(pilot)
        assert ("40.5" in shown(pilot)) is (size[0] >= 120)
