"""The commands without a screen, on the same engine. Each takes parsed arguments, returns a status.

Results go to stdout, progress only to a terminal on stderr, errors are raised as WizardError.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections.abc import Coroutine
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
    return asyncio.run(_guarded(outcome))


async def _guarded(command: Coroutine[None, None, int]) -> int:
    task = asyncio.ensure_future(command)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
            continue  # started by nohup: it is to outlive its terminal
        loop.add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
