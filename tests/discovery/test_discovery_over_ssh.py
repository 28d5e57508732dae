"""Discovery on the simulated nodes, over real SSH: healthy, odd, and away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from wizard.cluster import Node, Precision, Series
from wizard.discovery import DiscoveryRun, complete, disagreements, is_complete, own, usual_places
from wizard.discovery.asking import ask
from wizard.errors import Unreachable, UsageError
from wizard.presets import Preset, load_preset
from wizard.remote.api import Job, JobResult
from wizard.remote.audit import AuditLog
from wizard.remote.fleet import open_fleet
from wizard.simulator import sshd
from wizard.simulator.cluster import SimulatedCluster

ODD = """
nodes:
  - node: 0
    host: {network: two}
  - node: 1
    weights: other
    host: {arch: x86_64, devices: 15, driver: 24.1.rc3, docker: denied, network: vlan, clock: -90}
  - node: 2
    weights: incomplete
    host: {same_machine_as: 0, network: nat, docker: down, free_gb: 3, hostname: elsewhere}
  - node: 3
    ssh: refused
"""


def simulated(scenario: str | Path, nodes: int | None = None) -> SimulatedCluster:
    return SimulatedCluster(
        series=Series.A3, precision=Precision.BF16, nodes=nodes, scenario=scenario, speed=50
    )


def bare(preset: Preset) -> Preset:
    """The preset without what discovery is to find."""
    nodes = [n.model_copy(update={"local_ip": None, "nic": None}) for n in preset.nodes]
    return preset.model_copy(update={"nodes": nodes})


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


async def test_healthy_nodes_describe_themselves_in_one_round_trip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with simulated("healthy") as sim:
        preset = bare(load_preset(sim.preset_path))
        async with open_fleet(preset.cluster, audit=AuditLog(tmp_path / "audit")) as fleet:
            run = DiscoveryRun(fleet, usual_places(preset))
            commands: list[str] = []
            plain = sshd._Session.exec_requested

            def counted(self: Any, command: str) -> bool:
                commands.append(command)
                return plain(self, command)

            monkeypatch.setattr(sshd._Session, "exec_requested", counted)
            await run.run()
            assert len(commands) == len(fleet.remotes)  # one each, whatever is asked
            assert not run.errors
            for rank, f in run.facts.items():
                assert (f.hostname, f.arch, f.series) == (f"atlas-{rank:02d}", "aarch64", Series.A3)
                assert (f.driver, f.npu_smi, f.firmware) == ("25.2.0", "25.2.0", "7.7.0.6.236")
                assert [(r.name, r.state) for r in f.runtimes] == [
                    ("docker", "up"),
                    ("podman", "up"),
                ]
                assert f.clock is not None
                assert abs(f.clock.offset) <= f.clock.bound + 0.01
                assert [(w.precision, w.complete) for w in f.weights] == [(Precision.BF16, True)]
                found = own(f, None if rank == 0 else preset.nodes[0].host)
                assert (found.local_ip, found.nic) == (sim.nodes[rank].address, "enp66s0f0")
            assert disagreements(run.facts, preset.cluster) == []
            found = await complete(preset, fleet)
            assert is_complete(found)
            assert [n.local_ip for n in found.nodes] == [n.address for n in sim.nodes]


async def test_odd_nodes_are_told_apart_and_one_that_is_away_disturbs_no_other(
    tmp_path: Path,
) -> None:
    (tmp_path / "odd.yaml").write_text(ODD)
    async with simulated(tmp_path / "odd.yaml", 4) as sim:
        preset = bare(load_preset(sim.preset_path))
        async with open_fleet(preset.cluster) as fleet:
            run = DiscoveryRun(fleet, usual_places(preset))
            await run.run()
            assert set(run.facts) == {0, 1, 2}
            assert isinstance(run.errors[3], Unreachable)
            assert "node 3" in str(run.errors[3])
            head = preset.nodes[0].host
            owns = [own(run.facts[r], head if r else None) for r in range(3)]
            assert [(o.local_ip, o.nic) for o in owns] == [
                (sim.nodes[0].address, "enp66s0f0"),
                (sim.nodes[1].address, "enp66s0f0.100"),
                ("10.66.0.13", "enp66s0f0"),
            ]
            items = {(i.id, i.nodes): i for i in disagreements(run.facts, preset.cluster)}
            assert {key for key, i in items.items() if i.severity == "blocks"} == {
                ("arch", (1,)),
                ("npus", (1,)),
                ("same-machine", (0, 2)),
            }
            assert {key for key, i in items.items() if i.severity == "warns"} == {
                ("driver", (1,)),
                ("clock", (1,)),
                ("runtime", (1,)),
                ("runtime", (2,)),
                ("disk", (2,)),
                ("weights-partial", (2,)),
                ("weights-other", (1,)),
                ("weights-some", (1,)),
            }
            assert "161 of 163 shards" in items["weights-partial", (2,)].text

            # node 3 comes back, and is asked alone
            before = run.facts
            server = sim._servers[3]
            object.__setattr__(sim.world.scenario.nodes[3], "ssh", None)
            await server.start(preset.nodes[3].port or 22)
            await run.run([3])
            assert set(run.facts) == {0, 1, 2, 3}
            assert not run.errors
            assert all(run.facts[r] is before[r] for r in before)


async def test_completing_keeps_what_the_user_set_and_names_what_is_not_the_nodes() -> None:
    async with simulated("healthy") as sim:
        given = load_preset(sim.preset_path)

        def with_node_1(**keys: str | None) -> Preset:
            nodes = [given.nodes[0], given.nodes[1].model_copy(update=keys)]
            return given.model_copy(update={"nodes": nodes})

        async with open_fleet(given.cluster) as fleet:
            theirs = with_node_1(local_ip="10.1.1.1", nic="eth7")
            assert await complete(theirs, fleet) == theirs  # nothing is open, so nothing is asked
            found = await complete(with_node_1(nic=None), fleet)
            assert found.nodes[1].nic == "enp66s0f0"
            with pytest.raises(UsageError, match=r"does not hold local_ip 10\.1\.1\.1.*nodes\[1\]"):
                await complete(with_node_1(local_ip="10.1.1.1", nic=None), fleet)
            with pytest.raises(UsageError, match="no address on eth7"):
                await complete(with_node_1(local_ip=None, nic="eth7"), fleet)
        async with open_fleet(given.cluster) as fleet:
            for server in sim._servers:
                await server.stop()
            with pytest.raises(Unreachable, match="node 0"):
                await complete(bare(given), fleet)


class Picky:
    """A node whose login is not root: what needs root is denied unless it is tried as root."""

    def __init__(self, *, uid: str, sudo: bool) -> None:
        self.node = Node(0, "n0")
        self.uid, self.sudo = uid, sudo
        self.batches: list[list[Job]] = []

    async def connect(self) -> None:
        pass

    async def batch(self, jobs: Sequence[Job], *, width: int = 4) -> AsyncIterator[JobResult]:
        self.batches.append(list(jobs))
        for job in jobs:
            out, err = b"", b""
            if job.id == "uid":
                out = self.uid.encode()
            elif job.id == "docker":
                allowed = job.root == "try" and self.sudo
                out = b"Docker version 24.0.1\ninfo:" + (b"24.0.1|/r\n" if allowed else b"|\n")
                err = b"" if allowed else b"Permission denied on the socket\n"
            yield JobResult(job.id, 0, out, err, 0.0)


@pytest.mark.parametrize(
    ("uid", "sudo", "state", "batches"),
    [("1000\n", True, "up", 2), ("1000\n", False, "denied", 2), ("0\n", True, "denied", 1)],
)
async def test_what_a_plain_login_may_not_see_is_asked_again_as_root_and_nothing_else(
    uid: str, sudo: bool, state: str, batches: int
) -> None:
    remote = Picky(uid=uid, sudo=sudo)
    facts = await ask(remote, (), ())  # type: ignore[arg-type]
    docker = facts.runtime("docker")
    assert docker is not None
    assert docker.state == state
    asked = [batch for batch in remote.batches if batch]
    assert len(asked) == batches
    assert {job.root for job in asked[0]} == {"no"}
    assert [job.id for job in asked[-1]] == ["docker"] or batches == 1
