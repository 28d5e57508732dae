"""Where the fix of a launch's failure leads: to the field, the cell or the problem itself."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from screens.app import WizardApp
from screens.checks import ChecksScreen
from screens.widgets.panes import Panes
from tests.screens.fakes import World
from tests.screens.pilots import Open, at, until, words
from tests.screens.test_checks import LINK, started
from wizard.checks.model import CellKey, Status
from wizard.draft import node_key
from wizard.parameters import parameter_of
from wizard.session import Session, Step


async def lead(pilot: Pilot[int], step: Step, **place: Any) -> None:
    app = pilot.app
    assert isinstance(app, WizardApp)
    app.goto(step, place)
    await at(pilot, step)


def in_field(pilot: Pilot[int], name: str) -> bool:
    focused = pilot.app.focused
    return focused is not None and name in {node.id for node in focused.ancestors_with_self}


async def test_to_a_detail_of_a_node(world: World, open_wizard: Open) -> None:
    async with open_wizard(started(world, Step.LAUNCH)) as pilot:
        await lead(pilot, Step.NODES, field="nodes[1].nic", node=1)
        await until(pilot, lambda: in_field(pilot, "nic"))
        assert "Details of node 1" in words(pilot)
        await pilot.press(*"eth7")
        assert isinstance(pilot.app.focused, Input)
        assert pilot.app.focused.value.endswith("eth7")


async def test_to_a_node_that_is_gone_harms_nothing(world: World, open_wizard: Open) -> None:
    async with open_wizard(started(world, Step.LAUNCH)) as pilot:
        await lead(pilot, Step.NODES, field="nodes[9].nic", node=9)
        await until(pilot, lambda: in_field(pilot, "node0"))


@pytest.mark.parametrize(
    ("key", "field"),
    [
        ("container.image", "field-image"),
        ("serve.args.--gpu-memory-utilization", "field-gpu-memory-utilization"),
        ("serve.args.--quantization", "field-args"),
        ("serve.env.HCCL_BUFFSIZE", "field-env"),
        ("serve.model", "field-model"),
    ],
)
async def test_to_a_field_of_the_recipe(
    world: World, open_wizard: Open, key: str, field: str
) -> None:
    async with open_wizard(started(world, Step.LAUNCH)) as pilot:
        await lead(pilot, Step.PREVIEW, field=key, node=0)
        await until(pilot, lambda: in_field(pilot, field))


async def test_to_the_first_bad_cell_of_a_check(world: World, open_wizard: Open) -> None:
    world.bad = {LINK: Status.FAIL}  # device 3 of node 1
    session = ran(world)
    async with open_wizard(session) as pilot:
        await lead(pilot, Step.CHECKS, check="link", node=1)
        await until(pilot, lambda: selected(pilot) == LINK)
        await lead(pilot, Step.CHECKS, check="link", node=0, device=1)
        await until(pilot, lambda: selected(pilot) == CellKey(0, 1, "link"))


async def test_to_the_problem_of_a_pair(world: World, open_wizard: Open) -> None:
    world.bad = {LINK: Status.FAIL, CellKey(0, 5, "gateway"): Status.FAIL}
    async with open_wizard(ran(world)) as pilot:
        for node, device, other in ((0, 5, (1, 3)), (1, 3, (0, 4))):
            pair = {"node": node, "device": device, "peer_node": other[0], "peer_device": 9}
            await lead(pilot, Step.TROUBLESHOOTING, check="ping", **pair)
            there = f"node {node} device {device}"
            await until(pilot, lambda t=there: t in highlighted(pilot))  # type: ignore[misc]
        await lead(pilot, Step.TROUBLESHOOTING, check="ping", node=1, device=7)
        await until(pilot, lambda: "knew no problem there" in words(pilot))


def highlighted(pilot: Pilot[int]) -> str:
    """The current line of the list of problems; "" while there is none."""
    problems = pilot.app.screen.query_one("#problems", OptionList)
    return str(problems.highlighted_option.prompt) if problems.highlighted_option else ""


def ran(world: World) -> Session:
    session = started(world, Step.LAUNCH)
    session.start_checks()
    world.run.finish()
    return session


def selected(pilot: Pilot[int]) -> CellKey | None:
    assert isinstance(pilot.app.screen, ChecksScreen)
    matrix = pilot.app.screen.query_one(Panes).matrix
    result = matrix.selected if matrix else None
    return result.key if result else None


def test_keys_that_have_no_field() -> None:
    assert parameter_of("precision") is None
    assert parameter_of("") is None
    assert node_key("serve.model") is None
    assert node_key("nodes[1].nic") == (1, "nic")
