"""The keys that we offer a node: read once, off the event loop, and never more than five.

A big RSA key given as a path costs a third of a second of the loop on every connect, and servers
punish a client that offers many keys (ssh.md).
"""

from __future__ import annotations

import functools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh

MAX_KEYS = 5


def read_identity(path: str) -> asyncssh.SSHKey:
    """Read a private key; blocks, so call it off the loop.

    Raises:
        OSError: the file cannot be read.
        asyncssh.KeyImportError: it is no private key, or has a passphrase.
    """
    full = Path(path).expanduser()
    return _read(str(full), os.stat(full).st_mtime_ns)


@functools.lru_cache(maxsize=32)
def _read(path: str, _stamp: int) -> asyncssh.SSHKey:
    return asyncssh.read_private_key(path)


@asynccontextmanager
async def offered(
    options: asyncssh.SSHClientConnectionOptions,
) -> AsyncIterator[list[asyncssh.SSHKeyPair]]:
    """Give the keys to offer, files first when few: the agent's and ours, at most five.

    A key that the user named (preset or IdentityFile) comes first, so that a full agent does not
    use up the server's patience. Agent keys sign by the agent, which stays connected meanwhile.
    """
    named = list(options.client_keys or [])
    agent = await _agent(options.agent_path) if options.agent_path else None
    try:
        from_agent: list[asyncssh.SSHKeyPair] = []
        if agent is not None:
            try:
                from_agent = list(await agent.get_keys(options.agent_identities))
            except (OSError, ValueError):
                from_agent = []
        seen: set[bytes] = set()
        keys = []
        for pair in [*named, *from_agent]:
            if pair.public_data not in seen:
                seen.add(pair.public_data)
                keys.append(pair)
        yield keys[:MAX_KEYS]
    finally:
        if agent is not None:
            agent.close()
            await agent.wait_closed()


async def _agent(path: str) -> asyncssh.SSHAgentClient | None:
    try:
        return await asyncssh.connect_agent(path)
    except (OSError, asyncssh.Error):
        return None
