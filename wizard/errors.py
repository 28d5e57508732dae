"""The errors of the engine: one small tree, each with what happened, where, and what to do.

``str(error)`` is the one plain sentence that the command line prints and a screen shows.
"""

from __future__ import annotations

from typing import ClassVar


class WizardError(Exception):
    """What every error of ours is.

    Attributes:
        exit_status: what the command line exits with (contract: 1 failed, 2 bad input or usage,
            3 a node could not be reached or checked).
        node: rank of the node concerned, or None.
        hint: what the user can do about it, or "".
        retryable: whether trying the same again makes sense.
    """

    exit_status: ClassVar[int] = 1

    def __init__(
        self, message: str, *, node: int | None = None, hint: str = "", retryable: bool = False
    ) -> None:
        if message.endswith("..") and not message.endswith("..."):
            message = message[:-1]  # foreign words that end in a full stop, and ours after them
        super().__init__(message)
        self.message = message
        self.node = node
        self.hint = hint
        self.retryable = retryable

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip() if self.hint else self.message


class UsageError(WizardError):
    """The user's input is wrong: a preset, an option, a combination that cannot be."""

    exit_status = 2


class PresetError(UsageError):
    """A preset is refused. ``path`` is the key concerned, as in ``nodes[1].port``."""

    def __init__(self, message: str, *, path: str = "", hint: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message, hint=hint)
        self.path = path


class RemoteError(WizardError):
    """Something between us and a node: the answer is unknown, not bad."""

    exit_status = 3


class Unreachable(RemoteError):
    """No connection to the node could be made (refused, no route, timed out)."""


class AuthenticationFailed(RemoteError):
    """The node refused every key that we offered. Never retried by itself (ssh.md)."""


class HostKeyError(RemoteError):
    """The node's host key is unknown, changed or revoked."""


class ConnectionLost(RemoteError):
    """The connection broke while a command ran: whether it had its effect is not known."""


class CommandTimeout(RemoteError):
    """A remote command did not end within its time limit."""


class LaunchError(WizardError):
    """A launch could not start, or failed."""
