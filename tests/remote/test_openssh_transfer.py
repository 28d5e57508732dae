"""Files onto a real sshd's node when things go wrong on the way: all of them, or nothing at all."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from openssh_lab import OpenSSHLab, Sshd
from remote_lab import wait_for

from wizard.errors import ConnectionLost, RemoteError

FILES = {"serve.sh": b"#!/bin/bash\n", "model.env": secrets.token_bytes(200_000)}
# a tar that has written something, and then takes for ever
STUCK = """#!/bin/sh
while [ "$1" != -C ]; do shift; done
cat > "$2/half"
sleep 600
"""


def _stuck_tar(server: Sshd) -> None:
    tool = server.home / "bin" / "tar"
    tool.parent.mkdir()
    tool.write_text(STUCK)
    tool.chmod(0o755)


def _halves(server: Sshd) -> list[Path]:
    return list(server.home.glob("run*/half"))


def _drop(server: Sshd) -> None:
    """End the connections as a broken network does: what runs on the node is only told so."""
    for pid in server.sessions():
        with contextlib.suppress(OSError):  # it may be gone already
            if Path(f"/proc/{pid}/comm").read_text().startswith("sshd"):
                os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("way", ["dropped", "cancelled"])
async def test_an_upload_cut_in_the_middle_leaves_nothing_and_can_be_repeated(
    openssh: OpenSSHLab, way: str
) -> None:
    (server,) = await openssh.add(bashrc='PATH="$HOME/bin:$PATH"; echo noise; echo more >&2\n')
    _stuck_tar(server)
    async with openssh.fleet() as fleet:
        task = asyncio.create_task(fleet.remotes[0].upload("~/run", FILES))
        await wait_for(lambda: bool(_halves(server)), 30)
        if way == "dropped":
            _drop(server)
            with pytest.raises(ConnectionLost, match=r"broke while `upload of 2 files to ~/run"):
                await task
        else:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await wait_for(lambda: not list(server.home.glob("run*")), 30)
        (server.home / "bin" / "tar").unlink()
        await fleet.remotes[0].upload("~/run", FILES)
    found = {p.name: p.read_bytes() for p in (server.home / "run").iterdir()}
    assert found == FILES
    assert list(server.home.glob("run*")) == [server.home / "run"]


async def test_a_limit_on_files_is_told_in_the_tools_words(openssh: OpenSSHLab) -> None:
    (server,) = await openssh.add(bashrc="ulimit -f 8\n")
    async with openssh.fleet() as fleet:
        with pytest.raises(RemoteError, match=r"~/run on node 0 .* could not be written: .+"):
            await fleet.remotes[0].upload("~/run", FILES)
    assert list(server.home.glob("run*")) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


async def test_a_full_disk_is_told_and_left_as_it_was(
    openssh: OpenSSHLab, small_disk: Path
) -> None:
    await openssh.add()
    async with openssh.fleet() as fleet:
        with pytest.raises(RemoteError, match="No space left on device") as caught:
            await fleet.remotes[0].upload(str(small_disk / "run"), FILES)
        assert f"{small_disk}/run on node 0 (127.78.0.1) could not be written" in str(caught.value)
        assert list(small_disk.iterdir()) == []
        await fleet.remotes[0].upload(str(small_disk / "run"), {"serve.sh": b"fits"})
        assert (small_disk / "run" / "serve.sh").read_bytes() == b"fits"
