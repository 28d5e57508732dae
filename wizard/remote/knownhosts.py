"""known_hosts files as OpenSSH reads them (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"); pure.

A line that is no entry is passed over, as ssh does, and remembered, so that a key which turns out
to be unknown can be told with it. Keys are compared as bytes: thousands of lines are not decoded
for the sake of one.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wizard.remote.shownkey import RecordedKey

SSH_PORT = 22
_MARKERS = ("@cert-authority", "@revoked")
_HASHED = "|1|"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: for whom, which key, and whether it trusts a host, a CA, or revokes the key."""

    hosts: str
    marker: str
    key_type: str
    blob: bytes
    file: str
    line: int

    @property
    def data(self) -> str:
        """The key as a line has it, in base64."""
        return base64.b64encode(self.blob).decode()

    @property
    def hashed(self) -> bool:
        """Whether the host's name is hidden by a hash."""
        return self.hosts.startswith(_HASHED)

    def about(self, name: str) -> bool:
        """Whether the line is about a name (``host``, an address, or ``[host]:port``)."""
        if self.hashed:
            return _same_hash(self.hosts, name)
        found = False
        for pattern in self.hosts.split(","):
            if pattern.startswith("!"):
                if _glob(pattern[1:], name):
                    return False
            elif _glob(pattern, name):
                found = True
        return found

    def told(self) -> RecordedKey:
        """Return it as people compare it."""
        return RecordedKey(self.key_type, fingerprint(self.blob), self.file, self.line)


@dataclass(frozen=True, slots=True)
class Book:
    """All entries of some files, and the lines that could not be read: (file, line)."""

    entries: tuple[Entry, ...]
    unread: tuple[tuple[str, int], ...] = ()

    def about(self, names: Iterable[str], marker: str = "") -> list[Entry]:
        """Return the entries of a kind that are about any of these names."""
        wanted = [name.lower() for name in names if name]
        return [
            entry
            for entry in self.entries
            if entry.marker == marker and any(entry.about(name) for name in wanted)
        ]

    def revoked(self, blob: bytes) -> list[Entry]:
        """Return the lines that revoke a key: it is bad on every port and under every name."""
        return [e for e in self.entries if e.marker == "@revoked" and e.blob == blob]

    @property
    def hashes_names(self) -> bool:
        """Whether most of its hosts are hidden by hashes, so that a new one should be, too."""
        plain = [entry for entry in self.entries if not entry.marker]
        return 2 * sum(entry.hashed for entry in plain) > len(plain)


def parse(text: str, file: str) -> Book:
    """Read a file's text."""
    entries, unread = [], []
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        entry = _entry(words, file, number)
        if entry is None:
            unread.append((file, number))
        else:
            entries.append(entry)
    return Book(tuple(entries), tuple(unread))


def joined(books: Sequence[Book]) -> Book:
    """Return several files as one."""
    return Book(
        tuple(entry for book in books for entry in book.entries),
        tuple(place for book in books for place in book.unread),
    )


def _entry(words: list[str], file: str, number: int) -> Entry | None:
    marker = words.pop(0) if words[0].startswith("@") else ""
    if (marker and marker not in _MARKERS) or len(words) < 3:
        return None
    hosts, key_type, data = words[:3]
    try:
        blob = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return None
    name = key_type.encode()
    if not blob.startswith(len(name).to_bytes(4, "big") + name):
        return None
    if hosts.startswith("|") and not _hash_parts(hosts):
        return None
    names = hosts if hosts.startswith("|") else hosts.lower()
    return Entry(names, marker, key_type, blob, file, number)


def host_name(host: str, port: int) -> str:
    """Return the name by which known_hosts calls a host on a port."""
    return host.lower() if port == SSH_PORT else f"[{host.lower()}]:{port}"


def fingerprint(blob: bytes) -> str:
    """Return a public key's SHA256 fingerprint as ssh-keygen prints it."""
    digest = hashlib.sha256(blob).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def hashed_name(name: str, salt: bytes) -> str:
    """Return a host's name as a hashed entry has it (HMAC-SHA1, ssh_config's HashKnownHosts)."""
    digest = hmac.digest(salt, name.lower().encode(), "sha1")
    return f"{_HASHED}{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


@functools.lru_cache(maxsize=1 << 14)
def _hash_parts(hosts: str) -> tuple[bytes, bytes] | None:
    parts = hosts.split("|")
    if len(parts) != 4 or not hosts.startswith(_HASHED):
        return None
    try:
        return base64.b64decode(parts[2], validate=True), base64.b64decode(parts[3], validate=True)
    except (binascii.Error, ValueError):
        return None


def _same_hash(hosts: str, name: str) -> bool:
    parts = _hash_parts(hosts)
    return parts is not None and hmac.digest(parts[0], name.encode(), "sha1") == parts[1]


def _glob(pattern: str, name: str) -> bool:
    """Match as ssh does: ``*`` and ``?`` only; brackets stand for themselves."""
    if "*" not in pattern and "?" not in pattern:
        return pattern == name
    regex = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(regex, name, re.DOTALL) is not None
