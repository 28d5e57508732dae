"""Recording host keys that a person accepted, as ssh would: a line appended to known_hosts.

Blocks: call it off the event loop. Other ssh processes may write the same file meanwhile, so a
line is one append; our own processes take turns by a lock on the file.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from wizard.errors import HostKeyError
from wizard.remote import knownhosts
from wizard.remote.shownkey import KeyState, ShownKey

_SALT = 20  # bytes, as ssh takes for HMAC-SHA1


def record(keys: Sequence[ShownKey]) -> None:
    """Append the keys, each to its own file; one that is on record already is left alone.

    The file is made 0600, and its folder 0700, when they are missing. Names are hashed where the
    file's own are.

    Raises:
        HostKeyError: a key was not an unknown one, another key of the host has been recorded in
            the meantime, or the file cannot be written.
    """
    for key in keys:
        if key.state is not KeyState.UNKNOWN:
            raise HostKeyError(
                f"The host key of {key.who} is {key.state}: it cannot be accepted.", shown=key
            )
    for file in dict.fromkeys(key.file for key in keys):
        chosen = [key for key in keys if key.file == file]
        try:
            _append(Path(file), chosen)
        except OSError as error:
            names = ", ".join(key.name for key in chosen)
            raise HostKeyError(
                f"The host key of {names} could not be recorded in {file}: {error.strerror}.",
                hint="Make the file writable, or name another one as known_hosts in the preset.",
            ) from error


def _append(path: Path, keys: Sequence[ShownKey]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        held = file.read() or b""
        book = knownhosts.parse(held.decode("utf-8", "surrogateescape"), str(path))
        lines = [line for key in keys if (line := _line(book, key))]
        if lines:
            text = "".join(dict.fromkeys(lines))
            file.write((b"\n" if held and not held.endswith(b"\n") else b"") + text.encode())


def _line(book: knownhosts.Book, key: ShownKey) -> str:
    """Return the line to append, or "" when it is there."""
    recorded = book.about([key.name])
    if any(f"{entry.key_type} {entry.data}" == key.public_key for entry in recorded):
        return ""
    if any(entry.key_type == key.key_type for entry in recorded):
        raise HostKeyError(
            f"Another key of {key.who} has been recorded as {key.name} in {key.file} meanwhile:"
            f" {key.shown} was not recorded.",
            hint="Connect again, and look at what is shown then.",
            shown=key,
        )
    name = key.name
    if book.hashes_names:
        name = knownhosts.hashed_name(name, secrets.token_bytes(_SALT))
    return f"{name} {key.public_key}\n"
