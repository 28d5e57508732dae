"""What does not fit between nodes, and with the choice: each rule by a cluster that breaks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from wizard.cluster import Cluster, Node, Precision, Series
from wizard.discovery.disagreement import Disagreement, named
from wizard.discovery.disagreements import disagreements
from wizard.discovery.facts import Address, Clock, NodeFacts, Route, Runtime, Space, Weights
from wizard.discovery.quantities import size, span

GB = 10**9


def healthy(rank: int) -> NodeFacts:
    host = f"10.0.0.{rank + 1}"
    peers = [f"10.0.0.{other + 1}" for other in range(3) if other != rank]
    disk = Space("/", "/", 900 * GB, 400 * GB)
    path = "/data/model"
    return NodeFacts(
        host=host,
        hostname=f"n{rank}",
        arch="aarch64",
        os="openEuler 22.03",
        machine_id=f"{rank:032x}",
        boot_id=f"{rank + 7:032x}",
        devices=16,
        chips=("Ascend910",),
        driver="25.0.1",
        npu_smi="25.0.1",
        firmware="7.5.0",
        addresses=(Address("eth0", host, 24, True),),
        routes={peer: Route(peer, "eth0", host) for peer in peers},
        arrival=host,
        runtimes=(Runtime("docker", "24.0.7", "up", "/var/lib/docker"),),
        root_space=disk,
        runtime_space=disk,
        clock=Clock(0.1, 0.05),
        weights=(Weights(path, Precision.BF16, "", True, 9, 9, 9 * GB, disk),),
    )


def cluster(series: Series = Series.A3, **of_node_1: Any) -> Cluster:
    nodes = [Node(rank, f"10.0.0.{rank + 1}") for rank in range(3)]
    nodes[1] = replace(nodes[1], **of_node_1)
    return Cluster(series, Precision.BF16, tuple(nodes))


def found(change: Callable[[int, NodeFacts], NodeFacts], **of_node_1: Any) -> list[Disagreement]:
    facts = {rank: change(rank, healthy(rank)) for rank in range(3)}
    return disagreements(facts, cluster(**of_node_1))


def odd(rank: int, **changes: Any) -> Callable[[int, NodeFacts], NodeFacts]:
    return lambda r, f: replace(f, **changes) if r == rank else f


def test_a_healthy_cluster_agrees() -> None:
    assert found(lambda _, f: f) == []
    assert disagreements({}, cluster()) == []
    assert disagreements({1: NodeFacts("10.0.0.2", devices=16)}, cluster())[0].id == "address"


DISK = Space("/var/lib/docker", "/var", 900 * GB, 20 * GB)
W8A8 = Weights("/data/q", Precision.W8A8, "", True, 9, 9, GB)
HALF = Weights("/data/model", Precision.BF16, "", True, 7, 9, GB)
A2 = {"devices": 8, "chips": ("910B3",)}


@pytest.mark.parametrize(
    ("changes", "name", "severity", "nodes", "said", "right"),
    [
        (odd(1, **A2), "series", "blocks", (1,), "A3 was chosen, but node 1 has 8 NPUs: A2.",
         "take the node off"),
        (lambda _, f: replace(f, **A2), "series", "blocks", (0, 1, 2),
         "nodes 0, 1 and 2 have 8 NPUs: A2.", "Choose A2"),
        (odd(2, devices=0, chips=None), "no-npu", "blocks", (2,), "node 2 has no NPU", "driver"),
        (odd(2, devices=15), "npus", "blocks", (2,), "node 2 has 15 NPUs where an A3 server has 16",
         "npu-smi info"),
        (odd(0, chips=("910B3",)), "npus", "blocks", (0,), "16 NPUs that npu-smi calls 910B3",
         "Change the hardware"),
        (odd(0, devices=8, chips=("910ProA",)), "npus", "blocks", (0,), "910ProA: not an A3",
         "Change the hardware"),
        (odd(0, devices=None), "npus-unknown", "warns", (0,), "could not be counted", "checks"),
        (odd(1, arch="x86_64"), "arch", "blocks", (1,), "node 1 is x86_64", "off the list"),
        (odd(2, boot_id=f"{7:032x}", hostname="n0"), "same-machine", "blocks", (0, 2),
         "nodes 0 and 2 are one and the same machine (n0)", "all but one"),
        (odd(2, hostname="n0"), "same-hostname", "warns", (0, 2), "both call themselves n0",
         "hostnamectl"),
        (odd(1, driver="24.1"), "driver", "warns", (1,), "24.1 on node 1; 25.0.1 on nodes 0 and 2",
         "one version"),
        (odd(1, firmware="7.1"), "firmware", "warns", (1,), "7.1 on node 1", "one version"),
        (odd(0, os="Ubuntu 22.04"), "os", "warns", (0,), "Ubuntu 22.04 on node 0", "one version"),
        (odd(1, clock=Clock(-95.0, 0.4)), "clock", "warns", (1,), "node 1 is 95 s behind", "NTP"),
        (odd(1, runtimes=()), "runtime", "warns", (1,), "node 1 has no docker.", "Install"),
        (odd(1, runtimes=(Runtime("podman", "4", "up"),)), "runtime", "warns", (1,),
         "no docker; there is podman", "another runtime"),
        (odd(1, runtimes=(Runtime("docker", "24.0.7", "down"),)), "runtime", "warns", (1,),
         "Docker does not answer on node 1", "systemctl start docker"),
        (odd(1, runtimes=(Runtime("docker", "24.0.7", "denied"),)), "runtime", "warns", (1,),
         "The login may not use docker on node 1", "group docker"),
        (odd(1, runtimes=(Runtime("docker", "18.09", "up"),)), "runtime-version", "warns", (1,),
         "18.09 on node 1", "one version"),
        (odd(2, runtime_space=DISK), "disk", "warns", (2,), "20 GB free on /var", "Free some"),
        (odd(2, root_space=Space("/", "/", 9 * GB, GB), runtime_space=None), "disk", "warns", (2,),
         "1.0 GB free on /; logs", "Free some"),
        (odd(2, weights=()), "weights-some", "warns", (2,), "lie on nodes 0 and 1, and were not",
         "every node"),
        (lambda _, f: replace(f, weights=()), "weights-none", "warns", (0, 1, 2), "on any node",
         "model"),
        (odd(2, weights=(HALF,)), "weights-partial", "warns", (2,), "7 of 9 shards in /data/model",
         "Fetch"),
        (odd(2, weights=(W8A8,)), "weights-other", "warns", (2,), "W8A8 weights in /data/q; BF16",
         "precision"),
        (odd(1, routes={"10.0.0.1": Route(problem="there is no route")}), "no-route", "blocks",
         (1, 0), "node 1 cannot reach node 0: there is no route", "ip route"),
        (odd(1, addresses=None), "address", "blocks", (1,), "could not be read", "Type local_ip"),
        (odd(1, addresses=(Address("eth0", "10.0.0.1", 24, True),)), "same-address", "blocks",
         (0, 1), "nodes 0 and 1 would all use the address 10.0.0.1", "local_ip"),
        (odd(1, addresses=(Address("eth0", "fd00::1", 64, True),), arrival="fd00::1", routes={}),
         "families", "blocks", (1,), "node 1 would use IPv6", "one family"),
    ],
)  # fmt: skip
def test_each_rule_names_the_odd_node_and_what_to_do(
    changes: Callable[[int, NodeFacts], NodeFacts],
    name: str,
    severity: str,
    nodes: tuple[int, ...],
    said: str,
    right: str,
) -> None:
    items = found(changes)
    item = next((i for i in items if i.id == name), None)
    assert item is not None, items
    assert (item.severity, item.nodes) == (severity, nodes)
    assert said in item.text
    assert right in item.right
    extra = {"series": {"npus"}, "weights-other": {"weights-some"}}
    assert {i.id for i in items} - {name} <= extra.get(name, set()), items


def test_what_the_user_set_is_theirs_but_is_named() -> None:
    (item,) = found(lambda _, f: f, local_ip="10.0.9.9")
    assert (item.id, item.severity, item.nodes) == ("address", "warns", (1,))
    assert "does not hold local_ip 10.0.9.9; it has 10.0.0.2 on eth0" in item.text
    (item,) = found(lambda _, f: f, nic="eth7")
    assert "no address on eth7" in item.text
    assert found(lambda _, f: f, local_ip="10.0.0.2", nic="eth0") == []


def test_a_clock_is_off_only_beyond_what_the_measuring_may_err() -> None:
    assert found(odd(1, clock=Clock(6.0, 2.0))) == []
    assert [i.id for i in found(odd(1, clock=Clock(6.0, 0.5)))] == ["clock"]
    two = {
        0: replace(healthy(0), clock=Clock(0.0, 0.1)),
        1: replace(healthy(1), clock=Clock(60, 0.1)),
    }
    assert "node 1 is 60 s ahead" in next(
        i.text for i in disagreements(two, cluster()) if i.id == "clock"
    )
    alone = disagreements({0: replace(healthy(0), clock=Clock(7200, 0.1))}, cluster())
    assert "2 h 0 min ahead of this machine's" in next(i.text for i in alone if i.id == "clock")


def test_without_a_majority_all_are_named() -> None:
    two = {0: healthy(0), 1: replace(healthy(1), driver="24.1")}
    (item,) = disagreements(two, cluster())
    assert sorted(item.nodes) == [0, 1]


def test_blocking_ones_come_first_and_words_read_well() -> None:
    items = found(odd(1, driver="24.1", arch="x86_64"))
    assert [i.severity for i in items] == ["blocks", "warns"]
    assert (named([1]), named([2, 0]), named([3, 1, 2])) == (
        "node 1",
        "nodes 0 and 2",
        "nodes 1, 2 and 3",
    )
    assert [span(s) for s in (7.4, 600, 4000, 90000, 400000)] == [
        *("7 s", "10 min", "66 min", "25 h 0 min", "4 d"),
    ]
    assert [size(n) for n in (1500, 5 * 10**6, 17 * GB, 3 * 10**12)] == [
        *("1 kB", "5.0 MB", "17 GB", "3.0 TB"),
    ]
