"""Launches that run already: offered on the first screen, and settled when one is in the way."""

from __future__ import annotations

import time
from dataclasses import replace

from textual.pilot import Pilot

from tests.screens.fakes import FakeLaunch, World, preset
from tests.screens.pilots import Open, at, shown, until, words
from tests.screens.test_checks import started
from tests.screens.test_launch import Found, launched
from tests.screens.test_launch_plan import survey
from wizard.launch.conflict import Holder, Taken
from wizard.session import Session, Step


async def test_a_running_launch_of_a_saved_preset_is_offered_and_gone_to(
    world: World, open_wizard: Open
) -> None:
    world.store.save(preset())
    world.launch_type, world.running = Found, {"lab"}
    world.may_answer.clear()
    session = Session(rooms=world.rooms)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "Looking for running launches of lab ..." in shown(pilot))
        await pilot.press("down", "down")  # the keys work meanwhile
        world.may_answer.set()
        await until(
            pilot, lambda: "Go to the launch of lab  runs on 2 nodes, since" in shown(pilot)
        )
        assert "2 hours ago" in shown(pilot)
        await pilot.press("enter")  # what was highlighted before still is
        await at(pilot, Step.HARDWARE)
        assert session.draft.preset_name == "lab"
        await pilot.press("escape")
        await at(pilot, Step.START)
        await pilot.press("home", "enter")
        await at(pilot, Step.LAUNCH)
        await until(pilot, lambda: "runs already; it is followed here" in shown(pilot))
        assert world.launch.calls == ["attach", "follow"]


async def test_what_could_not_be_asked_is_said_and_hinders_nobody(
    world: World, open_wizard: Open
) -> None:
    world.store.save(preset())
    world.unknown = {"lab"}
    async with open_wizard(Session(rooms=world.rooms)) as pilot:
        await until(pilot, lambda: "Whether lab runs is not known" in shown(pilot))
        assert "Go to the launch" not in shown(pilot)


async def test_a_launch_that_has_ended_is_not_offered_any_more(
    world: World, open_wizard: Open
) -> None:
    world.store.save(preset())
    world.running = {"lab"}
    async with open_wizard(Session(rooms=world.rooms)) as pilot:
        await until(pilot, lambda: "Go to the launch of lab" in shown(pilot))
        world.running = set()
        await pilot.press("enter")  # on a new deployment
        await at(pilot, Step.HARDWARE)
        await pilot.press("escape")
        await until(pilot, lambda: "Go to the launch of lab" not in shown(pilot))
        assert "New deployment" in shown(pilot)


async def test_nodes_that_let_nobody_in_are_not_tried_again_at_once(
    world: World, open_wizard: Open
) -> None:
    world.store.save(preset())
    world.unknown = {"lab"}
    session = Session(rooms=world.rooms)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "Whether lab runs is not known" in shown(pilot))
        world.unknown, world.running = set(), {"lab"}
        session.running.look([preset()])
        assert not session.running.asking
        assert session.running.away == ["lab"]


async def test_nothing_is_asked_when_nothing_is_known(world: World, open_wizard: Open) -> None:
    async with open_wizard(Session(rooms=world.rooms)) as pilot:
        await until(pilot, lambda: "New deployment" in shown(pilot))
        assert "Looking for" not in shown(pilot)


class Contested(FakeLaunch):
    """Somebody launched the preset between our look and our start."""

    status, engine = "running", ""

    async def start(self) -> None:
        if "restart" not in self.calls:
            self.calls.append("refused")
            self.conflict = Holder(
                "preset",
                0,
                "node 0 (10.0.0.11)",
                "vllm-ascend",
                "image",
                self.status,
                preset="lab",
                launch="20261125-001122-abc",
                owner="eve@jump2",
                since=time.time() - 300,
                ended=self.status == "exited",
                engine=self.engine,
            )
            raise Taken(self.conflict)
        await super().start()


async def contested(pilot: Pilot[int]) -> None:
    await until(pilot, lambda: "This is what Launch does" in shown(pilot))
    await pilot.press("l")
    await until(pilot, lambda: "Launch on 2 nodes now?" in shown(pilot))
    await pilot.press("right", "enter")
    await until(pilot, lambda: "launched by eve@jump2" in words(pilot))
    assert "5 minutes ago" in words(pilot)


async def test_who_came_second_may_restart_what_runs(world: World, open_wizard: Open) -> None:
    world.launch_type = Contested
    session = started(world, Step.LAUNCH)
    async with open_wizard(session) as pilot:
        await contested(pilot)
        await pilot.press("right", "right", "enter")
        await until(pilot, lambda: world.launch.calls[-2:] == ["start", "follow"])
        assert "restart" in world.launch.calls


async def test_or_go_to_it(world: World, open_wizard: Open) -> None:
    world.launch_type = Contested
    session = started(world, Step.LAUNCH)
    async with open_wizard(session) as pilot:
        await contested(pilot)
        world.launch_type = Found
        await pilot.press("right", "enter")
        await until(pilot, lambda: world.launch.calls[-2:] == ["attach", "follow"])
        assert "restart" not in world.launch.calls
        await until(pilot, lambda: "The launch failed" not in shown(pilot))


async def test_or_leave_it_and_is_asked_once_only(world: World, open_wizard: Open) -> None:
    world.launch_type = Contested
    session = started(world, Step.LAUNCH)
    async with open_wizard(session) as pilot:
        await contested(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: "Stop it and launch anew" not in shown(pilot))
        await until(pilot, lambda: "l asks again what to do" in shown(pilot))
        assert "--attach" not in shown(pilot)  # words of the command line
        assert world.launch.calls == ["attach", "refused"]


async def test_without_anybody_in_the_way_nothing_is_asked(world: World, open_wizard: Open) -> None:
    async with open_wizard(started(world, Step.LAUNCH)) as pilot:
        await launched(pilot, world)
        assert "Stop it and launch anew" not in shown(pilot)


class Aside(Contested):
    """What is in the way is under another engine."""

    engine = "podman"


async def test_what_another_engine_has_cannot_be_gone_to(world: World, open_wizard: Open) -> None:
    world.launch_type = Aside
    aside = Holder("preset", 0, "node 0", "vllm-ascend", "image", "running", engine="podman")
    async with open_wizard(started(world, Step.LAUNCH)) as pilot:
        await until(pilot, lambda: "This is what Launch does" in shown(pilot))
        world.survey = replace(survey(), holders=(aside,))  # who came first is seen by now
        await contested(pilot)
        await until(pilot, lambda: "Stop it and launch anew" in shown(pilot))
        assert "podman again" in words(pilot)
        assert "in the way" not in words(pilot)  # it is what is stopped
        assert "Go to it" not in words(pilot)
        await pilot.press("right", "enter")
        await until(pilot, lambda: "restart" in world.launch.calls)


class Left(Contested):
    """What is in the way has ended."""

    status = "exited"


async def test_what_has_ended_serves_nobody(world: World, open_wizard: Open) -> None:
    world.launch_type = Left
    session = started(world, Step.LAUNCH)
    async with open_wizard(session) as pilot:
        await contested(pilot)
        assert "lab is on node 0" in words(pilot)
        assert "Its logs are kept" in words(pilot)
        assert "takes the model" not in words(pilot)
        assert "Remove it and launch anew" in shown(pilot)
