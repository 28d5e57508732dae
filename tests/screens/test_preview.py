"""The scripts, per node, before anything runs."""

from __future__ import annotations

from tests.screens.fakes import World
from tests.screens.pilots import Open, at, shown, until
from tests.screens.test_checks import started
from wizard.errors import WizardError
from wizard.session import Step


async def test_both_scripts_of_every_node_are_shown(world: World, open_wizard: Open) -> None:
    session = started(world, Step.PREVIEW)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "#!/bin/bash" in shown(pilot) or "#!/usr" in shown(pilot))
        assert "node 0 10.0.0.11" in shown(pilot)
        first = (await session.scripts())[0]
        assert first.container.splitlines()[0] in shown(pilot)
        await pilot.press("right", "o")
        second = (await session.scripts())[1].serve
        await until(pilot, lambda: second.splitlines()[1][:60] in shown(pilot))
        await pilot.press("end")
        tail = next(line for line in reversed(second.splitlines()) if line.strip())
        await until(pilot, lambda: tail.split()[0] in shown(pilot))
        await pilot.press("right")
        await until(pilot, lambda: "@@" in shown(pilot))


async def test_the_text_is_highlighted(world: World, open_wizard: Open) -> None:
    session = started(world, Step.PREVIEW)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "#!/" in shown(pilot))
        strips = pilot.app.screen._compositor.render_strips()
        colours = {s.style.color for strip in strips[5:18] for s in strip if s.style and s.text}
        assert len(colours) > 3


async def test_a_node_that_cannot_be_asked_is_said_and_r_tries_again(
    world: World, open_wizard: Open
) -> None:
    world.complete_error = WizardError("node 1 cannot be reached.")
    session = started(world, Step.PREVIEW)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "node 1 cannot be reached" in shown(pilot))
        await pilot.press("ctrl+n")
        await until(pilot, lambda: "not there yet" in shown(pilot))
        assert session.step is Step.PREVIEW
        world.complete_error = None
        await pilot.press("r")
        await until(pilot, lambda: "#!/" in shown(pilot))
        await pilot.press("n")
        await at(pilot, Step.LAUNCH)


async def test_copy_goes_to_a_file_as_well(world: World, open_wizard: Open) -> None:
    session = started(world, Step.PREVIEW)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "#!/" in shown(pilot))
        await pilot.press("y")
        await until(pilot, lambda: "written to" in shown(pilot))
        assert pilot.app.clipboard == (await session.scripts())[0].container
