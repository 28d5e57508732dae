"""The dialog for passphrases and passwords: over any step, one at a time, and never readable."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import SecretStr
from textual.pilot import Pilot
from textual.widgets import Input

from screens import app, secrets
from screens.secrets import SecretScreen
from screens.widgets.dialog import Confirm
from tests.screens.fakes import World
from tests.screens.pilots import Open, at, shown, until
from tests.screens.test_checks import started
from wizard.cluster import Node
from wizard.remote.secrets import SecretKind, SecretRequest
from wizard.secretdesk import SecretDesk
from wizard.session import Step

NODES = [f"node {n} (10.0.0.{11 + n})" for n in range(5)]


@pytest.fixture(autouse=True)
def _typed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pilots type as soon as they see the question."""
    monkeypatch.setattr(secrets, "SOON_S", 0.0)


def question(*nodes: str, **changes: object) -> SecretRequest:
    values = {"kind": SecretKind.PASSWORD, "subject": "ops", "nodes": list(nodes or NODES[:1])}
    return SecretRequest(**(values | changes))  # type: ignore[arg-type]


async def dialog(pilot: Pilot[int]) -> None:
    await until(pilot, lambda: isinstance(pilot.app.screen, SecretScreen))
    await until(pilot, lambda: "for node" in shown(pilot))


@pytest.mark.parametrize(
    ("step", "size"),
    [(Step.NODES, (80, 24)), (Step.PREVIEW, (80, 24)), (Step.LAUNCH, (160, 48))],
)
async def test_a_password_is_typed_over_any_step(
    world: World, open_wizard: Open, step: Step, size: tuple[int, int]
) -> None:
    session = started(world, step)
    async with open_wizard(session, size=size) as pilot:
        asked = asyncio.create_task(session.secrets.ask(question(*NODES)))
        await dialog(pilot)
        assert "Password of the user ops" in shown(pilot)
        assert "for node 0 (10.0.0.11), node 1 (10.0.0.12) and 3 more nodes" in shown(pilot)
        await pilot.press("enter", *"hunter2")
        assert "hunter2" not in shown(pilot)
        assert "hunter2" not in pilot.app.export_screenshot()
        assert not asked.done(), "Enter on nothing is no answer"
        await pilot.press("enter")
        await at(pilot, step)
        answer = await asked
    assert answer is not None
    assert answer.get_secret_value() == "hunter2"


async def test_escape_gives_nothing_and_the_next_question_comes(
    world: World, open_wizard: Open
) -> None:
    session = started(world, Step.CHECKS)
    async with open_wizard(session) as pilot:
        first = asyncio.create_task(session.secrets.ask(question()))
        again = question(attempt=2, refused="node 0 (10.0.0.11) refused it")
        second = asyncio.create_task(session.secrets.ask(again))
        await dialog(pilot)
        await pilot.press("x", "escape")
        assert await first is None
        await until(pilot, lambda: "Asked again: node 0 (10.0.0.11) refused it." in shown(pilot))
        assert pilot.app.screen.query_one(Input).value == ""
        await pilot.press("y", "enter")
        assert await second == SecretStr("y")
        await at(pilot, Step.CHECKS)


async def test_nodes_that_come_to_wait_are_named_and_a_question_given_up_goes(
    world: World, open_wizard: Open
) -> None:
    session = started(world, Step.CHECKS)
    nodes = NODES[:1]
    async with open_wizard(session) as pilot:
        request = SecretRequest(SecretKind.PASSPHRASE, "/root/.ssh/id_rsa", nodes)
        asked = asyncio.create_task(session.secrets.ask(request))
        await dialog(pilot)
        nodes.append(NODES[1])
        await until(pilot, lambda: NODES[1] in shown(pilot))
        asked.cancel()
        await at(pilot, Step.CHECKS)


async def test_it_waits_for_other_dialogs(world: World, open_wizard: Open) -> None:
    session = started(world, Step.CHECKS)
    async with open_wizard(session) as pilot:
        pilot.app.push_screen(Confirm("Really?", (("no", "No", "default"),)))
        asked = asyncio.create_task(session.secrets.ask(question()))
        await until(pilot, lambda: session.secrets.pending is not None)
        await pilot.pause(0.3)
        assert isinstance(pilot.app.screen, Confirm)
        await pilot.press("escape")
        await dialog(pilot)
        await pilot.press("escape")
        assert await asked is None


async def test_what_was_meant_for_something_else_is_not_sent(
    world: World, open_wizard: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "SOON_S", 3600.0)
    session = started(world, Step.CHECKS)
    async with open_wizard(session) as pilot:
        asked = asyncio.create_task(session.secrets.ask(question()))
        await dialog(pilot)
        await pilot.press(*"abc", "enter")
        await until(pilot, lambda: "Not used: Enter came as soon as the question." in shown(pilot))
        assert pilot.app.screen.query_one(Input).value == ""
        assert not asked.done()
        monkeypatch.setattr(secrets, "SOON_S", 0.0)
        await pilot.press("x", "enter")
        assert await asked == SecretStr("x")


async def test_it_comes_up_when_the_typing_in_a_field_pauses(
    world: World, open_wizard: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "PAUSE_S", 3600.0)
    session = started(world, Step.CHECKS)
    async with open_wizard(session) as pilot:
        await pilot.press("slash", "a")
        await until(pilot, lambda: isinstance(pilot.app.focused, Input))
        asked = asyncio.create_task(session.secrets.ask(question()))
        await until(pilot, lambda: session.secrets.pending is not None)
        await pilot.press(*"bc")
        await pilot.pause(0.3)
        assert not isinstance(pilot.app.screen, SecretScreen)
        assert isinstance(pilot.app.focused, Input)
        assert pilot.app.focused.value == "abc"
        monkeypatch.setattr(app, "PAUSE_S", 0.0)
        await dialog(pilot)
        await pilot.press("escape")
        assert await asked is None


def test_what_was_typed_for_some_nodes_is_not_for_others() -> None:
    def node(host: str) -> Node:
        return Node(0, host, user="ops")

    desk = SecretDesk()
    first = desk.secrets_for([node("a"), node("b")])
    assert desk.secrets_for([node("b")]) is first
    assert desk.secrets_for([node("b"), node("c")]) is not first
