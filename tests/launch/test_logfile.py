"""The whole log in a file here: resumed to the line, bounded, one writer, private."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wizard.launch import logfile
from wizard.launch.logfile import LogFile, log_path


def stamped(second: int, text: str, nanos: int = 0) -> bytes:
    return f"2026-11-20T10:00:{second:02d}.{nanos:09d}Z {text}\n".encode()


async def written(path: Path, *parts: bytes, **limits: int) -> LogFile:
    file = LogFile(path, **limits)
    await file.open()
    file.resume()
    for part in parts:
        file.take(part)
        await file.flush()
    await file.close()
    return file


async def test_it_is_private_and_lies_by_launch_and_node(tmp_path: Path) -> None:
    path = log_path("20261120-100000-abc", 1)
    assert path == tmp_path / "wizard/state/launches/20261120-100000-abc/node1.log"
    await written(path, stamped(1, "one"))
    assert path.read_bytes() == stamped(1, "one")
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


async def test_another_run_goes_on_exactly_where_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "l/node0.log"
    same = stamped(2, "same", 5)
    await written(path, stamped(1, "one") + same + same)
    with path.open("ab") as raw:
        raw.write(b"2026-11-20T10:00:03.0Z half a li")  # killed while writing
    file = LogFile(path)
    await file.open()
    assert file.since == "2026-11-20T10:00:01Z"
    file.resume()
    # a third one of that moment had not come before the end
    file.take(stamped(1, "one") + same)
    file.take(same + same + stamped(3, "three"))
    await file.close()
    assert path.read_bytes() == stamped(1, "one") + same * 3 + stamped(3, "three")


async def test_an_empty_one_asks_from_the_start(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "l/node0.log")
    await file.open()
    assert (file.since, file.empty, file.writes) == ("", True, True)
    await file.close()
    assert not file.writes


async def test_of_two_wizards_one_writes(tmp_path: Path) -> None:
    path = tmp_path / "l/node0.log"
    first, second = LogFile(path), LogFile(path)
    await first.open()
    await second.open()
    assert (first.writes, second.writes, second.problem) == (
        True,
        False,
        "another wizard here writes it",
    )
    await first.close()
    await second.open()
    assert (second.writes, second.problem) == (True, "")
    await second.close()


async def test_it_is_bounded_and_keeps_beginning_and_end(tmp_path: Path) -> None:
    path = tmp_path / "l/node0.log"
    lines = [stamped(n % 60, f"line {n:04d}", n) for n in range(100)]
    await written(path, *lines, head_limit=1000, later_limit=500)
    sizes = {p.name: p.stat().st_size for p in path.parent.glob("*.log")}
    assert set(sizes) == {"node0.log", "node0.later.log", "node0.later.1.log"}
    assert sum(sizes.values()) <= 2000
    assert path.read_bytes().startswith(lines[0])
    assert path.with_suffix(".later.log").read_bytes().endswith(lines[-1])
    again = LogFile(path)
    await again.open()
    assert again.since == "2026-11-20T10:00:38Z"
    await again.close()


async def test_a_disk_that_fails_is_told_and_ends_the_keeping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = LogFile(tmp_path / "l/node0.log")
    await file.open()

    def full(*_: object) -> int:
        raise OSError(28, os.strerror(28))

    file.take(stamped(1, "one"))
    monkeypatch.setattr(logfile.os, "write", full)
    await file.flush()
    monkeypatch.undo()
    assert "No space left" in file.problem
    assert not file.writes
    await file.open()
    assert not file.writes  # said once, not tried again and again


async def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "l").write_text("a file")
    file = LogFile(tmp_path / "l/node0.log")
    await file.open()
    assert not file.writes
    assert "l/node0.log" in file.problem


async def test_only_the_newest_launches_are_kept() -> None:
    home = log_path("x", 0).parent.parent
    for n in range(25):
        await written(home / f"202611{n:02d}-000000-00000{n % 10}/node0.log", stamped(1, "one"))
    left = sorted(path.name for path in home.iterdir())
    assert len(left) == logfile.KEPT_LAUNCHES
    assert left[-1].startswith("20261124")


async def test_what_is_not_ours_is_never_removed(tmp_path: Path) -> None:
    home = log_path("x", 0).parent.parent
    strange = [home / f"{n:02d}-of-somebody" for n in range(30)]
    for folder in strange:
        folder.mkdir(parents=True)
        (folder / "node0.log").touch()
    mixed = home / "20200101-000000-abcdef"
    mixed.mkdir()
    (mixed / "notes.txt").touch()
    (mixed / "node0.log").touch()
    for n in range(25):
        await written(home / f"202611{n:02d}-000000-00000{n % 10}/node0.log", stamped(1, "one"))
    assert all((folder / "node0.log").exists() for folder in strange)
    assert [path.name for path in mixed.iterdir()] == ["notes.txt"]
    # beside the folder that is ours nothing is looked at, whatever its name
    for n in range(30):
        (tmp_path / f"202610{n:02d}-000000-abcdef").mkdir()
    await written(tmp_path / "20261130-000000-abcdef/node0.log", stamped(1, "one"))
    assert len([p for p in tmp_path.iterdir() if p.name.startswith("2026")]) == 31
