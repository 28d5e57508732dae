"""A launch with the real vLLM 0.11.0, on CPU, in containers on two machines.

``make test-vllm-serve``: DP 2, one rank on each machine, the second headless, which is what the
guide does on two A3, with a tiny model and without what needs an NPU. Opt-in, because it needs
root, podman, 8 GB of memory and, once, a minute to install 7 GB: the file's name keeps it out of
the ordinary run.
"""

from __future__ import annotations

import asyncio
import json
import shlex
from pathlib import Path

import pytest

from tests.engines import vllmcpu
from tests.engines.enginelab import NAME, EngineLab, PodmanLab, wait_for
from tests.engines.launching import Followed, followed
from tests.engines.machines import CannotRun, Machine
from tests.launch.bench import until
from tests.vllm.environment import CannotBeHad
from wizard.chat import open_chat
from wizard.launch.progress import Phase
from wizard.presets import Preset
from wizard.remote.text import clean
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
        return [*super().files(), model]

    def shares(self) -> list[Path]:
        return vllmcpu.visible(vllmcpu.environment())

    def pack(self, layer: Path) -> None:
        vllmcpu.pack(layer, vllmcpu.environment())

    def trial(self, reference: str) -> str:
        mounts = shlex.join(word for mount in self._mounts() for word in ("-v", mount))
        return (
            f"podman run --rm --init --net=host {mounts} {reference} "
            "bash -lc 'command -v vllm >/dev/null && echo runs'"
        )

    def _mounts(self) -> list[str]:
        return [f"{path}:{path}:ro" for path in (Path("/usr"), *self.shares())]

    @classmethod
    def require(cls) -> None:
        super().require()
        if why := vllmcpu.room_for_it():
            raise CannotRun(why)
        try:
            vllmcpu.environment()
        except CannotBeHad as why_not:
            raise CannotRun(str(why_not)) from why_not

    def real(self) -> Preset:
        """The preset."""
        environment = {"VLLM_USE_MODELSCOPE": None, "OMP_NUM_THREADS": "1"}
        return self.made({"args": SHAPE, "env": environment}, {"mounts": self._mounts()})


@pytest.fixture(scope="module")
def kind() -> type[EngineLab]:
    return VllmLab


# what no machine is too fast for; the headless node does not say that it serves
STAGES = [Phase.CONTAINER, Phase.PYTHON, Phase.HANDSHAKE, Phase.RANKS, Phase.KV_CACHE]


async def told_from_the_start(lab: VllmLab, launch: Followed) -> None:
    """See that of each node the stages are known, one after the other, and the whole log."""
    for rank, machine in zip(launch.work.ranks, lab.nodes, strict=True):
        asked = [*STAGES, Phase.READY] if rank.rank == 0 else STAGES
        await until(lambda r=rank, a=asked: {*a} <= {*r.phases}, limit_s=LIMIT_S)
        times = [rank.phases[phase] for phase in asked]
        took = [f"{phase.title} {rank.phases[phase] - times[0]:.0f} s" for phase in asked]
        print(f"\n{rank.label}: {took}")
        assert times == sorted(times)
        first = machine.run(f"podman logs {NAME} 2>&1").splitlines()[0]
        await until(lambda r=rank, f=first: r.log.line(0) == clean(f).rstrip(), limit_s=LIMIT_S)


def kill_engine(machine: Machine) -> None:
    """Kill vLLM's first process, as the kernel does when memory runs out."""
    machine.run("kill -9 $(pgrep -o -f 'bin/vllm serve')")


async def test_ready_chat_and_a_killed_node(lab: VllmLab) -> None:
    preset = lab.real()
    async with followed(preset, limit_s=LIMIT_S) as launch:
        work = launch.work
        await launch.ready()
        print(f"\n{work.message}")
        await told_from_the_start(lab, launch)
        assert [rank.state for rank in work.ranks] == ["ready", "ready"]
        assert any("headless mode" in line for line in work.ranks[1].log.tail(1000))
        async with open_chat(launch.fleet.remotes[0], preset) as client:
            assert served_model(preset) in await client.models()
            for _ in range(4):  # both engines get their turn
                asked = [{"role": "user", "content": "The future of AI is"}]
                deltas = [delta async for delta in client.stream(asked, max_tokens=8)]
                assert deltas[-1].usage
                assert deltas[-1].usage["completion_tokens"] > 0
        assert (await work.status()).serving
        kill_engine(lab.nodes[1])
        await launch.over()
        assert f"node 1 ({lab.nodes[1].address}) failed: exited with code" in work.message
        assert work.ranks[1].state == "failed"
        # node 0 goes on saying that it serves, until somebody asks it for a token
        print(f"node 0 after the death of node 1: {lab.nodes[0].run(HEALTH, status=None)}")
        assert not (await work.status()).serving
        assert await work.stop() == []
    lab.nothing_left()


async def found_from_elsewhere(lab: VllmLab) -> None:
    async with followed(lab.real(), found=True, limit_s=LIMIT_S) as launch:
        await launch.ready()
        await told_from_the_start(lab, launch)


HEALTH = "curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8000/health"


async def test_a_node_killed_while_it_starts(lab: VllmLab) -> None:
    async with followed(lab.real(), limit_s=LIMIT_S) as launch:
        work = launch.work
        await launch.stage(1, "handshake")
        kill_engine(lab.nodes[1])
        await launch.over()
        assert [rank.state for rank in work.ranks] == ["aborted", "failed"]
        assert f"node 1 ({lab.nodes[1].address}) failed" in work.message
        print(f"\n{work.message}")
    lab.nothing_left()
    for machine in lab.nodes:
        kept = machine.run(f"cat /root/.v32-wizard/launches/{work.launch_id}/serve.log")
        assert "vLLM" in kept or "headless" in kept


def test_a_killed_wizard_finds_it_again_with_stages_and_logs_from_the_start(lab: VllmLab) -> None:
    lab.real()
    wizard = lab.start("launch", str(lab.path), "--yes", "--skip-checks")
    wait_for(lambda: lab.nodes[1].processes("bin/vllm serve"), "the worker's vllm", LIMIT_S)
    wizard.kill()
    wizard.communicate()
    said = lab.wizard("launch", "--attach", terminal=True, limit_s=LIMIT_S)
    print(f"\n{said}")
    assert "is served by node 0" in said
    for rank, first in enumerate(("API server version 0.11.0", "in headless mode")):
        assert f"node {rank}: running" in said
        assert first in lab.wizard("logs", "--node", str(rank))
    assert json.loads(lab.wizard("status", "--format", "json"))["serving"] is True
    assert lab.wizard("chat", "The future of AI is").strip()
    # and once more, when all is over that the logs tell: another jump host, which has no file
    lab.environment["V32_WIZARD_HOME"] = str(lab.folder / "elsewhere")
    asyncio.run(found_from_elsewhere(lab))
    assert "nothing of ours runs" in lab.wizard("stop", "--yes")
    lab.nothing_left()
