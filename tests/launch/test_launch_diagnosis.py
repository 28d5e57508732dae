"""A launch that fails says why: in its message, as data, and only what is known."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.launch.bench import FakeFleet, launch, preset, started, until
from wizard.errors import LaunchError
from wizard.launch import Launch
from wizard.launch.diagnosis import diagnose_ranks
from wizard.launch.state import RankState

pytestmark = pytest.mark.usefixtures("no_devices")

STAMP = "(Worker_TP3 pid=3) ERROR 11-20 10:12:33 [x.py:1] "
OOM = (
    "torch.OutOfMemoryError: NPU out of memory. Tried to allocate 2.50 GiB (NPU 3; 60.97 GiB total "
    "capacity; 57.60 GiB already allocated)"
)
WRAPPER = "RuntimeError: Engine core initialization failed. See root cause above."


async def ending(work: Launch, follow: asyncio.Task[None]) -> Launch:
    await asyncio.wait_for(follow, 20)
    assert work.state == "failed"
    return work


async def test_the_cause_is_named_with_its_node_line_and_fix(fleet: FakeFleet) -> None:
    work = await started(fleet)
    head, worker = fleet.nodes
    worker.says(STAMP + OOM, STAMP + "EngineCore failed to start.", WRAPPER)
    head.says("(E pid=1) ERROR 11-20 10:12:40 [x.py:1] Connection closed by peer [10.0.0.12]:99")
    follow = asyncio.create_task(work.follow())
    await until(lambda: [r.log.end for r in work.ranks] == [1, 3])
    worker.dies(1)
    await ending(work, follow)
    assert work.diagnosis is not None
    cause = work.diagnosis.causes[0]
    assert (cause.signature.id, cause.node, cause.confidence) == ("npu_oom", 1, "cause")
    assert work.brief == "node 1 (10.0.0.12) failed: exited with code 1."
    assert "Cause, on node 1: NPU 3 ran out of memory" in work.message
    assert OOM in work.message
    assert "To do: Compare the number of nodes" in work.message
    assert work.ranks[1].detail == "exited with code 1"


async def test_the_cause_may_be_on_another_node_than_the_first_to_end(fleet: FakeFleet) -> None:
    work = await started(fleet)
    head, worker = fleet.nodes
    worker.says(STAMP + OOM)
    head.says(WRAPPER)
    follow = asyncio.create_task(work.follow())
    await until(lambda: [r.log.end for r in work.ranks] == [1, 1])
    head.dies(1)
    await ending(work, follow)
    assert work.message.startswith(
        "node 0 (10.0.0.11) failed: exited with code 1. Cause, on node 1"
    )
    assert [r.state for r in work.ranks] == ["failed", "aborted"]


async def test_a_headless_node_that_ends_with_code_0_is_the_cause(fleet: FakeFleet) -> None:
    work = await started(fleet)
    head, worker = fleet.nodes
    worker.says("INFO 11-20 10:12:33 [core.py:644] Waiting for init message from front-end.")
    head.says("INFO 11-20 10:12:44 [core.py:644] Waiting for init message from front-end.")
    follow = asyncio.create_task(work.follow())
    await until(lambda: [r.log.end for r in work.ranks] == [1, 1])
    worker.dies(0)
    await ending(work, follow)
    assert work.diagnosis is not None
    cause = work.diagnosis.causes[0]
    assert (cause.signature.id, cause.node, cause.confidence) == ("peer_vanished", 1, "cause")
    assert "exited with code 0" in work.message


async def test_what_is_not_known_is_quoted_and_not_called_a_cause(fleet: FakeFleet) -> None:
    work = await started(fleet)
    worker = fleet.nodes[1]
    worker.says(STAMP + "FluxError: the capacitor is empty", WRAPPER)
    follow = asyncio.create_task(work.follow())
    await until(lambda: work.ranks[1].log.end == 2)
    worker.dies(1)
    await ending(work, follow)
    assert "its log says: FluxError: the capacitor is empty" in work.message
    assert "Cause" not in work.message


async def test_a_node_without_a_log_is_not_explained(fleet: FakeFleet) -> None:
    work = await started(fleet)
    fleet.nodes[1].dies(137)
    await asyncio.wait_for(work.follow(), 20)
    assert work.message == "node 1 (10.0.0.12) failed: exited with code 137 (signal 9)."
    assert work.diagnosis is not None
    assert work.diagnosis.causes == ()


async def test_a_start_that_fails_is_explained_too(tmp_path: Path) -> None:
    fleet = FakeFleet(preset(), tmp_path)
    work = launch(fleet)
    start = asyncio.create_task(work.start())
    await until(lambda: work.ranks[0].state == "running")
    fleet.nodes[0].says("vllm serve: error: unrecognized arguments: --async-schedulin")
    await until(lambda: work.ranks[0].log.end == 1)
    fleet.nodes[0].dies(2)
    with pytest.raises(LaunchError, match="Cause, on node 0: The vLLM in this image does not know"):
        await asyncio.wait_for(start, 20)
    assert work.diagnosis is not None
    assert work.diagnosis.causes[0].signature.id == "argparse_unrecognized"
    assert work.brief == "node 0 (10.0.0.11) failed: exited with code 2."


async def test_launched_again_the_old_cause_is_gone(tmp_path: Path) -> None:
    fleet = FakeFleet(preset(), tmp_path)
    work = launch(fleet)
    start = asyncio.create_task(work.start())
    await until(lambda: work.ranks[0].state == "running")
    fleet.nodes[0].dies(2)
    with pytest.raises(LaunchError):
        await asyncio.wait_for(start, 20)
    again = asyncio.create_task(work.start())
    await until(lambda: work.state == "starting")
    assert work.diagnosis is None
    again.cancel()
    await asyncio.gather(again, return_exceptions=True)


async def test_the_whole_log_is_read_also_what_memory_has_lost(tmp_path: Path) -> None:
    now = preset()
    ranks = [RankState(node.rank, node.host) for node in now.cluster.nodes]
    for rank, first in ((0, "INFO 11-20 10:12:39 [x.py:1] fine"), (1, STAMP + OOM)):
        path = tmp_path / f"node{rank}.log"
        path.write_text(f"2026-11-20T02:12:33Z {first}\n")
        path.with_suffix(".later.log").write_text("2026-11-20T02:12:50Z INFO the end\n")
        ranks[rank].log_path = path
        ranks[rank].log.extend(["INFO the end"])
    diagnosis = await diagnose_ranks(ranks, now)
    cause = diagnosis.causes[0]
    assert (cause.signature.id, cause.node, cause.mark.line) == ("npu_oom", 1, 1)
    assert [log.lines for log in diagnosis.logs] == [2, 2]
    ranks[1].log_problem = "node1.log: No space left on device"  # then the file is not whole
    assert not (await diagnose_ranks(ranks, now)).causes


async def test_clocks_that_were_looked_at_put_the_logs_in_order() -> None:
    now = preset()
    ranks = [RankState(node.rank, node.host) for node in now.cluster.nodes]
    key = "KeyError: 'x.weight_offset'"
    ranks[0].log.extend([f"ERROR 11-20 10:12:30 [x.py:1] {key}"])
    ranks[1].log.extend([STAMP + OOM])
    assert (await diagnose_ranks(ranks, now)).causes[0].node == 0
    ranks[1].clock_offset_s = 60.0
    assert (await diagnose_ranks(ranks, now)).causes[0].node == 1


async def test_a_launch_that_ended_while_nobody_followed_is_explained_and_left_alone(
    fleet: FakeFleet,
) -> None:
    first = await started(fleet)
    head, worker = fleet.nodes
    worker.says(STAMP + OOM)
    head.says("(E pid=1) ERROR 11-20 10:12:40 [x.py:1] Connection closed by peer [10.0.0.12]:99")
    worker.dies(1, ago_s=7200)
    head.dies(1, ago_s=7100)
    found = launch(fleet)
    assert not await found.attach()
    assert (found.launch_id, found.state) == (first.launch_id, "failed")
    assert found.brief == (
        "it ended while nobody followed it: node 1 (10.0.0.12) exited with code 1, 2 hours ago."
    )
    assert "Cause, on node 1: NPU 3 ran out of memory" in found.message
    assert [r.state for r in found.ranks] == ["stopped", "failed"]
    assert found.ranks[1].log.tail(1) == [STAMP + OOM]
    assert [node.status for node in fleet.nodes] == ["exited", "exited"]
    assert await found.stop() == []
    assert [node.status for node in fleet.nodes] == ["absent", "absent"]


async def test_logs_that_cannot_be_read_do_not_keep_the_others_running(
    fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise UnicodeError("no such letter")

    monkeypatch.setattr("wizard.launch.ending.diagnose_ranks", broken)
    work = await started(fleet)
    fleet.nodes[1].dies(1)
    await asyncio.wait_for(work.follow(), 20)
    assert work.state == "failed"
    assert "Its logs could not be read: UnicodeError: no such letter" in work.message
    assert [node.status for node in fleet.nodes] == ["absent", "absent"]
