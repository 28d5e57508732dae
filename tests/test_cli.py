"""The command line itself, as a process: input, exit statuses, signals; nothing is reached."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from wizard.cli import main

PRESET = """\
version: 1
name: lab
series: A3
precision: w8a8
nodes:
  - {host: 127.0.0.1, port: 1, local_ip: 10.0.0.1, nic: eth0}
"""


@pytest.fixture
def preset(tmp_path: Path) -> str:
    path = tmp_path / "lab.yaml"
    path.write_text(PRESET)
    return str(path)


def run(tmp_path: Path, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "wizard.cli", *words],
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env={**os.environ, "HOME": str(tmp_path), "V32_WIZARD_HOME": str(tmp_path / "home")},
    )


def test_a_launch_that_would_be_refused_is_refused_before_the_checks(
    tmp_path: Path, preset: str
) -> None:
    with Path(preset).open("a") as file:
        file.write("strict_guide: true\n")
    done = run(tmp_path, "launch", preset, "--yes")
    assert done.returncode == 2
    assert "strict_guide" in done.stderr


@pytest.mark.parametrize("stdin", [None, "", "  \n"])
def test_an_empty_prompt_is_refused(tmp_path: Path, preset: str, stdin: str | None) -> None:
    done = run(tmp_path, "chat", preset, stdin=stdin)
    assert done.returncode == 2
    assert "the prompt is empty" in done.stderr


def test_a_prompt_is_read_from_a_file(tmp_path: Path, preset: str) -> None:
    prompt = tmp_path / "prompt"
    prompt.write_text("The future of AI is")
    with prompt.open() as file:
        done = subprocess.run(
            [sys.executable, "-m", "wizard.cli", "chat", preset],
            stdin=file,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
            env={**os.environ, "HOME": str(tmp_path)},
        )
    assert done.returncode == 3, done.stderr  # it was read; nobody listens on port 1
    assert "node 0" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_wizard_says_so_when_its_screen_would_go_to_a_file(tmp_path: Path) -> None:
    master, terminal = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "wizard.cli"],
            stdin=terminal,
            stdout=terminal,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=30,
            env={**os.environ, "V32_WIZARD_HOME": str(tmp_path)},
        )
    finally:
        os.close(master)
        os.close(terminal)
    assert done.returncode == 2
    assert "needs a terminal" in done.stderr


def test_streams_that_are_closed_harm_nothing(tmp_path: Path, preset: str) -> None:
    words = ["bash", "-c", '"$@" <&- >&-', "-", sys.executable, "-m", "wizard.cli"]
    home = {"HOME": str(tmp_path), "V32_WIZARD_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [*words, "stop", preset, "--yes"],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, **home},
    )
    assert done.returncode == 3, done
    assert "may be left on node 0" in done.stderr


def test_what_an_encoding_cannot_hold_is_escaped_as_in_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    log = "ImportError: é😀"
    done = run(tmp_path, "diagnose", "-", "--format", "json", stdin=log)
    assert "\\u00e9\\ud83d\\ude00" in done.stdout
    assert "é😀" in json.dumps(json.loads(done.stdout), ensure_ascii=False)


@pytest.mark.parametrize("words", [["render"], ["render", "--format", "lws"], ["presets", "show"]])
def test_what_is_run_or_read_again_is_not_written_in_an_encoding_that_cannot_hold_it(
    preset: str, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    with Path(preset).open("a") as file:
        file.write("container:\n  mounts: ['/数据:/数据']\n")
    stdout = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", stdout)
    monkeypatch.setattr(sys, "stderr", stderr := io.StringIO())
    assert main([*words, preset]) == 2
    stdout.flush()
    assert stdout.buffer.getvalue() == b""
    assert r"latin-1, which cannot hold '\u6570\u636e'" in stderr.getvalue()


def test_a_disk_that_cannot_be_written_keeps_nobody_from_stopping(
    tmp_path: Path, preset: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "home").touch()  # no folder can be made in it
    monkeypatch.setenv("V32_WIZARD_HOME", str(tmp_path / "home"))
    assert main(["stop", preset, "--yes"]) == 3
    error = capsys.readouterr().err
    assert "may be left on node 0" in error
    assert "The audit log" in error
