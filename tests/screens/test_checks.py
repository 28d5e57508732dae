"""The checks: live, failures first, by keys alone."""

from __future__ import annotations

import pytest

from screens.widgets.matrix import BoardMatrix
from tests.screens.fakes import World, preset
from tests.screens.pilots import Open, at, shown, until
from wizard.checks.model import CellKey, Status
from wizard.session import Session, Step

LINK = CellKey(1, 3, "link")


def started(world: World, step: Step = Step.CHECKS) -> Session:
    session = Session(rooms=world.rooms)
    session.load(preset())
    session.go(step)
    return session


async def test_the_checks_start_and_show_what_comes_in(world: World, open_wizard: Open) -> None:
    session = started(world)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "0 of" in shown(pilot))
        world.run.answer(CellKey(0, 0, "lldp"), Status.PASS)
        world.run.answer(CellKey(0, 1, "lldp"), Status.FAIL)
        await until(pilot, lambda: "✗ 1 failed" in shown(pilot))
        row = next(line for line in shown(pilot).splitlines() if line.startswith(" lldp"))
        assert row.split()[1:4] == ["[✓]", "✗", "·"]
        world.run.finish()
        await until(pilot, lambda: "All" in shown(pilot) and "checks passed" in shown(pilot))
        await pilot.press("ctrl+n")
        await at(pilot, Step.PREVIEW)


async def test_when_done_the_cursor_goes_to_the_first_failure(
    world: World, open_wizard: Open
) -> None:
    world.bad = {LINK: Status.FAIL}
    session = started(world)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: world.runs)
        world.run.finish()
        await until(pilot, lambda: "node 1, device 3, link  ✗ FAIL" in shown(pilot))
        text = shown(pilot)
        assert "$ hccn_tool -i 3 -link -g" in text
        assert "exit code 1" in text
        assert "link status: DOWN" in text
        assert "1 failed" in text


async def test_r_runs_what_failed_again_and_a_fix_shows(world: World, open_wizard: Open) -> None:
    world.bad = {LINK: Status.FAIL}
    session = started(world)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: world.runs)
        world.run.finish()
        await until(pilot, lambda: "node 1, device 3, link  ✗ FAIL" in shown(pilot))
        world.bad.clear()
        await pilot.press("r")
        await until(pilot, lambda: world.run.reruns == [[LINK]])
        await until(pilot, lambda: "checks passed" in shown(pilot))


async def test_f_leaves_only_rows_with_failures(world: World, open_wizard: Open) -> None:
    world.bad = {LINK: Status.FAIL}
    session = started(world)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: world.runs)
        world.run.finish()
        await until(pilot, lambda: "✗ FAIL" in shown(pilot))
        await pilot.press("f")
        await until(pilot, lambda: "gateway" not in shown(pilot))
        assert "link" in shown(pilot)
        await pilot.press("f")
        await until(pilot, lambda: "gateway" in shown(pilot))


@pytest.mark.parametrize(("size", "panes"), [((80, 24), 1), ((160, 48), 2)])
async def test_a_pane_per_node_where_there_is_room(
    world: World, open_wizard: Open, size: tuple[int, int], panes: int
) -> None:
    session = started(world)
    async with open_wizard(session, size=size) as pilot:
        await until(pilot, lambda: "node 0 10.0.0.11" in shown(pilot))
        matrices = list(pilot.app.screen.query(BoardMatrix))
        assert sum(1 for m in matrices if m.display) == panes
        await pilot.press("pagedown")
        await until(pilot, lambda: matrices[1].has_focus and "node 1 10.0.0.12" in shown(pilot))


async def test_coming_back_shows_the_same_run(world: World, open_wizard: Open) -> None:
    world.bad = {LINK: Status.FAIL}
    session = started(world)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: world.runs)
        world.run.finish()
        await until(pilot, lambda: "✗ FAIL" in shown(pilot))
        await pilot.press("escape")
        await at(pilot, Step.NODES)
        await pilot.press("ctrl+n")
        await at(pilot, Step.CHECKS)
        await until(pilot, lambda: "1 failed" in shown(pilot))
        assert len(world.runs) == 1


async def test_the_cursor_goes_to_the_cause_rather_than_to_a_ping(
    world: World, open_wizard: Open
) -> None:
    world.bad = {CellKey(0, 3, "ping", 1, 3): Status.FAIL, LINK: Status.FAIL}
    session = started(world)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: world.runs)
        world.run.finish()
        await until(pilot, lambda: "node 1, device 3, link  ✗ FAIL" in shown(pilot))
        await pilot.press("x")
        await until(pilot, lambda: "node 1, device 3" not in shown(pilot))
