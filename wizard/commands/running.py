"""What to do about a launch of the preset that is on the nodes already: attach, restart, none."""

from __future__ import annotations

import argparse
import sys
from typing import Literal

from wizard.commands.terminal import confirm, note, read_line
from wizard.errors import LaunchError
from wizard.launch import Launch, pending
from wizard.launch.conflict import Taken

Choice = Literal["launch", "attach"]
_WORDS = {"a": "attach", "attach": "attach", "r": "restart", "restart": "restart"}


async def settle(work: Launch, arguments: argparse.Namespace) -> Choice:
    """Look for what stands in the way of a launch; do about it what was asked for.

    ``--attach`` and ``--restart`` answer beforehand; without them a person at the terminal is
    asked. With restart, what runs is stopped here, after a confirmation. With ``--attach`` nothing
    is ever launched, and a node out of reach keeps nobody from following the others.

    Raises:
        Taken: somebody else holds what the launch needs, or nobody said what to do.
        LaunchError: what runs could not be stopped wholly.
    """
    for stop in pending.of_preset(work.preset.name):
        note(stop.sentence())
    if arguments.attach:
        return "attach"
    try:
        await work.refuse()
    except Taken as error:
        if error.holder.what != "preset":
            raise
        choice = await _choice(error, arguments)
        if choice == "restart" and await _stopped(work, arguments):
            return "launch"
        if choice != "attach":
            raise
        return "attach"
    return "launch"


async def _choice(error: Taken, arguments: argparse.Namespace) -> str:
    if arguments.restart:
        return "restart"
    if arguments.yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return ""
    question = f"{error.message}\n[a]ttach to it, [r]estart (stops it first), or [c]ancel? [c] "
    print(question, end="", file=sys.stderr, flush=True)
    return _WORDS.get((await read_line()).strip().lower(), "")


async def _stopped(work: Launch, arguments: argparse.Namespace) -> bool:
    holder = work.conflict
    assert holder is not None  # refuse() has just said so
    whose = f"launch {holder.launch}" + (f" of {holder.owner}" if holder.owner else "")
    question = f"Stop {whose} on {len(work.ranks)} node(s) and launch anew?"
    if not await confirm(question, yes=arguments.yes):
        return False
    if problems := await work.stop():
        raise LaunchError(f"not launched anew: {' '.join(problems)}")
    return True
