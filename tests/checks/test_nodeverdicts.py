"""Verdicts on whole nodes: against the preset, and against each other."""

from __future__ import annotations

from typing import Any

import pytest

from wizard.checks.expectations import Expectations, of_preset
from wizard.checks.model import CellKey, Result, Status
from wizard.checks.nodeverdicts import judge_nodes, outsiders
from wizard.checks.problems import Problem
from wizard.cluster import Cluster, Node, Precision, Series
from wizard.presets import parse_preset


def cluster(*nodes: Node) -> Cluster:
    members = nodes or tuple(Node(n, f"n{n}") for n in range(3))
    return Cluster(Series.A2, Precision.BF16, members)


def judge(
    check: str, *values: dict[str, Any], nodes: tuple[Node, ...] = (), **expect: Any
) -> list[Result]:
    """What becomes of the nodes' answers to a check, in rank order."""
    told = {
        CellKey(rank, None, check): Result(CellKey(rank, None, check), Status.PASS, "", value=value)
        for rank, value in enumerate(values)
    }
    return list({**told, **judge_nodes(told, cluster(*nodes), Expectations(**expect))}.values())


def said(results: list[Result]) -> list[tuple[str, str]]:
    return [(r.status.value, str(r.value.get("problem", ""))) for r in results]


PASS = ("pass", "")


@pytest.mark.parametrize(
    ("values", "odd"),
    [
        ({}, []),
        ({"a": 1}, []),
        ({"a": 1, "b": 1}, []),
        ({"a": 1, "b": 2}, ["a", "b"]),
        ({"a": 1, "b": 2, "c": 2}, ["a"]),
        ({"a": 1, "b": 2, "c": 2, "d": 1}, ["a", "b", "c", "d"]),
        ({"a": 1, "b": 2, "c": 3, "d": 1}, ["b", "c"]),
    ],
)
def test_who_differs_from_the_majority(values: dict[str, int], odd: list[str]) -> None:
    assert outsiders(values)[1] == odd


def test_the_driver_of_the_minority_is_to_blame() -> None:
    found = judge("driver", {"driver": "25.2"}, {"driver": "24.1"}, {"driver": "25.2"})
    assert said(found) == [PASS, ("fail", Problem.DRIVER_MIXED), PASS]
    assert found[1].summary == "driver 24.1, the other nodes have 25.2"


@pytest.mark.parametrize(
    ("offsets", "expected"),
    [
        ([0, 0.2, -0.3], [PASS, PASS, PASS]),
        ([0, 30, 0], [PASS, ("warn", Problem.CLOCK_SKEW), PASS]),
        ([0, 4000, 0], [PASS, ("fail", Problem.CLOCK_SKEW), PASS]),
        ([-900, -900, -900], [PASS, PASS, PASS]),  # it is our own clock that is off
        ([0, -900], [PASS, ("fail", Problem.CLOCK_SKEW)]),  # ours tells who of two
        ([500], [PASS]),  # with nobody to agree with
    ],
)
def test_a_clock_is_off_when_the_others_agree(offsets: list[float], expected: list[Any]) -> None:
    values = [{"epoch": 1_700_000_000 + off, "seen_at": 1_700_000_000.0} for off in offsets]
    assert said(judge("clock", *values)) == expected


def test_weights_are_compared_by_name_and_size_and_only_what_is_part_of_them() -> None:
    files = {"config.json": 800, "a.safetensors": 5000}
    same = {"files": files | {"README.md": 3, ".msc": 7}, "quantized": False}
    other = {"files": files | {"a.safetensors": 4999}, "quantized": False}
    plain = {"files": files, "quantized": False}
    assert said(judge("weights", plain, same, plain)) == [PASS, PASS, PASS]
    found = judge("weights", plain, other, plain)
    assert said(found) == [PASS, ("fail", Problem.WEIGHTS_DIFFER), PASS]
    assert "a.safetensors" in found[1].summary


def test_weights_must_be_of_the_presets_precision_and_inside_the_container() -> None:
    value = {"files": {"config.json": 1}, "quantized": True}
    found = judge("weights", value, precision=Precision.BF16, model="/data/m")
    assert said(found) == [("fail", Problem.WEIGHTS_PRECISION)]
    found = judge("weights", value, precision=Precision.W8A8, model="/data/m", mounted=False)
    assert said(found) == [("fail", Problem.WEIGHTS_NOT_MOUNTED)]


