"""What was run on the nodes is noted; what went to a command's stdin is not."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from remote_lab import Lab, processes, wait_for

from wizard.audittrail import Trail
from wizard.cluster import Node
from wizard.errors import CommandTimeout, Unreachable
from wizard.remote import audit as auditing
from wizard.remote.api import Job
from wizard.remote.audit import AuditLog, masked, put_aside

NODE = Node(rank=1, host="10.0.0.12")


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().split("\n") if line]


async def test_every_command_is_a_line(lab: Lab) -> None:
    await lab.add()
    audit = AuditLog()
    marker = f"9{secrets.randbelow(10**9):09}"
    async with lab.fleet(audit=audit) as fleet:
        remote = fleet.remotes[0]
        await remote.run("cat; exit 3", stdin=b"token-123")
        assert [r.id async for r in remote.batch([Job("a", "echo 'a\n\x1b[31m'")])] == ["a"]
        with pytest.raises(CommandTimeout):
            await remote.run("sleep 5", timeout_s=0.2)
        task = asyncio.create_task(remote.run(f"sleep {marker}"))
        await wait_for(lambda: bool(processes(f"sleep\0{marker}")))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    lines = _read(audit.path)
    assert [(e["command"], e["exit_status"], e.get("note")) for e in lines] == [
        ("cat; exit 3", 3, None),
        ("echo 'a\n\x1b[31m'", 0, None),
        ("sleep 5", None, "timed out"),
        (f"sleep {marker}", None, "cancelled"),
    ]
    assert {(e["kind"], e["user"]) for e in lines} == {("command", "root")}
    assert all((e["node"], e["host"]) == (0, "127.77.0.1") for e in lines)
    assert "token-123" not in audit.path.read_text()
    assert stat.S_IMODE(audit.path.stat().st_mode) == 0o600
    await wait_for(lambda: not processes(marker))


async def test_files_streams_and_tunnels_are_lines_too(lab: Lab) -> None:
    await lab.add()
    audit = AuditLog()
    async with lab.fleet(audit=audit) as fleet:
        remote = fleet.remotes[0]
        await remote.upload("~/run", {"serve.sh": b"export KEY=secret-1", "b": b""})
        assert b"".join([c async for c in remote.stream("echo up; exit 4")]) == b"up\n"
        async with remote.tunnel("127.0.0.1", 8000):
            assert _read(audit.path)[-1]["note"] == "started"
    async with lab.fleet(lab.node(0, port=1), audit=audit) as fleet:
        with pytest.raises(Unreachable):
            await fleet.remotes[0].run("echo never")
    lines = [(e["kind"], e["command"], e["exit_status"], e.get("note")) for e in _read(audit.path)]
    assert lines == [
        ("upload", "upload of 2 files to ~/run: b, serve.sh", 0, None),
        ("stream", "echo up; exit 4", None, "started"),
        ("stream", "echo up; exit 4", 4, None),
        ("tunnel", "tunnel to 127.0.0.1:8000", None, "started"),
        ("tunnel", "tunnel to 127.0.0.1:8000", None, "closed"),
        ("command", "echo never", None, "not started"),
    ]
    assert "user" not in _read(audit.path)[-1], "nobody was logged in"
    assert "secret-1" not in audit.path.read_text()


@pytest.mark.parametrize(
    ("command", "noted"),
    [
        ("export HF_TOKEN=abc123; run", "export HF_TOKEN=***; run"),
        ("serve --api-key abc123 --port 8000", "serve --api-key *** --port 8000"),
        ("serve --api-key='a b' x", "serve --api-key=*** x"),
        ("url=https://me:abc123@host/x", "url=https://me:***@host/x"),
        ("curl -H 'Authorization: Bearer abc123' x", "curl -H 'Authorization: Bearer ***' x"),
        ("bash -c 'PASSWORD=abc123 go'", "bash -c 'PASSWORD=*** go'"),
        ('A=1 B="DB_PASSWORD=abc123 x"', 'A=1 B="DB_PASSWORD=*** x"'),
        ("a=b=c TOKEN='cut in the mid", "a=b=c TOKEN=***"),
        ("A=B=" * 5000, "A=B=" * 5000),
        ("serve --max-num-batched-tokens 17450", "serve --max-num-batched-tokens 17450"),
        ("cat /etc/passwd password file", "cat /etc/passwd password file"),
        ("hccn_tool -i 0 -link -g", "hccn_tool -i 0 -link -g"),
    ],
)
def test_what_a_secrets_name_stands_before_is_not_written(command: str, noted: str) -> None:
    assert masked(command) == noted


def _fill(path: Path, who: int, count: int, limit: int) -> None:
    log = AuditLog(path, limit=limit)
    for number in range(count):
        log.record(NODE, f"echo {who} {number}", duration_s=0.1, exit_status=0)
    assert log.problem == ""
    log.close()


# a process of its own, which imports as little as it can: they are to write at the same time
_WRITER = """
import sys
from pathlib import Path
from wizard.cluster import Node
from wizard.remote.audit import AuditLog
path, who, count, limit = sys.argv[1:]
log = AuditLog(Path(path), limit=int(limit))
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(count)):
    log.record(Node(1, "10.0.0.12"), f"echo {who} {number}", duration_s=0.1, exit_status=0)
