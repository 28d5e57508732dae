"""The page of host keys that are not known: shown over any step, and accepting only on purpose."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from screens.hostkeys import HostKeyScreen
from screens.widgets.dialog import Confirm
from tests.screens.fakenodes import FakeFleet
from tests.screens.fakes import World
from tests.screens.pilots import Open, at, shown, until
from tests.screens.test_checks import started
from wizard.checks.model import CellKey, Status
from wizard.errors import ChangedHostKey, HostKeyError, UnknownHostKey
from wizard.remote.shownkey import KeyState, RecordedKey, ShownKey
from wizard.session import Session, Step

RECORDED = RecordedKey("ssh-rsa", "SHA256:" + "o" * 43, "/root/.ssh/known_hosts", 7)


def key(rank: int, state: KeyState = KeyState.UNKNOWN, **changes: object) -> ShownKey:
    host = f"10.0.0.{11 + rank}"
    values: dict[str, object] = {
        "state": state,
        "who": f"node {rank} ({host})",
        "name": f"[{host}]:220{rank}",
        "key_type": "ssh-ed25519",
        "fingerprint": "SHA256:" + str(rank) * 43,
        "public_key": f"ssh-ed25519 AAAA{rank}",
        "file": "/root/.ssh/known_hosts",
        "nodes": (rank,),
        "recorded": (RECORDED,) if state is KeyState.CHANGED else (),
    }
    return ShownKey(**(values | changes))  # type: ignore[arg-type]


def report(session: Session, *keys: ShownKey) -> FakeFleet:
    """Have the connections find these keys, as when nodes are connected to."""
    fleet = session.fleet()
    for one in keys:
        kind = UnknownHostKey if one.state is KeyState.UNKNOWN else ChangedHostKey
        for rank in one.nodes:
            fleet.host_keys.report(rank, kind("no", node=rank, shown=one))
    return fleet  # type: ignore[return-value]


async def page(pilot: Pilot[int], *shown_keys: ShownKey) -> None:
    await until(pilot, lambda: isinstance(pilot.app.screen, HostKeyScreen))
    await until(pilot, lambda: "SHA256:" in shown(pilot))
    for one in shown_keys:  # reported one after the other, so shown so as well
        await until(pilot, lambda one=one: one.who in shown(pilot))  # type: ignore[misc]


@pytest.mark.parametrize("step", [Step.CHECKS, Step.PREVIEW, Step.LAUNCH])
async def test_all_of_them_are_shown_over_any_step(
    world: World, open_wizard: Open, step: Step
) -> None:
    session = started(world, step)
    async with open_wizard(session) as pilot:
        report(session, key(0), key(1))
        await page(pilot, key(0), key(1))
        text = shown(pilot)
        for one in (key(0), key(1)):
            assert one.who in text
            assert f"{one.key_type}  {one.fingerprint}" in text
        assert "2 host keys are not known" in text


async def test_one_is_accepted_and_the_other_keeps_waiting(world: World, open_wizard: Open) -> None:
    session = started(world, Step.CHECKS)
    async with open_wizard(session) as pilot:
        fleet = report(session, key(0), key(1))
        await page(pilot, key(0), key(1))
        await pilot.press("f10")
        await until(pilot, lambda: "No key is marked" in shown(pilot))
        await pilot.press("down", "space")
        await until(pilot, lambda: "[x] node 1" in shown(pilot))
        await pilot.press("f10")
        await until(pilot, lambda: fleet.accepted == [key(1)])
        await until(pilot, lambda: "1 host key is not known" in shown(pilot))
        assert "node 1 (10.0.0.12)" not in shown(pilot)
        await pilot.press("escape")
        await at(pilot, Step.CHECKS)
        assert fleet.accepted == [key(1)]
        assert session.host_keys.pending == []


async def test_all_are_accepted_by_keys_and_the_checks_of_their_nodes_go_on(
    world: World, open_wizard: Open
) -> None:
    session = started(world, Step.CHECKS)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: session.checks_running)
        world.run.bad = {CellKey(0, None, "ssh"): Status.FAIL, CellKey(1, None, "ssh"): Status.FAIL}
        fleet = report(session, key(0, nodes=(0,)))
        await page(pilot)
        await pilot.press("a", "tab", "right", "enter")
        await until(pilot, lambda: fleet.accepted == [key(0)])
        await at(pilot, Step.CHECKS)
        assert world.run.reruns == [], "what still runs is not run twice"
        world.run.finish()
        await until(pilot, lambda: world.run.reruns == [[CellKey(0, None, "ssh")]])


async def test_typing_can_mark_but_never_record(world: World, open_wizard: Open) -> None:
    session = started(world, Step.CHECKS)
    async with open_wizard(session) as pilot:
        fleet = report(session, key(0))
        await page(pilot, key(0))
        await pilot.press(*"a", "space", "enter", *"record yes", "enter", "up", "down", "enter")
        await pilot.pause()
        assert fleet.accepted == []
        assert isinstance(pilot.app.screen, HostKeyScreen)


async def test_a_changed_key_is_told_and_cannot_be_accepted(
    world: World, open_wizard: Open
) -> None:
    session = started(world, Step.CHECKS)
    async with open_wizard(session) as pilot:
        fleet = report(session, key(0, KeyState.CHANGED), key(1))
        await page(pilot, key(0, KeyState.CHANGED), key(1))
        text = shown(pilot)
        assert "1 host key is not known, 1 is refused" in text
        assert "CHANGED: refused" in text
        assert f"now shows  {key(0).fingerprint}" in text
        assert f"recorded   {RECORDED.fingerprint}" in text
        assert "known_hosts, line 7" in text
        assert "ssh-keygen -R '[10.0.0.11]:2200'" in text
        await pilot.press("a", "down", "space")
        await until(pilot, lambda: "never accepted" in shown(pilot))
        await pilot.press("y")
        await until(pilot, lambda: "Copied" in shown(pilot))
        copied = list((world.folder / "state" / "copied").iterdir())
        assert "ssh-keygen -R" in copied[0].read_text()
        await pilot.press("f10")
        await until(pilot, lambda: fleet.accepted == [key(1)])


async def test_only_changed_keys_leave_nothing_to_record(world: World, open_wizard: Open) -> None:
    session = started(world, Step.CHECKS)
    async with open_wizard(session) as pilot:
        fleet = report(session, key(0, KeyState.CHANGED))
        await page(pilot, key(0, KeyState.CHANGED))
        assert "Host keys: 1 is refused" in shown(pilot)
        await pilot.press("a", "f10")
        await pilot.pause()
        assert fleet.accepted == []
        await pilot.press("escape")
        await at(pilot, Step.CHECKS)


async def test_marks_stay_while_more_keys_come(world: World, open_wizard: Open) -> None:
    session = started(world, Step.CHECKS)
    jump = key(0, who="jump host bastion", name="bastion", nodes=(0,))
    async with open_wizard(session) as pilot:
        fleet = report(session, jump)
        await page(pilot)
        assert "jump host bastion (on the way to node 0)" in shown(pilot)
        await pilot.press("a")
        report(session, key(0, who=jump.who, name=jump.name, nodes=(1,)), key(1))
        await until(pilot, lambda: "(on the way to nodes 0, 1)" in shown(pilot))
        await until(pilot, lambda: "[ ] node 1" in shown(pilot))
        assert "[x] jump host" in shown(pilot)
        await pilot.press("f10")
        await until(pilot, lambda: [k.name for k in fleet.accepted] == ["bastion"])
        assert fleet.accepted[0].nodes == (0, 1)


async def test_what_cannot_be_recorded_is_said_there(world: World, open_wizard: Open) -> None:
    session = started(world, Step.CHECKS)
    async with open_wizard(session) as pilot:
        fleet = report(session, key(0))
        fleet.accept_error = HostKeyError("The host key could not be recorded: disk full.")
        await page(pilot, key(0))
        await pilot.press("a", "f10")
        await until(pilot, lambda: "disk full" in shown(pilot))
        fleet.accept_error = None
        await pilot.press("f10")
        await at(pilot, Step.CHECKS)
        assert fleet.accepted == [key(0)]


async def test_another_question_is_answered_first(world: World, open_wizard: Open) -> None:
    session = started(world, Step.CHECKS)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: session.checks_running)
        await pilot.press("ctrl+q")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        report(session, key(0))
        await pilot.pause(0.3)
        assert isinstance(pilot.app.screen, Confirm)
        await pilot.press("escape")
        await page(pilot, key(0))


async def test_the_preview_asks_again_by_itself(world: World, open_wizard: Open) -> None:
    session = started(world, Step.PREVIEW)
    world.complete_error = UnknownHostKey("The host key of node 0 is unknown.", shown=key(0))
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "is unknown" in shown(pilot))
        report(session, key(0))
        await page(pilot, key(0))
        world.complete_error = None
        await pilot.press("a", "f10")
        await until(pilot, lambda: "container.sh" in shown(pilot))
