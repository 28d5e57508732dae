"""A command is ended with its process group, also when its ``timeout`` dies before."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from pathlib import Path

import pytest
from remote_lab import wait_for

from wizard.remote import shell

# What coreutils' timeout does when a TERM comes while it forks: it is gone, its child is not.
TIMEOUT = """#!{python}
import os, signal, sys
os.setpgid(0, 0)
child = os.fork()
if child == 0:
    os.execvp(sys.argv[4], sys.argv[4:])
signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
open({ready!r}, "w").close()
os.waitpid(child, 0)
"""


@pytest.mark.parametrize("command", ["exec sleep 600", "trap '' TERM; while :; do sleep 0.1; done"])
async def test_nothing_is_left_when_timeout_dies_first(tmp_path: Path, command: str) -> None:
    mark = f"v32-mark-{secrets.token_hex(8)}"
    tool, ready = tmp_path / "timeout", tmp_path / "ready"
    tool.write_text(TIMEOUT.format(python=sys.executable, ready=str(ready)))
    tool.chmod(0o755)
    script = shell.supervised(f": {mark}; {command}", nonce="n", timeout_s=0, stdin_size=0)
    child = await asyncio.create_subprocess_exec(
        "bash",
        *("--norc", "--noprofile", "-s"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "MARK": mark},
    )
    assert child.stdin is not None
    child.stdin.write(script)
    await child.stdin.drain()
    await wait_for(ready.exists)
    left = [pid for pid in _with(mark) if pid != child.pid]
    assert left
    child.stdin.close()  # what a cancelled call does
    await wait_for(lambda: not _with(mark))
    await child.wait()


def _with(mark: str) -> list[int]:
    """Pids of all that the script has started: its variable is in their environment."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                if mark.encode() in (folder / "environ").read_bytes():
                    found.append(int(folder.name))
            except OSError:
                continue
    return found
