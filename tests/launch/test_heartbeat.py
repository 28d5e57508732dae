"""An engine that hangs behind a healthy API, and an API that goes away: not ready, not ended."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.launch.bench import FakeFleet, preset, started, until
from wizard.errors import PresetError
from wizard.launch import heartbeat

pytestmark = pytest.mark.usefixtures("no_devices")


async def test_an_engine_that_hangs_is_told_and_heard_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "PATIENCE_S", 0.2)
    monkeypatch.setattr(heartbeat, "_SOONER_S", 0.02)
    chosen = preset(serve={"probe_s": 60})
    quick = chosen.serve.model_copy(update={"probe_s": 0.05})  # no preset may ask that often
    fleet = FakeFleet(chosen.model_copy(update={"serve": quick}), tmp_path)
    work = await started(fleet)
    follow = asyncio.create_task(work.follow())
    async with fleet.serving():
        await asyncio.wait_for(work.ready.wait(), 20)
        await until(lambda: fleet.tokens, limit_s=20)
        assert work.state == "ready"
        fleet.hangs = True
        await until(lambda: work.state == "waiting", limit_s=20)
        assert "does not serve: no answer to a request for one token" in work.message
        assert "hangs" in work.ranks[0].detail
        assert not work.ready.is_set()
        assert not follow.done()
        fleet.hangs = False
        await until(work.ready.is_set, limit_s=20)
        assert work.message.endswith("again")
        assert [rank.state for rank in work.ranks] == ["ready", "ready"]
        follow.cancel()
        await asyncio.gather(follow, return_exceptions=True)
    assert [node.status for node in fleet.nodes] == ["running", "running"]


async def test_without_the_key_no_token_is_asked_for(fleet: FakeFleet) -> None:
    work = await started(fleet)
    async with fleet.serving():
        await asyncio.wait_for(work.follow(until_ready=True), 20)
    assert fleet.tokens == 0


async def test_an_api_that_goes_away_makes_it_wait_again(fleet: FakeFleet) -> None:
    work = await started(fleet)
    follow = asyncio.create_task(work.follow())
    async with fleet.serving():
        await asyncio.wait_for(work.ready.wait(), 20)
    await until(lambda: work.state == "waiting", limit_s=20)
    assert "does not serve: its API has stopped to answer. All containers run." in work.message
    async with fleet.serving():
        await until(work.ready.is_set, limit_s=20)
        follow.cancel()
        await asyncio.gather(follow, return_exceptions=True)


def test_a_probe_that_would_be_a_load_is_refused() -> None:
    with pytest.raises(PresetError, match=r"serve.probe_s"):
        preset(serve={"probe_s": 5})
