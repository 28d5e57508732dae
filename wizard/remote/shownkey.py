"""A host key that a server showed and that was not trusted, as data for people to decide on.

Free of asyncssh: screens and commands read it before any connection is made.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from enum import StrEnum


class KeyState(StrEnum):
    """What our known_hosts files say about a key that a server shows."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    CHANGED = "changed"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class RecordedKey:
    """An entry of a known_hosts file: the key that a host should have, or must not have."""

    key_type: str
    fingerprint: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.key_type} {self.fingerprint} ({self.file}, line {self.line})"


@dataclass(frozen=True, slots=True)
class ShownKey:
    """A host key as it was shown.

    Attributes:
        state: unknown, changed or revoked. Only an unknown one may ever be recorded.
        who: whose it is, as a label: ``node 0 (10.0.0.11)`` or ``jump host bastion``.
        name: under which known_hosts would have it: a host, ``[host]:port``, or a HostKeyAlias.
        key_type: ``ssh-ed25519`` and so on.
        fingerprint: ``SHA256:`` and base64, as ssh-keygen prints it.
        public_key: type and base64, as a known_hosts line has them.
        file: the known_hosts file that it would be recorded in.
        nodes: ranks of the nodes that cannot be reached because of it.
        recorded: what the files hold instead (changed), or by which line it is revoked.
        remark: a line of the files that might have been about it and could not be read, or "".
    """

    state: KeyState
    who: str
    name: str
    key_type: str
    fingerprint: str
    public_key: str
    file: str
    nodes: tuple[int, ...] = ()
    recorded: tuple[RecordedKey, ...] = ()
    remark: str = ""

    @property
    def shown(self) -> str:
        """Key type and fingerprint, as people compare them."""
        return f"{self.key_type} {self.fingerprint}"

    @property
    def forget_command(self) -> str:
        """The command that takes the recorded key of this name off the file that holds it."""
        file = self.recorded[0].file if self.recorded else self.file
        return f"ssh-keygen -R {shlex.quote(self.name)} -f {shlex.quote(file)}"
