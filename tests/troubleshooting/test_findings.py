"""Findings: what a board of bad cells amounts to."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import permutations

import pytest

from wizard.checks.board import Board
from wizard.checks.model import CellKey, Result, Status
from wizard.checks.problems import Problem
from wizard.cluster import Cluster, Node, Precision, Series
from wizard.troubleshooting.findings import Finding, findings, where_text

Pair = tuple[int, int, int, int]  # node, device, peer's node, peer's device


def cluster(nodes: int, series: Series = Series.A2) -> Cluster:
    return Cluster(series, Precision.BF16, tuple(Node(n, f"n{n}") for n in range(nodes)))


def bad(node: int, device: int | None, check: str, problem: Problem, **more: object) -> Result:
    status = more.pop("status", Status.FAIL)
    assert isinstance(status, Status)
    value = {"problem": problem.value, **more}
    return Result(CellKey(node, device, check), status, "bad", value=value)


def pings(nodes: int, lost: Iterable[Pair], *, full: bool = False) -> list[Result]:
    """A ping matrix of four devices per node, where ``lost`` fail."""
    gone = set(lost)
    found = []
    for node, peer in permutations(range(nodes), 2):
        for device in range(4):
            for other in range(4) if full else (device,):
                key = CellKey(node, device, "ping", peer, other)
                failed = (node, device, peer, other) in gone
                value = {"problem": Problem.PING_LOSS.value} if failed else {}
                found.append(Result(key, Status.FAIL if failed else Status.PASS, "x", value=value))
    return found


def read(results: Iterable[Result], nodes: int = 2) -> list[Finding]:
    board = Board()
    for result in results:
        board.put(result)
    return findings(board, cluster(nodes))


def said(found: Iterable[Finding]) -> list[tuple[str, list[tuple[int, int | None]]]]:
    return [(f.id, [(w["node"], w["device"]) for w in f.where]) for f in found]


def both(node: int, device: int, peer: int, other: int) -> list[Pair]:
    return [(node, device, peer, other), (peer, other, node, device)]


@pytest.mark.parametrize("optic", [Problem.OPTIC_MISSING, Problem.OPTIC_NO_LIGHT])
def test_a_dead_optic_is_one_finding_with_all_that_follows_folded_under_it(
    optic: Problem,
) -> None:
    lost = pings(2, both(1, 3, 0, 3))
    found = read(
        [
            *lost,
            bad(1, 3, "link", Problem.LINK_DOWN),
            bad(1, 3, "lldp", Problem.LLDP_SILENT, status=Status.WARN),
            bad(1, 3, "net_health", Problem.NET_HEALTH_FAULT),
            bad(1, 3, "optical", optic),
        ]
    )
    assert said(found) == [(optic.value, [(1, 3)])]
    assert found[0].consequences == "2 ping, 1 link, 1 lldp, 1 net_health"


def test_a_missing_optic_with_a_link_explains_nothing_else() -> None:
    found = read([bad(1, 3, "optical", Problem.OPTIC_MISSING), *pings(2, [])])
    assert said(found) == [("optic-missing", [(1, 3)])]
    assert found[0].consequences == ""


def test_nothing_bad_is_no_finding() -> None:
    assert read(pings(2, [])) == []


def test_equal_problems_are_one_finding_and_errors_come_first() -> None:
    found = read(
        [
            bad(0, 1, "lldp", Problem.LLDP_SILENT, status=Status.WARN),
            bad(1, 2, "link", Problem.LINK_DOWN),
            bad(0, 5, "link", Problem.LINK_DOWN),
            bad(0, 7, "gateway", Problem.NOT_UNDERSTOOD, status=Status.ERROR),
        ]
    )
    assert said(found) == [
        ("not-understood", [(0, 7)]),
        ("link-down", [(0, 5), (1, 2)]),
        ("lldp-silent", [(0, 1)]),
    ]
    assert [f.severity for f in found] == ["error", "fail", "warn"]
    assert found[1].title == "The network link is down: node 0 device 5; node 1 device 2"


def test_a_warning_and_a_failure_of_one_name_are_two_findings() -> None:
    found = read(
        [
            bad(0, 1, "gateway", Problem.GATEWAY_MISSING, status=Status.WARN),
            bad(0, 2, "gateway", Problem.GATEWAY_MISSING),
        ]
    )
    assert [(f.severity, f.where[0]["device"]) for f in found] == [("fail", 2), ("warn", 1)]


def test_a_busy_node_is_named_once_and_not_per_device() -> None:
    found = read([bad(1, d, "link", Problem.BUSY, status=Status.ERROR) for d in range(8)])
    assert said(found) == [("busy", [(1, None)])]


def test_no_address_explains_health_gateway_and_pings_of_both_sides() -> None:
    key = CellKey(0, 2, "ping", 1, 2)
    unsent = Result(key, Status.FAIL, "x", value={"problem": Problem.PING_NO_ADDRESS.value})
    found = read(
        [
            bad(1, 2, "ip", Problem.NO_IP),
            bad(1, 2, "net_health", Problem.NET_HEALTH_SOCKET),
            bad(1, 2, "gateway", Problem.GATEWAY_MISSING, status=Status.WARN),
            unsent,
        ]
    )
    assert said(found) == [("no-ip", [(1, 2)])]
    assert found[0].to_json()["explains"] == {"net_health": 1, "gateway": 1, "ping": 1}


def test_each_problem_of_the_file_is_named_with_its_device() -> None:
    listed = [
        {"problem": Problem.CONF_STALE.value, "device": 3, "detail": "x"},
        {"problem": Problem.CONF_NO_ADDRESS.value, "device": 5, "detail": "x"},
    ]
    found = read([bad(0, None, "hccn_conf", Problem.CONF_STALE, problems=listed)])
    assert said(found) == [("hccn-conf-no-address", [(0, 5)]), ("hccn-conf-stale", [(0, 3)])]


# -- the ping matrix


def test_a_device_that_fails_every_peer_is_to_blame() -> None:
    lost = [p for n in (0, 2) for p in both(1, 2, n, 2)]
    assert said(read(pings(3, lost), 3)) == [("ping-device", [(1, 2)])]


def test_of_two_that_fail_each_other_the_one_with_another_problem_is_to_blame() -> None:
    wrong = bad(1, 2, "netdetect", Problem.NETDETECT_SELF)
    found = read([wrong, *pings(2, both(0, 2, 1, 2))])
    assert said(found) == [("netdetect-self", [(1, 2)]), ("ping-device", [(1, 2)])]


def test_of_two_that_fail_each_other_without_more_both_are_named() -> None:
    assert said(read(pings(2, both(0, 2, 1, 2)))) == [("ping-loss", [(0, 2), (1, 2)])]


def test_in_the_full_mesh_a_red_row_and_column_are_one_device() -> None:
    lost = [p for other in range(4) for p in both(0, 3, 1, other)]
    found = read(pings(2, lost, full=True))
    assert said(found) == [("ping-device", [(0, 3)])]


def test_a_node_that_nobody_reaches_is_named_as_a_node() -> None:
    lost = [p for d in range(4) for n in (0, 2) for p in both(1, d, n, d)]
    found = read(pings(3, lost), 3)
    assert said(found) == [("ping-node", [(1, None)])]
    assert found[0].title == "No NPU of the node reaches the others: node 1"


def test_one_direction_only_is_a_finding_of_its_own() -> None:
    found = read(pings(2, [(0, 2, 1, 2)]))
    assert said(found) == [("ping-one-way", [(0, 2), (1, 2)])]


def test_no_ping_cell_is_lost_between_the_readings() -> None:
    lost = [*both(1, 2, 0, 2), *both(1, 2, 2, 2), (0, 1, 2, 1)]
    found = read(pings(3, lost), 3)
    assert said(found) == [("ping-one-way", [(0, 1), (2, 1)]), ("ping-device", [(1, 2)])]


# -- commands


def board_of(node: int, device: int, **values: dict[str, object]) -> list[Result]:
    return [
        Result(
            CellKey(node, None if check == "hccn_conf" else device, check),
            Status.PASS,
            "",
            value=value,
        )
        for check, value in values.items()
    ]


def test_a_command_is_filled_in_with_what_is_known_of_the_device() -> None:
    known = board_of(0, 3, gateway={"gateway": "10.0.0.254"}, ip={"address": "10.0.0.3"})
    wrong = bad(0, 3, "net_health", Problem.NET_HEALTH_UNREACHABLE)
    (finding,) = read([*known, wrong])
    assert [f["command"] for f in finding.fixes] == [
        "hccn_tool -i 3 -netdetect -s address 10.0.0.254"
    ]
    assert "hccn_tool -i 3 -ping -g address 10.0.0.254" in [s["command"] for s in finding.next]


def test_without_a_gateway_the_peer_on_the_next_node_is_the_target() -> None:
    known = board_of(1, 3, ip={"address": "10.0.1.3"})
    unset = bad(0, 3, "netdetect", Problem.NETDETECT_UNSET, status=Status.WARN)
    (finding,) = read([*known, unset])
    assert finding.fixes[0]["command"] == "hccn_tool -i 3 -netdetect -s address 10.0.1.3"


def test_a_command_whose_values_are_not_known_is_left_out() -> None:
    (finding,) = read([bad(0, 3, "netdetect", Problem.NETDETECT_UNSET, status=Status.WARN)])
    assert finding.fixes == []


@pytest.mark.parametrize(
    ("gateway", "command"),
    [
        ("10.0.0.254", ["hccn_tool -i 3 -gateway -s gateway 10.0.0.254"]),
        ("10.9.0.254", []),  # outside the subnet: the file is wrong too
        ("nonsense; reboot", []),
        (None, []),
    ],
)
def test_a_missing_gateway_is_taken_from_the_file_if_it_can_be_right(
    gateway: str | None, command: list[str]
) -> None:
    entry = {"address": "10.0.0.3", "netmask": "255.255.255.0"}
    entry |= {"gateway": gateway} if gateway else {}
    known = board_of(0, 3, hccn_conf={"devices": {"3": entry}})
    (finding,) = read([*known, bad(0, 3, "gateway", Problem.GATEWAY_MISSING)])
    assert [f["command"] for f in finding.fixes] == command
    assert {f["risk"] for f in finding.fixes} <= {"low"}


@pytest.mark.parametrize(
    ("series", "device", "words"),
    [(Series.A2, 5, "-i 5 -c 0"), (Series.A3, 5, "-i 2 -c 1"), (Series.A3, 14, "-i 7 -c 0")],
)
def test_a_reset_names_card_and_chip_as_npu_smi_counts_them(
    series: Series, device: int, words: str
) -> None:
    board = Board()
    board.put(bad(0, device, "link", Problem.NOT_RESPONDING, status=Status.ERROR))
    (finding,) = findings(board, cluster(2, series))
    assert finding.fixes[0]["command"] == f"npu-smi set -t reset {words} -m 1"
    assert finding.fixes[0]["risk"] == "destructive"


def test_places_are_named_shortly() -> None:
    assert where_text([(0, 1)]) == "node 0 device 1"
    assert where_text([(0, 1), (0, 3), (0, 4), (0, 5)]) == "node 0 devices 1, 3-5"
    assert where_text([(0, None), (1, None), (3, 2)]) == "nodes 0-1; node 3 device 2"
