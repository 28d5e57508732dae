"""Verdicts that need more than one answer: duplicates, subnets, targets, the configuration file."""

from __future__ import annotations

from typing import Any

import pytest

from wizard.checks.model import CellKey, Result, Status
from wizard.checks.problems import Problem

UNSET = ("netdetect address: 0.0.0.0\n", "", 0)
NO_GATEWAY = ("", "Get gateway failed, because no gateway was preset there!\n", 2)
INIT = ("net health status: Init\n", "", 0)


def ip(address: str, mask: str = "255.255.255.0") -> tuple[str, str, int]:
    return f"ipaddr:{address}\nnetmask:{mask}\n", "", 0


async def cell(fleet: Any, device: int | None, check: str, **options: Any) -> Result:
    """Run the checks and return one cell of node 0."""
    board = await fleet.check(**options).run()
    found: Result = board.get(CellKey(0, device, check))
    return found


async def test_an_address_used_twice_fails_on_both_and_names_the_other(fleet: Any) -> None:
    fleet.nodes[1].override["-i 4 -ip -g"] = [ip("10.77.0.22", "255.255.0.0")]
    board = await fleet.check().run()
    here, there = board.get(CellKey(0, 2, "ip")), board.get(CellKey(1, 4, "ip"))
    assert (here.status, there.status) == (Status.FAIL, Status.FAIL)
    assert here.value["problem"] == there.value["problem"] == Problem.IP_DUPLICATE
    assert here.summary == "10.77.0.22 is also the address of node 1 device 4"
    assert there.summary == "10.77.0.22 is also the address of node 0 device 2"


async def test_watching_ones_own_address_fails(fleet: Any) -> None:
    fleet.nodes[0].override["-i 6 -netdetect -g"] = [("netdetect addr: 10.77.0.26\n", "", 0)]
    found = await cell(fleet, 6, "netdetect")
    assert (found.status, found.value["problem"]) == (Status.FAIL, Problem.NETDETECT_SELF)


@pytest.mark.parametrize(
    ("netdetect", "status"),
    [
        (UNSET, Status.WARN),
        (("netdetect address: 10.77.255.254\n", "", 0), Status.FAIL),
        (("netdetect address: what\n", "", 0), Status.WARN),  # not known: no worse than it said
    ],
)
async def test_init_is_harmless_only_without_a_target(
    fleet: Any, netdetect: tuple[str, str, int], status: Status
) -> None:
    fleet.nodes[0].override |= {"-i 1 -net_health -g": [INIT], "-i 1 -netdetect -g": [netdetect]}
    found = await cell(fleet, 1, "net_health")
    assert (found.status, found.value["problem"]) == (status, Problem.NET_HEALTH_INIT)


async def test_no_gateway_is_a_warning_within_one_subnet(fleet: Any) -> None:
    fleet.nodes[0].override["-i 0 -gateway -g"] = [NO_GATEWAY]
    found = await cell(fleet, 0, "gateway")
    assert (found.status, found.summary) == (
        Status.WARN,
        "no gateway is set; none is needed within 10.77.0.0/16",
    )


async def test_no_gateway_fails_when_a_peer_is_in_another_subnet(fleet: Any) -> None:
    fleet.nodes[0].override["-i 0 -gateway -g"] = [NO_GATEWAY]
    fleet.nodes[1].override["-i 5 -ip -g"] = [ip("10.78.1.25")]
    found = await cell(fleet, 0, "gateway")
    assert (found.status, found.value["problem"]) == (Status.FAIL, Problem.GATEWAY_MISSING)
    assert "node 1 device 5 is in another subnet" in found.summary


async def test_a_gateway_outside_the_subnet_fails(fleet: Any) -> None:
    fleet.nodes[0].override["-i 0 -gateway -g"] = [
        ("default gateway:10.9.0.1, Iface:eth0\n", "", 0)
    ]
    found = await cell(fleet, 0, "gateway")
    assert (found.status, found.value["problem"]) == (Status.FAIL, Problem.GATEWAY_OUTSIDE)


def conf(lines: dict[int, tuple[str, str]]) -> tuple[str, str, int]:
    text = "".join(f"address_{d}={a}\nnetmask_{d}={m}\n" for d, (a, m) in lines.items())
    return text, "", 0


