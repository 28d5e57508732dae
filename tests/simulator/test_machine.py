"""What a simulated node says of itself as a machine, and how a scenario makes it odd."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from wizard.cluster import Precision, Series
from wizard.errors import UsageError
from wizard.simulator.cluster import SimulatedCluster
from wizard.simulator.scenario import check_fits, parse_scenario

ODD = """
nodes:
  - node: 1
    host: {arch: x86_64, hostname: strange, os: "Ubuntu 22.04.4 LTS", devices: 15, clock: 4000,
           driver: "24.1.rc3", docker: down, free_gb: 7, same_machine_as: 0, network: vlan}
    weights: incomplete
  - node: 2
    host: {series: A2, docker: denied, network: nat, no_route_to: [0]}
  - node: 3
    host: {docker: missing, network: bond}
"""


async def say(cluster: SimulatedCluster, rank: int, command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        command,
        env=cluster._environment(cluster.nodes[rank]),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 20)
    return out.decode()


async def test_odd_machines_answer_as_their_scenario_says(tmp_path: Path) -> None:
    (tmp_path / "odd.yaml").write_text(ODD)
    async with SimulatedCluster(
        series=Series.A3,
        precision=Precision.BF16,
        nodes=4,
        scenario=tmp_path / "odd.yaml",
        speed=50,
    ) as cluster:
        said = await say(
            cluster,
            1,
            "uname -m; hostname; grep PRETTY /etc/os-release; ls /dev/davinci[0-9]* | wc -l;"
            "cat /usr/local/Ascend/driver/version.info | head -n 1; npu-smi -v; docker info;"
            "docker --version; df -Pk / | tail -n 1; ip -o -4 addr show | grep global;"
            "echo $(( $(date +%s) - $(command date -d now +%s) ))",
        )
        for word in (
            *("x86_64", "strange", "Ubuntu 22.04.4 LTS", "15", "Version=24.1.rc3", "24.1.rc3"),
            *("Cannot connect to the Docker daemon", "Docker version 24.0.9", " 7340032 "),
            "enp66s0f0.100 ",
        ):
            assert word in said, (word, said)
        assert abs(int(said.split()[-1]) - 4000) <= 2
        boot = "cat /proc/sys/kernel/random/boot_id"
        boots = [await say(cluster, rank, boot) for rank in (0, 1, 2)]
        assert boots[0] == boots[1] != boots[2]
        head = cluster.nodes[0].address
        lost = await say(cluster, 2, f"docker info; ip -o route get {head}; ls /dev/davinci* | wc")
        assert "permission denied while trying to connect" in lost
        assert "Network is unreachable" in lost
        none = await say(
            cluster, 3, f"docker info; ip -o route get {head}; getent ahosts atlas-00; podman -v"
        )
        assert "docker: command not found" in none
        assert f"{head} dev bond0 src {cluster.nodes[3].address}" in none
        assert f"{head}" in none


def test_a_trait_that_names_a_node_which_is_not_there_is_refused() -> None:
    text = "nodes: [{node: 0, host: {no_route_to: [5]}}]"
    with pytest.raises(UsageError, match=r"nodes\[0\]\.host\.node is 5"):
        check_fits(parse_scenario(text), "odd", Series.A3, 2)
