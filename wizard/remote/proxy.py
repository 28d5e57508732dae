"""A ProxyCommand: a program whose stdin and stdout are the way to the node's sshd."""

from __future__ import annotations

import asyncio
import os
import socket
from dataclasses import dataclass

import asyncssh

from wizard.remote import local
from wizard.remote.text import clean

_KEPT = 2000  # bytes of what it says on stderr


@dataclass
class Proxy:
    """A running ProxyCommand. ``sock`` is our end, taken over by the connection."""

    sock: socket.socket
    process: asyncio.subprocess.Process
    reader: asyncio.Task[bytes]

    @classmethod
    async def start(cls, command: str) -> Proxy:
        """Start ``command`` by the user's shell, as ssh does, in a process group of its own.

        Raises:
            OSError: the shell cannot be started.
        """
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = await local.start(
                    os.environ.get("SHELL") or "/bin/sh",
                    "-c",
                    f"exec {command}",
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=asyncio.subprocess.PIPE,
                )
        except BaseException:
            ours.close()
            raise
        ours.setblocking(False)
        return cls(ours, process, asyncio.create_task(_said(process)))

    async def end_with(self, connection: asyncssh.SSHClientConnection) -> None:
        """End the program when the connection does."""
        try:
            await connection.wait_closed()
        finally:
            await self.stop()

    async def stop(self) -> str:
        """End the program and what it started; return the last that it said on stderr."""
        await local.end(self.process, grace_s=2.0)
        self.sock.close()
        said = clean(await self.reader).strip()
        return said.splitlines()[-1] if said else ""


async def _said(process: asyncio.subprocess.Process) -> bytes:
    """Read all that it says, so that it never waits for us; keep the end."""
    assert process.stderr is not None
    kept = b""
    while piece := await process.stderr.read(1 << 12):
        kept = (kept + piece)[-_KEPT:]
    return kept
