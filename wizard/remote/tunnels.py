"""A way to a port of a node: a Unix socket here, in a folder that only its owner can enter."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncssh

from wizard.cluster import Node
from wizard.errors import RemoteError
from wizard.remote.text import clean

_PREFIX = "v32-wizard-"
_YOUNG_S = 60.0
_SOCKET_LIMIT = 100  # bytes of a Unix socket's path that every system takes


@asynccontextmanager
async def tunnel(
    connect: Callable[[], Awaitable[asyncssh.SSHClientConnection]], node: Node, host: str, port: int
) -> AsyncIterator[Path]:
    """Forward a socket to ``host:port`` as seen from the node, while the body runs."""
    connection = await connect()
    folder, lock = await asyncio.to_thread(_folder)
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
        os.close(lock)


def _folder() -> tuple[Path, int]:
    """Make a folder, locked for as long as the descriptor is open: so others see that we live."""
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))  # 0700
    if len(bytes(folder)) + len("/socket") > _SOCKET_LIMIT:
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir="/tmp"))
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    for other in folder.parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # somebody else's, or gone meanwhile
            _clear(other)
    return folder, lock


def _clear(folder: Path) -> None:
    """Remove the folder of a tunnel whose wizard was killed, and no folder of anything else."""
    about = folder.lstat()
    young = time.time() - about.st_mtime < _YOUNG_S  # its wizard may be about to lock it
    if young or about.st_uid != os.getuid() or not stat.S_ISDIR(about.st_mode):
        return
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if {path.name for path in folder.iterdir()} <= {"socket"}:
            (folder / "socket").unlink(missing_ok=True)
            folder.rmdir()
    finally:
        os.close(lock)