sys.exit(log.problem or 0)
"""


def test_many_writers_lose_nothing_while_files_are_put_aside(tmp_path: Path) -> None:
    path, writers, each = tmp_path / "audit.jsonl", 4, 150
    line = 170  # bytes, about: all fit into three files, none into one
    limit = line * writers * each * 2 // 5
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(path), str(who), str(each), str(limit)],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for who in range(writers)
    ]
    for worker in workers:
        assert worker.stdout is not None
        worker.stdout.readline()
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    said = [worker.communicate(timeout=60)[1] for worker in workers]
    assert (said, [worker.returncode for worker in workers]) == ([""] * writers, [0] * writers)
    found = [record.command for record in Trail(path).news()]
    assert sorted(found) == sorted(f"echo {w} {n}" for w in range(writers) for n in range(each))
    files = sorted(tmp_path.glob("audit.jsonl*"))
    assert len(files) >= 2
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)


def test_a_file_that_another_puts_aside_in_the_same_moment_costs_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = AuditLog(tmp_path / "audit.jsonl", limit=200)

    def other(lock: int, how: int) -> None:
        log.path.replace(put_aside(log.path, 1))

    monkeypatch.setattr(auditing.fcntl, "flock", other)
    for number in range(2):
        log.record(NODE, f"echo {number}", duration_s=0, exit_status=0)
        assert log.problem == ""
    assert [record.command for record in Trail(log.path).news()] == ["echo 0", "echo 1"]


def test_the_log_is_bounded_and_keeps_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    _fill(path, 0, 500, limit=4000)
    files = list(tmp_path.glob("audit.jsonl*"))
    assert len(files) == 3
    assert sum(file.stat().st_size for file in files) <= 3 * 4000
    found = [record.command for record in Trail(path).news()]
    assert found == [f"echo 0 {n}" for n in range(500 - len(found), 500)]
    assert len(found) > 40


def test_a_command_of_any_length_is_a_bounded_line(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "a")
    log.record(NODE, "x" * 100_000, duration_s=0, exit_status=0)
    (record,) = Trail(log.path).news()
    assert record.command.endswith("(83616 characters more)")


def test_what_comes_after_a_line_that_another_left_torn_is_a_line_of_its_own(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a"
    path.write_text('{"time": "2026-11-20T10')
    AuditLog(path).record(NODE, "echo", duration_s=0, exit_status=0)
    assert [record.command for record in Trail(path).news()] == ["echo"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_is_told_and_the_log_recovers(tmp_path: Path) -> None:
    log = AuditLog(Path("/dev/full"))
    log.record(NODE, "echo", duration_s=0, exit_status=0)
    assert log.problem == "The audit log /dev/full cannot be written: No space left on device."
    log.close()
    log.path = tmp_path / "a"
    log.record(NODE, "echo", duration_s=0, exit_status=0)
    assert log.problem == ""


async def test_a_log_that_cannot_be_written_stops_nothing(lab: Lab) -> None:
    await lab.add()
    (lab.folder / "file").write_text("")
    audit = AuditLog(lab.folder / "file" / "audit.jsonl")
    async with lab.fleet(audit=audit) as fleet:
        assert (await fleet.remotes[0].run("echo on")).stdout == b"on\n"
    assert "cannot be written" in audit.problem
