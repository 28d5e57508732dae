"""Fetching the image: over real SSH, by docker and podman of the simulated cluster."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.launch.bench import FakeFleet, until
from tests.launch.bench import preset as bench_preset
from tests.launch.simulated import LIMIT_S, launch_nodes, played
from wizard.errors import ConnectionLost, LaunchError, WizardError
from wizard.launch import Launch, engine
from wizard.launch.fence import Fence
from wizard.launch.fetch import fetch
from wizard.launch.fetchprogress import FetchProgress
from wizard.launch.imagecommands import load_script
from wizard.launch.node import LaunchNode
from wizard.launch.runtime import Runtime
from wizard.launch.state import RankState
from wizard.presets import Preset
from wizard.scripts import image
from wizard.simulator.scenario import Scenario
from wizard.simulator.tree import write_archive

ARCHIVE = "/data/images/vllm-ascend.tar"


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("V32_WIZARD_HOME", str(tmp_path / "wizard"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


async def outcome(node: LaunchNode, preset: Preset) -> str:
    """What fetching ends with: "" for an image that is there, else the error."""
    try:
        await fetch(node, preset)
    except WizardError as error:
        if (node.state.state, node.state.detail) != ("failed", error.message):
            return f"the node's state does not tell: {node.state}"
        return str(error) if error.node == node.state.rank else f"about another node: {error}"
    return ""


def with_container(preset: Preset, **keys: str) -> Preset:
    return preset.model_copy(update={"container": preset.container.model_copy(update=keys)})


async def test_a_missing_image_is_pulled_before_the_start(tmp_path: Path) -> None:
    scenario = "nodes: [{node: 1, image: missing}]\n"
    async with played(scenario, tmp_path) as (simulated, preset, fleet), asyncio.timeout(LIMIT_S):
        work = Launch(fleet, preset, interval_s=0.1)
        work.fetch_image = True
        seen: list[str] = []
        task = asyncio.create_task(work.start())
        while "once more" not in work.ranks[0].detail:
            work.changed.clear()
            await work.changed.wait()
            seen.append(f"{work.ranks[1].stage}: {work.ranks[1].detail}")
        assert image(preset) in simulated.nodes[1].images
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert f"image: pulls {image(preset)}" in seen
        assert any("of 5 layers fetched" in words for words in seen), seen
        assert "container: looking at the node once more" in seen


async def test_a_pull_that_is_cancelled_ends_on_the_node(tmp_path: Path) -> None:
    scenario = "nodes: [{node: 1, image: missing}]\ntiming: {pull: 6000}\n"
    async with played(scenario, tmp_path) as (simulated, preset, fleet), asyncio.timeout(LIMIT_S):
        work = Launch(fleet, preset, interval_s=0.1)
        work.fetch_image = True
        task = asyncio.create_task(work.start())
        await until(lambda: "0 of 5 layers" in work.ranks[1].detail, limit_s=LIMIT_S)
        calls = simulated.tools._calls
        assert len(calls) >= 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: not calls, limit_s=LIMIT_S)
        assert image(preset) not in simulated.nodes[1].images
        assert work.state == "failed"
        assert "Cancelled while starting" in work.message


REGISTRIES = """
nodes:
  - {node: 0, image: missing, registry: no_route, host: {free_gb: 9}}
  - {node: 1, image: missing, registry: unauthorized}
"""


async def test_registries_that_give_nothing_and_a_full_disk(tmp_path: Path) -> None:
    async with played(REGISTRIES, tmp_path) as (simulated, preset, fleet), asyncio.timeout(LIMIT_S):
        for runtime in ("docker", "podman"):
            own = with_container(preset, runtime=runtime)
            far, closed = await asyncio.gather(
                *(outcome(node, own) for node in launch_nodes(fleet, own))
            )
            assert far.startswith(f"node 0 ({preset.nodes[0].host}) cannot reach the registry: ")
            assert "no route to host" in far
            assert "container.image_archive" in far
            assert "the registry does not give node 1" in closed
            assert f"{runtime} login" in closed
        simulated.world.scenario = Scenario()  # the registry mends itself, the disk does not
        typo = with_container(preset, image="quay.io/ascend/vllm-ascend:v0.11.0rc0-a3-typo")
        full, unknown = await asyncio.gather(
            outcome(launch_nodes(fleet, preset)[0], preset),
            outcome(launch_nodes(fleet, typo)[1], typo),
        )
        assert "the registry has no such image" in unknown
        assert "container.image" in unknown
        assert full.startswith("no space is left for docker on node 0")
        assert "docker system df" in full
        assert simulated.nodes[0].images == simulated.nodes[1].images == set()


async def test_archives_whatever_the_engine_and_the_packing(tmp_path: Path) -> None:
    scenario = """
nodes:
  - {node: 0, image: missing, archive: whole}
  - {node: 1, image: missing, archive: packed}
