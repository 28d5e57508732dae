"""Which death counts as the first, and what of a log reaches the state."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.launch.bench import FakeFleet, preset, until
from wizard.launch import watch as watching
from wizard.launch.feed import LogFeed
from wizard.launch.fence import Fence
from wizard.launch.node import LaunchNode
from wizard.launch.runtime import Listing, Runtime
from wizard.launch.state import RankState
from wizard.launch.watch import Death, NodeWatch, first_to_fail

BAR = "%d%% Completed | %d/163 [00:10<02:10,  1.60it/s]"


def watch(fleet: FakeFleet, rank: int, death: Death | None = None) -> NodeWatch:
    state = RankState(rank, f"10.0.0.{11 + rank}")
    node = LaunchNode(
        fleet.nodes[rank], Runtime("docker"), "lab", state, lambda: None, Fence("x", "")
    )
    found = NodeWatch(node, interval_s=0.02)
    found.death = death
    return found


def test_nobody_failed(tmp_path: Path) -> None:
    fleet = FakeFleet(preset(), tmp_path)
    assert first_to_fail([watch(fleet, 0), watch(fleet, 1)]) is None


def test_the_nodes_clocks_decide_not_who_was_asked_first(tmp_path: Path) -> None:
    fleet, now = FakeFleet(preset(), tmp_path), time.time()
    early = watch(fleet, 0, Death("a", age_s=1.0, seen_at=now - 5))
    late = watch(fleet, 1, Death("b", age_s=30.0, seen_at=now))
    assert first_to_fail([early, late]) is late


def test_without_a_clock_the_first_seen_counts(tmp_path: Path) -> None:
    fleet, now = FakeFleet(preset(), tmp_path), time.time()
    first = watch(fleet, 1, Death("a", None, seen_at=now - 5))
    assert first_to_fail([watch(fleet, 0, Death("b", None, now)), first]) is first


async def test_a_progress_bar_is_one_line_and_a_stage(tmp_path: Path) -> None:
    fleet = FakeFleet(preset(), tmp_path)
    node = fleet.nodes[0]
    node.stranger("ours", **{"v32-wizard.launch": "x"})
    node.says("hello", BAR % (1, 1), BAR % (2, 2), BAR % (50, 82), "\x1b]0;title\x07bye")
    node.dies(0)
    feed = LogFeed(watch(fleet, 0).node)
    assert await asyncio.wait_for(feed.once(node.container["Id"]), 10)
    state = feed.node.state
    assert [line.strip() for line in state.log.tail(9)] == ["hello", BAR % (50, 82), "bye"]
    assert (state.stage, feed.ended.is_set()) == ("weights 82 of 163", True)
    assert state.detail == "50% of the weights loaded, 02:10 left"


async def test_out_of_reach_is_not_dead(tmp_path: Path) -> None:
    fleet = FakeFleet(preset(), tmp_path)
    node, it = fleet.nodes[0], watch(fleet, 0)
    node.stranger("ours", **{"v32-wizard.launch": "x", "v32-wizard.preset": "lab"})
    node.unreachable = True
    await it.ask()
    assert (it.node.state.state, it.death) == ("unreachable", None)
    node.unreachable = False
    await it.ask()
    assert (it.node.state.state, it.death) == ("running", None)
    node.dies(3, ago_s=7)
    await it.ask()
    assert it.death is not None
    assert it.death.reason == "exited with code 3"
    assert it.death.age_s is not None
    assert 6 <= it.death.age_s <= 9


@pytest.mark.parametrize("then", ["removed", "restarted"])
async def test_one_that_was_seen_dead_in_between_is_told_as_both(tmp_path: Path, then: str) -> None:
    """Engines end what they remove or restart first, and are asked in between now and then."""
    fleet = FakeFleet(preset(), tmp_path)
    node, it = fleet.nodes[0], watch(fleet, 0)
    node.stranger("ours", **{"v32-wizard.launch": "x", "v32-wizard.preset": "lab"})
    await it.ask()
    node.dies(137, ago_s=7)
    await it.ask()
    seen, entry = it.death, node.container
    if then == "removed":
        (node.files / f"{entry['Id']}.json").unlink()
    else:
        node.put(entry | {"State": {"Status": "running", "StartedAt": "2026-11-20T11:00:00Z"}})
    await it.ask()
    await it.ask()
    assert it.death is not None
    assert seen is not None
    assert it.death.reason == f"{seen.reason}, then its container was {then}"
    assert (it.death.removed, it.death.age_s) == (then == "removed", seen.age_s)


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (False, r"no answer since [\d:]{8}, still asked"),
        (True, r"the node answers, docker does not: no answer since [\d:]{8}, still asked"),
    ],
    ids=["node", "engine"],
)
async def test_a_silent_node_or_engine_is_out_of_reach_before_its_connection_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: bool, words: str
) -> None:
    monkeypatch.setattr(watching, "ANSWER_S", 0.05)
    fleet = FakeFleet(preset(), tmp_path)
    fleet.nodes[0].stranger("ours", **{"v32-wizard.launch": "x", "v32-wizard.preset": "lab"})
    it, gate = watch(fleet, 0), asyncio.Event()
    listing = it.node.listing

    async def late() -> Listing:
        await gate.wait()
        return await listing()

    async def silent(*, timeout_s: float) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(it.node, "listing", late)
    if not answers:
        monkeypatch.setattr(fleet.nodes[0], "answer", silent)
    asked = asyncio.create_task(it.ask())
    await until(lambda: it.node.state.state == "unreachable")
    assert re.fullmatch(words, it.node.state.detail)
    gate.set()
    await asyncio.wait_for(asked, 10)
    assert (it.node.state.state, it.death) == ("running", None)


@pytest.mark.parametrize(
    "change", [{"State": {"StartedAt": "2026-11-20T10:00:09Z"}}, {"RestartCount": 1}], ids=str
)
async def test_a_container_that_was_restarted_is_a_death(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    fleet = FakeFleet(preset(), tmp_path)
    node, it = fleet.nodes[0], watch(fleet, 0)
    node.stranger("ours", **{"v32-wizard.launch": "x", "v32-wizard.preset": "lab"})
    await it.ask()
    assert it.death is None
    entry = node.container
    node.put(entry | change | {"State": entry["State"] | change.get("State", {})})
    await it.ask()
    assert it.death is not None
    assert it.death.reason == "its container was restarted"


async def test_an_answer_that_takes_long_makes_no_death_younger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node's clock is read first: engines on busy nodes take a second more than others."""
    fleet = FakeFleet(preset(), tmp_path)
    node, it = fleet.nodes[0], watch(fleet, 0)
    node.stranger("ours", **{"v32-wizard.launch": "x", "v32-wizard.preset": "lab"})
    node.dies(1)
    listing, answered = it.node.listing, []

    async def slow() -> Listing:
        found = await listing()
        answered.append(time.time())
        return found

    monkeypatch.setattr(it.node, "listing", slow)
    await it.ask()
    assert it.death is not None
    assert it.death.seen_at < answered[0]


