"""The catalogue's commands, as a real bash runs them, and the plan that is made of them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from wizard.checks.catalogue import CHECKS
from wizard.checks.expectations import Expectations
from wizard.checks.model import CellKey
from wizard.checks.plan import mesh, plan_cells, rounds_of, wanted_checks
from wizard.checks.problems import Problem
from wizard.cluster import Cluster, Node, Precision, Series
from wizard.errors import UsageError

WORDS = Expectations(image="lab/vllm:1", model="/data/m", mounts=("/data",)).words()


def cluster(nodes: int, series: Series = Series.A3) -> Cluster:
    return Cluster(series, Precision.BF16, tuple(Node(n, f"n{n}") for n in range(nodes)))


def bash(text: str, path: str) -> subprocess.CompletedProcess[str]:
    command = ["/bin/bash", "--norc", "--noprofile", "-c", text]
    return subprocess.run(
        command, env={"PATH": path}, capture_output=True, text=True, timeout=20, check=False
    )


def test_people_see_the_command_of_the_guide() -> None:
    shown = {name: check.display(3, "10.0.0.9", WORDS) for name, check in CHECKS.items()}
    for name in ("link", "lldp", "ip", "net_health", "netdetect", "gateway", "tls", "link_stat"):
        assert shown[name] == f"hccn_tool -i 3 -{name} -g"
    assert shown["ssh"] == ""
    assert shown["hccn_conf"] == "cat /etc/hccn.conf"
    assert shown["ping"] == "hccn_tool -i 3 -ping -g address 10.0.0.9"
    assert shown["hccs_ping"] == "hccn_tool -i 3 -hccs_ping -g address 10.0.0.9"
    assert shown["runtime"] == "docker info --format '{{.ServerVersion}}'"
    assert "image inspect --format '{{.Os}}/{{.Architecture}} {{.Id}}' lab/vllm:1" in shown["image"]


def test_every_check_of_the_contract_is_there() -> None:
    device = [
        "lldp",
        "link",
        "net_health",
        "netdetect",
        "gateway",
        "ip",
        "tls",
        "link_stat",
        "optical",
    ]
    node = "ssh hccn_conf npu_health npu_idle devices arch driver nic ports disk runtime image"
    scopes = dict.fromkeys(device, "device") | {"ping": "pair", "hccs_ping": "pair"}
    scopes |= dict.fromkeys([*node.split(), "weights", "mounts", "clock"], "node")
    assert {n: c.scope for n, c in CHECKS.items() if n in scopes} == scopes
    assert set(CHECKS) - set(scopes) == {"vnic", "spod"}  # what an A3's super-pod adds


EVIL = "/x'; touch /tmp/owned; '$(touch /tmp/owned)"


def test_nothing_of_a_preset_is_a_command_to_the_shell(tmp_path: Path) -> None:
    words = Expectations(image=EVIL, model=EVIL, mounts=(EVIL, "/y z")).words()
    for name in ("docker", "find", "stat", "grep", "sort", "echo"):
        tool = tmp_path / name
        tool.write_text(f'#!/bin/bash\nprintf "<%s>" "$@" >>{tmp_path}/said\n')
        tool.chmod(0o755)
    bash(CHECKS["image"].shell(words=words), str(tmp_path))
    bash(CHECKS["weights"].shell(words=words), str(tmp_path))
    bash(CHECKS["mounts"].shell(words=words), str(tmp_path))
    said = (tmp_path / "said").read_text()
    assert f"<{EVIL}>" in said
    assert f"<{EVIL}><-maxdepth>" in said
    assert f"<%F %n><{EVIL}></y z>" in said
    assert not Path("/tmp/owned").exists()


def test_the_tool_on_the_path_gets_the_arguments_as_they_are(tmp_path: Path) -> None:
    tool = tmp_path / "hccn_tool"
    tool.write_text('#!/bin/bash\nprintf "<%s>" "$@"; echo "$LC_ALL" >&2; exit 7\n')
    tool.chmod(0o755)
    done = bash(CHECKS["ping"].shell(3, "fd00::9"), str(tmp_path))
    assert done.stdout == "<-i><3><-ping><-g><address><fd00::9>"
    assert (done.stderr, done.returncode) == ("C\n", 7)


def test_a_tool_that_is_nowhere_is_named_as_missing(tmp_path: Path) -> None:
    check = CHECKS["link"]
    done = bash(check.shell(0), str(tmp_path))
    assert "/usr/local/Ascend/driver/tools/hccn_tool" in done.stderr
    assert check.parse(done.stdout, done.stderr, done.returncode).problem == Problem.TOOL_MISSING


@pytest.mark.parametrize("address", ["10.0.0.9; reboot", "$(reboot)", "10.0.0.9\n", "host", ""])
def test_nothing_but_an_address_gets_into_a_ping(address: str) -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        CHECKS["ping"].shell(3, address)


def test_wanted_checks_bring_what_their_verdicts_need() -> None:
    assert wanted_checks(None) == list(CHECKS)
    assert wanted_checks(frozenset({"gateway"})) == ["ip", "gateway"]
    with pytest.raises(UsageError, match=r"no check named pnig.*The checks are ssh, link, "):
        wanted_checks(frozenset({"pnig", "link"}))


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("nodes", [1, 2, 3, 5])
def test_a_round_of_pings_uses_each_device_once_and_the_rounds_are_all_pairs(
    nodes: int, full: bool
) -> None:
    setup = cluster(nodes)
    rounds = mesh(setup, full=full)
    for step in rounds:
        sources = [(k.node, k.device) for k in step]
        targets = [(k.peer_node, k.peer_device) for k in step]
        assert len(set(sources)) == len(set(targets)) == len(step) == nodes * 16
    keys = [key for step in rounds for key in step]
    assert len(set(keys)) == len(keys) == nodes * (nodes - 1) * 16 * (16 if full else 1)
    assert all(k.node != k.peer_node for k in keys)
    assert full or all(k.device == k.peer_device for k in keys)
    assert rounds_of(keys, setup) == rounds
    # none could be shorter: every device has to be the source of all of its pings
    each = (nodes - 1) * (16 if full else 1)
    assert len(rounds) == each


def test_a_plan_has_each_cell_once() -> None:
    cells = plan_cells(cluster(2))
    assert len(cells) == len(set(cells)) == 2 * (16 + 16 * 10 + 2 * 16)
    cells = plan_cells(cluster(2, Series.A2))
    assert len(cells) == len(set(cells)) == 2 * (15 + 8 * 9 + 8)
    assert cells[0] == CellKey(0, None, "ssh")


def test_how_a_lack_of_root_is_read() -> None:
    said = "permission denied: node 0 (n) does not permit what needs root: no password was given.\n"
    assert CHECKS["link"].root == "must"
    assert CHECKS["link"].parse("", said, 126).problem == Problem.PERMISSION
