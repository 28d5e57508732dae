"""The launch: asked for, followed, outliving the screen, stopped."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from tests.screens.fakes import FakeLaunch, World
from tests.screens.pilots import Open, at, shown, until
from tests.screens.test_checks import started
from wizard.diagnosis.reading import read_lines
from wizard.diagnosis.verdict import diagnose
from wizard.session import Step


class Found(FakeLaunch):
    runs_already = True


class Stuck(FakeLaunch):
    stop_problems = ("node 1 (10.0.0.12) cannot be reached",)


async def launched(pilot: Pilot[int], world: World) -> None:
    await until(pilot, lambda: "This is what Launch does" in shown(pilot))
    await pilot.press("l")
    await until(pilot, lambda: "Launch on 2 nodes now?" in shown(pilot))
    await pilot.press("right", "enter")
    await until(pilot, lambda: "follow" in world.launch.calls)


async def test_it_asks_before_it_launches(world: World, open_wizard: Open) -> None:
    session = started(world, Step.LAUNCH)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "create the container vllm-ascend on node 0" in shown(pilot))
        await pilot.press("l")
        await until(pilot, lambda: "The checks have not been run" in shown(pilot))
        await pilot.press("enter")  # the harmless answer has the focus
        await until(pilot, lambda: "Launch on 2 nodes now?" not in shown(pilot))
        assert world.launch.calls == ["attach"]
        await launched(pilot, world)
        assert world.launch.calls == ["attach", "start", "follow"]


async def test_what_the_linter_warns_of_stands_above_the_plan_and_in_the_question(
    world: World, open_wizard: Open
) -> None:
    session = started(world, Step.LAUNCH)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "! node0/serve.sh:21: warning: The API" in shown(pilot))
        await pilot.press("l")
        await until(pilot, lambda: "1 warning about the scripts; none blocks" in shown(pilot))


async def test_stages_and_logs_are_shown_until_it_serves(world: World, open_wizard: Open) -> None:
    session = started(world, Step.LAUNCH)
    async with open_wizard(session) as pilot:
        await launched(pilot, world)
        world.launch.move("running", "weights 12 of 163", [f"line {n}" for n in range(50)])
        await until(pilot, lambda: "weights 12 of 163" in shown(pilot))
        await until(pilot, lambda: "line 49" in shown(pilot))
        assert "line 3 " not in shown(pilot)  # it follows the end
        assert "^n Next" not in shown(pilot)  # there is nothing to go on to
        await pilot.press("ctrl+n")
        await until(pilot, lambda: "once the model is served" in shown(pilot))
        await pilot.press("o")  # node 0 alone
        world.launch.ranks[1].log.extend(["only of node 1"])
        await until(pilot, lambda: "n0 line 49" not in shown(pilot))
        assert "only of node 1" not in shown(pilot)
        await pilot.press("o")
        await until(pilot, lambda: "only of node 1" in shown(pilot))
        world.launch.move("ready", "serving")
        await until(pilot, lambda: "✓ ready" in shown(pilot))
        await until(pilot, lambda: "once the model is served" not in shown(pilot))
        await until(pilot, lambda: "^n Next" in shown(pilot))
        world.launch.ranks[1].state = "unreachable"
        world.launch.revision += 1
        await until(pilot, lambda: "! ready; node 1 cannot be reached" in shown(pilot))
        await pilot.press("ctrl+n")
        await at(pilot, Step.CHAT)


async def test_it_goes_on_when_the_screen_is_left(world: World, open_wizard: Open) -> None:
    session = started(world, Step.LAUNCH)
    async with open_wizard(session) as pilot:
        await launched(pilot, world)
        await pilot.press("escape")
        await at(pilot, Step.PREVIEW)
        assert session.launch_active
        world.launch.move("ready", "serving", ["Application startup complete."])
        await until(pilot, lambda: "The launch serves" in shown(pilot))
        await pilot.press("ctrl+n")
        await until(pilot, lambda: "Application startup complete." in shown(pilot))
        assert len(world.launches) == 1


async def test_a_failure_is_named_and_can_be_tried_again(world: World, open_wizard: Open) -> None:
    session = started(world, Step.LAUNCH)
    async with open_wizard(session) as pilot:
        await launched(pilot, world)
        world.launch.ranks[1].detail = "HCCL port 16666 is taken"
        world.launch.move("failed", "ranks", ["RuntimeError: boom"])
        await until(pilot, lambda: "HCCL port 16666 is taken" in shown(pilot))
        await until(pilot, lambda: "Launch again" in shown(pilot))
        await pilot.press("l")
        await until(pilot, lambda: "now?" in shown(pilot))
        await pilot.press("right", "enter")
        await until(pilot, lambda: len(world.launches) == 2)
        await until(pilot, lambda: world.launch.calls == ["start", "follow"])


OOM = (
    "(Worker_TP3 pid=9) ERROR 11-20 10:15:31 [w.py:1] torch.OutOfMemoryError: NPU out of memory. "
    "Tried to allocate 2.50 GiB (NPU 3; 60.97 GiB total capacity; 57.60 GiB already allocated)"
)
NIC = "RuntimeError: [enforce fail] ifa != nullptr. Unable to find address for: eth[9]"
KILLED = "serve.sh: line 41:   312 Killed                  vllm serve"


async def failed_with(pilot: Pilot[int], world: World, node: int, line: str) -> None:
    await launched(pilot, world)
    world.launch.diagnosis = diagnose(
        [
            log
            for rank in world.launch.ranks
            for log in read_lines(
                rank.rank, f"node {rank.rank}", [line if rank.rank == node else "INFO all is well"]
            )
        ]
    )
    world.launch.brief = f"node {node} (10.0.0.{11 + node}) failed: exited with code 1."
    world.launch.message = world.launch.brief + " Cause, told at length."
    world.launch.move("failed", "weights", [f"log line {n}" for n in range(40)])
    await until(pilot, lambda: "CAUSE on node" in shown(pilot))


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_the_cause_is_shown_with_its_line_and_fix(
    world: World, open_wizard: Open, size: tuple[int, int]
) -> None:
    async with open_wizard(started(world, Step.LAUNCH), size=size) as pilot:
        await failed_with(pilot, world, 1, OOM)
        text = " ".join(shown(pilot).split())
        assert "CAUSE on node 1 npu_oom g goes to check npu_idle, node 1" in text
        assert "NPU 3 ran out of memory" in text
        assert "node 1, line 1: torch.OutOfMemoryError" in text
        assert "To do: Compare the number of nodes" in text
        assert "failed: exited with code 1." in text
        assert "told at length" not in text  # the panel says it
        # there is still room for a log
        await until(pilot, lambda: "log line 39" in shown(pilot))
        await until(pilot, lambda: "g Cause" in shown(pilot))


async def test_g_goes_where_the_fix_leads(world: World, open_wizard: Open) -> None:
    async with open_wizard(started(world, Step.LAUNCH)) as pilot:
        await failed_with(pilot, world, 1, NIC)
        assert "eth[9]" in shown(pilot)  # remote text is never markup
        await pilot.press("g")
        await at(pilot, Step.NODES)
        await until(pilot, lambda: "nodes[1].nic" in shown(pilot))
        await pilot.press("escape")  # not to the hardware, the step before
        await at(pilot, Step.LAUNCH)
        await until(pilot, lambda: "CAUSE on node 1" in shown(pilot))


async def test_g_names_the_field_as_the_form_does(world: World, open_wizard: Open) -> None:
    async with open_wizard(started(world, Step.LAUNCH)) as pilot:
        await failed_with(
            pilot,
            world,
            0,
            "RuntimeError: HCCL_BUFFSIZE is too SMALL, maxBs = 256, h = 7168, epWorldSize = 32, "
            "NEEDED_HCCL_BUFFSIZE = 1537MB, HCCL_BUFFSIZE=1024MB.",
        )
        await pilot.press("g")
        await at(pilot, Step.PREVIEW)
        await until(pilot, lambda: "Look at: More variables" in shown(pilot))


async def test_g_goes_to_the_log_of_a_node_that_was_killed(world: World, open_wizard: Open) -> None:
    async with open_wizard(started(world, Step.LAUNCH)) as pilot:
        await failed_with(pilot, world, 1, KILLED)
        world.launch.ranks[1].log.extend(["only of node 1"])
        await until(pilot, lambda: "only of node 1" in shown(pilot))  # the culprit's log is shown
        await pilot.press("o", "o")  # merged, then node 0
        await until(pilot, lambda: "only of node 1" not in shown(pilot))
        await pilot.press("g")
        await until(pilot, lambda: "only of node 1" in shown(pilot))
        await at(pilot, Step.LAUNCH)


async def test_without_a_failure_there_is_no_cause_to_go_to(
    world: World, open_wizard: Open
) -> None:
    async with open_wizard(started(world, Step.LAUNCH)) as pilot:
        await launched(pilot, world)
        world.launch.move("running", "weights")
        await until(pilot, lambda: "weights" in shown(pilot))
        assert "g Cause" not in shown(pilot)
        await pilot.press("g")
        await at(pilot, Step.LAUNCH)


async def test_a_launch_that_runs_already_is_found(world: World, open_wizard: Open) -> None:
    world.launch_type = Found
    session = started(world, Step.LAUNCH)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "runs already" in shown(pilot))
        assert world.launch.calls == ["attach", "follow"]


async def test_stop_asks_and_says_what_is_left(world: World, open_wizard: Open) -> None:
    world.launch_type = Stuck
    session = started(world, Step.LAUNCH)
    async with open_wizard(session) as pilot:
        await launched(pilot, world)
        await pilot.press("s")
        await until(pilot, lambda: "Stop the launch on every node?" in shown(pilot))
        await pilot.press("right", "enter")
        await until(pilot, lambda: "Not all is stopped: node 1" in shown(pilot))


async def test_quit_while_it_runs_asks(world: World, open_wizard: Open) -> None:
    session = started(world, Step.LAUNCH)
    async with open_wizard(session) as pilot:
        await launched(pilot, world)
        world.launch.move("running", "weights")
        await pilot.press("ctrl+q")
        await until(pilot, lambda: "Leave it running" in shown(pilot))
        await pilot.press("right", "enter")  # Cancel
        await until(pilot, lambda: "Leave it running" not in shown(pilot))
        assert pilot.app.is_running
        await pilot.press("ctrl+q")
        await until(pilot, lambda: "Leave it running" in shown(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: not pilot.app.is_running)
        assert "stop" not in world.launch.calls


async def test_what_a_failure_leaves_can_be_stopped(world: World, open_wizard: Open) -> None:
    session = started(world, Step.LAUNCH)
    async with open_wizard(session) as pilot:
        await launched(pilot, world)
        world.launch.move("failed", "ranks")
        await until(pilot, lambda: not session.launch_active)
        assert pilot.app.screen.check_action("stop", ()) is False, "all of it has ended"
        world.launch.ranks[0].state = "ready"  # it served: nothing is ended on a guess
        await pilot.press("ctrl+q")
        await until(pilot, lambda: "Stop them and quit" in shown(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: "Stop them and quit" not in shown(pilot))
        world.launch.revision += 1
        await until(pilot, lambda: "s stops what may be left of it" in shown(pilot))
        await pilot.press("s")
        await until(pilot, lambda: "Stop what is left" in shown(pilot))
        await pilot.press("right", "enter")
        await until(pilot, lambda: world.launch.state == "stopped")


async def test_quit_can_stop_it(world: World, open_wizard: Open) -> None:
    session = started(world, Step.LAUNCH)
    async with open_wizard(session) as pilot:
        await launched(pilot, world)
        world.launch.move("running", "weights")
        await pilot.press("ctrl+q")
        await until(pilot, lambda: "Stop it and quit" in shown(pilot))
        await pilot.press("right", "right", "enter")
        await until(pilot, lambda: not pilot.app.is_running)
        assert world.launch.calls[-1] == "stop"


async def test_leaving_is_not_offered_while_it_is_being_started(
    world: World, open_wizard: Open
) -> None:
    session = started(world, Step.LAUNCH)
    async with open_wizard(session) as pilot:
        await launched(pilot, world)  # the stand-in stays in "starting"
        await pilot.press("ctrl+q")
        await until(pilot, lambda: "is being started" in shown(pilot))
        assert "Leave it running" not in shown(pilot)
