"""Stops that are not done are remembered, told, and finished later; what was held is verified."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from tests.launch.bench import FakeFleet, launch, preset, started, until
from wizard.launch import freed, pending
from wizard.launch.pending import Pending
from wizard.launch.stopping import Left, Stopped
from wizard.paths import state_dir
from wizard.remote.api import Completed
from wizard.rooms import Rooms

pytestmark = pytest.mark.usefixtures("no_devices")
BUSY = """| NPU   Name | Health | Power(W)  Temp(C)  Hugepages-Usage(page) |
| 0   910B4 | OK | 92.1  36  0 / 0 |
| 0 | 0000:00:00.0 | 0  0 / 0  {used} / 65536 |
| NPU  Chip | Process id | Process name  Process memory(MB) |
| {told} |
"""
FREE = BUSY.format(used=3180, told="No running processes found in NPU 0")
HELD = BUSY.format(used=58400, told="No running processes found in NPU 0")
USED = BUSY.format(used=58400, told="0  0 | 4711 | stranger  55000")


async def test_a_stop_that_could_not_reach_a_node_is_finished_later(fleet: FakeFleet) -> None:
    work = await started(fleet)
    fleet.nodes[1].unreachable = True
    problems = await work.stop()
    assert fleet.nodes[0].containers() == []
    (left,) = pending.every()
    assert (left.preset, left.rank, left.host) == ("lab", 1, "10.0.0.12")
    assert "stop pending" in left.sentence([left.host])
    assert "v32-wizard stop lab" in left.sentence([left.host])
    assert left.text in problems
    assert Rooms().pending_stops() == [left]

    again = await launch(fleet).stop()  # still out of reach: the same, since the same moment
    assert [p.since for p in pending.every()] == [left.since]
    assert again

    fleet.nodes[1].unreachable = False
    assert await launch(fleet).stop() == []
    assert fleet.nodes[1].containers() == []
    assert pending.every() == []


async def test_status_tells_a_pending_stop_and_forgets_what_is_gone(fleet: FakeFleet) -> None:
    work = await started(fleet)
    fleet.nodes[1].unreachable = True
    await work.stop()
    report = await launch(fleet).status()
    assert [stop["rank"] for stop in report.to_json()["stop_pending"]] == [1]
    assert "stop pending" in report.to_text()
    fleet.nodes[1].unreachable = False
    for path in fleet.nodes[1].files.glob("*.json"):
        path.unlink()  # somebody removed it by hand
    assert (await launch(fleet).status()).pending == ()
    assert pending.every() == []


async def test_an_undone_start_is_pending_too(fleet: FakeFleet) -> None:
    work = launch(fleet, rpc_wait_s=0.5)
    task = asyncio.create_task(work.start())
    await until(lambda: fleet.nodes[0].status == "running")
    fleet.nodes[1].unreachable = True
    with pytest.raises(Exception, match=r"RPC port.*may be left on node 1"):
        await asyncio.wait_for(task, 20)
    assert [p.rank for p in pending.every()] == [1]
    assert "may be left on node 1" in work.message


def test_only_nodes_of_the_preset_are_forgotten() -> None:
    one, other = preset(), preset(1)
    pending.note(one, Stopped((Left(1, "container", "left"), Left(0, "held", "port"))))
    assert [p.host for p in pending.of_preset("lab")] == ["10.0.0.12"]
    pending.note(other, Stopped())  # of the same name, without that node
    assert [p.host for p in pending.of_preset("lab")] == ["10.0.0.12"]
    pending.settle(one, [0])
    assert len(pending.every()) == 1
    pending.settle(one, [0, 1])
    assert pending.every() == []


def test_a_damaged_record_is_as_good_as_none() -> None:
    pending.note(preset(), Stopped((Left(0, "container", "left"),)))
    (path,) = (state_dir() / "stop-pending").glob("*.json")
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("{")
    assert pending.every() == []
    assert pending.of_preset("none") == []
    left = Pending("lab", 0, "h", 0.0, "x")
    assert left.sentence(["h"]).startswith("stop pending (")
    assert left.sentence(["h"]).endswith("v32-wizard stop lab")
    assert left.sentence(["other"]).endswith(f"rm {path}")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (HELD, r"NPU memory is not free on node 1 .*device 0 holds 58400 of 65536 MB"),
        (USED, r"NPU memory is not free on node 1 .*device 0 is used by process 4711"),
        ("nonsense\n", r"whether NPU memory is free on node 1 .*is not known"),
    ],
    ids=["held", "used", "nonsense"],
)
async def test_npus_that_are_not_free_are_told(
    fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch, said: str, words: str
) -> None:
    monkeypatch.setattr(freed, "FREE_S", 0.3)
    work = await started(fleet)
    (fleet.nodes[1].files / "npus").write_text(said)
    problems = await work.stop()
    assert len(problems) == 1
    assert re.search(words, problems[0])
    assert [n.status for n in fleet.nodes] == ["absent", "absent"]
    assert (work.state, work.ranks[1].state) == ("failed", "stopped")
    assert pending.every() == []  # nothing of ours is there
    (fleet.nodes[1].files / "npus").write_text(FREE)


async def test_memory_that_is_given_back_late_is_waited_for(fleet: FakeFleet) -> None:
    work = await started(fleet)
    (fleet.nodes[1].files / "npus").write_text(HELD)
    task = asyncio.create_task(work.stop())
    await until(lambda: fleet.nodes[1].status == "absent")
    (fleet.nodes[1].files / "npus").write_text(FREE)
    assert await asyncio.wait_for(task, 20) == []


async def test_a_node_without_npu_smi_is_noted(fleet: FakeFleet) -> None:
    work = await started(fleet)
    fleet.nodes[1].lacks = ("npu-smi",)
    assert await work.stop() == []
    assert "whether NPU memory is free on node 1 (10.0.0.12) is not known" in work.message


async def test_npus_are_asked_about_as_root_where_that_can_be_had(
    fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, node = await started(fleet), fleet.nodes[1]
    run, roots = node.run, list[str]()

    async def noted(command: str, **options: Any) -> Completed:
        if command == "npu-smi info":
            roots.append(options.get("root", "no"))
        return await run(command, **options)

    monkeypatch.setattr(node, "run", noted)
    fleet.nodes[0].listens()
    assert await work.stop() == []
    assert roots == ["try"]
