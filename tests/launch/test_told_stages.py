"""What the command line tells of the stages, and of logs that are gone from the nodes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.launch.bench import FakeFleet, launch
from wizard.commands import launch as commands
from wizard.errors import UsageError
from wizard.launch.logfile import launches_dir
from wizard.launch.progress import Phase, Stage


async def test_a_stage_is_a_line_that_says_each_thing_once(
    fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(commands, "note", said.append)
    work, now = launch(fleet), time.time()
    head, worker = work.ranks
    head.state = worker.state = "running"
    worker.reach(Stage(Phase.WEIGHTS, "40% of the weights loaded", 65, 163), now)
    head.reach(Stage(Phase.ENGINE, "this node is done, waits for the others"), now)
    worker.log_problem, worker.log_lost = "/x/node1.log: No space left on device", True
    async with commands._stages(work):
        pass
    assert said == [
        "node 0: done, engine up: this node is done, waits for node 1, which is at "
        "weights 65 of 163",
        "node 1: running, weights 65 of 163: about 18 of 44 GB on each NPU",
        "node 1: its log is not kept here any more: /x/node1.log: No space left on device",
    ]


async def test_how_long_it_took_is_said_once_it_serves(
    fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(commands, "note", said.append)
    work = launch(fleet)
    for rank in work.ranks:
        rank.state = "ready"
    work.ranks[0].phases |= {Phase.CONTAINER: 100.0, Phase.READY: 840.0}
    async with commands._stages(work):
        pass
    assert said == [f"node {number}: ready, serves; start took 12:20" for number in (0, 1)]


async def test_who_asks_for_logs_that_are_gone_is_told_where_some_are(
    fleet: FakeFleet, tmp_path: Path
) -> None:
    launches_dir().mkdir(parents=True)
    with pytest.raises(UsageError, match="Launch it first") as error:
        await anext(launch(fleet).logs(0))
    assert str(launches_dir()) in error.value.hint
