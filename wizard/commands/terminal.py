"""How a command speaks to the person at the terminal, if there is one."""

from __future__ import annotations

import asyncio
import os
import sys

from wizard.errors import UsageError


def progress(text: str) -> None:
    """Overwrite the progress line on stderr; silent when stderr is not a terminal."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def end_progress() -> None:
    """Clear the progress line."""
    progress("")


def note(text: str) -> None:
    """Tell the person what happens, on stderr; silent when stderr is not a terminal."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", file=sys.stderr, flush=True)


async def read_line() -> str:
    """Return one line typed on stdin, without its end; "" at the end of input.

    Waits on the loop, not in a thread: a thread stuck in ``readline`` could not be cancelled, and
    Ctrl-C would then do nothing until Enter is pressed.
    """
    loop = asyncio.get_running_loop()
    descriptor = sys.stdin.fileno()
    typed = b""
    while not typed.endswith(b"\n"):
        readable = asyncio.Event()
        loop.add_reader(descriptor, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(descriptor)
        piece = os.read(descriptor, 4096)
        if not piece:
            break
        typed += piece
    return typed.decode(errors="replace").rstrip("\n")


async def confirm(question: str, *, yes: bool) -> bool:
    """Ask for a yes; ``yes`` answers it beforehand.

    Raises:
        UsageError: nobody is there to be asked and ``--yes`` was not given.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError("this needs a confirmation:", hint="add --yes when no terminal is there.")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return (await read_line()).strip().lower() in ("y", "yes")
