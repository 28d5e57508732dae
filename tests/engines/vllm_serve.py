"""A launch with the real vLLM 0.11.0, on CPU, in containers on two machines.

``make test-vllm-serve``: DP 2, one rank on each machine, the second headless, which is what the
guide does on two A3, with a tiny model and without what needs an NPU. Opt-in, because it needs
root, podman, 8 GB of memory and, once, a minute to install 7 GB: the file's name keeps it out of
the ordinary run.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.engines import vllmcpu
from tests.engines.machines import CannotRun, Machine
from tests.engines.podmanlab import NAME, PodmanLab, launch_of, podman_lab
from tests.launch.bench import until
from tests.vllm.environment import CannotBeHad
from wizard.chat import open_chat
from wizard.launch import Launch
from wizard.presets import Preset
from wizard.remote.fleet import SSHFleet, open_fleet
from wizard.scripts import served_model

LIMIT_S = 900.0
SHAPE = {  # the guide's arguments, as far as a CPU and a tiny model have them
    "--tensor-parallel-size": 1,
    "--max-model-len": 2048,
    "--max-num-batched-tokens": 2048,
    "--max-num-seqs": 4,
    "--enforce-eager": True,
    "--dtype": "bfloat16",
    "--enable-expert-parallel": None,
    "--additional-config": None,
    "--gpu-memory-utilization": None,
}


class VllmLab(PodmanLab):
    """Two nodes whose image is the real vLLM's."""

    def files(self) -> list[Path]:
        place = vllmcpu.environment()
        model = self.folder / "weights"
        if not model.exists():
            vllmcpu.make_model(place, model)
        return [model]

    def shares(self) -> list[Path]:
        return vllmcpu.visible(vllmcpu.environment())

    def pack(self, archive: Path) -> None:
        vllmcpu.pack(archive, vllmcpu.environment())

    def trial(self, reference: str) -> str:
        mounts = shlex.join(word for mount in self._mounts() for word in ("-v", mount))
        return (
            f"podman run --rm --init --net=host {mounts} {reference} "
            "bash -lc 'command -v vllm >/dev/null && echo runs'"
        )

    def _mounts(self) -> list[str]:
        return [f"{path}:{path}:ro" for path in (Path("/usr"), *self.shares())]

    def real(self) -> Preset:
        """The preset."""
        environment = {"VLLM_USE_MODELSCOPE": None, "OMP_NUM_THREADS": "1"}
        return self.made({"args": SHAPE, "env": environment}, {"mounts": self._mounts()})


@pytest.fixture(scope="module")
def _can_run(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Find out once; whatever goes wrong later is a failure."""
    try:
        if why := vllmcpu.room_for_it():
            raise CannotRun(why)
        with podman_lab(tmp_path_factory.mktemp("probe"), VllmLab):
            pass
    except (CannotRun, CannotBeHad) as error:
        pytest.skip(f"cannot run here: {error}")


@pytest.fixture
def lab(_can_run: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[VllmLab]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("V32_WIZARD_HOME", str(tmp_path / "wizard"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with podman_lab(tmp_path, VllmLab) as found:
        yield found


@asynccontextmanager
async def fleet_of(preset: Preset) -> AsyncIterator[SSHFleet]:
    async with open_fleet(preset.cluster) as fleet, asyncio.timeout(LIMIT_S):
        yield fleet


async def note_stages(work: Launch, seen: list[list[str]]) -> None:
    """Write down through which stages each rank goes."""
    while True:
        for rank, stages in zip(work.ranks, seen, strict=True):
            if rank.stage and rank.stage not in stages:
                stages.append(rank.stage)
        await asyncio.sleep(0.02)


def kill_engine(machine: Machine) -> None:
    """Kill vLLM's first process, as the kernel does when memory runs out."""
    machine.run("kill -9 $(pgrep -o -f 'bin/vllm serve')")


async def test_ready_chat_and_a_killed_node(lab: VllmLab) -> None:
    preset = lab.real()
    async with fleet_of(preset) as fleet:
        work = launch_of(fleet, preset)
        seen: list[list[str]] = [[], []]
        watching = asyncio.create_task(note_stages(work, seen))
        await work.start()
        follow = asyncio.create_task(work.follow())
        await until(lambda: work.ready.is_set() or follow.done(), limit_s=LIMIT_S)
        watching.cancel()
        print(f"\n{work.message}; stages: {seen}")
        assert work.state == "ready"
        for stages in seen:  # what comes in between may be over within one answer
            assert [s for s in stages if s in ("python", "handshake", "ready")] == [
                "python",
                "handshake",
                "ready",
            ]
        assert [rank.state for rank in work.ranks] == ["ready", "ready"]
        assert any("headless mode" in line for line in work.ranks[1].log.tail(1000))
        async with open_chat(fleet.remotes[0], preset) as client:
            assert served_model(preset) in await client.models()
            for _ in range(4):  # both engines get their turn
                asked = [{"role": "user", "content": "The future of AI is"}]
                deltas = [delta async for delta in client.stream(asked, max_tokens=8)]
                assert deltas[-1].usage
                assert deltas[-1].usage["completion_tokens"] > 0
        assert (await work.status()).serving
        kill_engine(lab.nodes[1])
        await follow
        assert work.state == "failed"
        assert f"node 1 ({lab.nodes[1].address}) failed: exited with code" in work.message
        assert work.ranks[1].state == "failed"
        # node 0 goes on saying that it serves, until somebody asks it for a token
        print(f"node 0 after the death of node 1: {lab.nodes[0].run(HEALTH, status=None)}")
        assert not (await work.status()).serving
        assert await work.stop() == []
    lab.nothing_left()


HEALTH = "curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8000/health"


async def test_a_node_killed_while_it_starts(lab: VllmLab) -> None:
    preset = lab.real()
    async with fleet_of(preset) as fleet:
        work = launch_of(fleet, preset)
        await work.start()
        follow = asyncio.create_task(work.follow())
        await until(lambda: "handshake" in work.ranks[1].stage, limit_s=LIMIT_S)
        kill_engine(lab.nodes[1])
        await follow
        assert work.state == "failed"
        assert [rank.state for rank in work.ranks] == ["aborted", "failed"]
        assert f"node 1 ({lab.nodes[1].address}) failed" in work.message
        print(f"\n{work.message}")
    lab.nothing_left()
    for machine in lab.nodes:
        kept = machine.run(f"cat /root/.v32-wizard/launches/{work.launch_id}/serve.log")
        assert "vLLM" in kept or "headless" in kept
    assert lab.containers() == [[], []]
    assert NAME not in "".join(machine.run("podman ps -a") for machine in lab.nodes)
