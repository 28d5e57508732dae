"""What tells one launch's containers from all others: its id, and a token that only it knows.

An id alone would do among people who behave; the token makes sure that a step repeated after a
broken connection, or by a wizard that found the launch again, meets what it left and nothing else.
"""

from __future__ import annotations

import getpass
import re
import secrets
import socket
import time
from dataclasses import dataclass

from wizard.launch.runtime import Container

_UNFIT = re.compile(r"[^A-Za-z0-9_.-]+")
_LONGEST = 64


@dataclass(frozen=True, slots=True)
class Fence:
    """The marks of one launch. ``token`` is "" for containers of an older wizard."""

    launch_id: str
    token: str

    def holds(self, container: Container) -> bool:
        """Whether a container belongs to this launch."""
        return (container.launch, container.token) == (self.launch_id, self.token)

    @classmethod
    def of(cls, container: Container) -> Fence:
        """Return the marks of the launch that a container belongs to."""
        return cls(container.launch, container.token)


def new_fence(launch_id: str | None = None) -> Fence:
    """Return the marks of a new launch: an id of when it was made and chance, and a token."""
    number = launch_id or f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
    return Fence(number, secrets.token_hex(8))


def owner() -> str:
    """Return who launches, for people who find the launch: ``user@host`` of this machine."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a user id without a name, as in some containers
        user = "unknown"
    return "@".join(_UNFIT.sub("-", part)[:_LONGEST] for part in (user, socket.gethostname()))
