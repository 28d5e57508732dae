"""Host keys: which files say what a node's key must be, and what is wrong with one refused.

Verified always, and judged here, not by asyncssh: it switches checking off for
``UserKnownHostsFile none``, takes a key revoked under the plain name for good on another port,
and asks whoever has a callback about changed keys as if they were new (ssh.md).
"""

from __future__ import annotations

import base64
import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh

from wizard.errors import ChangedHostKey, HostKeyError, RevokedHostKey, UnknownHostKey
from wizard.remote import knownhosts
from wizard.remote.knownhosts import Book, Entry
from wizard.remote.shownkey import KeyState, ShownKey

_GLOBAL = "/etc/ssh/ssh_known_hosts"
_NO_FILE = ("none", "/dev/null")

# What we ask a server for, best first, as OpenSSH does; signatures by SHA-1 are not among them.
_PLAIN = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
_CERTIFICATES = tuple(
    f"{name.removesuffix('@openssh.com')}-cert-v01@openssh.com" for name in _PLAIN
)


def files(
    explicit: str | None, configured: Sequence[str], shared: Sequence[str] = (_GLOBAL,)
) -> tuple[str, ...]:
    """Return the known_hosts files to use; a new key is recorded in the first.

    Args:
        explicit: of the preset; then no other file counts.
        configured: ssh_config's UserKnownHostsFile; none of its own (``none``, ``/dev/null``)
            means the usual file, never that checking is off.
        shared: ssh_config's GlobalKnownHostsFile.
    """
    if explicit:
        return (str(Path(explicit).expanduser()),)
    usual = [str(Path("~/.ssh/known_hosts").expanduser())]
    own = [str(Path(name).expanduser()) for name in configured if name.lower() not in _NO_FILE]
    return (*(own or usual), *(name for name in shared if name.lower() not in _NO_FILE))


class KnownHosts:
    """The entries of some files, read once per change. Blocks: make it off the loop.

    Raises:
        HostKeyError: a file cannot be read.
    """

    def __init__(self, names: Sequence[str], *, rank: int | None = None) -> None:
        self.names = tuple(names)
        present = [name for name in names if os.path.isfile(name)]
        self.missing = not present
        self.book = knownhosts.joined([_held(name, rank) for name in present])

    @property
    def revoked(self) -> list[asyncssh.SSHKey]:
        """The keys that are bad on every port and under every name."""
        return [
            key
            for entry in self.book.entries
            if entry.marker == "@revoked" and (key := _imported(entry)) is not None
        ]


def _held(name: str, rank: int | None) -> Book:
    try:
        return _read(name, *_stamp(name))
    except OSError as error:
        raise HostKeyError(
            f"The known_hosts file {name} cannot be read: {error.strerror}.",
            node=rank,
            hint="Make it readable, or name another one as known_hosts in the preset.",
        ) from error


def _stamp(name: str) -> tuple[int, int, int]:
    stat = os.stat(name)
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


@functools.lru_cache(maxsize=16)
def _read(name: str, *_stamp: int) -> Book:
    text = Path(name).read_bytes().decode("utf-8", "surrogateescape")
    return knownhosts.parse(text, name)


def _imported(entry: Entry) -> asyncssh.SSHKey | None:
    try:
        return asyncssh.import_public_key(f"{entry.key_type} {entry.data}")
    except asyncssh.KeyImportError:
        return None  # of a type that we do not speak, so no server can show it to us


@dataclass
class Judge:
    """What the files say of the keys of one host.

    A key of the host's own name (``host``, or ``[host]:port``, or its HostKeyAlias alone) counts;
    when there is none, one of its address; when there is none either, the very same key under the
    plain name is good too, as for ssh.

    Attributes:
        host: as connected to, after ssh_config.
        alias: ssh_config's HostKeyAlias, or "": then no other name counts.
        certificates: whether certificates are asked for, where a CA is trusted.
    """

    known: KnownHosts
    host: str
    port: int
    alias: str = ""
    certificates: bool = True
    _own: list[Entry] = field(init=False)

    def __post_init__(self) -> None:
        self._own = self.known.book.about([self.name])  # hashes cost: once, and off the loop

    @property
    def name(self) -> str:
        """Under which the host's key is recorded."""
        return self.alias.lower() or knownhosts.host_name(self.host, self.port)

    @property
    def wants_certificates(self) -> bool:
        """Whether certificates are asked for: only where a CA is trusted."""
        return self.certificates and bool(self._authorities(""))

    def algorithms(self) -> list[str]:
        """Return what to ask the server for: what it is known by first.

        So a server whose rsa key is on record is not taken for changed because it has an ed25519
        key as well.
        """
        first = [name for entry in self._own for name in _signatures(entry.key_type)]
        wanted = _CERTIFICATES if self.wants_certificates else ()
        return list(dict.fromkeys([*wanted, *first, *_PLAIN]))

    def trusts_authority(self, key: asyncssh.SSHKey, address: str) -> bool:
        """Whether a CA may say who this host is."""
        return any(entry.blob == key.public_data for entry in self._authorities(address))

    def state(self, blob: bytes, address: str) -> tuple[KeyState, list[Entry]]:
        """Judge a plain key; with the entries that speak against it."""
        if revoked := self.known.book.revoked(blob):
            return KeyState.REVOKED, revoked
        if any(entry.blob == blob for entry in self._own):
            return KeyState.KNOWN, []
        if others := [entry for entry in self._own if _signatures(entry.key_type)]:
            return KeyState.CHANGED, others
        if self.alias:
            return KeyState.UNKNOWN, []
        of_address = self._of_address(address)
        if any(entry.blob == blob for entry in of_address):
            return KeyState.KNOWN, []
        # only what it is known by was asked for first, and of the address nothing was known yet
        same_type = [e for e in of_address if blob.startswith(e.blob[: 4 + len(e.key_type)])]
        if same_type:
            return KeyState.CHANGED, same_type
        plain = self.known.book.about([self.host, address])
        good = self.port != knownhosts.SSH_PORT and any(entry.blob == blob for entry in plain)
        return KeyState.KNOWN if good else KeyState.UNKNOWN, []

    def _of_address(self, address: str) -> list[Entry]:
        if not address or address == self.host:
            return []
        return self.known.book.about([knownhosts.host_name(address, self.port)])

    def _authorities(self, address: str) -> list[Entry]:
        names = [self.name] if self.alias else [self.name, self.host, address]
        return self.known.book.about(names, "@cert-authority")


