"""Stopping, asking and reading what runs, and what is told beforehand, on the bench."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.launch.bench import RPC, FakeFleet, launch, preset, started, until
from wizard.errors import CommandTimeout, UsageError
from wizard.launch.fence import owner
from wizard.remote.api import Completed

pytestmark = pytest.mark.usefixtures("no_devices")


async def test_similar_names_do_not_disturb(fleet: FakeFleet) -> None:
    fleet.nodes[1].stranger("my-vllm-ascend-2")
    work = await started(fleet)
    assert work.state == "waiting"
    fleet.nodes[0].listens()
    assert await work.stop() == []
    assert [c["Name"] for c in fleet.nodes[1].containers()] == ["/my-vllm-ascend-2"]


async def test_stop_is_ordered_verified_and_idempotent(fleet: FakeFleet) -> None:
    fleet.nodes[0].stranger("other")
    work = await started(fleet)
    fleet.nodes[0].listens()
    assert await work.stop() == []
    assert work.state == "stopped"
    assert [r.state for r in work.ranks] == ["stopped", "stopped"]
    assert [c["Name"] for c in fleet.nodes[0].containers()] == ["/other"]
    assert fleet.nodes[0].status == "running"
    assert fleet.nodes[1].containers() == []
    assert await launch(fleet).stop() == []


async def test_a_frozen_container_is_stopped_all_the_same(fleet: FakeFleet) -> None:
    work = await started(fleet)
    fleet.nodes[0].listens()
    worker = fleet.nodes[1]
    entry = worker.container
    worker.put(entry | {"State": entry["State"] | {"Status": "paused"}})
    report = await work.status()
    assert [node.state for node in report.nodes] == ["running", "paused"]
    assert await work.stop() == []
    assert worker.containers() == []


async def test_stop_names_the_node_where_something_may_be_left(fleet: FakeFleet) -> None:
    work = await started(fleet)
    fleet.nodes[0].listens()
    fleet.nodes[1].unreachable = True
    problems = await work.stop()
    assert len(problems) == 1
    assert [r.state for r in work.ranks] == ["stopped", "unreachable"]
    assert "may be left on node 1 (10.0.0.12)" in problems[0]
    assert fleet.nodes[0].containers() == []
    fleet.nodes[1].unreachable = False
    assert await work.stop() == []
    assert fleet.nodes[1].containers() == []


async def test_stop_sees_a_port_that_stays_open(
    fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wizard.launch import freed

    monkeypatch.setattr(freed, "CLOSE_S", 0.2)
    work = await started(fleet)
    (fleet.nodes[0].files / "squatter").touch()
    # found again by another process, as the command line does
    problems = await launch(fleet).stop()
    assert fleet.nodes[0].containers() == []
    assert work.state == "waiting"
    assert problems == [f"port {RPC} (data-parallel RPC) is still in use on node 0 (10.0.0.11)."]


async def test_stop_while_followed_is_no_failure(fleet: FakeFleet) -> None:
    work = await started(fleet)
    fleet.nodes[0].listens()
    follow = asyncio.create_task(work.follow())
    await until(lambda: all(node.streams for node in fleet.nodes))
    assert await work.stop() == []
    await asyncio.wait_for(follow, 10)
    assert work.state == "stopped"
    assert [r.state for r in work.ranks] == ["stopped", "stopped"]


async def test_before_a_stop_it_is_said_what_runs_and_whose_it_is(fleet: FakeFleet) -> None:
    work = await started(fleet)
    fleet.nodes[1].unreachable = True
    here, away = await launch(fleet).present()
    assert here == (
        f"node 0 (10.0.0.11): vllm-ascend, running, launch {work.launch_id} of {owner()}"
    )
    assert away.startswith("node 1 (10.0.0.12): not known: ")
    assert [node.status for node in fleet.nodes] == ["running", "running"]


async def test_status(fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    report = await launch(fleet).status()
    assert (report.serving, report.exit_status, report.launch_id) == (False, 1, "")
    assert [n.state for n in report.nodes] == ["absent", "absent"]
    work = await started(fleet)
    async with fleet.serving():
        report = await launch(fleet).status()
    assert (report.serving, report.exit_status) == (True, 0)
    assert report.launch_id == work.launch_id
    assert report.to_json()["nodes"][1]["state"] == "running"
    assert "node 1 (10.0.0.12): running since" in report.to_text()
    fleet.nodes[0].says("INFO:     Application startup complete.")
    fleet.nodes[1].says("Waiting for READY message from DP Coordinator...")
    monkeypatch.setattr("wizard.launch.stages.UNANSWERED_S", 0.0)
    assert "no tunnel leads there" in (await launch(fleet).status()).nodes[0].note
    fleet.nodes[1].unreachable = True
    report = await launch(fleet).status()
    assert (report.serving, report.exit_status) == (False, 3)
    fleet.nodes[0].dies()
    fleet.nodes[0].put(fleet.nodes[0].container | {"Config": {"Image": "", "Labels": {}}})
    dialled, reach = [], fleet.nodes[1]._reach

    def dial() -> None:
        dialled.append(1)
        reach()

    monkeypatch.setattr(fleet.nodes[1], "_reach", dial)
    assert (await launch(fleet).status()).launch_id == ""
    assert len(dialled) == 2, "once for each engine, and not again for what others have there"


async def test_an_engine_that_hangs_is_no_node_out_of_reach(
    fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    await started(fleet)

    async def hangs(command: str, **_options: object) -> Completed:
        raise CommandTimeout(f"{command} did not end within 15 s.", node=1)

    node = fleet.nodes[1]
    monkeypatch.setattr(node, "run", hangs)
    found = (await launch(fleet).status()).nodes[1]
    assert (found.state, found.error.partition(":")[0]) == (
        "unknown",
        "docker does not answer on node 1 (10.0.0.12)",
    )
    work = launch(fleet)
    (problem,) = await work.stop()
    assert "docker does not answer on node 1" in problem
    assert work.ranks[1].state == "failed"
    node.unreachable = True
    assert (await launch(fleet).status()).nodes[1].state == "unreachable"


async def test_logs(fleet: FakeFleet) -> None:
    with pytest.raises(UsageError, match="no container of lab is on node 1"):
        await anext(launch(fleet).logs(1))
    await started(fleet)
    fleet.nodes[1].says("\x1b[1;36mone\x1b[0m", "two")
    assert [line async for line in launch(fleet).logs(1)] == ["one", "two"]
    following = launch(fleet).logs(1, follow=True)
    assert [await anext(following), await anext(following)] == ["one", "two"]
    fleet.nodes[1].says("three")
    assert await asyncio.wait_for(anext(following), 10) == "three"
    fleet.nodes[1].dies()
    assert await asyncio.wait_for(anext(following, None), 10) is None


def test_the_plan_names_order_and_ports(fleet: FakeFleet) -> None:
    text = "\n".join(launch(fleet).plan())
    assert "2 nodes" in text
    assert "wait until its RPC port 13389 listens" in text
    assert text.index("start it on node 0") < text.index("start node 1 (10.0.0.12)")


def test_the_plan_of_one_node_has_no_rpc(tmp_path: Path) -> None:
    text = "\n".join(launch(FakeFleet(preset(1), tmp_path)).plan())
    assert "RPC" not in text
    assert "others" not in text
