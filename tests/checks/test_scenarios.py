"""Every scenario of the simulator: right status, right culprit, and nothing else blamed.

Scenarios that cannot disturb each other are played together, because a cluster takes a second to
start; what they lead to is then all of what each leads to, and nothing more.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from quicknodes import quick_run

from wizard.checks.engine import CheckRun
from wizard.checks.model import CellKey, Result, Status
from wizard.checks.topology import Wiring
from wizard.simulator.scenario import SHIPPED, load_scenario, names
from wizard.troubleshooting.findings import findings
from wizard.yamldata import load_data

DATA = Path(__file__).parent.parent / "data"
EXPECTED: dict[str, dict[str, Any]] = load_data((DATA / "scenarios.yaml").read_text("utf-8"))
TOGETHER = [
    ["healthy", "launch-stalls"],
    [
        *("link-down", "link-flapping", "gateway-outside", "ping-one-way", "tls-mixed"),
        *("ports-taken", "image-missing", "mount-folder", "clock-skew", "arch-x86"),
        *("npu-unhealthy", "netdetect-unset", "launch-killed"),
    ],
    [
        *("driver-26", "link-dark", "optic-weak", "net-health-26", "netdetect-self", "ip-missing"),
        *("weights-missing", "disk-full", "runtime-missing", "npu-occupied", "mount-missing"),
    ],
    [
        *("net-health", "conf-stale", "ping-partial", "weights-incomplete", "runtime-down"),
        *("clock-far", "conf-missing", "launch-rpc-blocked", "launch-out-of-memory"),
    ],
    ["hung-npu", "optic-missing", "gateway-missing", "mtu", "weights-precision", "npu-missing"],
    ["ip-duplicate", "busy-tool"],
    ["driver-mixed", "weights-differ", "vlan-wrong"],
    ["node-isolated"],
    ["switches-split"],
    ["direct-fibre"],
    ["super-pod"],
    ["super-pod-loss", "vnic-down"],
    ["busy-forever"],
    ["node-unreachable"],
]
# about the nodes step: tests/discovery plays them
OF_OTHERS = {"nodes-disagree", "wrong-hardware"}
BAD = (Status.WARN, Status.FAIL, Status.ERROR)


def test_every_scenario_is_played() -> None:
    assert sorted(name for group in TOGETHER for name in group) == sorted(EXPECTED)
    assert set(names()) - OF_OTHERS == set(EXPECTED)
    assert all(load_scenario(name).title for name in names())


def merged(group: list[str]) -> str:
    """One scenario of several; what is said of one node is put together."""
    whole: dict[str, Any] = {"title": ", ".join(group)}
    nodes: dict[int, dict[str, Any]] = {}
    for name in group:
        data = load_data((SHIPPED / f"{name}.yaml").read_text("utf-8"))
        for key, value in data.items():
            if key in ("devices", "pairs"):
                whole[key] = [*whole.get(key, []), *value]
            elif key == "nodes":
                for fault in value:
                    mine = nodes.setdefault(fault["node"], {})
                    host = {**mine.get("host", {}), **fault.get("host", {})}
                    mine |= fault | ({"host": host} if host else {})
            elif key != "title":
                assert whole.setdefault(key, value) == value, f"{name} disturbs the others"
    return yaml.safe_dump(whole | ({"nodes": list(nodes.values())} if nodes else {}))


def numbers(text: str) -> list[int]:
    found = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def cells(line: str) -> dict[str, str]:
    """``fail link,lldp 1.0-7`` → status by cell."""
    status, checks, *places = line.split()
    found = {}
    for check in checks.split(","):
        for place in places:
            own, _, peer = place.partition(">")
            node, _, devices = own.partition(".")
            for device in numbers(devices) if devices else [""]:
                end = f">{peer}.{device}" if peer else ""
                dot = f".{device}" if devices else ""
                found[f"{check} {node}{dot}{end}"] = status
    return found


def name_of(key: CellKey) -> str:
    own = f"{key.node}" + ("" if key.device is None else f".{key.device}")
    peer = "" if key.peer_node is None else f">{key.peer_node}.{key.peer_device}"
    return f"{key.check} {own}{peer}"


def explain(result: Result) -> str:
    return f"{result.status}: {result.summary}: {result.output[:300]}"


@pytest.mark.parametrize("group", TOGETHER, ids=lambda group: group[0])
async def test_it_leads_to_what_it_must(group: list[str], tmp_path: Path) -> None:
    expected = [EXPECTED[name] for name in group]
    how = {k: v for k, v in expected[0].items() if k in ("series", "precision", "nodes")}
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text(merged(group))
    async with quick_run(str(scenario), **how) as run:
        board = await run.run()
        bad = {name_of(r.key): r for r in board if r.status in BAD}
        wanted: dict[str, str] = {}
        for each in expected:
            for line in each.get("bad", []):
                wanted |= cells(line)
        wrong = {n: explain(r) for n, r in bad.items() if wanted.get(n) != r.status}
        assert (wrong, set(wanted) - set(bad)) == ({}, set())
        skipped = Counter(r.key.check for r in board if r.status is Status.SKIPPED)
        assert skipped == max((each.get("skipped", {}) for each in expected), key=len)
        assert blamed(run) == culprits(expected)
        assert all(r.status.final for r in board)
        if group[0] in WIRING:
            assert run.topology.wiring is WIRING[group[0]]


WIRING = {
    "healthy": Wiring.SWITCHED,
    "direct-fibre": Wiring.DIRECT,
    "super-pod": Wiring.SUPER_POD,
    "super-pod-loss": Wiring.SUPER_POD,
}


def blamed(run: CheckRun) -> dict[tuple[str, str], set[tuple[int, int | None]]]:
    return {
        (f.severity, f.id): {(w["node"], w["device"]) for w in f.where}
        for f in findings(run.board, run.cluster)
    }


def culprits(expected: list[dict[str, Any]]) -> dict[tuple[str, str], set[tuple[int, int | None]]]:
    found: dict[tuple[str, str], set[tuple[int, int | None]]] = defaultdict(set)
    for each in expected:
        for line in each.get("found", []):
            severity, problem, *places = line.split()
            for place in places:
                node, _, devices = place.partition(".")
                for device in numbers(devices) if devices else [None]:
                    found[severity, problem].add((int(node), device))
    return dict(found)
