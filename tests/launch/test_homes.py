"""A launch directory that lies in the home of another user than the one who looks or stops."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.launch.bench import FakeFleet, launch, preset
from tests.launch.test_runtime import done
from wizard.launch.plog import command, read
from wizard.launch.runtime import Container, Runtime, parse_listing
from wizard.scriptlines import LABEL_LAUNCH

ID = "20261125-031500-abcdef"
DOCKER = """#!/bin/bash
case $1 in
  logs) echo "2026-11-20T10:00:00Z hello" ;;
  inspect) [ "$5" = the-id ] || [ "$4" = the-id ] && echo "$MADE" ;;
esac
"""


def in_bash(tmp_path: Path, text: str, made: Path) -> bytes:
    tool = tmp_path / "docker"
    tool.write_text(DOCKER)
    tool.chmod(0o755)
    (tmp_path / "mine").mkdir(exist_ok=True)
    path = f"{tmp_path}:{os.environ['PATH']}"
    environment = {"HOME": str(tmp_path / "mine"), "PATH": path, "MADE": str(made)}
    return subprocess.run(
        ["bash", "-c", text], env=environment, capture_output=True, check=False
    ).stdout


@pytest.mark.parametrize("there", [True, False])
def test_the_log_is_kept_where_the_launch_lies_else_in_our_own_home(
    tmp_path: Path, there: bool
) -> None:
    made = tmp_path / "their home" / ID
    if there:
        made.mkdir(parents=True)
    in_bash(tmp_path, Runtime("docker").save_log("the-id", str(made), f"~/x/{ID}"), made)
    kept = (made if there else tmp_path / "mine" / "x" / ID) / "serve.log"
    assert kept.read_text() == "2026-11-20T10:00:00Z hello\n"


def test_canns_logs_are_found_by_the_containers_word(tmp_path: Path) -> None:
    made = tmp_path / "theirs"
    (made / "ascend-log" / "debug").mkdir(parents=True)
    (made / "ascend-log" / "debug" / "plog-1_2.log").write_text("[ERROR] HCCL: x\n")
    found = read(in_bash(tmp_path, command(ID, "docker", "the-id"), made))
    assert found == {"debug/plog-1_2.log": b"[ERROR] HCCL: x\n"}
    assert in_bash(tmp_path, command(ID, "docker", "another"), made) == b""


def test_the_directory_is_what_the_container_mounts() -> None:
    places = {"/data": "/data", "/h/x": "/v32-wizard"}
    mounts = [{"Source": source, "Destination": place} for source, place in places.items()]
    found = []
    for given in (mounts, None):
        entry = {"Id": "1", "State": {"Status": "running"}, "Mounts": given}
        listing = done(0, f"1\n{json.dumps([entry])}")
        found += parse_listing(listing, where="n", program="docker").containers
    assert [one.directory for one in found] == ["/h/x", ""]


@pytest.mark.parametrize(
    ("directory", "taken"),
    [(f"/home/a/.v32-wizard/launches/{ID}", True), ("/etc", False), ("", False)],
)
async def test_no_other_directory_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, directory: str, taken: bool
) -> None:
    node = launch(FakeFleet(preset(), tmp_path))._nodes[0]
    container = Container("1", "n", "exited", labels={LABEL_LAUNCH: ID}, directory=directory)
    sent: list[str] = []

    async def run(text: str, _limit: float, **_kw: object) -> object:
        sent.append(text)
        return done()

    monkeypatch.setattr(node, "run", run)
    assert await node.remove(container) == []
    assert any(f"cd {directory} " in text for text in sent if directory) is taken
