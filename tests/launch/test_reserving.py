"""Two presets that share nodes in another order: one of them is launched, not none."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.launch.bench import FakeFleet, launch, preset, render, until
from wizard.launch.conflict import Claim, Taken
from wizard.launch.gang import claims
from wizard.launch.node import LaunchNode, directory
from wizard.launch.reserving import reserve_all
from wizard.launch.supervisor import Launch
from wizard.scripts import LaunchLabels


async def reserving(work: Launch, nodes: list[LaunchNode]) -> None:
    fence = work.fence
    labels = LaunchLabels(work.preset.name, fence.launch_id, "", fence.token, "me@here")
    scripts = render(work.preset, launch=labels)
    for node, script in zip(nodes, scripts, strict=True):
        await node.remote.upload(
            directory(fence.launch_id), {"container.sh": script.container.encode()}
        )
    await reserve_all(nodes, claims(work.preset, scripts, fence))


def crossing(tmp_path: Path) -> tuple[list[Launch], FakeFleet]:
    """Two launches: node 0 of each is node 1 of the other."""
    first, second = FakeFleet(preset(), tmp_path), FakeFleet(preset(name="twin"), tmp_path)
    for node, other in zip(second.nodes, first.nodes[::-1], strict=True):
        node.home, node.files = other.home, other.files
    return [launch(first), launch(second)], first


async def test_who_crosses_gives_back_and_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    works, fleet = crossing(tmp_path)
    both, given_back = asyncio.Barrier(2), asyncio.Barrier(2)
    turns, taken = iter([True, False]), set[str]()
    reserve = LaunchNode.reserve

    async def each_takes_its_node_0(node: LaunchNode, claim: Claim) -> None:
        await reserve(node, claim)
        if node.state.rank == 0 and node.preset not in taken:
            taken.add(node.preset)
            await both.wait()

    async def one_after_the_other() -> None:
        first = next(turns)
        await given_back.wait()
        if not first:
            await until(lambda: any(c for n in fleet.nodes for c in n.containers()), limit_s=30)

    monkeypatch.setattr(LaunchNode, "reserve", each_takes_its_node_0)
    monkeypatch.setattr("wizard.launch.reserving._pause", one_after_the_other)
    tasks = [reserving(work, work._nodes) for work in works]
    ends = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 60)
    ((winner, loser),) = [(works[i], ends[1 - i]) for i in (0, 1) if ends[i] is None]
    assert isinstance(loser, Taken)
    assert loser.holder.launch == winner.launch_id
    labels = [node.container["Config"]["Labels"] for node in fleet.nodes]
    assert {one["v32-wizard.launch"] for one in labels} == {winner.launch_id}


async def test_who_meets_a_launch_that_has_begun_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    works, fleet = crossing(tmp_path)

    async def never() -> None:
        raise AssertionError

    monkeypatch.setattr("wizard.launch.reserving._pause", never)
    await reserving(works[0], works[0]._nodes)
    await works[0]._nodes[1].start()
    with pytest.raises(Taken):
        await reserving(works[1], works[1]._nodes)
    assert {c["Name"] for node in fleet.nodes for c in node.containers()} == {"/vllm-ascend"}
