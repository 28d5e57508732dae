"""Host keys: which files say what a node's key must be, and what is wrong with one refused.

Verified always. asyncssh switches checking off for ``UserKnownHostsFile none``, and takes a key
revoked under the plain name for good on another port (ssh.md): so the files are chosen and the
lists put together here.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncssh

from wizard.errors import HostKeyError

_GLOBAL = "/etc/ssh/ssh_known_hosts"


def files(explicit: str | None, configured: Sequence[str]) -> tuple[str, ...]:
    """Return the known_hosts files to use.

    Args:
        explicit: of the preset; then no other file counts.
        configured: ssh_config's UserKnownHostsFile; empty (``none``) means the usual file, never
            that checking is off.
    """
    if explicit:
        return (str(Path(explicit).expanduser()),)
    usual = [str(Path("~/.ssh/known_hosts").expanduser())]
    return (*(str(Path(name).expanduser()) for name in configured or usual), _GLOBAL)


class KnownHosts:
    """The entries of some files, read once per change. Blocks: make it off the loop.

    Raises:
        HostKeyError: a file cannot be read or has a line that is no entry.
    """

    def __init__(self, names: Sequence[str], *, rank: int | None = None) -> None:
        self.names = tuple(names)
        present = [name for name in names if os.path.isfile(name)]
        self.missing = not present
        try:
            stamps = tuple((name, os.stat(name).st_mtime_ns) for name in present)
            self._entries = _read(stamps)
        except (OSError, ValueError) as error:
            raise HostKeyError(
                f"The known_hosts file {' '.join(present)} cannot be used: {error}.",
                node=rank,
                hint="Correct or remove that line, then try again.",
            ) from error

    def __call__(self, host: str, address: str, port: int | None) -> Any:
        """Return what is trusted and revoked for a host, in the form that asyncssh asks for."""
        found = self._entries.match(host, address, port)
        if port is None:
            return found
        plain = self._entries.match(host, address, None)
        # A revoked key is bad on every port, not only on the one of its entry.
        return (*found[:2], [*found[2], *plain[2]], *found[3:])

    def knows(self, host: str, address: str, port: int) -> bool:
        """Whether any key of this host is on record (so that another one is a changed one)."""
        return bool(self(host, address, None if port == asyncssh.DEFAULT_PORT else port)[0])


@functools.lru_cache(maxsize=8)
def _read(stamps: tuple[tuple[str, int], ...]) -> asyncssh.SSHKnownHosts:
    return asyncssh.read_known_hosts([name for name, _ in stamps])


class HostKeyWitness(asyncssh.SSHClient):
    """Sees the key that asyncssh does not trust. Never accepts one."""

    def __init__(self) -> None:
        self.refused: tuple[str, str, int, asyncssh.SSHKey] | None = None

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey
    ) -> bool:
        """Remember an untrusted key, and refuse it."""
        self.refused = (host, addr, port, key)
        return False


def explain(
    who: str, rank: int | None, reason: str, witness: HostKeyWitness, known: KnownHosts
) -> HostKeyError:
    """Say what is wrong with a host key: revoked, changed or unknown.

    Args:
        who: the node, or the jump host, as a label.
        reason: asyncssh's own words.
    """
    where = known.names[0]
    if "revoked" in reason:
        return HostKeyError(
            f"The host key of {who} is marked as revoked in {where}; nothing was sent to it.",
            node=rank,
            hint="Ask who runs that host; give it a new key.",
        )
    if witness.refused is None:
        return HostKeyError(
            f"The host key of {who} could not be verified: {reason}.",
            node=rank,
            hint=f"Check its entry in {where}.",
        )
    host, addr, port, key = witness.refused
    shown = f"{key.get_algorithm()} {key.get_fingerprint()}"
    name = host if port == asyncssh.DEFAULT_PORT else f"[{host}]:{port}"
    if known.knows(host, addr, port):
        return HostKeyError(
            f"The host key of {who} has changed: it now shows {shown}, which is not the key"
            f" recorded in {where}; nothing was sent to it.",
            node=rank,
            hint=f"If the host was really reinstalled: ssh-keygen -R '{name}' -f {where}, then"
            " log in once with ssh; otherwise somebody may be in between.",
        )
    gone = f" (there is no file {where})" if known.missing else ""
    return HostKeyError(
        f"The host key of {who} is unknown{gone}: it shows {shown}.",
        node=rank,
        hint=f"Log in once with ssh and compare the fingerprint, or: ssh-keyscan -p {port} {host}"
        f" >> {where}",
    )
