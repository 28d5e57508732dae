"""Programs of ours on this machine: nothing of them is left, and they hold up nothing."""

from __future__ import annotations

import subprocess
import sys

ENDS_WHILE_STARTING = """
import asyncio
import os
from wizard.remote import local

async def ends(turns):
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), asyncio.subprocess.PIPE)
    starting = asyncio.ensure_future(local.start("sleep", "3671", **pipes))
    for _ in range(turns):
        await asyncio.sleep(0)

for turns in range(1, 4):
    asyncio.run(ends(turns))
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    print("no child is left")
"""


def test_a_loop_that_ends_while_a_program_starts_does_end() -> None:
    """asyncio of Python 3.11 waits for ever there: Ctrl-C would have hung the wizard."""
    done = subprocess.run(
        [sys.executable, "-c", ENDS_WHILE_STARTING],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "no child is left\n"), done.stderr
