"""``history`` and ``ignores``: kept runs and accepted faults, on the command line."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from wizard.checks.board import Board
from wizard.checks.history import History, run_id
from wizard.checks.model import CellKey, Result, Status
from wizard.checks.report import make_report, to_json
from wizard.cli import main
from wizard.presets import Preset, load_preset

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
TEXT = """\
version: 1
name: lab-7
series: A2
precision: w8a8
nodes:
  - {host: npu07.dc.example, user: ines}
  - {host: npu08.dc.example}
"""


class _Run:
    """A run with one dark link."""

    started_at = START
    duration_s = 3.0

    def __init__(self, preset: Preset) -> None:
        self.cluster = preset.cluster
        self.board = Board()
        host = preset.nodes[1].host
        self.board.put(
            Result(
                CellKey(1, 3, "link"),
                Status.FAIL,
                "link is DOWN",
                host,
                "hccn_tool -i 3 -link -g",
                0,
                "link status: DOWN\n",
                value={"link": "DOWN", "problem": "link-down"},
            )
        )
        self.board.put(Result(CellKey(0, None, "ssh"), Status.PASS, "connected", host))


@pytest.fixture
def preset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("V32_WIZARD_HOME", str(tmp_path / "home"))
    path = tmp_path / "lab.yaml"
    path.write_text(TEXT)
    return path


@pytest.fixture
def kept(preset: Path) -> str:
    loaded = load_preset(preset)
    name = run_id(START)
    report = to_json(make_report(_Run(loaded), loaded.name))
    History(loaded.name, loaded.cluster).add(name, report)
    return name


def test_history_lists_runs_and_writes_one_in_any_format(
    preset: Path, kept: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["history", str(preset)]) == 0
    assert capsys.readouterr().out == f"{kept}  fail   1 pass, 1 fail in 3 s\n"
    assert main(["history", str(preset), "last"]) == 0
    assert "link: link is DOWN (node 1 device 3)" in capsys.readouterr().out
    assert main(["history", str(preset), kept, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "fail"
    page = tmp_path / "ticket.html"
    assert (
        main(["history", str(preset), kept, "--format", "html", "--redact", "-o", str(page)]) == 0
    )
    text = page.read_text()
    assert "link is DOWN" in text
    assert not any(name in text for name in ("npu07", "npu08", "dc.example", "ines", "lab-7"))


def test_history_of_nothing_and_of_an_unknown_run(
    preset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["history", str(preset)]) == 0
    assert capsys.readouterr().out == "No run was kept yet.\n"
    assert main(["history", str(preset), "last"]) == 2
    assert "no run of these checks was kept yet" in capsys.readouterr().err
    assert main(["history", str(preset), "20200101T000000.000Z"]) == 2
    assert "There is no run" in capsys.readouterr().err


def test_ignores_are_added_as_the_last_run_saw_them_listed_and_removed(
    preset: Path, kept: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = ["--check", "link", "--node", "1", "--device", "3"]
    assert main(["ignores", str(preset), "add", *cell, "--reason", "spare port"]) == 0
    assert "link-down of link on npu08.dc.example device 3" in capsys.readouterr().out
    assert main(["ignores", str(preset), "list"]) == 0
    assert "spare port (" in capsys.readouterr().out
    assert preset.read_text().startswith(TEXT)
    assert main(["ignores", str(preset), "remove", *cell]) == 0
    assert preset.read_text() == TEXT
    capsys.readouterr()
    assert main(["ignores", str(preset), "remove", *cell]) == 2
    assert "nothing like that is ignored" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--check", "link", "--node", "7", "--device", "3"],
            "--node 7: the preset has nodes",
        ),
        (["--check", "ssh", "--node", "0"], "node 0, ssh: Nothing is wrong here."),
        (["--check", "lldp", "--node", "0", "--device", "1"], "has no such cell"),
        (["--check", "arch", "--node", "0", "--problem", "link-down"], "cannot be ignored"),
        (["--check", "ssh", "--node", "0", "--problem", "host-key"], "host-key cannot be ignored"),
        (["--check", "link", "--node", "0", "--problem", "no"], "there is no problem 'no'"),
    ],
)
def test_what_cannot_be_ignored_is_refused_and_changes_nothing(
    preset: Path, kept: str, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(["ignores", str(preset), "add", *words, "--reason", "because"]) == 2
    assert said in capsys.readouterr().err
    assert preset.read_text() == TEXT
