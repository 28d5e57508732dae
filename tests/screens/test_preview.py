"""The scripts, per node, before anything runs."""

from __future__ import annotations

from tests.screens.fakes import PRESET, World, preset
from tests.screens.pilots import Open, at, shown, until
from tests.screens.test_checks import started
from wizard.errors import WizardError
from wizard.presets import Preset
from wizard.session import Session, Step


def previewing(world: World, extra: str = "") -> Session:
    session = Session(rooms=world.rooms)
    session.load(preset(PRESET + extra))
    session.go(Step.PREVIEW)
    return session


async def test_both_scripts_of_every_node_are_shown(world: World, open_wizard: Open) -> None:
    session = started(world, Step.PREVIEW)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "#!/bin/bash" in shown(pilot))
        assert "node 0 10.0.0.11" in shown(pilot)
        first = (await session.scripts())[0]
        assert first.container.splitlines()[1] in shown(pilot)
        await pilot.press("right", "o")
        second = (await session.scripts())[1].serve
        await until(pilot, lambda: second.splitlines()[1][:60] in shown(pilot))
        await pilot.press("pagedown", "pagedown", "pagedown", "pagedown")
        tail = next(line for line in reversed(second.splitlines()) if line.strip())
        await until(pilot, lambda: tail.split()[0] in shown(pilot))
        await pilot.press("left", "left")  # around the end
        await until(pilot, lambda: "- guide   + now" in shown(pilot))


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
        await until(pilot, lambda: "This blocks the launch: node 1 cannot" in shown(pilot))
        assert session.step is Step.PREVIEW
        world.complete_error = None
        await pilot.press("r")
        await until(pilot, lambda: "Nothing blocks the launch" in shown(pilot))
        await pilot.press("n")
        await at(pilot, Step.LAUNCH)


async def test_copy_goes_to_a_file_as_well(world: World, open_wizard: Open) -> None:
    session = started(world, Step.PREVIEW)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "Nothing blocks the launch" in shown(pilot))
        await pilot.press("y")
        await until(pilot, lambda: "written to" in shown(pilot))
        assert pilot.app.clipboard == (await session.scripts())[0].container


async def test_an_error_blocks_the_launch_and_next_goes_to_its_line(
    world: World, open_wizard: Open
) -> None:
    session = previewing(world, "serve: {args: {--max-num-seqz: 3}}")
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "This blocks the launch" in shown(pilot))
        assert "serve.sh ✗1" in shown(pilot)
        await pilot.press("n")
        await until(pilot, lambda: "--max-num-seqz 3" in shown(pilot))
        assert session.step is Step.PREVIEW
        assert "✗ error line" in shown(pilot)
        assert "does not know --max-num-seqz. Did you mean" in shown(pilot)


async def test_a_warning_does_not_block_and_enter_goes_to_its_line(
    world: World, open_wizard: Open
) -> None:
    session = previewing(world)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "Nothing blocks the launch. 1 warning" in shown(pilot))
        await pilot.press("right")
        await until(pilot, lambda: "! warning line" in shown(pilot))
        assert "--host 0.0.0.0" not in shown(pilot)
        await pilot.press("tab", "enter")
        await until(pilot, lambda: "--host 0.0.0.0" in shown(pilot))


async def test_ctrl_s_saves_the_answers_as_a_preset(world: World, open_wizard: Open) -> None:
    session = previewing(world)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "#!/" in shown(pilot))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "Save these answers as a preset named" in shown(pilot))
        await pilot.press("ctrl+u", *"mine", "enter")
        await until(pilot, lambda: "mine" in world.store.saved)
        assert world.store.saved["mine"].nodes == session.preset().nodes
        assert not session.unsaved


async def test_another_preset_is_only_replaced_after_a_question(
    world: World, open_wizard: Open
) -> None:
    other: Preset = preset().model_copy(update={"name": "other", "recipe": "v0.11.0"})
    world.store.save(other)
    session = previewing(world)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "#!/" in shown(pilot))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "Save these answers as a preset named" in shown(pilot))
        await pilot.press("ctrl+u", *"other", "enter")
        await until(pilot, lambda: "Another preset named other is saved already" in shown(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: "Another preset" not in shown(pilot))
        assert world.store.saved["other"] is other


async def test_what_no_preset_holds_is_told_on_leaving(world: World, open_wizard: Open) -> None:
    session = previewing(world)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "#!/" in shown(pilot))
        session.review.put("port", "9000")
        await pilot.press("ctrl+q")
        await until(pilot, lambda: "Your answers are in no preset" in shown(pilot))
        await pilot.press("right", "enter")
        await until(pilot, lambda: "Save these answers as a preset named" in shown(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.return_code == 0)
        assert world.store.saved["lab"].serve.port == 9000
