"""The launch's page before the start: what the nodes said, and the question that follows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from textual.pilot import Pilot

from tests.screens.fakes import World, preset
from tests.screens.pilots import Open, shown, until, words
from tests.screens.test_checks import started
from wizard.checks.board import Board
from wizard.checks.model import CellKey, Result, Status
from wizard.checks.report import Report
from wizard.launch.conflict import Holder
from wizard.launch.launchplan import LaunchPlan
from wizard.launch.preflight import PreFlight
from wizard.launch.runtime import Container
from wizard.launch.survey import Inhabitant, Survey
from wizard.session import Step
from wizard.troubleshooting.findings import findings


def result(node: int, check: str, status: Status, summary: str, problem: str = "") -> Result:
    value = {"problem": problem} if problem else {}
    return Result(CellKey(node, None, check), status, summary, host="h", value=value)


def survey(*results: Result, running: tuple[Inhabitant, ...] = ()) -> Survey:
    lab, board = preset(), Board()
    for answer in results:
        board.put(answer)
    for node in range(len(lab.nodes)):
        if board.get(CellKey(node, None, "image")) is None:
            board.put(result(node, "image", Status.PASS, "the image is there"))
    found = tuple(findings(board, lab.cluster))
    report = Report("lab", lab.cluster, board, datetime.now(UTC), 1.0, findings=found)
    return Survey(PreFlight(lab, report), running=running)


MISSING = result(1, "image", Status.FAIL, "the image is not on the node", "image-missing")
TAKEN = result(0, "ports", Status.FAIL, "taken: 8000 (the API)", "port-taken")
TIGHT = result(1, "disk", Status.WARN, "only 9 GiB are free on /", "disk-full")
OTHER = Inhabitant(1, Container("ab" * 32, "training", "running", image="busybox"), npus=(2, 3))


async def ask(pilot: Pilot[int], question: str) -> None:
    """Want the launch, and wait for what is asked first."""
    await pilot.press("l")
    await until(pilot, lambda: question in shown(pilot))


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_what_the_nodes_say_stands_above_the_steps(
    world: World, open_wizard: Open, size: tuple[int, int]
) -> None:
    world.survey = survey(MISSING, TAKEN, TIGHT, running=(OTHER,))
    async with open_wizard(started(world, Step.LAUNCH), size=size) as pilot:
        await until(pilot, lambda: "1 thing stands in the way" in shown(pilot))
        text = " ".join(shown(pilot).split())
        assert "✗ Node 0: taken: 8000 (the API)." in text
        assert "! The image is not on node 1 (10.0.0.12). It comes by docker pull" in text
        assert text.index("In the way") < text.index("To fetch") < text.index("To know")
        if size[1] > 24:
            assert "Node 1: only 9 GiB are free on /" in text
            assert "node 0 (10.0.0.11) ✗ fail taken: 8000" in text
            assert "node 1: training (busybox, running): not one of ours, holds NPUs 2-3" in text
            assert "! never run" in text
            assert text.index("Containers there now") < text.index("Steps")
        else:
            assert "Steps" not in text
            await until(pilot, lambda: "PgDn More" in shown(pilot))
            await pilot.press("pagedown")  # while the button has the focus
            await until(pilot, lambda: "Steps" in shown(pilot))


async def test_checks_that_end_meanwhile_are_taken_up_and_leave_to_the_nodes_what_is_newer(
    world: World, open_wizard: Open
) -> None:
    world.survey = survey()
    world.bad, world.problem = {CellKey(1, None, "ssh"): Status.FAIL}, "image-missing"
    session = started(world, Step.LAUNCH)
    session.start_checks()
    async with open_wizard(session, size=(160, 48)) as pilot:
        await until(pilot, lambda: "they run now" in shown(pilot))
        await until(pilot, lambda: world.plans == 1)
        world.run.finish()
        await until(pilot, lambda: world.plans == 2)  # it tells how they went
        assert "they run now" not in shown(pilot)
        assert session.findings()
        await ask(pilot, "Launch on 2 nodes now?")
        assert "The checks found" not in shown(pilot)  # the image has come since
        await pilot.press("escape")
        world.run.problem = "ping-loss"  # what that amounts to, no single answer says
        for ping in [r.key for r in world.run.board if r.key.check == "ping"]:
            world.run.answer(ping, Status.FAIL)
        await ask(pilot, "The checks found 1 problem")


async def test_a_missing_image_is_fetched_after_the_question_alone(
    world: World, open_wizard: Open
) -> None:
    world.survey = survey(MISSING)
    async with open_wizard(started(world, Step.LAUNCH)) as pilot:
        await until(pilot, lambda: "To fetch" in shown(pilot))
        await ask(pilot, "Fetch and launch")
        assert "It is fetched first (docker pull" in " ".join(shown(pilot).split())
        assert not world.launch.fetch_image
        await pilot.press("enter")  # the harmless answer has the focus
        await until(pilot, lambda: "Fetch and launch" not in shown(pilot))
        assert not world.launch.fetch_image
        await ask(pilot, "Fetch and launch")
        await pilot.press("right", "enter")
        await until(pilot, lambda: "start" in world.launch.calls)
        assert world.launch.fetch_image


async def test_what_stands_in_the_way_is_said_in_the_question(
    world: World, open_wizard: Open
) -> None:
    world.survey = survey(TAKEN)
    async with open_wizard(started(world, Step.LAUNCH)) as pilot:
        await until(pilot, lambda: "1 thing stands in the way" in shown(pilot))
        await ask(pilot, "Launch on 2 nodes now?")
        text = " ".join(shown(pilot).split())
        assert "1 thing stands in the way. Node 0: taken: 8000 (the API)." in text
        assert "Fetch and launch" not in text
        await pilot.press("escape")
        world.survey = survey()
        await pilot.press("r")
        await until(pilot, lambda: "This is what Launch does" in shown(pilot))
        assert world.plans == 2
        await ask(pilot, "Launch on 2 nodes now?")
        assert "in the way" not in shown(pilot)
        await pilot.press("right", "enter")
        await until(pilot, lambda: "start" in world.launch.calls)
        assert not world.launch.fetch_image


def test_a_node_that_cannot_be_asked_is_told_once() -> None:
    why = "node 1 (10.0.0.12) cannot be reached"
    away = [result(1, check, Status.ERROR, why) for check in ("ssh", "runtime", "image")]
    plan = LaunchPlan(preset(), "x1", survey=replace(survey(*away), unknown={1: why}))
    assert plan.node_blockers == [f"node 1: {why}."]
    assert plan.node_doubts == []
    assert plan.nodes()[1][1:] == ("error", why)
    assert plan.container_lines() == ["node 1: not known"]  # not: none


async def test_a_launch_that_came_first_is_asked_about_instead_of_begun_in_vain(
    world: World, open_wizard: Open
) -> None:
    theirs = Holder(
        *("preset", 0, "node 0 (10.0.0.11)", "vllm-ascend", "img", "running", "lab", "2026-x")
    )
    ours = {"problem": "own-launch"}
    busy = Result(CellKey(0, None, "ports"), Status.WARN, "taken: 8000", host="h", value=ours)
    world.survey = replace(survey(busy), holders=(theirs, replace(theirs, node=1, where="node 1")))
    session = started(world, Step.LAUNCH)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "This preset is launched already" in shown(pilot))
        text = words(pilot)
        assert text.count("lab is on node") == 1
        assert "--attach" not in text  # the command line's way
        assert "Nothing is wrong" not in text  # what it holds is no news
        world.survey = replace(survey(busy, MISSING, TAKEN), holders=(theirs,))  # upgraded
        await pilot.press("r")
        await until(pilot, lambda: "To fetch" in shown(pilot))
        await ask(pilot, "Stop it and launch anew")
        for told in ("It is fetched first (", "1 thing stands in the way. Node 0", "have not been"):
            assert told in words(pilot)
        await pilot.press("tab", "tab", "enter")
        await until(pilot, lambda: "restart" in world.launch.calls)
        assert world.launch.fetch_image
        plans = world.plans
        await session.planning.fresh()
        assert world.plans == plans + 1  # what was there before is no news


async def test_while_the_image_is_fetched_no_usual_time_is_told(
    world: World, open_wizard: Open
) -> None:
    world.survey = survey(MISSING)
    async with open_wizard(started(world, Step.LAUNCH)) as pilot:
        await until(pilot, lambda: "To fetch" in shown(pilot))
        await ask(pilot, "Fetch and launch")
        await pilot.press("right", "enter")
        await until(pilot, lambda: "usually 10-20 min" in shown(pilot))
        rank = world.launch.ranks[1]
        rank.stage, rank.detail = "image", "3 of 12 layers fetched, 1 unpacked, 4.2 GB written"
        world.launch.revision += 1
        await until(pilot, lambda: "3 of 12 layers fetched" in shown(pilot))
        assert "starting: the image is fetched first (0:0" in shown(pilot)
        assert "usually 10-20 min" not in shown(pilot)
