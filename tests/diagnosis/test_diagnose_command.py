"""``v32-wizard diagnose`` as its users call it."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.diagnosis.compose import render, scripts
from wizard.checks.history import History
from wizard.cli import main
from wizard.diagnosis.signatures import by_key, catalogue
from wizard.presets import load_preset

SCRIPTS = {s["name"]: s for s in scripts()}


def files(folder: Path, name: str, *, packed: bool = False) -> list[str]:
    paths = []
    for node, data in enumerate(render(SCRIPTS[name])):
        path = folder / f"node{node}.log"
        path.write_bytes(gzip.compress(data) if packed else data)
        paths.append(str(path))
    return paths


def test_json_says_what_the_contract_promises(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = files(tmp_path, "an old job holds an NPU of node 1", packed=True)
    assert main(["diagnose", *paths, "--format", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["schema"] == "v32-wizard/diagnosis/1"
    first = report["causes"][0]
    assert (first["id"], first["class"]) == ("hccl_listen_port_16666", "HCCL_PORT")
    assert (first["node"], first["file"], first["confidence"]) == (1, paths[1], "cause")
    line = gzip.decompress(Path(paths[1]).read_bytes()).decode().split("\n")[first["line"] - 1]
    assert first["excerpt"] == line
    assert first["time"] == "2026-11-20-10:14:02"
    assert "29.11.1.35" in first["meaning"]
    assert first["fix"]
    assert {c["confidence"] for c in report["causes"][1:]} == {"consequence"}


def test_text_in_both_languages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = files(tmp_path, "out of NPU memory on node 1, in one file as v32-wizard logs prints it")
    assert main(["diagnose", *paths]) == 0
    text = capsys.readouterr().out
    assert text.startswith("1. CAUSE  node 1 ")
    assert "NPU 3 ran out of memory while 2.50 GiB were asked for" in " ".join(text.split())
    assert main(["diagnose", *paths, "--lang", "zh"]) == 0
    assert capsys.readouterr().out.startswith("1. 原因  节点 1 ")
    main(["diagnose", *files(tmp_path, "an old job holds an NPU of node 1"), "--lang", "zh"])
    assert "查看：检查项 npu_idle，节点 1" in capsys.readouterr().out


def test_healthy_logs_are_status_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diagnose", *files(tmp_path, "healthy, DP 2")]) == 1
    out = capsys.readouterr().out
    assert "No cause" in out
    assert "came to: ready" in out


@pytest.mark.parametrize("name", ["gone.log", "."])
def test_what_cannot_be_read_is_status_2(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diagnose", str(tmp_path / name)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"v32-wizard: {tmp_path / name}: cannot be read: ")
    assert len(error.splitlines()) == 1


ENTER = """
import importlib, sys
for room in ("wizard.diagnosis.verdict", "wizard.launch", "screens.app"):
    for name in [n for n in sys.modules if n.partition(".")[0] in ("wizard", "screens")]:
        del sys.modules[name]
    importlib.import_module(room)
"""


def test_any_room_can_be_entered_first() -> None:
    # the diagnosis knows the stages of a launch, and a launch its diagnosis
    subprocess.run([sys.executable, "-c", ENTER], check=True, timeout=60)


def test_what_is_odd_about_a_file_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.log").touch()
    assert main(["diagnose", str(tmp_path / "a.log")]) == 1
    assert capsys.readouterr().err == f"v32-wizard: {tmp_path}/a.log is empty.\n"


def test_a_log_of_several_starts_is_told_as_that(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(files(tmp_path, "healthy, DP 2")[0])
    assert main(["diagnose", str(path)]) == 1
    assert capsys.readouterr().err == ""
    path.write_bytes(path.read_bytes() * 2)
    main(["diagnose", str(path)])
    assert "node0.log holds 2 starts of vLLM, at lines " in capsys.readouterr().err
    path.write_text("vLLM API server version 0.11.0\n" * 2000)
    main(["diagnose", str(path)])
    assert "holds 2000 starts of vLLM, at lines 1, 2, 3, 4, … and 2000:" in capsys.readouterr().err


def test_the_names_that_we_give_logs_tell_their_nodes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = files(tmp_path, "an old job holds an NPU of node 1")
    for given in (paths[::-1], paths[1:]):
        assert main(["diagnose", *given]) == 0
        assert capsys.readouterr().out.startswith("1. CAUSE  node 1 ")
    other = tmp_path / "a.log"
    Path(paths[1]).rename(other)
    assert main(["diagnose", str(other), paths[0]]) == 0
    assert capsys.readouterr().out.startswith("1. CAUSE  node 0 ")


def test_stdin_once() -> None:
    data = b"".join(render(SCRIPTS["no room for the cache"])[:1])
    command = [sys.executable, "-m", "wizard.cli", "diagnose", "-"]
    done = subprocess.run(command, check=False, input=data, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert b"no_kv_blocks" in done.stdout
    assert main(["diagnose", "-", "-"]) == 2


def test_a_folder_stands_for_a_node(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = []
    for path in map(Path, files(tmp_path, "an old job holds an NPU of node 1")):
        folder = tmp_path / path.stem
        folder.mkdir()
        path.rename(folder / "serve.log")
        folders.append(str(folder))
    assert main(["diagnose", *folders]) == 0
    assert f"CAUSE  node 1 ({folders[1]}/serve.log" in capsys.readouterr().out
    (tmp_path / "empty").mkdir()
    assert main(["diagnose", str(tmp_path / "empty")]) == 2
    assert "no *.log or *.log.gz in this folder" in capsys.readouterr().err


def test_the_folder_that_is_kept_of_a_launch_stands_for_all_nodes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files(tmp_path, "only HCCL's codes are in the serve logs")
    whole = tmp_path / "node1.log"
    begin, cut, end = whole.read_bytes().partition(b"(Worker_DP1_TP2")  # a long log lies in parts
    whole.write_bytes(begin)
    whole.with_suffix(".later.log").write_bytes(cut + end)
    assert main(["diagnose", str(tmp_path), "--format", "json"]) == 0
    first = json.loads(capsys.readouterr().out)["causes"][0]
    assert (first["id"], first["node"]) == ("hccl_root_info_init", 1)
    plog = tmp_path / "node1" / "debug" / "plog-7_20261120101400000.log"
    plog.parent.mkdir(parents=True)
    plog.write_text(by_key(catalogue())["tls_inconsistent_plog"].sample + "\n")
    assert main(["diagnose", str(tmp_path), "--format", "json"]) == 0
    first = json.loads(capsys.readouterr().out)["causes"][0]
    assert (first["id"], first["node"]) == ("tls_inconsistent_plog", 1)


def test_the_last_checks_of_a_preset_name_the_npus(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    preset = load_preset("a3-w8a8")
    cells = [
        {"check": "ip", "node": n, "device": 3, "status": "pass", "value": {"address": address}}
        for n, address in enumerate(("29.11.0.43", "29.11.1.35"))
    ]
    report = {"verdict": "pass", "summary": {}, "duration_s": 1.0, "results": cells}
    History(preset.name, preset.cluster).add("20261120T101112.000Z", report)
    log = tmp_path / "node0.log"
    log.write_text(by_key(catalogue())["hccl_transport_EI0009"].sample + "\n")
    main(["diagnose", "--preset", "a3-w8a8", str(log)])
    out = " ".join(capsys.readouterr().out.split())
    assert "from node 0 NPU 3 (29.11.0.43) to node 1 NPU 3 (29.11.1.35)" in out