def test_ports_are_judged_for_the_node_that_needs_them() -> None:
    taken = {"listening": {"8000": ["0.0.0.0"], "22": ["*"]}}
    ports = {0: {8000: "the API", 16666: "HCCL"}, 1: {16666: "HCCL"}}
    found = judge("ports", taken, taken, ports=ports)
    assert said(found) == [("fail", Problem.PORT_TAKEN), PASS]
    assert found[0].summary == "taken: 8000 (the API)"


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (Node(0, "h", local_ip="10.1.0.7", nic="eth1"), PASS),
        (Node(0, "10.1.0.7"), PASS),
        (Node(0, "h", local_ip="10.1.0.8"), ("fail", Problem.NIC_WRONG)),
        (Node(0, "h", local_ip="10.1.0.7", nic="eth0"), ("fail", Problem.NIC_WRONG)),
        (Node(0, "h", local_ip="172.17.0.1"), ("fail", Problem.NIC_WRONG)),
        (Node(0, "h"), ("skipped", Problem.NIC_WRONG)),
    ],
)
def test_the_nodes_address_is_on_the_interface_of_the_preset(node: Node, expected: Any) -> None:
    held = {"10.1.0.7": "eth1", "172.17.0.1": "docker0"}
    value = {"addresses": held, "usable": ["10.1.0.7"]}
    assert said(judge("nic", value, nodes=(node,))) == [expected]


def test_a_folder_where_a_file_must_be() -> None:
    kinds = {"/etc/ascend_install.info": "directory", "/data": "directory"}
    found = judge("mounts", {"kinds": kinds}, mounts=tuple(kinds))
    assert said(found) == [("fail", Problem.MOUNT_IS_DIRECTORY)]
    found = judge("mounts", {"kinds": {"/data": "directory"}}, mounts=("/data", "/x"))
    assert said(found) == [("error", Problem.NOT_UNDERSTOOD)], "nothing was said of /x"


def test_a_node_of_the_other_series_says_so() -> None:
    found = judge("devices", {"devices": list(range(16))}, {"devices": [0, 1, 2, 3, 4, 5, 7]})
    assert said(found) == [("fail", Problem.NPU_MISSING)] * 2
    assert found[0].summary == "the node has 16 NPUs, an A2 has 8"
    assert found[1].summary == "the node has 7 NPUs, an A2 has 8: missing 6"


PRESET = """
version: 1
name: x
series: A3
precision: bf16
nodes: [{host: a}, {host: b}]
"""


OCCUPIED = {"problem": Problem.NPU_OCCUPIED.value, "problems": [{"problem": "npu-occupied"}]}


@pytest.mark.parametrize("ours", [["vllm-ascend"], []])
def test_what_our_own_launch_uses_is_said_as_such(ours: list[str]) -> None:
    answers: dict[CellKey, Result] = {}
    for check, status, value in (
        ("runtime", Status.PASS, {"version": "26.1.3", "ours": ours}),
        ("ports", Status.PASS, {"listening": {"8000": ["0.0.0.0"]}}),
        ("npu_idle", Status.FAIL, OCCUPIED),
        ("npu_health", Status.FAIL, {"problem": Problem.NPU_UNHEALTHY.value}),
    ):
        key = CellKey(0, None, check)
        answers[key] = Result(key, status, check, value=value)
    expect = Expectations(ports={0: {8000: "the API"}})
    changed = judge_nodes(answers, cluster(Node(0, "n0")), expect)
    port, idle, sick = (
        {**answers, **changed}[CellKey(0, None, check)]
        for check in ("ports", "npu_idle", "npu_health")
    )
    assert sick.status is Status.FAIL
    if not ours:
        assert said([port, idle]) == [
            ("fail", Problem.PORT_TAKEN),
            ("fail", Problem.NPU_OCCUPIED),
        ]
        return
    assert said([port, idle]) == [("warn", Problem.OWN_LAUNCH)] * 2
    assert "problems" not in idle.value
    assert port.summary == (
        "our own launch of this preset runs here (vllm-ascend): taken: 8000 (the API)"
    )


def test_what_a_preset_needs() -> None:
    found = of_preset(parse_preset(PRESET))
    assert set(found.ports[0]) == {8000, 13389, 16666}
    assert set(found.ports[1]) == {16666}
    assert found.runtime == "docker"
    listed = found.words()["ours"]
    assert listed == f" && docker ps --filter label=v32-wizard.preset={found.name} --format " + (
        "'{{.Names}}'"
    )
    assert "/usr/local/dcmi" in found.mounts
    assert "/etc/hccn.conf" not in found.mounts, "mounted only where it exists"
    assert found.mounted
    assert found.model.startswith("/root/.cache/")


@pytest.mark.parametrize(
    ("model", "mount", "folder", "mounted"),
    [
        ("/data/m", "/data:/data", "/data/m", True),
        ("/models/m", "/mnt/nas:/models:ro", "/mnt/nas/m", True),
        ("/models/m", "/mnt/nas/m:/models/m", "/mnt/nas/m", True),
        ("/models/m", "/mnt/nas:/model", "/models/m", False),
        ("lab/some-model", "/data:/data", "", True),
    ],
)
def test_where_the_weights_lie_on_the_node(
    model: str, mount: str, folder: str, mounted: bool
) -> None:
    text = PRESET + f"serve: {{model: {model}}}\ncontainer: {{mounts: ['{mount}']}}\n"
    found = of_preset(parse_preset(text))
    assert (found.model, found.mounted) == (folder, mounted)
    assert bool(found.lacks("weights")) == (not folder)
