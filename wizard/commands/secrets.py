"""Asking for a passphrase or password at the terminal: on /dev/tty, unseen, never on stdin."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import SecretStr

from wizard.commands.terminal import progress_held
from wizard.remote.secrets import Asker, SecretRequest

_GATHER_S = 0.3  # for other nodes to say that they need it too: a line once written stays
_LIMIT = 1024  # bytes of a secret; what the terminal's line editor takes


def asker(arguments: argparse.Namespace) -> Asker | None:
    """Return who can be asked: nobody under ``--no-input``, or without a terminal."""
    if arguments.no_input or not (sys.stderr.isatty() or sys.stdin.isatty()):
        return None
    try:
        os.close(_open())
    except OSError:
        return None
    return ask


async def ask(request: SecretRequest) -> SecretStr | None:
    """Ask on the terminal; None at the end of input (Ctrl-D). Ctrl-C interrupts the command.

    The terminal is as before when it ends, however it ends.
    """
    await asyncio.sleep(_GATHER_S)
    said = f"{request.title}\n  {request.whom}"
    if request.refused:
        said += f"\n  (asked again: {request.refused})"
    with progress_held(), _silent() as descriptor:
        os.write(descriptor, f"\r\x1b[K{said}: ".encode())
        try:
            return await _read(descriptor)
        finally:
            os.write(descriptor, b"\n")


def _open() -> int:
    return os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)


@contextmanager
def _silent() -> Iterator[int]:
    """Open the terminal with its echo off; the line editor and Ctrl-C stay."""
    descriptor = _open()
    try:
        before = termios.tcgetattr(descriptor)
        quiet = termios.tcgetattr(descriptor)
        quiet[3] &= ~termios.ECHO
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, quiet)
        try:
            yield descriptor
        finally:
            termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)
    finally:
        os.close(descriptor)


async def _read(descriptor: int) -> SecretStr | None:
    """Read one line, waiting on the loop, so that it can be cancelled."""
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(descriptor)
    line = SecretStr(os.read(descriptor, _LIMIT).decode("utf-8", "replace").rstrip("\n"))
    return line if line.get_secret_value() else None
