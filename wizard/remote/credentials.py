"""The keys that we offer a node: read once, off the event loop, and never more than five.

A big RSA key costs a third of a second of the loop on every read, one with a passphrase a whole
one, and servers punish a client that offers many keys (ssh.md). A key with a passphrase is
offered by its public part; only when a node wants it is the passphrase asked for.
"""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
from pydantic import SecretStr

from wizard.remote.secrets import NoSecret, SecretKind, Secrets
from wizard.remote.sshconfig import HostConfig

MAX_KEYS = 5
_TRIES = 3  # of a passphrase, which no server sees
_Keys = Sequence[asyncssh.SSHKeyPair]


class KeyFileError(Exception):
    """The key file that the preset names cannot be used; in words."""


@dataclass
class Offer:
    """What is offered to one node.

    Attributes:
        keys: at most five, in order.
        locked: files whose key could not be offered at all without its passphrase.
        wanted: files whose key the node accepted, and that only the passphrase opens.
    """

    keys: list[asyncssh.SSHKeyPair] = field(default_factory=list)
    locked: list[str] = field(default_factory=list)
    wanted: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _File:
    """A key file as read."""

    path: str
    pairs: _Keys = ()
    public: asyncssh.SSHKey | None = None  # when the private one is not here, or locked
    locked: bool = False


class KeyRing:
    """The key files of a fleet; what was unlocked stays so, in memory."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._opened: dict[str, asyncssh.SSHKey] = {}
        self._opening: dict[str, asyncio.Task[None]] = {}
        self._waiting: dict[str, list[str]] = {}

    @asynccontextmanager
    async def offer(self, config: HostConfig, identity: str | None) -> AsyncIterator[Offer]:
        """Give what to offer while a node is connected to; the agent stays connected meanwhile.

        Named files come first, so that a full agent does not use up the server's patience; a
        named key that the agent holds is signed by the agent.

        Args:
            config: of ssh_config.
            identity: key file that the preset names; then no other file counts.

        Raises:
            KeyFileError: the preset's file cannot be used.
        """
        offer = Offer()
        files = await asyncio.to_thread(self._read_all, config, identity, offer)
        agent = await _agent(config.agent)
        try:
            held = await _agent_keys(agent)
            named = config.named or identity is not None
            only = config.identities_only and identity is None
            offer.keys = _order(files, held, named=named, only=only)
            offer.locked = [file.path for file in files if file.locked and not file.pairs]
            yield offer
        finally:
            if agent is not None:
                agent.close()
                await agent.wait_closed()

    async def unlock(self, path: str, who: str) -> None:
        """Have the key of a file opened by its passphrase, asked for once for all who wait.

        Raises:
            NoSecret: it was not given, or did not open the key.
        """
        waiting = self._waiting.setdefault(path, [])
        waiting.append(who)
        try:
            task = self._opening.get(path)
            if task is None or task.done():
                task = asyncio.create_task(self._unlock(path, waiting))
                self._opening[path] = task
            await asyncio.shield(task)
        finally:
            waiting.remove(who)

    async def close(self) -> None:
        """End questions that nobody waits for any more."""
        tasks, self._opening = list(self._opening.values()), {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._opened.clear()

    async def _unlock(self, path: str, waiting: Sequence[str]) -> None:
        known = self._secrets.proven(SecretKind.PASSPHRASE, path, "")
        if path in self._opened or (known is not None and await self._opens(path, known)):
            return
        said = ""
        for attempt in range(1, _TRIES + 1):
            value = await self._secrets.ask(SecretKind.PASSPHRASE, path, waiting, attempt, said)
            if await self._opens(path, value):
                self._secrets.remember(SecretKind.PASSPHRASE, path, value)
                return
            said = "it does not open the key"
        raise NoSecret(f"the passphrase typed for {path} does not open it")

    async def _opens(self, path: str, value: SecretStr) -> bool:
        def read() -> asyncssh.SSHKey:
            return asyncssh.read_private_key(path, value.get_secret_value())

        try:
            self._opened[path] = await asyncio.to_thread(read)
        except (OSError, ValueError):
            return False
        return True

    def _read_all(self, config: HostConfig, identity: str | None, offer: Offer) -> list[_File]:
        """Read the files; blocks."""
        certificates = _certificates(config.certificate_files)
        paths = [os.path.expanduser(identity)] if identity else list(config.identity_files)
        files = []
        for path in dict.fromkeys(paths):
            try:
                files.append(self._read(path, certificates, offer))
            except (OSError, ValueError) as error:
                if identity:
                    raise KeyFileError(f"{error}") from None
        return files

    def _read(self, path: str, certificates: list[asyncssh.SSHCertificate], offer: Offer) -> _File:
        if path in self._opened:
            return _File(path, _pairs(self._opened[path], path, certificates))
        try:
            return _File(path, _pairs(read_identity(path), path, certificates))
        except asyncssh.KeyImportError as error:
            public = _public(path)
            # asyncssh has no class of its own for either
            if "passphrase" not in str(error).lower() and "decrypt" not in str(error).lower():
                if public is None:
                    raise
                return _File(path, public=public)  # a public key, whose other half the agent has
        if public is None:
            return _File(path, locked=True)

        def wanted(_: str) -> None:
            offer.wanted.append(path)

        pairs = asyncssh.load_keypairs(path, wanted, certificates)  # type: ignore[arg-type]
        return _File(path, pairs, public, locked=True)


def _order(
    files: Sequence[_File], held: _Keys, *, named: bool, only: bool
) -> list[asyncssh.SSHKeyPair]:
    """Return the keys in the order of the offer, each once, at most five."""
    agent = {pair.public_data: pair for pair in held}
    ours: list[asyncssh.SSHKeyPair] = []
    for file in files:
        if file.public is not None and file.public.public_data in agent:
            ours.append(agent[file.public.public_data])
        else:
            ours += file.pairs
    rest = [] if only else list(held)
    every = [*ours, *rest] if named or only else [*rest, *ours]
    once: dict[bytes, asyncssh.SSHKeyPair] = {}
    for pair in every:
        once.setdefault(pair.public_data, pair)
    return list(once.values())[:MAX_KEYS]


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


def _pairs(key: asyncssh.SSHKey, path: str, certificates: list[asyncssh.SSHCertificate]) -> _Keys:
    """Return a key with its certificate, if there is one beside it or among the given."""
    beside = f"{path}-cert.pub"
    source = (key, beside) if os.path.isfile(beside) else key
    return asyncssh.load_keypairs([source], None, certificates)


def _certificates(paths: Sequence[str]) -> list[asyncssh.SSHCertificate]:
    found: list[asyncssh.SSHCertificate] = []
    for path in paths:
        try:
            found += asyncssh.load_certificates(path)
        except (OSError, ValueError):
            continue  # as ssh does
    return found


def _public(path: str) -> asyncssh.SSHKey | None:
    """Return the public half of a private key that cannot be read, or of a public key file."""
    for name in (f"{path}.pub", path):
        try:
            return asyncssh.read_public_key(name)
        except (OSError, ValueError):
            continue
    return None


async def _agent_keys(agent: asyncssh.SSHAgentClient | None) -> _Keys:
    if agent is None:
        return []
    try:
        return list(await agent.get_keys())
    except (OSError, ValueError):
        return []


async def _agent(path: str | None) -> asyncssh.SSHAgentClient | None:
    if not path:
        return None
    try:
        return await asyncssh.connect_agent(path)
    except (OSError, asyncssh.Error):
        return None
