"""A way to a port of a node: a Unix socket here, in a folder that only its owner can enter."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh

from wizard.cluster import Node
from wizard.errors import RemoteError
from wizard.remote.text import clean

_SOCKET_LIMIT = 100  # bytes of a Unix socket's path that every system takes


@asynccontextmanager
async def tunnel(
    connect: Callable[[], Awaitable[asyncssh.SSHClientConnection]], node: Node, host: str, port: int
) -> AsyncIterator[Path]:
    """Forward a socket to ``host:port`` as seen from the node, while the body runs."""
    connection = await connect()
    folder = await asyncio.to_thread(_folder)
    try:
        path = folder / "socket"
        try:
            listener = await connection.forward_local_path_to_port(str(path), host, port)
        except (OSError, asyncssh.Error) as error:
            words = clean(f"{error}")
            raise RemoteError(
                f"A tunnel to {host}:{port} on {node.label} could not be opened: {words}.",
                node=node.rank,
                retryable=True,
            ) from error
        try:
            yield path
        finally:
            listener.close()
            await listener.wait_closed()
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, True)


def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="v32-wizard-"))  # 0700
    if len(bytes(folder)) + len("/socket") <= _SOCKET_LIMIT:
        return folder
    folder.rmdir()
    return Path(tempfile.mkdtemp(prefix="v32-wizard-", dir="/tmp"))
