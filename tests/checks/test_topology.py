"""How the NPUs are joined, and which pings must pass."""

from __future__ import annotations

from typing import Any

import pytest

from wizard.checks.model import CellKey, Result, Status
from wizard.checks.problems import Problem
from wizard.checks.topology import Wiring, read_topology
from wizard.cluster import Cluster, Node, Precision, Series

A3 = Cluster(Series.A3, Precision.BF16, (Node(0, "a"), Node(1, "b")))


def answer(node: int, device: int | None, check: str, **value: Any) -> Result:
    status = Status.FAIL if value.get("problem") else Status.PASS
    return Result(CellKey(node, device, check), status, "", value=value)


def answers(*results: Result) -> dict[CellKey, Result]:
    return {result.key: result for result in results}


def uncabled(alive: tuple[int, int] | None = None) -> list[Result]:
    """What the ports of two nodes say that are not cabled; one of them may be, after all."""
    found = []
    for node in (0, 1):
        for device in range(16):
            if (node, device) == alive:
                found.append(answer(node, device, "link", link="UP"))
            else:
                found.append(answer(node, device, "link", problem=Problem.LINK_DOWN))
            found.append(answer(node, device, "ip", problem=Problem.NO_IP))
    return found


def pods(*ids: int) -> list[Result]:
    return [answer(node, None, "spod", super_pod=pod) for node, pod in enumerate(ids)]


def test_nothing_is_known_of_what_nobody_said() -> None:
    found = read_topology({}, A3)
    assert found.wiring is Wiring.UNKNOWN
    assert found.why_not("ping", (0, 0), (1, 5)) == ""


def test_switched_every_pair_must_pass() -> None:
    told = [answer(n, d, "lldp", port="400GE1/0/1", direct=False) for n in (0, 1) for d in (0, 1)]
    found = read_topology(answers(*told), A3)
    assert found.wiring is Wiring.SWITCHED
    assert found.text == "4 NPUs are on switches."
    assert found.why_not("ping", (0, 0), (1, 5)) == ""


@pytest.mark.parametrize("end", [0, 1])
def test_a_direct_fibre_at_either_end_leaves_the_same_index_only(end: int) -> None:
    found = read_topology(answers(answer(end, 3, "lldp", direct=True)), A3)
    assert found.wiring is Wiring.DIRECT
    there = (1, 3) if end == 1 else (1, 4)
    here = (0, 4) if end == 1 else (0, 3)
    assert "same index" in found.why_not("ping", here, there)
    assert found.why_not("ping", (0, 3), (1, 3)) == ""
    assert found.why_not("ping", (0, 7), (1, 8)) == ""


def test_inside_a_super_pod_ports_without_cable_are_meant_so() -> None:
    found = read_topology(answers(*uncabled(), *pods(4, 4)), A3)
    assert found.wiring is Wiring.SUPER_POD
    assert found.uncabled == {0, 1}
    assert "HCCS" in found.why_not("ping", (0, 1), (1, 1))
    assert found.why_not("hccs_ping", (0, 1), (1, 1)) == ""
    assert found.text.endswith("; super-pod 4.")


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ([*uncabled((0, 9)), *pods(4, 4)], "a node with one port alive is cabled"),
        ([*uncabled(), *pods(4, 5)], "two super-pods"),
        ([*uncabled(), *pods(4)], "nothing is known of the other node"),
        (uncabled(), "no super-pod at all"),
    ],
)
def test_a_link_that_is_down_is_a_fault_otherwise(told: list[Result], why: str) -> None:
    assert 0 not in read_topology(answers(*told), A3).uncabled, why


def test_hccs_joins_only_nodes_of_one_super_pod() -> None:
    found = read_topology(answers(*pods(4, 5)), A3)
    assert "not in one super-pod" in found.why_not("hccs_ping", (0, 0), (1, 0))
    assert "not in one super-pod" in read_topology({}, A3).why_not("hccs_ping", (0, 0), (1, 0))
