"""Reading the audit log: filters, times, following, and lines that are none."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from wizard.audittrail import Record, Trail, Wanted, parse, since
from wizard.cluster import Node
from wizard.errors import UsageError
from wizard.remote.audit import AuditLog

NOW = datetime.fromisoformat("2026-11-24T15:30:00+01:00")


def _log(folder: Path, limit: int = 1 << 20) -> AuditLog:
    return AuditLog(folder / "audit.jsonl", limit=limit)


def _put(log: AuditLog, command: str, status: int | None = 0, rank: int = 0, **more: str) -> None:
    node = Node(rank=rank, host=f"10.0.0.{11 + rank}", port=22)
    log.record(node, command, duration_s=1.5, exit_status=status, **more)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("30m", "2026-11-24T15:00:00+01:00"),
        ("2 h", "2026-11-24T13:30:00+01:00"),
        ("1w", "2026-11-17T15:30:00+01:00"),
        ("today", "2026-11-24T00:00:00+01:00"),
        ("Yesterday", "2026-11-23T00:00:00+01:00"),
        ("9:05", "2026-11-24T09:05:00+01:00"),
        ("2026-11-20", "2026-11-20T00:00:00+01:00"),
        ("2026-11-20T10:00:00+00:00", "2026-11-20T10:00:00+00:00"),
    ],
)
def test_times_as_people_type_them(text: str, meant: str) -> None:
    assert since(text, NOW) == datetime.fromisoformat(meant)


@pytest.mark.parametrize("text", ["", "soon", "25:00", "5", "-3d", "9:5", "2026-13-01"])
def test_what_is_no_time_is_refused_with_what_would_be(text: str) -> None:
    with pytest.raises(UsageError, match=r"--since .*no time.*30m, 2h, 3d, today"):
        since(text, NOW)


@pytest.mark.parametrize(
    "line", ["", "{", "[]", "null", '{"time": "x"}', '{"time": "2026-11-24T00:00:00Z", "node": 0}']
)
def test_a_line_that_is_none_of_ours_is_passed_over(tmp_path: Path, line: str) -> None:
    assert parse(line) is None
    log = _log(tmp_path)
    _put(log, "before")
    with log.path.open("a") as file:
        file.write(line + "\n")
    _put(log, "after")
    assert [r.command for r in Trail(log.path).news()] == ["before", "after"]


def test_outcomes_and_what_counts_as_failed(tmp_path: Path) -> None:
    log = _log(tmp_path)
    _put(log, "a")
    _put(log, "b", 3)
    for note in ("timed out", "connection lost", "not started", "cancelled", "started", "closed"):
        _put(log, "c", None, note=note)
    found = list(Trail(log.path).news())
    outcomes = {r.outcome for r in found if r in Wanted(failed=True)}
    assert outcomes == {"exit 3", "timed out", "connection lost", "not started"}
    assert [r.outcome for r in found if r not in Wanted(failed=True)] == [
        *("ok", "cancelled", "started", "closed")
    ]


def test_by_node_place_and_time(tmp_path: Path) -> None:
    log = _log(tmp_path)
    for rank in (0, 1):
        _put(log, f"echo {rank}", rank=rank)
    zero, one = Trail(log.path).news()
    assert zero in Wanted(node=0)
    assert one not in Wanted(node=0)
    assert one in Wanted(places=frozenset({("10.0.0.12", 22)}))
    assert zero not in Wanted(places=frozenset({("10.0.0.11", 2222), ("10.0.0.12", 22)}))
    assert zero in Wanted(since=zero.time)
    assert zero not in Wanted(since=zero.time + timedelta(seconds=1))


def test_commands_are_shown_on_one_line_without_what_acts_on_a_terminal(tmp_path: Path) -> None:
    log = _log(tmp_path)
    _put(log, "echo '\x1b[31mred'\n\techo \u202ehidden\n")
    (record,) = Trail(log.path).news()
    assert record.line == "echo 'red'\\n echo hidden"


def test_news_are_told_once_over_many_rotations(tmp_path: Path) -> None:
    log = _log(tmp_path, limit=2000)  # about ten lines in a file
    trail, found = Trail(log.path), []
    assert list(trail.news()) == []
    for number in range(100):
        _put(log, f"echo {number}")
        if number % 7 == 0:
            found += [r.command for r in trail.news()]
    found += [r.command for r in trail.news()]
    assert found == [f"echo {n}" for n in range(100)]


def test_a_line_still_being_written_is_waited_for(tmp_path: Path) -> None:
    log = _log(tmp_path)
    _put(log, "one")
    line = log.path.read_bytes()
    log.path.write_bytes(line + line[:20])
    trail = Trail(log.path)
    assert [r.command for r in trail.news()] == ["one"]
    with log.path.open("ab") as file:
        file.write(line[20:])
    assert [r.command for r in trail.news()] == ["one"]


def test_the_end_of_a_long_log_is_enough_for_a_screen(tmp_path: Path) -> None:
    log = _log(tmp_path, limit=10 << 20)
    text = "x" * 9000
    for number in range(500):
        _put(log, f"{number} {text}")
    found: list[Record] = list(Trail(log.path, everything=False).news())
    numbers = [int(r.command.split()[0]) for r in found]
    assert numbers == list(range(500 - len(numbers), 500))
    assert 200 < len(numbers) < 300


async def _audit(home: Path, *words: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "wizard.cli", "audit", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "V32_WIZARD_HOME": str(home)},
    )


async def test_the_command_filters_and_follows(tmp_path: Path) -> None:
    log = _log(tmp_path / "state")
    _put(log, "old", 1, rank=0)
    _put(log, "other", 1, rank=1)
    process = await _audit(tmp_path, "--node", "0", "--failed", "-f", "--format", "json")
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            assert json.loads(await process.stdout.readline())["command"] == "old"
            _put(log, "fine", 0, rank=0)
            _put(log, "new", 2, rank=0)
            assert json.loads(await process.stdout.readline())["command"] == "new"
            process.terminate()
            assert await process.wait() == 130
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_following_ends_with_whoever_reads_it(tmp_path: Path) -> None:
    _put(_log(tmp_path / "state"), "old", 1, rank=0)
    read, write = os.pipe()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "wizard.cli", "audit", "-f"),
        stdout=write,
        env={**os.environ, "V32_WIZARD_HOME": str(tmp_path)},
    )
    os.close(write)
    try:
        async with asyncio.timeout(60):
            assert b"old" in await asyncio.to_thread(os.read, read, 4096)
            os.close(read)  # nothing is written from here on
            assert await process.wait() == 1
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_the_command_prints_lines_for_people_and_refuses_bad_times(tmp_path: Path) -> None:
    preset = tmp_path / "lab.yaml"
    preset.write_text(
        "version: 1\nname: lab\nseries: A3\nprecision: w8a8\nnodes: [{host: 10.0.0.12, port: 22}]\n"
    )
    log = _log(tmp_path / "state")
    _put(log, "hccn_tool -i 0 -link -g", 3, rank=0)
    _put(log, "echo on", 0, rank=1, user="root")
    shown, refused = await asyncio.gather(
        _audit(tmp_path, str(preset), "--since", "1h"), _audit(tmp_path, "--since", "soon")
    )
    async with asyncio.timeout(60):
        out, err = await shown.communicate()
        _, said = await refused.communicate()
    assert (shown.returncode, err) == (0, b"")
    (line,) = out.decode().splitlines()
    assert line.split("  ", 1)[1].split() == [
        *("node", "1", "root@10.0.0.12", "ok", "1.50", "s", "echo", "on")
    ]
    assert refused.returncode == 2
    assert b"--since soon: this is no time." in said