async def test_a_restart_is_as_old_as_the_end_before_it(tmp_path: Path) -> None:
    fleet = FakeFleet(preset(), tmp_path)
    watches = [watch(fleet, rank) for rank in range(2)]
    for node, it in zip(fleet.nodes, watches, strict=True):
        node.stranger("ours", **{"v32-wizard.launch": "x", "v32-wizard.preset": "lab"})
        await it.ask()
    fleet.nodes[1].dies(ago_s=20)
    fleet.nodes[0].dies(ago_s=10)  # it lost node 1, which was restarted only after that
    entry = fleet.nodes[1].container
    again = {"Status": "running", "StartedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    fleet.nodes[1].put(entry | {"State": entry["State"] | again})
    for it in watches:
        await it.ask()
    assert first_to_fail(watches) is watches[1]


async def test_a_removed_container_comes_before_those_that_lost_it(tmp_path: Path) -> None:
    fleet = FakeFleet(preset(), tmp_path)
    watches = [watch(fleet, rank) for rank in range(2)]
    for node, it in zip(fleet.nodes, watches, strict=True):
        node.stranger("ours", **{"v32-wizard.launch": "x", "v32-wizard.preset": "lab"})
        await it.ask()
    next(fleet.nodes[1].files.glob("*.json")).unlink()
    entry, ended = fleet.nodes[0].container, datetime.now(UTC).isoformat()
    fleet.nodes[0].put(entry | {"State": {"Status": "exited", "FinishedAt": ended, "ExitCode": 1}})
    for it in watches:
        await it.ask()
    assert first_to_fail(watches) is watches[1]


async def test_a_frozen_container_is_no_death_and_not_up(tmp_path: Path) -> None:
    fleet = FakeFleet(preset(), tmp_path)
    node, it = fleet.nodes[0], watch(fleet, 0)
    node.stranger("ours", **{"v32-wizard.launch": "x", "v32-wizard.preset": "lab"})
    entry = node.container
    node.put(entry | {"State": entry["State"] | {"Status": "paused"}})
    await it.ask()
    assert (it.node.state.state, it.death) == ("unreachable", None)
    assert "paused" in it.node.state.detail


async def test_what_a_stream_lost_is_asked_for_again(tmp_path: Path) -> None:
    fleet = FakeFleet(preset(), tmp_path)
    node = fleet.nodes[0]
    node.stranger("ours", **{"v32-wizard.launch": "x"})
    node.says("one", "two", "three")
    node.dies(0)
    it = watch(fleet, 0)
    whole = [
        chunk
        async for chunk in it.node.stream(it.node.runtime.logs("ours", follow=False, stamps=True))
    ]
    lines = b"".join(whole).splitlines(keepends=True)
    feed, real = it.feed, it.node.stream

    async def lossy(_: str) -> AsyncIterator[bytes]:
        yield lines[0]
        yield b"\n[77 bytes dropped: too fast]\n" + lines[2]

    it.node.stream = lossy  # type: ignore[method-assign]
    assert not await feed.once("ours")
    it.node.stream = real  # type: ignore[method-assign]
    assert await feed.once("ours")
    assert it.node.state.log.tail(9) == ["one", "two", "three"]
    assert it.node.state.log_path is not None
    assert it.node.state.log_path.read_bytes() == b"".join(lines)
