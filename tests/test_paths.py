"""Writing files of ours: whole or not at all, and never in the place of something else."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from wizard.paths import write_private


def test_a_file_is_replaced_and_private(tmp_path: Path) -> None:
    path = tmp_path / "new" / "report"
    path.parent.mkdir()
    left = path.parent / ".report.4711.tmp"  # its writer was killed
    another = path.parent / ".report.old.tmp"  # that is none of ours
    for old in (left, another):
        old.touch()
        os.utime(old, (0, 0))
    for text in ("one", "two"):
        write_private(path, text)
        assert path.read_text() == text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(os.listdir(path.parent)) == [another.name, "report"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    write_private(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "text"


def test_a_pipe_gets_the_text_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write_private(pipe, "text")
    reader.join(10)
    assert read == ["text"]
    assert pipe.is_fifo()


def test_standard_output_by_its_name(tmp_path: Path) -> None:
    script = (
        "from pathlib import Path; from wizard.paths import write_private as w; w(Path({!r}), 'x')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script.format("/dev/stdout")], capture_output=True, check=False
    )
    assert (done.stdout, done.returncode) == (b"x", 0)


def test_a_full_device_is_an_error_and_stays_a_device() -> None:
    full = Path("/dev/full")
    if not full.is_char_device():
        pytest.skip("no /dev/full here")
    with pytest.raises(OSError, match="space") as caught:
        write_private(full, "text")
    assert caught.value.errno == errno.ENOSPC
    assert full.is_char_device()


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        write_private(tmp_path, "text")