def _signatures(key_type: str) -> tuple[str, ...]:
    """Return the names under which a server may offer a key of a type; none: never asked for."""
    if key_type == "ssh-rsa":
        return ("rsa-sha2-512", "rsa-sha2-256")
    return (key_type,) if key_type in _PLAIN else ()


class HostKeyWitness(asyncssh.SSHClient):
    """Lets asyncssh go on with a key that is known, and remembers one that is not."""

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        self.refused: tuple[KeyState, list[Entry], asyncssh.SSHKey] | None = None
        self._foreign_authority = False

    def without_certificates(self) -> bool:
        """Whether to try again for the plain key: a certificate of a CA unknown here is as none."""
        again, self._foreign_authority = self._foreign_authority, False
        self.judge.certificates = self.judge.certificates and not again
        return again

    def trusted(self, *_: object) -> tuple[list[object], list[object], list[asyncssh.SSHKey]]:
        """Return what asyncssh may trust by itself: nothing.

        Of a certificate we are shown the CA alone, so it must know what is revoked.
        """
        return [], [], self.judge.known.revoked if self.judge.wants_certificates else []

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey
    ) -> bool:
        """Whether a plain host key is known."""
        state, against = self.judge.state(key.public_data, addr or "")
        if state is not KeyState.KNOWN:
            self.refused = state, against, key
        return state is KeyState.KNOWN

    def validate_host_ca_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Whether the CA of a host certificate is trusted; asyncssh checks the certificate."""
        trusted = self.judge.trusts_authority(key, addr or "")
        self._foreign_authority = not trusted
        return trusted


def witness_for(
    names: Sequence[str], host: str, port: int, *, alias: str = "", rank: int | None = None
) -> HostKeyWitness:
    """Return who will judge the host's key by the files. Blocks: make it off the loop.

    Raises:
        HostKeyError: a file cannot be read.
    """
    return HostKeyWitness(Judge(KnownHosts(names, rank=rank), host, port, alias))


def explain(who: str, rank: int | None, reason: str, witness: HostKeyWitness) -> HostKeyError:
    """Say what is wrong with a host key: revoked, changed or unknown.

    Args:
        who: the node, or the jump host, as a label.
        rank: the node's; None for a jump host.
        reason: asyncssh's own words.
        witness: what saw the key.
    """
    known = witness.judge.known
    where = known.names[0]
    if witness.refused is None:
        if "revoked" in reason:
            return RevokedHostKey(
                f"The host key of {who}, or the CA of its certificate, is marked as revoked in"
                f" {where}; nothing was sent to it.",
                node=rank,
                hint="Ask who runs that host; give it a new key.",
            )
        return HostKeyError(
            f"The host key of {who} could not be verified: {reason}.",
            node=rank,
            hint=f"Check its entry in {where}.",
        )
    shown = _shown(who, rank, witness)
    recorded = "; ".join(str(key) for key in shown.recorded)
    if shown.state is KeyState.REVOKED:
        return RevokedHostKey(
            f"The host key of {who} is marked as revoked: it shows {shown.shown}, revoked in"
            f" {shown.recorded[0].file}, line {shown.recorded[0].line}; nothing was sent to it.",
            node=rank,
            hint="Ask who runs that host; give it a new key.",
            shown=shown,
        )
    if shown.state is KeyState.CHANGED:
        return ChangedHostKey(
            f"The host key of {who} has changed: it now shows {shown.shown}, recorded is"
            f" {recorded}; nothing was sent to it.",
            node=rank,
            hint=f"If the host was really reinstalled: {shown.forget_command}, then connect again"
            " and compare the fingerprint; otherwise somebody may be in between.",
            shown=shown,
        )
    gone = f" (there is no file {where})" if known.missing else ""
    remark = f" ({shown.remark})" if shown.remark else ""
    return UnknownHostKey(
        f"The host key of {who} is unknown{gone}{remark}: it shows {shown.shown}.",
        node=rank,
        hint="Compare the fingerprint with the host's own (ssh-keygen -lf"
        " /etc/ssh/ssh_host_*_key.pub there) before you accept it.",
        shown=shown,
    )


def _shown(who: str, rank: int | None, witness: HostKeyWitness) -> ShownKey:
    assert witness.refused is not None
    state, against, key = witness.refused
    judge = witness.judge
    key_type = key.get_algorithm()
    unread = judge.known.book.unread
    remark = ""
    if unread:
        file, line = unread[0]
        more = f" and {len(unread) - 1} more lines" if len(unread) > 1 else ""
        remark = f"line {line} of {file}{more} could not be read"
    return ShownKey(
        state=state,
        who=who,
        name=judge.name,
        key_type=key_type,
        fingerprint=knownhosts.fingerprint(key.public_data),
        public_key=f"{key_type} {base64.b64encode(key.public_data).decode()}",
        file=judge.known.names[0],
        nodes=() if rank is None else (rank,),
        recorded=tuple(entry.told() for entry in against),
        remark=remark if state is KeyState.UNKNOWN else "",
    )