def good(rank: int = 0) -> dict[int, tuple[str, str]]:
    return {d: (f"10.77.{rank}.{20 + d}", "255.255.0.0") for d in range(8)}


@pytest.mark.parametrize(
    ("change", "problems"),
    [
        ({7: None}, [(Problem.CONF_NO_ADDRESS, 7)]),
        ({3: ("10.77.0.99", "255.255.0.0")}, [(Problem.CONF_STALE, 3)]),
        ({3: ("10.77.0.23", "255.255.255.0")}, [(Problem.CONF_STALE, 3)]),
        (
            {2: ("10.77.1.22", "255.255.0.0")},
            [(Problem.CONF_STALE, 2), (Problem.CONF_DUPLICATE, 2)],
        ),
        ({1: ("10.77.0.1x", "255.255.0.0")}, [(Problem.CONF_BAD_ADDRESS, 1)]),
        (
            {0: None, 5: ("10.77.0.95", "255.255.0.0")},
            [(Problem.CONF_NO_ADDRESS, 0), (Problem.CONF_STALE, 5)],
        ),
    ],
)
async def test_the_file_must_agree_with_what_runs(
    fleet: Any, change: dict[int, Any], problems: list[tuple[Problem, int]]
) -> None:
    entries = {d: e for d, e in (good() | change).items() if e is not None}
    fleet.nodes[0].override["hccn.conf"] = [conf(entries)]
    found = await cell(fleet, None, "hccn_conf")
    assert found.status is Status.FAIL
    assert [(p["problem"], p["device"]) for p in found.value["problems"]] == problems
    assert found.value["problem"] == problems[0][0]
    assert found.summary.startswith(found.value["problems"][0]["detail"])


async def test_a_file_that_agrees_passes_and_an_unread_address_proves_nothing(fleet: Any) -> None:
    assert (await cell(fleet, None, "hccn_conf")).status is Status.PASS
    fleet.nodes[0].override["-i 3 -ip -g"] = [("", "Command execute failed!\n", 1)]
    assert (await cell(fleet, None, "hccn_conf")).status is Status.PASS


async def test_a_verdict_is_never_better_than_what_was_said(fleet: Any) -> None:
    bad = {"ip": ip("10.77.1.21", "255.255.0.0"), "gateway": NO_GATEWAY, "netdetect": UNSET}
    fleet.nodes[0].override |= {f"-i 1 -{name} -g": [said] for name, said in bad.items()}
    fleet.nodes[0].override["-i 1 -net_health -g"] = [("net health status: Fault\n", "", 0)]
    board = await fleet.check().run()
    statuses = {
        name: board.get(CellKey(0, 1, name)).status
        for name in ("ip", "gateway", "netdetect", "net_health")
    }
    assert statuses == {
        "ip": Status.FAIL,
        "gateway": Status.WARN,
        "netdetect": Status.WARN,
        "net_health": Status.FAIL,
    }


async def test_over_direct_fibres_only_the_same_index_is_pinged(fleet: Any) -> None:
    direct = ("Port ID TLV\n\tMAC: 00:11:22:33:44:55\nSystem Description TLV\n\tAscendNPU\n", "", 0)
    for node in fleet.nodes:
        node.override |= {f"-i {d} -lldp -g": [direct] for d in range(8)}
    board = await fleet.check(full=True, only=frozenset({"ping"})).run()
    pings = [r for r in board if r.key.check == "ping"]
    by_status = {
        status: {r.key.device == r.key.peer_device for r in pings if r.status is status}
        for status in (Status.PASS, Status.SKIPPED)
    }
    assert len(pings) == 2 * 64
    assert by_status == {Status.PASS: {True}, Status.SKIPPED: {False}}
    assert {c.split()[1] for c in fleet.nodes[0].calls if "-ping" in c} == set("01234567")
    assert sum("-ping" in c for c in fleet.nodes[0].calls) == 8


async def test_detect_ip_set_is_read_again_even_when_the_target_is_not_known(fleet: Any) -> None:
    fleet.nodes[0].override |= {
        "-i 0 -net_health -g": [
            ("net health status: Detect ip set\n", "", 0),
            ("net health status: Success\n", "", 0),
        ],
        "-i 0 -netdetect -g": [UNSET],
    }
    assert (await cell(fleet, 0, "net_health")).status is Status.PASS
