"""Programs on this machine, each in a process group of its own, so that nothing of it is left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import Any

Process = asyncio.subprocess.Process
_STUCK_S = 1.0


async def start(*words: str, **pipes: Any) -> Process:
    """Start a program; when cancelled meanwhile, it and what it started are ended.

    Raises:
        OSError: it cannot be started.
    """
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(*words, start_new_session=True, **pipes)
    )
    try:
        # shielded: asyncio itself would kill the program, but not what it has started by now
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        # At the end of a loop asyncio (3.11) also cancels the task that connects pipes, and then
        # waits for them for ever: only being cancelled once more gets it out of that.
        once_more = asyncio.get_running_loop().call_later(_STUCK_S, starting.cancel)
        with contextlib.suppress(OSError):
            await end(await starting)
        once_more.cancel()
        raise


async def end(process: Process, *, grace_s: float = 0.0) -> None:
    """End a program with all of its group: TERM, and KILL after ``grace_s``; idempotent."""
    if grace_s and process.returncode is None:
        _signal(process, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await process.wait()
    _signal(process, signal.SIGKILL)
    await process.wait()


def _signal(process: Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
