"""What to do about a launch of the preset that is on the nodes already: attach, restart, none."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from wizard.commands.terminal import note, read_line
from wizard.errors import WizardError
from wizard.launch import Launch, pending
from wizard.launch.conflict import Taken
from wizard.launch.restarting import told, untouched

Choice = Literal["launch", "attach", "restart"]
_CHOICES: dict[str, Choice] = {
    **{"a": "attach", "attach": "attach"},
    **{"r": "restart", "restart": "restart"},
}


async def settle(work: Launch, arguments: argparse.Namespace) -> Choice:
    """Look for what stands in the way of a launch; do about it what was asked for.

    ``--attach`` and ``--restart`` answer beforehand; without them a person at the terminal is
    asked. Nothing is stopped here. With ``--attach`` nothing is ever launched, and a node out of
    reach keeps nobody from following the others.

    Raises:
        Taken: somebody else holds what the launch needs, or nobody said what to do.
    """
    hosts = [node.host for node in work.preset.cluster.nodes]
    for stop in pending.of_preset(work.preset.name):
        note(stop.sentence(hosts))
    if arguments.attach:
        return "attach"
    try:
        await work.refuse()
    except Taken as error:
        if error.holder.what != "preset":
            raise
        choice = await _choice(error, arguments)
        if choice is None:
            raise
        return choice
    return "launch"


async def _choice(error: Taken, arguments: argparse.Namespace) -> Choice | None:
    if arguments.restart:
        return "restart"
    if arguments.yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    offered = "[a]ttach to it, " if error.holder.followable else ""
    question = f"{error.message}\n{offered}[r]estart (stops it first), or [c]ancel? [c] "
    print(question, end="", file=sys.stderr, flush=True)
    choice = _CHOICES.get((await read_line()).strip().lower())
    return choice if offered or choice != "attach" else None


async def replaced(work: Launch) -> str:
    """Return in words the launch of the preset that a restart would stop, "" where none is known.

    What stands in the way of the launch is no matter: the plan tells it.
    """
    found = await work.in_place()
    return _words(found.launch, found.owner) if found is not None else ""


def whose(work: Launch) -> str:
    """Say which launch of the preset was found, for a question."""
    holder = work.conflict
    assert holder is not None  # it was just found
    return _words(holder.launch, holder.owner)


def _words(launch: str, owner: str) -> str:
    return f"launch {launch}" + (f" of {owner}" if owner else "")


@contextmanager
def left_running(work: Launch, *, replaced: bool) -> Iterator[None]:
    """Have an error of the block say that what was to be replaced was not stopped, if so."""
    try:
        yield
    except WizardError as error:
        if not replaced:
            raise
        raise told(error, untouched(work.preset)) from None
