"""Problems: explained, with what to do, and asked again."""

from __future__ import annotations

from tests.screens.fakes import World
from tests.screens.pilots import Open, at, shown, until
from tests.screens.test_checks import LINK, started
from wizard.checks.model import CellKey, Status
from wizard.session import Session, Step


async def checked(world: World) -> Session:
    session = started(world, Step.TROUBLESHOOTING)
    session.start_checks()
    world.run.finish()
    return session


async def test_a_failed_cell_is_explained_with_its_next_steps(
    world: World, open_wizard: Open
) -> None:
    world.bad = {LINK: Status.FAIL}
    world.problem = "link-down"
    session = await checked(world)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "1 problem explains 1 bad answer" in shown(pilot))
        text = shown(pilot)
        assert "✗ FAIL" in text
        assert "node 1 device 3" in text.lower()
        assert "Possible causes" in text
        assert "$ hccn_tool -i 3" in text
        await pilot.press("enter")
        await until(pilot, lambda: "link status: DOWN" in shown(pilot))
        await pilot.press("escape")


async def test_r_asks_again_and_says_what_is_fixed(world: World, open_wizard: Open) -> None:
    world.bad = {LINK: Status.FAIL}
    world.problem = "link-down"
    session = await checked(world)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "✗ FAIL" in shown(pilot))
        world.bad.clear()
        await pilot.press("r")
        await until(pilot, lambda: "Now fixed" in shown(pilot))
        assert world.run.reruns == [[LINK]]
        assert "Nothing is wrong" in shown(pilot)
        await pilot.press("n")
        await at(pilot, Step.PREVIEW)


async def test_a_rerun_takes_along_what_follows_from_the_problem(
    world: World, open_wizard: Open
) -> None:
    ping = CellKey(0, 3, "ping", 1, 3)
    world.bad = {LINK: Status.FAIL, ping: Status.FAIL}
    world.problem = "link-down"
    session = await checked(world)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "1 problem explains 2 bad answers" in shown(pilot))
        await pilot.press("r")
        await until(pilot, lambda: world.run.reruns)
        assert set(world.run.reruns[0]) == {LINK, ping}


async def test_without_checks_it_says_so(world: World, open_wizard: Open) -> None:
    session = started(world, Step.TROUBLESHOOTING)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "The checks have not run yet" in shown(pilot))
        await pilot.press("escape")
        await at(pilot, Step.CHECKS)


async def test_what_is_still_wrong_is_said(world: World, open_wizard: Open) -> None:
    world.bad = {LINK: Status.FAIL}
    world.problem = "link-down"
    session = await checked(world)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "✗ FAIL" in shown(pilot))
        await pilot.press("r")
        await until(pilot, lambda: "Asked again: still wrong" in shown(pilot))


async def test_the_stepper_ticks_only_what_is_well(world: World, open_wizard: Open) -> None:
    world.bad = {LINK: Status.FAIL}
    session = await checked(world)
    async with open_wizard(session) as pilot:
        await pilot.press("escape")
        await at(pilot, Step.CHECKS)
        await until(pilot, lambda: "1 failed" in shown(pilot))
        await pilot.press("escape")
        await at(pilot, Step.NODES)
        assert "! Checks" in shown(pilot)
        assert "✓ Problems" not in shown(pilot)
        world.bad.clear()
        session.rerun_failed()
        await until(pilot, lambda: not session.checks_running)
        await pilot.press("escape")
        await at(pilot, Step.HARDWARE)
        assert "✓ Checks" in shown(pilot)


async def test_i_ignores_a_problem_which_then_comes_last_and_with_what_follows(
    world: World, open_wizard: Open
) -> None:
    ping = CellKey(0, 3, "ping", 1, 3)
    world.bad = {LINK: Status.FAIL, ping: Status.FAIL}
    world.problem = "link-down"
    session = await checked(world)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "(+1 that follow)" in shown(pilot))
        assert "What follows from it: 1 ping." in shown(pilot)
        await pilot.press("i")
        await until(pilot, lambda: "Why may this be ignored?" in shown(pilot))
        await pilot.press(*"spare", "enter")
        await until(pilot, lambda: "Nothing else is wrong; 1 problem is ignored." in shown(pilot))
        assert "i IGNORED" in shown(pilot)
        assert "Ignored: spare (" in shown(pilot)
        assert session.problem_steps == set()
        await pilot.press("i")
        await until(pilot, lambda: "This is ignored: spare" in shown(pilot))
        await pilot.press("right", "enter")
        await until(pilot, lambda: "1 problem explains 2 bad answers" in shown(pilot))