"""
    async with played(scenario, tmp_path) as (simulated, preset, fleet), asyncio.timeout(LIMIT_S):
        for runtime in ("docker", "podman"):
            plain = with_container(preset, runtime=runtime, image_archive=ARCHIVE)
            packed = with_container(preset, runtime=runtime, image_archive=f"{ARCHIVE}.gz")
            first, second = launch_nodes(fleet, plain)[0], launch_nodes(fleet, packed)[1]
            assert await asyncio.gather(outcome(first, plain), outcome(second, packed)) == ["", ""]
            for node in simulated.nodes:
                assert image(preset) in node.images
                node.images.clear()
        write_archive(simulated.nodes[0], "broken")
        write_archive(simulated.nodes[1], "other")
        for runtime in ("docker", "podman"):
            own = with_container(preset, runtime=runtime, image_archive=ARCHIVE)
            broken, wrong = await asyncio.gather(
                *(outcome(node, own) for node in launch_nodes(fleet, own))
            )
            assert "the archive on node 0" in broken
            assert "no image, or not whole" in broken
            assert f"{runtime} save" in broken
            assert f"holds localhost/other:latest, not {image(preset)}" in wrong
            assert f"{runtime} tag" in wrong
        nowhere = with_container(preset, image_archive="/data/images/nowhere.tar.gz")
        missing = await outcome(launch_nodes(fleet, nowhere)[0], nowhere)
        assert "nowhere.tar.gz cannot be read on node 0" in missing
        assert "no such file" in missing


async def test_an_engine_that_hangs_is_given_up(tmp_path: Path) -> None:
    scenario = "nodes: [{node: 0, image: missing}]\ntiming: {pull: 60000}\n"
    async with played(scenario, tmp_path) as (simulated, preset, fleet), asyncio.timeout(LIMIT_S):
        with pytest.raises(LaunchError, match="was not there after 0 minutes on node 0"):
            await fetch(launch_nodes(fleet, preset)[0], preset, limit_s=1.0)
        await until(lambda: not simulated.tools._calls, limit_s=LIMIT_S)


# -- pure parts


def feed(text: str) -> FetchProgress:
    progress = FetchProgress()
    for line in text.splitlines():
        progress.feed(line)
    return progress


def test_progress_of_docker_as_it_prints_without_a_terminal() -> None:
    text = """\
1: Pulling from ascend/vllm-ascend
4e62670086f7: Pulling fs layer
9e8f1183b7fa: Pulling fs layer
2af16c6e2cfa: Waiting
aaaaaaaaaaaa: Already exists
4e62670086f7: Verifying Checksum
4e62670086f7: Download complete
v32-wizard: written 3000000
9e8f1183b7fa: Download complete
4e62670086f7: Pull complete
"""
    assert feed(text).words == "3 of 4 layers fetched, 2 unpacked, 3.1 GB written"
    done = feed(
        f"{text}Digest: sha256:9e\nStatus: Downloaded newer image for x\nv32-wizard: exit 0"
    )
    assert done.exit_status == 0
    assert done.said == ""


def test_progress_of_podman_and_of_archives() -> None:
    blob = "Copying blob sha256:320036f56b7603a74cd3671429e6a6c5ed036109152892d733ef59a9757bf9b3\n"
    podman = feed(f"Trying to pull x...\nGetting image source signatures\n{blob}{blob}")
    assert podman.words == "1 layer begun"
    archive = feed("v32-wizard: size 17000000000\n")
    assert archive.words == "an archive of 17.0 GB"
    for line in ("v32-wizard: read 8500000000", "v32-wizard: read 100", "Loaded image: a/b:1"):
        archive.feed(line)
    assert archive.words == "50% of 17.0 GB read", "podman reads it more than once"
    assert archive.loaded == ["a/b:1"]


def test_what_is_no_progress_is_kept_for_the_error() -> None:
    progress = feed("Trying to pull x...\nError: boom\nv32-wizard: exit 125\nx v32-wizard: exit 0")
    assert progress.said == "Error: boom\nx v32-wizard: exit 0"
    assert progress.exit_status == 125
    assert FetchProgress().words == ""


def test_paths_are_quoted_and_hints_can_be_pasted() -> None:
    nasty = "/data/it's $(here).tar"
    assert "archive='/data/it'\"'\"'s $(here).tar'\n" in load_script("docker", nasty)


class Cut(LaunchNode):
    """A node whose connection breaks ``cuts`` times while it pulls."""

    def __init__(self, fleet: FakeFleet, cuts: int) -> None:
        state = RankState(0, "10.0.0.11")
        runtime = Runtime("docker")
        super().__init__(fleet.nodes[0], runtime, "lab", state, lambda: None, Fence("x", ""))
        self.cuts, self.begun = cuts, 0

    async def stream(self, command: str) -> AsyncIterator[bytes]:  # type: ignore[override]
        self.begun += 1
        yield b"1: Pulling from x\n4e62670086f7: Pulling fs layer\n4e62670086f7: Downl"
        if self.begun <= self.cuts:
            raise ConnectionLost("the connection broke", node=0)
        yield b"oad complete\nv32-wizard: exit 0\n"


async def test_a_pull_is_taken_up_again_after_a_broken_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = FakeFleet(bench_preset(), tmp_path)
    node = Cut(fleet, 1)
    await fetch(node, fleet.preset)
    assert node.begun == 2
    assert node.state.detail == "the image is there"
    monkeypatch.setattr(engine, "RECONNECT_S", 0.0)
    again = Cut(fleet, 2)
    with pytest.raises(ConnectionLost):
        await fetch(again, fleet.preset)
    assert again.begun == 2
    assert again.state.state == "unreachable"
