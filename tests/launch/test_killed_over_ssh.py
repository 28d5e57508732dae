"""The wizard killed by SIGKILL at every place of a launch, and what the next one makes of it.

By real SSH on the simulated cluster, the victim a real process. What the next one says is the
truth, and it finishes or takes away everything; nothing of others is touched.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.launch.bench import until
from tests.launch.killing import CHECKS, LAUNCH, LIMIT_S, Lab, Nursery, Wizard, lab
from tests.launch.test_survival_over_ssh import following, kept_here
from wizard import apikey
from wizard.cluster import Precision, Series
from wizard.launch import headstart, preflight
from wizard.launch.fence import owner
from wizard.launch.progress import Phase
from wizard.simulator.scenario import Scenario, Timing

TWO = {"series": Series.A3, "precision": Precision.BF16}
FOUR = {"series": Series.A2, "precision": Precision.BF16}
ATTACH = ("launch", "--attach")
STOP = ("stop", "--yes")


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No wizard reads the user's own ssh_config, known_hosts or agent."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.delenv(apikey.VARIABLE, raising=False)
    monkeypatch.setattr(headstart, "_POLL_S", 0.1)
    monkeypatch.setattr(preflight, "CHECKS", CHECKS)


async def test_before_every_node_has_its_container(
    nursery: Nursery, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with lab(nursery, tmp_path, capsys, serve={"api_key": True}, **TWO) as it:
        # while the nodes are looked at
        await it.cut(LAUNCH, (0, "ps"))
        await it.nothing_left()
        assert it.files() == []

        # the scripts are there, and the key
        await it.cut(LAUNCH, (0, "create"))
        assert it.states == ["", ""]
        assert it.files().count("api-key") == 1
        assert (await it.says("status"))[0] == 1
        assert await it.says(*ATTACH) == (
            1,
            f"{it.preset.name} runs on none of its nodes: there is nothing to follow. "
            "Launch it without --attach.",
        )

        # node 0 is reserved, node 1 is not
        await it.cut(LAUNCH, (1, "create"))
        assert it.states == ["created", ""]
        found = await it.found()
        assert found is not None
        assert (found.nodes, found.waiting) == (0, 1)
        code, said = await it.says("status")
        assert code == 1
        assert "created\n" in said
        assert "It was being made, and cannot be finished if its wizard has ended" in said
        code, said = await it.says(*ATTACH)
        assert code == 1
        hosts = [node.host for node in it.preset.nodes]
        assert f"there in parts only: node 0 ({hosts[0]}) created, node 1 ({hosts[1]}) noth" in said
        code, said = await it.says(*LAUNCH)
        assert code == 1
        assert f"is on node 0 ({hosts[0]}) already, created, as launch" in said
        assert "(--restart)" in said
        assert it.states == ["created", ""]
        assert (await it.says(*STOP))[0] == 0
        await it.nothing_left()
        assert not apikey.path_of(it.preset).exists()


def a_key(it: Lab, preset: str, launch_id: str) -> Path:
    """What a wizard leaves on node 0 that was killed before any container was made."""
    folder = it.simulated.nodes[0].home / ".v32-wizard/launches" / launch_id
    (folder / "key").mkdir(parents=True)
    (folder / "container.sh").write_text(f"  --label v32-wizard.preset={preset} --label x=y\n")
    key = folder / "key/api-key"
    key.write_text("0123456789\n")
    return key


async def test_before_every_node_is_started(
    nursery: Nursery, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with lab(nursery, tmp_path, capsys, serve={"api_key": True}, **TWO) as it:
        # all made, none started; the key of a launch before is gone, another preset's is not
        ours = a_key(it, it.preset.name, "20200101-000000-aaaaaa")
        theirs = a_key(it, f"{it.preset.name}-2", "20200101-000000-bbbbbb")
        await it.cut(LAUNCH, (0, "start"))
        assert it.states == ["created", "created"]
        assert (ours.exists(), theirs.exists()) == (False, True)
        theirs.unlink()
        found = await it.found()
        assert found is not None
        assert (found.nodes, found.waiting) == (0, 2)
        code, said = await it.says("status")
        assert code == 1
        assert "is not on node 0, 1." in said
        code, said = await it.says(*LAUNCH)
        assert (code, "made and not started" in said) == (1, True)
        assert it.states == ["created", "created"]

        # found again, node 0 started, its RPC port awaited
        await it.cut(ATTACH, (0, "vllm start"))
        assert it.states == ["running", "created"]
        code, said = await it.says("status")
        assert code == 1
        assert f"finish it with: v32-wizard launch {it.preset.name} --attach" in said
        assert await it.says(*ATTACH, "--no-follow") == (
            0,
            f"started; follow it with: v32-wizard status {it.simulated.preset_path}\n",
        )
        assert it.states == ["running", "running"]
        async with following(it.fleet, it.preset) as work:
            await asyncio.wait_for(work.ready.wait(), LIMIT_S)
        assert (await it.says(*STOP))[0] == 0
        await it.nothing_left()


STAGES = {
    "vllm handshake": Phase.HANDSHAKE,
    "vllm ranks": Phase.RANKS,
    "vllm shards": Phase.WEIGHTS,
    "vllm graph": Phase.KV_CACHE,
    "vllm capture": Phase.GRAPH,
    "vllm serving": Phase.READY,
}


def clients(lines: list[str], words: str) -> int:
    """How many of these processes are an engine's client: of Python, or of bash alone."""
    starts = tuple(f"{of} {words} " for of in ("main()", "/docker", "/podman"))
    return sum(any(start in line for start in starts) for line in lines)


