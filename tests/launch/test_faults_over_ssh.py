"""Launches that must fail, on the simulated cluster over real SSH: the right cause is named first,
nothing of ours is left, and what belongs to others is as it was."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.launch.bench import until
from tests.simulator.bench import Shell, connect
from wizard.cluster import Precision, Series
from wizard.errors import WizardError
from wizard.launch import Launch, freed, headstart
from wizard.launch.durations import NO_PROGRESS_S
from wizard.launch.progress import Phase
from wizard.launch.stages import Look, look, phase_of
from wizard.presets import Preset, load_preset
from wizard.remote.fleet import SSHFleet, open_fleet
from wizard.scripts import api_port, rpc_port
from wizard.simulator.cluster import SimulatedCluster

SPEED = 40.0
LIMIT_S = 60.0  # on a machine that is busy


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads the user's own ssh_config, known_hosts or agent."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("V32_WIZARD_HOME", str(tmp_path / "wizard"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setattr(headstart, "_POLL_S", 0.1)
    monkeypatch.setattr(freed, "_POLL_S", 0.1)


@dataclass
class Lab:
    """A simulated cluster with other people's containers on it, and a launch of ours."""

    simulated: SimulatedCluster
    preset: Preset
    work: Launch
    others: list[tuple[str, str, int]]
    ports: dict[tuple[str, int], bool]

    async def start(self) -> str:
        """Start; return the error, "" for none."""
        try:
            await self.work.start()
        except WizardError as error:
            return str(error)
        return ""

    async def fails(self) -> str:
        """Start and follow to the failure; return what the launch says of it."""
        error = await self.start()
        if not error:
            await self.work.follow()
        assert self.work.state == "failed"
        return self.work.message

    @property
    def cause(self) -> tuple[str, int | None, str]:
        """The first cause: its signature, its node, how sure."""
        assert self.work.diagnosis is not None
        first = self.work.diagnosis.causes[0]
        return first.signature.id, first.node, first.confidence

    def containers(self) -> list[tuple[str, str, int]]:
        """Every container of every node: its name, id, and the process that it runs."""
        assert self.simulated.daemon is not None
        return [
            (c.spec.name, c.id, c.process.pid if c.running and c.process else 0)
            for found in self.simulated.daemon.containers.values()
            for c in found
        ]

    def _ending(self) -> bool:
        """Whether ports or processes of ours are still on their way out."""
        words = ("vllm serve", "logs -f")
        return taken(self.preset) != self.ports or bool(processes(self.simulated, *words))

    async def check_nothing_is_left(self) -> None:
        """Ours is gone, NPUs and ports are as they were, and so is what others have."""
        assert self.containers() == self.others
        daemon = self.simulated.daemon
        assert daemon is not None
        assert [daemon.users(node) for node in self.simulated.nodes] == [{}] * len(
            self.preset.nodes
        )
        async with asyncio.timeout(LIMIT_S):  # a process that was ended takes a moment
            while self._ending():
                await asyncio.sleep(0.1)
        for node in self.simulated.nodes:
            launches = node.home / ".v32-wizard/launches"
            assert [path.name for path in launches.glob("*") if path.is_dir()] in (
                [],
                [self.work.launch_id],
            )
        report = await self.work.status()
        assert [node.state for node in report.nodes] == ["absent"] * len(self.preset.nodes)


def taken(preset: Preset) -> dict[tuple[str, int], bool]:
    """Which of the launch's ports somebody listens on, by node address."""
    found = {}
    for node in preset.nodes:
        for port in filter(None, (api_port(preset), rpc_port(preset))):
            with socket.socket() as probe:
                found[node.host, port] = probe.connect_ex((node.host, port)) == 0
    return found


