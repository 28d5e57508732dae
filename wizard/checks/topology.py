"""How the NPUs of a cluster are joined, read from what they say; which pings must pass follows.

Three ways exist (facts on hccn_tool, "Which pings must pass"): through switches every pair across
nodes; over direct fibres only the same index on two nodes; inside one A3 super-pod over HCCS,
where the RoCE ports may not be cabled at all. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from wizard.checks.model import CellKey, Result, Status
from wizard.checks.problems import Problem
from wizard.cluster import Cluster

Device = tuple[int, int]  # rank of the node, physical id of the NPU
Answers = Mapping[CellKey, Result]


class Wiring(StrEnum):
    """How most NPUs are joined over RoCE, or that they are not."""

    SWITCHED = "switched"
    DIRECT = "direct fibre"
    SUPER_POD = "super-pod over HCCS"
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Topology:
    """What was recognised.

    Attributes:
        wiring: of the cluster as a whole.
        direct: NPUs whose neighbour is another NPU, by a direct fibre.
        ports: switch port by NPU, as the neighbour names it.
        pods: super-pod by node, of those that are in one.
        uncabled: nodes inside the super-pod whose RoCE ports are all down and without address:
            not cabled on purpose.
    """

    wiring: Wiring = Wiring.UNKNOWN
    direct: frozenset[Device] = frozenset()
    ports: Mapping[Device, str] = field(default_factory=dict)
    pods: Mapping[int, int] = field(default_factory=dict)
    uncabled: frozenset[int] = frozenset()

    @property
    def text(self) -> str:
        """The topology in one sentence for people."""
        said = {
            Wiring.SWITCHED: f"{len(self.ports)} NPUs are on switches",
            Wiring.DIRECT: f"{len(self.direct)} NPUs are joined by direct fibres",
            Wiring.SUPER_POD: "the nodes are joined by HCCS; their RoCE ports are not cabled",
            Wiring.UNKNOWN: "no neighbour said who it is, so the wiring is not known",
        }[self.wiring]
        pods = sorted(set(self.pods.values()))
        if not pods:
            return f"{said}."
        name = "super-pod" if len(pods) == 1 else "super-pods"
        return f"{said}; {name} {', '.join(map(str, pods))}."

    def why_not(self, check: str, source: Device, target: Device) -> str:
        """Return why a ping from one NPU to another need not pass, "" when it must."""
        if check == "hccs_ping":
            pods = [self.pods.get(rank) for rank in (source[0], target[0])]
            if None in pods or pods[0] != pods[1]:
                return f"nodes {source[0]} and {target[0]} are not in one super-pod"
            return ""
        if self.uncabled & {source[0], target[0]}:
            return "the nodes are joined by HCCS inside their super-pod; RoCE is not cabled"
        if source[1] != target[1] and self.direct & {source, target}:
            return "a direct fibre joins NPUs of the same index only"
        return ""


def read_topology(answers: Answers, cluster: Cluster) -> Topology:
    """Return how the cluster is wired, as far as the answers tell by now."""
    direct: set[Device] = set()
    ports: dict[Device, str] = {}
    pods: dict[int, int] = {}
    for key, result in answers.items():
        if key.check == "spod" and result.value.get("super_pod") is not None:
            pods[key.node] = int(result.value["super_pod"])
        if key.check != "lldp" or key.device is None or result.status is not Status.PASS:
            continue
        if result.value.get("direct"):
            direct.add((key.node, key.device))
        elif port := result.value.get("port"):
            ports[key.node, key.device] = str(port)
    uncabled = _uncabled(answers, cluster, pods)
    wiring = Wiring.UNKNOWN
    if uncabled and len(uncabled) == len(cluster.nodes):
        wiring = Wiring.SUPER_POD
    elif direct or ports:
        wiring = Wiring.DIRECT if len(direct) > len(ports) else Wiring.SWITCHED
    return Topology(wiring, frozenset(direct), ports, pods, uncabled)


def _uncabled(answers: Answers, cluster: Cluster, pods: Mapping[int, int]) -> frozenset[int]:
    """Find nodes without RoCE on purpose: all in one super-pod, and not one port alive."""
    ranks = {node.rank for node in cluster.nodes}
    if set(pods) != ranks or len(set(pods.values())) != 1:
        return frozenset()
    found = set()
    for rank in ranks:
        devices = range(cluster.series.devices)
        links = [answers.get(CellKey(rank, n, "link")) for n in devices]
        ips = [answers.get(CellKey(rank, n, "ip")) for n in devices]
        if all(_says(r, Problem.LINK_DOWN) for r in links) and all(
            _says(r, Problem.NO_IP) for r in ips
        ):
            found.add(rank)
    return frozenset(found)


def _says(result: Result | None, problem: Problem) -> bool:
    return result is not None and result.value.get("problem") == problem
