"""Editing a script's text: remarks while typing, edits kept, conflicts shown, never lost."""

from __future__ import annotations

from screens.scripteditor import ScriptEditor
from screens.widgets.scriptarea import ScriptArea
from tests.screens.fakes import World
from tests.screens.pilots import Open, at, shown, until, words
from tests.screens.test_preview import previewing
from wizard import edits
from wizard.session import Session, Step

KEY = "node0/serve.sh"


def with_edit(session: Session, old: str, new: str) -> None:
    text = session.review.script(KEY).text
    assert text.count(old) == 1
    session.review.keep(KEY, text.replace(old, new))


async def test_a_line_typed_in_the_script_is_kept_and_told_as_edited(
    world: World, open_wizard: Open
) -> None:
    session = previewing(world)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "Nothing blocks" in shown(pilot))
        await pilot.press("right", "e")
        await until(pilot, lambda: "Editing node0/serve.sh" in shown(pilot))
        area = pilot.app.screen.query_one(ScriptArea)
        row = area.text.split("\n").index("set -eu")
        area.move_cursor((row, len("set -eu")))
        await pilot.press("enter", "x", "backspace")
        area.insert("export MINE=1")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "serve.sh *edited" in shown(pilot))
        await until(pilot, lambda: session.review.checked)
        (script,) = [s for s in await session.scripts() if s.rank == 0]
        assert "set -eu\nexport MINE=1\n" in script.serve
        assert edits.MARK in script.serve
        assert list(session.preset().patches) == [KEY]
        assert session.unsaved
        await pilot.press("n")
        await at(pilot, Step.LAUNCH)


async def test_what_is_wrong_is_said_while_it_is_typed_and_f8_goes_there(
    world: World, open_wizard: Open
) -> None:
    session = previewing(world)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "Nothing blocks" in shown(pilot))
        await pilot.press("right", "e")
        await until(pilot, lambda: "Editing node0/serve.sh" in shown(pilot))
        await pilot.press("down")
        pilot.app.screen.query_one(ScriptArea).insert("if true; then ")
        await until(pilot, lambda: "✗ error line" in shown(pilot))
        await pilot.press("ctrl+home", "f8")
        area = pilot.app.screen.query_one(ScriptArea)
        await until(pilot, lambda: area.cursor_location[0] > 0)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "This blocks the launch: node0/serve.sh" in words(pilot))


async def test_escape_asks_about_changes_and_throws_away_only_then(
    world: World, open_wizard: Open
) -> None:
    session = previewing(world)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "Nothing blocks" in shown(pilot))
        await pilot.press("e")
        await until(pilot, lambda: "Editing node0/container.sh" in shown(pilot))
        await pilot.press("x")
        await pilot.press("ctrl+q")
        await until(pilot, lambda: "changes of node0/container.sh are not saved" in shown(pilot))
        await pilot.press("escape", "escape")
        await until(pilot, lambda: "was changed and is not saved" in shown(pilot))
        await pilot.press("enter")  # keep editing
        await until(pilot, lambda: isinstance(pilot.app.screen, ScriptEditor))
        assert pilot.app.screen.query_one(ScriptArea).text.startswith("x#!")
        await pilot.press("escape")
        await until(pilot, lambda: "was changed and is not saved" in shown(pilot))
        await pilot.press("right", "right", "enter")
        await until(pilot, lambda: not isinstance(pilot.app.screen, ScriptEditor))
        assert session.preset().patches == {}


async def test_a_secret_cannot_be_saved_and_the_text_stays(world: World, open_wizard: Open) -> None:
    session = previewing(world)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "Nothing blocks" in shown(pilot))
        await pilot.press("e")
        await until(pilot, lambda: "Editing" in shown(pilot))
        pilot.app.screen.query_one(ScriptArea).insert("export HF_TOKEN=abc\n")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "no secret has a place in a preset" in words(pilot))
        assert "HF_TOKEN=abc" in pilot.app.screen.query_one(ScriptArea).text


async def test_an_edit_that_no_longer_fits_is_shown_blocks_and_is_dropped_by_hand_alone(
    world: World, open_wizard: Open
) -> None:
    session = previewing(world)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "Nothing blocks" in shown(pilot))
        with_edit(session, "--max-num-seqs 16", "--max-num-seqs 8")
        session.review.put("--max-num-seqs", "4")
        await until(
            pilot, lambda: "This blocks the launch: node0/serve.sh: an edit" in words(pilot)
        )
        await pilot.press("n")
        await until(pilot, lambda: "✗ error an edit that makes" in shown(pilot))
        await pilot.press("e")
        await until(pilot, lambda: "Saving drops it" in shown(pilot))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "does not fit this script any more" in words(pilot))
        await pilot.press("enter")  # cancel
        assert list(session.draft.extra["patches"]) == [KEY]
        await pilot.press("f9")
        await until(pilot, lambda: "Drop all your edits" in shown(pilot))
        await pilot.press("right", "enter")
        await until(pilot, lambda: "Nothing blocks the launch" in shown(pilot))
        assert "patches" not in session.draft.extra


async def test_d_drops_the_edits_after_a_question(world: World, open_wizard: Open) -> None:
    session = previewing(world)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "Nothing blocks" in shown(pilot))
        with_edit(session, "--seed 1024", "--seed 7")
        await pilot.press("right")
        await until(pilot, lambda: "*edited" in shown(pilot))
        await pilot.press("d")
        await until(pilot, lambda: "Drop all your edits" in shown(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: "Drop all" not in shown(pilot))
        assert session.review.is_edited(KEY)
        await pilot.press("d", "right", "enter")
        await until(pilot, lambda: not session.review.is_edited(KEY))
