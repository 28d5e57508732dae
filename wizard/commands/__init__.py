"""The commands without a screen, on the same engine. Each takes parsed arguments, returns a status.

Results go to stdout, progress only to a terminal on stderr, errors are raised as WizardError.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import stat
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from importlib import import_module

# command → module that holds a function of the same name
_ROOMS = {
    "simulate": "simulate",
    "presets": "presets",
    "discover": "discover",
    "render": "render",
    "lint": "lint",
    "check": "check",
    "history": "history",
    "ignores": "ignores",
    "launch": "launch",
    "status": "launch",
    "logs": "launch",
    "stop": "launch",
    "chat": "chat",
    "audit": "audit",
    "diagnose": "diagnose",
}


def run(arguments: argparse.Namespace) -> int:
    """Run the command named by ``arguments.command``; asynchronous ones get a loop.

    SIGTERM and SIGHUP (the SSH session is gone) end a command as Ctrl-C does: everything is
    cleaned up first.
    """
    room = import_module(f"wizard.commands.{_ROOMS[arguments.command]}")
    outcome = getattr(room, arguments.command)(arguments)
    if isinstance(outcome, int):
        return outcome
    return asyncio.run(_guarded(outcome, follows=getattr(arguments, "follow", False)))


async def _guarded(command: Coroutine[None, None, int], *, follows: bool) -> int:
    task = asyncio.ensure_future(command)
    unread = False

    def leave() -> None:
        nonlocal unread
        unread = True
        task.cancel()

    if follows:
        _when_unread(leave)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
            continue  # started by nohup: it is to outlive its terminal
        loop.add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        if unread:
            raise BrokenPipeError from None
        raise KeyboardInterrupt from None


def _when_unread(call: Callable[[], object]) -> None:
    """Have something called once nobody reads our pipe any more (``logs -f | grep -m 1``).

    A write would tell, but the next line of what is followed may be hours away.
    """
    with suppress(OSError, ValueError):
        descriptor = sys.stdout.fileno()
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            loop = asyncio.get_running_loop()

            def woken() -> None:
                loop.remove_reader(descriptor)
                call()

            # the end that is written to is never readable: what wakes is its error
            loop.add_reader(descriptor, woken)
