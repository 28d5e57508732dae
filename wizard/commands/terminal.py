"""How a command speaks to the person at the terminal, if there is one."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from wizard.errors import UsageError

_held = 0  # how many questions the person is typing an answer to


def progress(text: str) -> None:
    """Overwrite the progress line on stderr; silent when stderr is not a terminal."""
    if sys.stderr.isatty() and not _held:
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def end_progress() -> None:
    """Clear the progress line."""
    progress("")


@contextmanager
def progress_held() -> Iterator[None]:
    """Keep the progress line from overwriting a question while it is answered."""
    global _held  # noqa: PLW0603 - there is one terminal
    _held += 1
    try:
        yield
    finally:
        _held -= 1


def note(text: str) -> None:
    """Tell the person what happens, on stderr; silent when stderr is not a terminal."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", file=sys.stderr, flush=True)


def tell(text: str) -> None:
    """Say on stderr what has become of the work, to a terminal or not."""
    with suppress(OSError):  # the terminal, or who reads, is gone
        start = "\r\x1b[K" if sys.stderr.isatty() else "v32-wizard: "
        print(f"{start}{text}", file=sys.stderr, flush=True)


def write_exactly(text: str) -> None:
    """Write to stdout what is run or read by programs: all of it as it is, or nothing.

    Raises:
        UsageError: stdout's encoding cannot hold it.
    """
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError as error:
        lacking = error.object[error.start : error.end]
        raise UsageError(
            f"stdout is {error.encoding}, which cannot hold {lacking!a}: nothing was written.",
            hint="Set PYTHONIOENCODING=utf-8, or write to a file.",
        ) from error
    sys.stdout.write(text)


async def read_line() -> str:
    """Return one line typed on stdin, without its end; "" at the end of input."""
    typed = b""
    while not typed.endswith(b"\n") and (piece := await _read_some()):
        typed += piece
    return typed.decode(errors="replace").rstrip("\n")


async def read_all() -> str:
    """Return stdin up to its end."""
    pieces = []
    while piece := await _read_some():
        pieces.append(piece)
    return b"".join(pieces).decode(errors="replace")


async def _read_some() -> bytes:
    """Read what is there on stdin, waiting until something is; b"" at the end of input.

    Waits on the loop, not in a thread: a thread stuck in ``read`` could not be cancelled, and
    Ctrl-C would then do nothing until Enter is pressed or the pipe is closed.
    """
    loop = asyncio.get_running_loop()
    descriptor = sys.stdin.fileno()
    readable = asyncio.Event()
    try:
        loop.add_reader(descriptor, readable.set)
    except PermissionError:  # epoll takes no plain file, and /dev/null; they never make one wait
        return os.read(descriptor, 1 << 16)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(descriptor)
    return os.read(descriptor, 1 << 16)


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