def processes(simulated: SimulatedCluster, *words: str) -> list[str]:
    """Command lines of the cluster's living processes that contain one of ``words``."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_text().replace("\0", " ")
            mine = str(simulated.directory) in line + (entry / "environ").read_text()
        except (OSError, UnicodeDecodeError):
            continue
        if mine and any(word in line for word in words):
            found.append(line)
    return found


async def stranger(simulated: SimulatedCluster, preset: Preset) -> None:
    """Run a container on every node that has an image: one like ours, and not ours."""
    for spec, node in zip(preset.nodes, simulated.nodes, strict=True):
        if not node.images:
            continue
        connection = await connect(spec.model_dump())
        async with connection:
            shell = Shell(connection)
            name = f"{preset.container.name}-of-somebody"
            options = f"--name {name} --label v32-wizard.preset=another"
            await shell.good(f"docker run -d {options} {min(node.images)} sleep 600")


@asynccontextmanager
async def lab(
    tmp_path: Path,
    scenario: str = "",
    change: Callable[[dict[str, Any]], None] | None = None,
) -> AsyncIterator[Lab]:
    """Two A3 nodes with a scenario, and a launch of the preset with changes."""
    file = tmp_path / "scenario.yaml"
    file.write_text(scenario.strip() or "title: healthy\n")
    cluster = SimulatedCluster(
        series=Series.A3, precision=Precision.BF16, speed=SPEED, scenario=file
    )
    async with cluster as simulated, asyncio.timeout(LIMIT_S * 2):
        preset = load_preset(simulated.preset_path)
        await stranger(simulated, preset)
        body = preset.model_dump(mode="json")
        if change is not None:
            change(body)
        changed = Preset.model_validate(body)
        async with open_fleet(changed.cluster) as fleet:
            yield make(simulated, changed, fleet)


def make(simulated: SimulatedCluster, preset: Preset, fleet: SSHFleet) -> Lab:
    work = Launch(fleet, preset, interval_s=0.1)
    found = Lab(simulated, preset, work, [], taken(preset))
    found.others = found.containers()
    assert all(pid for _, _, pid in found.others)
    return found


Change = Callable[[dict[str, Any]], None]


def nic(rank: int) -> Change:
    """An interface that the node does not have."""

    def change(body: dict[str, Any]) -> None:
        body["nodes"][rank]["nic"] = "enp9s0"

    return change


def address(rank: int) -> Change:
    """An address that the node does not have."""

    def change(body: dict[str, Any]) -> None:
        own = body["nodes"][rank]["local_ip"]
        body["nodes"][rank]["local_ip"] = own.rpartition(".")[0] + ".99"

    return change


def ignoring(check: str, problem: str, rank: int, then: Change = lambda _: None) -> Change:
    """What the look before the start would have refused: somebody said that it is fine."""

    def change(body: dict[str, Any]) -> None:
        words = {"reason": "it was fine yesterday", "by": "me", "at": "2026-11-24T12:00:00Z"}
        host = f"{body['nodes'][rank]['host']}:{body['nodes'][rank]['port']}"
        body["ignores"] = [{"check": check, "problem": problem, "host": host, **words}]
        then(body)

    return change


@pytest.mark.parametrize(
    ("scenario", "change", "rank", "words"),
    [
        (
            "nodes: [{node: 1, image: missing}]",
            None,
            1,
            ["the image is not on", "docker pull quay"],
        ),
        ("nodes: [{node: 0, ports: [8000, 13389]}]", None, 0, ["taken: 8000", "13389", "ss -ltnp"]),
        ("nodes: [{node: 1, weights: missing}]", None, 1, ["the folder of the weights is missing"]),
        ("nodes: [{node: 0, weights: incomplete}]", None, 0, ["model-00001-of-000163.safetensors"]),
        ("", nic(1), 1, ["on enp66s0f0, not on enp9s0"]),
        ("", address(0), 0, ["no interface of the node holds", ".99"]),
    ],
    ids=["image", "ports", "weights-missing", "weights-incomplete", "wrong-nic", "wrong-address"],
)
async def test_what_can_be_seen_before_is_refused_and_nothing_is_started(
    scenario: str, change: Change | None, rank: int, words: list[str], tmp_path: Path
) -> None:
    async with lab(tmp_path, scenario, change) as found:
        error = await found.start()
        assert error.startswith(f"nothing was started. Node {rank}: ")
        assert [word for word in words if word not in error] == []
        states = ["aborted", "aborted"]
        states[rank] = "failed"
        assert [r.state for r in found.work.ranks] == states
        assert found.work.ranks[1 - rank].detail == "nothing was started"
        why = found.work.ranks[rank].detail  # in few words; the sentence is the launch's
        assert why
        assert why in error
        assert not why.startswith("nothing was started")
        assert found.work.diagnosis is None
        for node in found.simulated.nodes:
            assert not (node.home / ".v32-wizard").exists()
        await found.check_nothing_is_left()


@pytest.mark.parametrize(
    ("scenario", "change", "rank", "cause", "words"),
    [
        (
            "launch: [{node: 1, at: load, does: out_of_memory}]",
            None,
            1,
            "npu_oom",
            ["NPU 0 ran out of memory", "npu-smi info"],
        ),
        (
            "nodes: [{node: 1, weights: incomplete}]",
            ignoring("weights", "weights-incomplete", 1),
            1,
            "weights_incomplete",
            ["not whole", "model.safetensors.index.json"],
        ),
        (
            # somebody listens where node 0 would: it must not be taken for node 0
            "nodes: [{node: 0, ports: [13389]}]",
            ignoring("ports", "port-taken", 0),
            0,
            "zmq_address_in_use",
            ["A port that vLLM needs", "13389", "ss -ltnp"],
        ),
        (
            "",
            ignoring("nic", "nic-wrong", 0, address(0)),
            0,
            "plog_hccl_if_ip_wrong",
            [".99", "Set local_ip of this node"],
        ),
    ],
    ids=["out-of-memory", "weights", "rpc-port-taken", "wrong-address"],
)
async def test_what_vllm_ends_with_is_named_and_all_is_taken_away(
    scenario: str,
    change: Change | None,
    rank: int,
    cause: str,
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if "ports" in scenario:
        monkeypatch.setattr(freed, "CLOSE_S", 1.0)  # a stranger's port does not close
    async with lab(tmp_path, scenario, change) as found:
        said = await found.fails()
        assert found.cause == (cause, rank, "cause")
        assert said.startswith(f"node {rank} (")
        assert f"Cause, on node {rank}: " in said
        assert [word for word in words if word not in said] == []
        states = ["aborted", "aborted"]
        states[rank] = "failed"
        assert [r.state for r in found.work.ranks] == states
        await found.check_nothing_is_left()
        # the declared rest: scripts and log of the launch, for its owner only
        for node in found.simulated.nodes:
            folder = node.home / ".v32-wizard/launches" / found.work.launch_id
            assert folder.stat().st_mode & 0o777 == 0o700
            assert {"container.sh", "serve.sh"} <= {path.name for path in folder.iterdir()}


async def test_a_handshake_that_could_never_happen_is_named_before_the_workers_start(
    tmp_path: Path,
) -> None:
    async with lab(tmp_path, "nodes: [{node: 1, rpc: blocked}]") as found:
        error = await found.start()
        head = found.preset.nodes[0].local_ip
        assert error.startswith(f"node 1 ({found.preset.nodes[1].host}) does not reach node 0's")
        assert f"RPC port, {head} port 13389: no answer within 5 s" in error
        assert [word for word in ("firewalls", "local_ip") if word not in error] == []
        assert [r.state for r in found.work.ranks] == ["aborted", "failed"]
        assert len(found.work.ranks[1].log) == 0
        await found.check_nothing_is_left()


async def test_a_stall_is_named_and_nothing_is_ended_on_a_guess(tmp_path: Path) -> None:
    async with lab(tmp_path, "launch: [{node: 1, at: load, does: hangs}]") as found:
        work = found.work
        assert await found.start() == ""
        follow = asyncio.create_task(work.follow())

        def seen(later_s: float) -> list[Look]:
            return look(work.ranks, time.time() + later_s)

        await until(lambda: phase_of(work.ranks[0]) is Phase.ENGINE, limit_s=LIMIT_S)
        await until(lambda: phase_of(work.ranks[1]) is Phase.WEIGHTS, limit_s=LIMIT_S)
        assert "stalled" not in [rank.state for rank in seen(0)]
        head, worker = seen(NO_PROGRESS_S + 1)  # as if two minutes had gone by
        assert head.state == "done"
        assert head.note == "this node is done, waits for node 1, which is at weights"
        assert worker.state == "stalled"
        assert worker.note.endswith("reads weights: is the disk or network share slow?")
        assert (work.state, work.diagnosis) == ("waiting", None)
        assert len(found.containers()) == len(found.others) + 2
        assert await work.stop() == []
        await asyncio.wait_for(follow, LIMIT_S)
        assert [rank.state for rank in work.ranks] == ["stopped", "stopped"]
        await found.check_nothing_is_left()
