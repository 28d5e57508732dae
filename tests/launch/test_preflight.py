"""The look right before a start, over real SSH: what stops it, before anything was made."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.launch.simulated import LIMIT_S, played
from wizard.checks.ignores import Ignore, endpoint
from wizard.errors import LaunchError, RemoteError, WizardError
from wizard.launch import Launch, preflight
from wizard.simulator.cluster import SimulatedCluster


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("V32_WIZARD_HOME", str(tmp_path / "wizard"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


def untouched(simulated: SimulatedCluster) -> bool:
    """Whether no launch left anything on any node."""
    assert simulated.daemon is not None
    files = [node.home / ".v32-wizard" for node in simulated.nodes]
    return not any(simulated.daemon.containers.values()) and not any(f.exists() for f in files)


ALL_AT_ONCE = """
nodes:
  - {node: 0, ports: [8000], absent: [/usr/local/dcmi]}
  - {node: 1, weights: incomplete, host: {free_gb: 3}}
devices: [{node: 1, device: 3, held: process}]
"""


async def test_everything_that_stops_a_start_is_told_and_nothing_is_made(tmp_path: Path) -> None:
    async with played(ALL_AT_ONCE, tmp_path) as (simulated, preset, fleet):
        work = Launch(fleet, preset, interval_s=0.1)
        async with asyncio.timeout(LIMIT_S):
            with pytest.raises(LaunchError, match=r"^nothing was started\. Node 0: ") as caught:
                await work.start()
            found = await preflight.look(fleet.remotes, preset)
        assert {(r.key.node, r.key.check) for r in found.stops} == {
            (0, "ports"),
            (0, "mounts"),
            (1, "weights"),
            (1, "disk"),
            (1, "npu_idle"),
        }
        assert "2 more" in str(caught.value)
        assert "Next, on the node: " in caught.value.hint
        assert caught.value.exit_status == 1
        assert [rank.state for rank in work.ranks] == ["failed", "failed"]
        assert "8000 (the API)" in work.ranks[0].detail + work.message
        assert untouched(simulated)


async def test_what_is_ignored_stops_nothing(tmp_path: Path) -> None:
    scenario = "devices: [{node: 1, device: 3, held: memory}]\n"
    scenario += "nodes: [{node: 0, image: missing}]\n"
    async with played(scenario, tmp_path) as (_, preset, fleet), asyncio.timeout(LIMIT_S):
        image, stop = (await preflight.look(fleet.remotes, preset)).stops
        assert image.value["problem"] == "image-missing"
        assert stop.value["problems"][0]["problem"] == "npu-occupied"
        common = {"reason": "known", "by": "ines", "at": "2026-03-01T08:00:00Z"}
        ignores = [
            Ignore(
                check="npu_idle",
                host=endpoint(preset.cluster.nodes[1]),
                device=3,
                problem="npu-occupied",
                **common,
            ),
            Ignore(
                check="image",
                host=endpoint(preset.cluster.nodes[0]),
                problem="image-missing",
                **common,
            ),
        ]
        found = await preflight.look(fleet.remotes, preset.model_copy(update={"ignores": ignores}))
        assert found.without_image == [0], "the engine would pull it in silence"
        assert [r.key.check for r in found.stops] == ["image"]
        assert found.refusal(fetching=True) is None
        assert [r.key.check for r in found.doubts] == ["npu_idle"], "and is told all the same"


ENGINES = {
    "down": "docker does not run on node 1 .*systemctl start docker",
    "missing": "node 1 .* has no docker.*container.runtime",
    "denied": "the user that we are on node 1 .* may not use docker.*group docker",
}


async def test_an_engine_that_cannot_be_used(tmp_path: Path) -> None:
    async with played("{}", tmp_path) as (simulated, preset, fleet), asyncio.timeout(LIMIT_S):
        node = simulated.nodes[1]
        for docker, words in ENGINES.items():
            node.traits = node.traits.model_copy(update={"docker": docker})
            with pytest.raises(WizardError, match=words):
                await Launch(fleet, preset, interval_s=0.1).start()
        survey = await Launch(fleet, preset).survey()
        assert next(r.key.check for r in survey.found.stops if r.key.node == 1) == "runtime"
        assert 1 in survey.unknown
        assert untouched(simulated)


async def test_a_node_that_goes_away_is_no_answer(tmp_path: Path) -> None:
    scenario = "nodes: [{node: 1, ssh: refused}]\n"
    async with played(scenario, tmp_path) as (_, preset, fleet), asyncio.timeout(LIMIT_S):
        found = await preflight.look(fleet.remotes, preset)
        assert len(found.stops) == 1, "one node, one sentence"
        refusal = found.refusal()
        assert isinstance(refusal, RemoteError)
        assert refusal.node == 1
        assert refusal.exit_status == 3
