"""A launch that a colleague stops while it is followed here: no failure, and none is made up."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from tests.launch.bench import FakeFleet, launch, started, until
from wizard.errors import LaunchError
from wizard.launch.fence import owner
from wizard.remote.api import Completed

pytestmark = pytest.mark.usefixtures("no_devices")


async def test_who_follows_is_told_who_stopped_it(fleet: FakeFleet) -> None:
    work = await started(fleet)
    follow = asyncio.create_task(work.follow())
    await until(lambda: all(rank.state == "running" for rank in work.ranks))
    colleague = launch(fleet)
    assert await colleague.stop() == []
    await asyncio.wait_for(follow, 20)
    assert (work.state, work.diagnosis) == ("stopped", None)
    assert work.message.startswith(f"It was stopped by {owner()}; that is no failure.")
    assert work.message.endswith("v32-wizard status lab")
    assert {rank.state for rank in work.ranks} == {"stopped"}


@pytest.mark.parametrize("step", ["create", "start"])
async def test_who_starts_is_told_who_took_the_container_away(fleet: FakeFleet, step: str) -> None:
    work, node = launch(fleet), fleet.nodes[0]
    run = node.run

    async def stopped_first(command: str, **options: Any) -> Completed:
        done = await run(command, **options) if step == "create" else None
        if command.endswith("9<&-") if step == "create" else command.startswith("docker start"):
            assert await launch(FakeFleet(fleet.preset, node.home.parent)).stop() == []
        return done or await run(command, **options)

    node.run = stopped_first  # type: ignore[method-assign, assignment]
    with pytest.raises(LaunchError, match=f"It was stopped by {owner()} while it started"):
        await work.start()
    assert [node.status for node in fleet.nodes] == ["absent", "absent"]


async def test_neither_an_old_stop_nor_one_that_follows_from_a_failure_counts(
    fleet: FakeFleet,
) -> None:
    work = await started(fleet)
    node = work._nodes[0]
    (folder,) = (fleet.nodes[0].home / ".v32-wizard/launches").iterdir()
    assert await node.stopped_by() == ""
    note = folder / "stopped-by"
    note.write_text("ines@jump\x1b[2J\n")
    assert await node.stopped_by() == "ines@jump"
    os.utime(note, (0, 0))
    assert await node.stopped_by() == ""
    note.unlink()
    assert await work._ending().abort() == []
    assert fleet.nodes[0].status == "absent"
    assert await node.stopped_by() == ""
