"""The plan that is shown before a launch: its text, its JSON, and what the nodes said."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.launch import bench
from tests.launch.simulated import LIMIT_S, played
from wizard import cli
from wizard.checks.board import Board
from wizard.checks.model import CellKey, Result, Status
from wizard.checks.problems import Problem
from wizard.checks.report import Report
from wizard.cluster import Precision
from wizard.commands.check import only_mended
from wizard.commands.launch import launch
from wizard.errors import LaunchError, UsageError
from wizard.launch.launchplan import LastChecks, LaunchPlan
from wizard.launch.plan import plan, steps
from wizard.lint.model import Remark, Severity
from wizard.scripts import image
from wizard.simulator.cluster import SimulatedCluster

Capture = pytest.CaptureFixture[str]
REPORT = {
    "started_at": "2026-03-01T08:00:00Z",
    "verdict": "fail",
    "findings": [
        {"title": "The link is down: node 0 device 3", "severity": "fail"},
        {"title": "The clock is off: node 1", "severity": "warn"},
        {"title": "Host key: node 1", "severity": "error"},
        {"title": "Little room is left on node 1", "severity": "fail"},
    ],
}
NOW = datetime(2026, 3, 1, 11, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("V32_WIZARD_HOME", str(tmp_path / "wizard"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


def test_the_order_of_the_steps() -> None:
    found = steps(bench.preset(serve={"api_key": True}), "x", fetch=[1])
    assert [(s.action, s.nodes) for s in found] == [
        ("look", (0, 1)),
        ("fetch", (1,)),
        ("upload", (0, 1)),
        ("key", (0,)),
        ("create", (0, 1)),
        ("start", (0,)),
        ("start", (1,)),
        ("follow", (0, 1)),
    ]
    assert "RPC port 13389" in found[5].text
    alone = steps(bench.preset(1), "x")
    assert [s.action for s in alone] == ["look", "upload", "create", "start", "follow"]
    assert "RPC" not in " ".join(plan(bench.preset(1), "x"))


def test_an_archive_is_loaded_in_place_of_a_pull() -> None:
    archive = {"image_archive": "/data/v.tar.gz"}
    (step,) = [s for s in steps(bench.preset(container=archive), "x", [0]) if s.action == "fetch"]
    assert "docker load of /data/v.tar.gz" in step.text


def test_how_old_the_last_checks_are_and_what_is_open() -> None:
    checks = LastChecks.of("id", REPORT)
    assert checks.open == (
        "The link is down: node 0 device 3",
        "Host key: node 1",
        "Little room is left on node 1",
    )
    assert checks.sentence(NOW) == (
        "fail, 2026-03-01 08:00 UTC, 3 hours ago; not ignored: The link is down: node 0 device 3; "
        "Host key: node 1, and 1 more"
    )


def test_a_plan_without_answers_of_nodes() -> None:
    remarks = (
        Remark(Severity.WARNING, 0, "serve.sh", 3, "open-endpoint", "Open.", "Close it."),
        Remark(Severity.ERROR, 1, "serve.sh", 4, "flag", "Wrong.", "Right."),
    )
    made = LaunchPlan(bench.preset(), "x1", remarks=remarks, checks=LastChecks.of("id", REPORT))
    lines = made.to_lines(NOW)
    assert lines[0].endswith("on 2 nodes of Atlas 800 A2 (64G × 8), launch x1")
    assert "Scripts: 1 error, 1 warning" in lines
    assert made.blockers == ["node1/serve.sh:4: error: Wrong. Right. [flag]"]
    assert lines[-2:] == ["In the way:", f"  {made.blockers[0]}"], "it is read last"
    assert made.exit_status == 1
    assert made.to_json()["checks"]["open"][0] == "The link is down: node 0 device 3"
    assert LaunchPlan(bench.preset(), "x1").exit_status == 0


async def said(simulated: SimulatedCluster, capsys: Capture, *words: str) -> tuple[int, str]:
    """Exit status and stdout of ``launch``, run here."""
    capsys.readouterr()
    status = await launch(cli.parse(["launch", str(simulated.preset_path), *words]))
    return status, capsys.readouterr().out


RUNNING = """
nodes: [{node: 1, image: missing}]
devices: [{node: 0, device: 9, held: memory}]
"""


async def test_a_dry_run_tells_who_is_there_and_what_stands_in_the_way(
    tmp_path: Path, capsys: Capture
) -> None:
    async with played(RUNNING, tmp_path) as (simulated, preset, fleet), asyncio.timeout(LIMIT_S):
        run = f"docker run -d --name training --device /dev/davinci4 {image(preset)} sleep 977"
        web = f"docker run -d --name web {image(preset)} sleep 977"
        assert (await fleet.remotes[0].run(f"{run} && {web}")).exit_status == 0
        status, text = await said(simulated, capsys, "--dry-run")
        words = ("--dry-run", "--pull", "--format", "json")
        coded, out = await said(simulated, capsys, *words)
        assert (status, coded) == (1, 1)
        assert "Checks: never run" in text
        assert "node 0: training (" in text
        assert "not one of ours, holds NPU 4, made just now" in text
        assert "web" not in text
        way = text.partition("In the way:")[2]
        assert "Node 0: " in way
        assert "the image is not on the node" in way
        assert f"docker save {image(preset)} | ssh {preset.nodes[1].host} 'docker load'" in way
        data = json.loads(out)
        assert data["schema"] == "v32-wizard/launch-plan/1"
        assert data["fetch"] == {
            "nodes": [1],
            "allowed": True,
            "command": f"docker pull {image(preset)}",
        }
        assert [(r["container"], r["npus"]) for r in data["running"]] == [("training", [4])]
        assert [step["action"] for step in data["steps"]][:2] == ["look", "fetch"]
        assert all("image is not" not in text for text in data["blockers"])
        assert data["nodes"][0]["checks"]["npu_idle"]["status"] == "fail"
        assert simulated.daemon is not None
        assert len(simulated.daemon.containers[0]) == 2
        assert not (simulated.nodes[0].home / ".v32-wizard").exists(), "nothing was written"


async def test_a_dry_run_of_a_restart_has_what_it_stops_in_nobodys_way(
    tmp_path: Path, capsys: Capture
) -> None:
    async with played("", tmp_path, precision=Precision.W8A8) as (simulated, _, _):
        async with asyncio.timeout(LIMIT_S):
            words = ("--dry-run", "--restart", "--format=json")
            status, out = await said(simulated, capsys, *words)
            actions = [step["action"] for step in json.loads(out)["steps"]]
            assert (status, "stop" in actions) == (0, False), "there is none to stop"
            await said(simulated, capsys, "--yes", "--skip-checks", "--no-follow")
            assert (await said(simulated, capsys, "--dry-run"))[0] == 1
            status, out = await said(simulated, capsys, *words)
        data = json.loads(out)
        assert (status, data["blockers"]) == (0, [])
        steps = [(step["action"], step["text"]) for step in data["steps"]]
        assert steps[1][0] == "stop"
        assert data["running"][0]["launch"] in steps[1][1]
        assert simulated.daemon is not None
        assert len(simulated.daemon.containers[0]) == 1, "nothing was stopped"


async def test_pull_fetches_what_is_missing_and_launches(tmp_path: Path, capsys: Capture) -> None:
    scenario = "nodes: [{node: 0, image: missing}]\n"
    async with played(scenario, tmp_path, precision=Precision.W8A8) as (simulated, preset, _):
        async with asyncio.timeout(LIMIT_S):
            with pytest.raises(LaunchError, match="--pull"):
                await said(simulated, capsys, "--yes", "--skip-checks")
            words = ("--yes", "--skip-checks", "--pull", "--no-follow")
            status, out = await said(simulated, capsys, *words)
        assert (status, out[:7]) == (0, "started")
        assert image(preset) in simulated.nodes[0].images


def test_checks_that_only_miss_the_image_do_not_keep_it_from_being_fetched() -> None:
    preset = bench.preset()
    board = Board()
    missing = Result(
        CellKey(1, None, "image"), Status.FAIL, "not there", value={"problem": "image-missing"}
    )
    board.put(Result(CellKey(0, None, "image"), Status.PASS, "there"))
    board.put(missing)
    report = Report("lab", preset.cluster, board, NOW, 1.0)
    assert only_mended(report, {Problem.IMAGE_MISSING})
    assert not only_mended(report, set())
    board.put(Result(CellKey(0, None, "ports"), Status.PENDING, ""))
    assert not only_mended(report, {Problem.IMAGE_MISSING})


async def test_json_is_for_the_plan_alone() -> None:
    with pytest.raises(UsageError, match="--dry-run"):
        await launch(cli.parse(["launch", "lab", "--format", "json", "--yes"]))


async def test_there_is_no_plan_of_attaching() -> None:
    with pytest.raises(UsageError, match="--attach"):
        await launch(cli.parse(["launch", "lab", "--attach", "--dry-run"]))
