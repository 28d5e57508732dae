"""The chat: streamed, and never lost."""

from __future__ import annotations

import asyncio

from tests.screens.fakes import World
from tests.screens.pilots import Open, at, shown, until, words
from tests.screens.test_checks import started
from tests.screens.test_launch import launched
from wizard.errors import WizardError
from wizard.session import Step


async def test_enter_sends_and_the_answer_streams_as_markdown(
    world: World, open_wizard: Open
) -> None:
    world.may_end = asyncio.Event()
    session = started(world, Step.CHAT)
    async with open_wizard(session) as pilot:
        await pilot.press(*"hi", "ctrl+j", *"you", "enter")
        await until(pilot, lambda: "Hello there" in shown(pilot))  # no asterisks: it is Markdown
        assert world.asked == [[{"role": "user", "content": "hi\nyou"}]]
        assert "answering" in shown(pilot)
        await pilot.press(*"more", "enter")
        await until(pilot, lambda: "still answering" in shown(pilot))
        world.may_end.set()
        await until(pilot, lambda: "2 tokens" in shown(pilot))
        await pilot.press("enter")  # what was typed is still there
        await until(pilot, lambda: len(world.asked) == 2)
        assert [turn["role"] for turn in world.asked[1]] == ["user", "assistant", "user"]


async def test_an_answer_goes_on_while_the_screen_is_left(world: World, open_wizard: Open) -> None:
    world.may_end = asyncio.Event()
    session = started(world, Step.CHAT)
    async with open_wizard(session) as pilot:
        await pilot.press(*"hi", "enter")
        await until(pilot, lambda: "answering" in shown(pilot))
        await pilot.press("escape")
        await at(pilot, Step.LAUNCH)
        world.may_end.set()
        await until(pilot, lambda: session.chat.messages[-1].state == "done")
        pilot.app.goto(Step.CHAT)  # type: ignore[attr-defined]
        await until(pilot, lambda: "Hello there" in shown(pilot) and "2 tokens" in shown(pilot))


async def test_that_nobody_is_there_to_answer_any_more_stays_on_the_screen(
    world: World, open_wizard: Open
) -> None:
    async with open_wizard(started(world, Step.LAUNCH)) as pilot:
        await launched(pilot, world)
        world.launch.move("ready", "serving")
        await until(pilot, lambda: "^n Next" in shown(pilot))
        await pilot.press("ctrl+n")
        await at(pilot, Step.CHAT)
        await until(pilot, lambda: "✓ Launch" in shown(pilot))
        world.launch.brief = "node 1 (10.0.0.12) failed: exited with code 137 (signal 9)."
        world.launch.move("failed", "ready")
        await until(pilot, lambda: "(signal 9). Esc leads to it." in words(pilot))
        assert "✓ Launch" not in shown(pilot)
        await pilot.press(*"hi", "enter")
        await until(pilot, lambda: "Hello there" in shown(pilot))
        assert "(signal 9). Esc leads to it." in words(pilot)


async def test_f4_stops_an_answer_and_keeps_what_came(world: World, open_wizard: Open) -> None:
    world.may_end = asyncio.Event()
    session = started(world, Step.CHAT)
    async with open_wizard(session) as pilot:
        await pilot.press(*"hi", "enter")
        await until(pilot, lambda: "Hello there" in shown(pilot))
        await pilot.press("f4")
        await until(pilot, lambda: "stopped" in shown(pilot))
        assert "Hello there" in shown(pilot)


async def test_a_failure_is_said_and_the_next_question_works(
    world: World, open_wizard: Open
) -> None:
    world.reply = (WizardError("node 0 does not answer on port 8000."),)
    session = started(world, Step.CHAT)
    async with open_wizard(session) as pilot:
        await pilot.press(*"hi", "enter")
        await until(pilot, lambda: "No answer: node 0 does not answer" in shown(pilot))
        world.reply = ("Back",)
        await pilot.press(*"again", "enter")
        await until(pilot, lambda: "Back" in shown(pilot))
        assert world.asked[1] == [{"role": "user", "content": "again"}]


async def test_what_a_terminal_would_act_on_never_reaches_it(
    world: World, open_wizard: Open
) -> None:
    world.reply = ("a\x1b]52;c;aGk=\x07b", "\x1b[2Jc [red]d[/red]")
    session = started(world, Step.CHAT)
    async with open_wizard(session) as pilot:
        await pilot.press(*"hi", "enter")
        await until(pilot, lambda: "2 tokens" in shown(pilot))
        assert session.chat.messages[-1].content == "abc [red]d[/red]"
        assert "abc [red]d[/red]" in shown(pilot)
