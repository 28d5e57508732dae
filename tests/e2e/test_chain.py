"""The chain without a screen, on the simulated cluster over real SSH: issue 2, "Shown by"."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from conftest import Simulator, processes_with

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(
    ("series", "precision", "nodes"),
    [("A2", "bf16", 4), ("A3", "w8a8", 1)],  # the most nodes and the fewest; NPUs as on A2 and A3
)
def test_from_check_to_chat_to_stop(
    tmp_path: Path, series: str, precision: str, nodes: int
) -> None:
    with Simulator(tmp_path, "--series", series, "--precision", precision) as cluster:
        preset = str(cluster.preset)
        report = json.loads(cluster.run("check", preset, "--format", "json"))
        assert (report["schema"], report["verdict"]) == ("v32-wizard/check-report/1", "pass")
        assert {r["node"] for r in report["results"]} == set(range(nodes))

        cluster.run("render", preset, "-o", str(tmp_path / "out"))
        assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
            "README.md",
            "manifest.json",
            *(f"node{n}" for n in range(nodes)),
        ]

        cluster.run("status", preset, status=1)
        cluster.run("launch", preset, "--yes", "--skip-checks")
        assert json.loads(cluster.run("status", preset, "--format", "json"))["serving"] is True
        answer = cluster.run("chat", preset, "The future of AI is")
        assert len(answer.split()) > 3
        assert "Application startup complete" in cluster.run("logs", preset, "--node", "0")

        run = str(run_folder(cluster.preset))
        assert len(served_in(run)) == nodes
        cluster.run("stop", preset, "--yes")
        cluster.run("status", preset, status=1)
        assert served_in(run) == []
    assert processes_with(run) == []
    assert not cluster.preset.exists()
    assert not Path(run).exists()


def run_folder(preset: Path) -> Path:
    """The folder of a simulated cluster's run; its processes carry it in their environment."""
    return Path(yaml.safe_load(preset.read_text())["nodes"][0]["identity_file"]).parent


def served_in(run: str) -> list[str]:
    """The living ``vllm`` processes of a run."""
    return [line for line in processes_with(run) if "simulator.vllm" in line]


def test_a_dark_link_is_named_and_blocks_the_launch(tmp_path: Path) -> None:
    with Simulator(tmp_path, "--scenario", "link-down") as cluster:
        preset = str(cluster.preset)
        report = json.loads(cluster.run("check", preset, "--format", "json", status=1))
        assert report["verdict"] == "fail"
        culprit = next(f for f in report["findings"] if f["id"] == "link-down")
        assert culprit["where"] == [{"node": 1, "device": 3}]
        cluster.run("launch", preset, "--yes", status=1)
        assert "checks did not pass" in cluster.stderr
        cluster.run("status", preset, status=1)


def test_a_bad_preset_is_refused_with_the_path_of_the_key(tmp_path: Path) -> None:
    cluster = Simulator(tmp_path)
    bad = tmp_path / "bad.yaml"
    bad.write_text("version: 1\nname: x\nseries: A9\nprecision: bf16\nnodes: [{host: a}]\n")
    cluster.run("check", str(bad), status=2)
    assert "series" in cluster.stderr
    assert "Traceback" not in cluster.stderr