async def follows(it: Lab) -> Wizard:
    """A wizard that has found the launch and follows the logs of both nodes."""
    wizard = await it.begin(*ATTACH)
    await it.seen(lambda lines: clients(lines, "logs -f") == 2)
    return wizard


async def test_at_every_stage(
    nursery: Nursery, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with lab(nursery, tmp_path, capsys, **TWO) as it:
        holds = [it.simulated.hold(0, at) for at in STAGES]
        wizard = await it.begin(*LAUNCH)
        launch_id = ""
        for hold, phase in zip(holds, STAGES.values(), strict=True):
            await until(hold.reached.is_set, limit_s=LIMIT_S)
            await it.kill(wizard)
            async with following(it.fleet, it.preset) as work:
                await until(lambda phase=phase: phase in work.ranks[0].phases, limit_s=LIMIT_S)
                assert {*work.ranks[0].phases} == {p for p in Phase if p <= phase}
                await until(lambda: all(r.log.end for r in work.ranks), limit_s=LIMIT_S)
                assert all("activated" in rank.log.line(0) for rank in work.ranks)
                assert work.launch_id == (launch_id or work.launch_id)
                launch_id = work.launch_id
                if phase is Phase.WEIGHTS:
                    assert "node 0" in (text := (await it.says("status"))[1])
                    assert ": weights " in text
            await it.quiet()
            if phase is not Phase.READY:
                wizard = await follows(it)
            hold.let_go.set()

        # it serves
        async with following(it.fleet, it.preset) as work:
            await asyncio.wait_for(work.ready.wait(), LIMIT_S)
            for rank in (0, 1):  # after six wizards nothing is lost, and nothing is there twice
                await until(
                    lambda rank=rank: kept_here(launch_id, rank) == it.log(rank), limit_s=LIMIT_S
                )
            assert (await it.says("status"))[0] == 0
        found = await it.found()
        assert found is not None
        assert (found.launch_id, found.nodes, found.waiting) == (launch_id, 2, 0)
        assert (await it.says(*STOP))[0] == 0
        await it.nothing_left()


async def test_some_workers_started_and_a_failed_start_half_undone(
    nursery: Nursery, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario = "launch: [{node: 2, at: load, does: killed}]"
    async with lab(nursery, tmp_path, capsys, scenario, **FOUR) as it:
        some = ["running", "running", "created", "running"]
        await it.cut(LAUNCH, (2, "start"), states=some)
        assert "is not on node 2." in (await it.says("status"))[1]
        found = await it.found()
        assert found is not None
        assert (found.nodes, found.waiting) == (3, 1)

        # the next one starts node 2, which fails; the others are being removed
        half = ["", "", "exited", "running"]
        await it.cut(ATTACH, (2, "rm"), (3, "stop"), states=half)
        assert it.states == half
        code, said = await it.says(*ATTACH)
        assert code == 1
        assert f"node 2 ({it.preset.nodes[2].host}) exited with code 137 (signal 9)" in said
        assert "take it away with: v32-wizard stop" in said
        assert "take it away with: v32-wizard stop" in (await it.says("status"))[1]
        code, said = await it.says(*LAUNCH)
        assert (code, "already, exited" in said) == (1, True)
        assert it.states == half
        assert (await it.says(*STOP))[0] == 0
        await it.nothing_left()


@pytest.mark.parametrize("way", ["pull", "load"])
async def test_while_the_image_comes(
    nursery: Nursery, tmp_path: Path, capsys: pytest.CaptureFixture[str], way: str
) -> None:
    scenario = """
nodes: [{node: 1, image: missing, archive: packed}]
timing: {pull: 6000}
"""
    chosen = {"runtime": "podman", "image_archive": "/data/images/vllm-ascend.tar.gz"}
    container = chosen if way == "load" else {}
    async with lab(nursery, tmp_path, capsys, scenario, container=container, **TWO) as it:
        node = it.simulated.nodes[1]
        wizard = await it.begin(*LAUNCH, "--pull")
        await it.seen(lambda lines: clients(lines, way) == 1)
        await it.kill(wizard)
        await it.nothing_left()  # the engine's client has ended, and with it the pull
        assert it.files() == []
        code, said = await it.says(*LAUNCH)
        assert code == 1
        assert "the image is not on the node" in said

        if way == "load":
            return
        await until(lambda: not it.simulated.tools._calls, limit_s=LIMIT_S)
        it.simulated.world.scenario = Scenario(timing=Timing(pull=0.1))
        assert len(node.images) == 1
        assert (await it.says(*LAUNCH, "--pull", "--no-follow"))[0] == 0
        assert (await it.says(*STOP))[0] == 0
        await it.nothing_left()


async def test_while_it_is_stopped(
    nursery: Nursery, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with lab(nursery, tmp_path, capsys, **TWO) as it:
        work = it.launch()
        await work.start()
        await work.follow(until_ready=True)

        # node 0 was ended, and is not removed
        await it.cut(STOP, (0, "rm"))
        assert it.states == ["exited", "running"]
        assert (await it.says("status"))[0] == 1
        code, said = await it.says(*ATTACH)
        assert code == 1
        assert f"{owner()} was stopping it, and may be at it still: node 0" in said
        assert "running. If it stays so, take it away with: v32-wizard stop" in said
        assert it.states == ["exited", "running"]

        # node 0 is gone, node 1 runs
        await it.cut(STOP, (1, "stop"))
        assert it.states == ["", "running"]
        found = await it.found()
        assert found is not None
        assert (found.nodes, found.waiting) == (1, 0)
        assert "It was being stopped, or somebody removed it on" in (await it.says("status"))[1]
        code, said = await it.says(*ATTACH)
        assert code == 1
        assert "node 0" in said
        assert "nothing, node 1" in said
        code, said = await it.says(*LAUNCH)
        assert (code, "already, running" in said) == (1, True)
        assert it.states == ["", "running"]
        assert (await it.says(*STOP))[0] == 0
        await it.nothing_left()
