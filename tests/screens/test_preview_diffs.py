"""The preview's differences: four comparisons, wide and narrow, from change to change."""

from __future__ import annotations

from dataclasses import replace

from rich.cells import cell_len

from screens.widgets.diffview import DiffView
from tests.screens.fakes import World, preset
from tests.screens.pilots import Open, shown, until
from tests.screens.test_preview import previewing
from wizard.presets import Preset
from wizard.remote.api import Fleet
from wizard.textdiff import FileDiff, compare


async def test_n_and_p_go_from_change_to_change(world: World, open_wizard: Open) -> None:
    session = previewing(world)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "Nothing blocks" in shown(pilot))
        await pilot.press("left")
        await until(pilot, lambda: "changes on this node" in shown(pilot))
        view = pilot.app.screen.query_one(DiffView)
        assert view.total > 2
        await pilot.press("n")
        await until(pilot, lambda: f"Change 1 of {view.total}" in shown(pilot))
        await pilot.press("p")
        await until(pilot, lambda: f"Change {view.total} of {view.total}" in shown(pilot))
        assert view.scroll_offset.y > 0


async def test_as_saved_says_when_nothing_is_and_then_what_changed(
    world: World, open_wizard: Open
) -> None:
    session = previewing(world)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "Nothing blocks" in shown(pilot))
        await pilot.press("left", "c")
        await until(pilot, lambda: "No preset named lab is saved yet" in shown(pilot))
        world.store.save(preset())
        await pilot.press("r")
        await until(pilot, lambda: "Nothing differs from the saved preset" in shown(pilot))
        session.review.put("port", "9000")
        await until(pilot, lambda: "+ --port 9000" in shown(pilot))
        assert "- --port 8000" in shown(pilot)


async def test_between_nodes(world: World, open_wizard: Open) -> None:
    session = previewing(world)
    async with open_wizard(session, size=(160, 48)) as pilot:
        await until(pilot, lambda: "Nothing blocks" in shown(pilot))
        await pilot.press("left", "c", "c")
        await until(pilot, lambda: "Node 0 is what the others are compared with" in shown(pilot))
        await pilot.press("o")
        await until(pilot, lambda: "+ --headless" in shown(pilot))
        line = next(x for x in shown(pilot).splitlines() if "local_ip=10.0.0.12" in x)
        assert "- local_ip=10.0.0.11" in line.split(" | ")[0]  # side by side


async def test_the_last_launch_is_asked_from_the_nodes(world: World, open_wizard: Open) -> None:
    async def deployed(now: Preset, fleet: Fleet) -> tuple[list[FileDiff], list[str]]:
        sides = ("launch 1", "--port 8000\n"), ("now", f"--port {now.serve.port}\n")
        return [compare("node0/serve.sh", *sides)], ["On node 1 lies no launch of lab."]

    world.rooms = replace(world.rooms, deployed=deployed)
    session = previewing(world, "serve: {port: 9000}")
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "Nothing blocks" in shown(pilot))
        await pilot.press("left", "c", "c", "c")
        await until(pilot, lambda: "On node 1 lies no launch of lab" in shown(pilot))
        assert "1 - --port 8000" in shown(pilot)
        assert "1 + --port 9000" in shown(pilot)


async def test_wide_characters_keep_the_columns(world: World, open_wizard: Open) -> None:
    session = previewing(world)
    async with open_wizard(session, size=(130, 40)) as pilot:
        await until(pilot, lambda: "Nothing blocks" in shown(pilot))
        await pilot.press("left")
        view = pilot.app.screen.query_one(DiffView)
        old, new = "模型 " * 40 + "old\n", "模型 " * 40 + "new\n"
        view.show([compare("node0/x", ("a", old), ("b", new))])
        await pilot.pause()
        lines = [x for x in shown(pilot).splitlines() if "模" in x]
        assert len(lines) > 1
        assert len({cell_len(x.split(" | ")[0].rstrip(" |")) > 0 for x in lines}) == 1
        assert len({cell_len(x[: x.index(" | ")]) for x in lines}) == 1
