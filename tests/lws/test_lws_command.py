"""``v32-wizard render --format lws``."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from wizard.cli import main

PRESET = """\
version: 1
name: lab
series: A3
precision: bf16
nodes: [{host: no-such-host-1.invalid}, {host: no-such-host-2.invalid}]
"""


@pytest.fixture
def lab(tmp_path: Path) -> str:
    path = tmp_path / "lab.yaml"
    path.write_text(PRESET)
    return str(path)


def test_no_node_is_asked_and_the_linter_is_heard(
    lab: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(lab).write_text(PRESET + "serve: {args: {--max-num-batched-tokens: 100}}\n")
    assert main(["render", lab, "--format", "lws", "--namespace", "models"]) == 0
    told = capsys.readouterr()
    group, service = yaml.safe_load_all(told.out)
    assert (group["kind"], service["kind"]) == ("LeaderWorkerSet", "Service")
    assert group["metadata"]["namespace"] == "models"
    assert "--max-num-batched-tokens" in told.err
    assert "192.0.2" not in told.out


def test_it_is_written_and_never_over_another(
    lab: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    words = ["render", lab, "--format", "lws", "-o", str(tmp_path / "out")]
    assert main(words) == 0
    path = tmp_path / "out/leaderworkerset.yaml"
    assert capsys.readouterr().out == f"{path}\n"
    assert main(words) == 0  # the same again replaces nothing
    other = [*words[:-1], str(path), "--npu-resource", "huawei.com/Ascend910"]
    assert main(other) == 2
    assert "is there already" in capsys.readouterr().err
    assert "Ascend910" not in path.read_text()
    assert main([*other, "--force"]) == 0
    assert "huawei.com/Ascend910: '16'" in path.read_text()


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (["--format", "lws", "--diff", "guide"], "--diff goes with --format scripts only"),
        (["--format", "lws", "--import", "d"], "--import goes with --format scripts only"),
        (["--namespace", "x"], "--namespace goes with --format lws only"),
        (["--format", "lws", "--npu-resource", "x"], "--npu-resource: 'x' is no name"),
    ],
    ids=["diff", "import", "namespace", "resource"],
)
def test_what_does_not_go_together_is_refused(
    words: list[str], wrong: str, lab: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["render", lab, *words]) == 2
    assert wrong in capsys.readouterr().err
