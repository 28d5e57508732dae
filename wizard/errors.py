"""The errors of the engine: one small tree, each with what happened, where, and what to do.

``str(error)`` is the one plain sentence that the command line prints and a screen shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Self

if TYPE_CHECKING:
    from wizard.remote.shownkey import ShownKey


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

    def told_of(self, message: str, node: int | None) -> Self:
        """Return the same error as one about a node, in other words; all else stays."""
        other = type(self).__new__(type(self))  # a copy would be made by other arguments
        other.__dict__.update(self.__dict__)
        other.args = (message,)
        other.message, other.node = message, node
        return other


class UsageError(WizardError):
    """The user's input is wrong: a preset, an option, a combination that cannot be."""

    exit_status = 2


class PresetError(UsageError):
    """A preset is refused. ``path`` is the key concerned, as in ``nodes[1].port``.

    ``problems`` are all that is wrong with it, as pairs of a key's path and a sentence.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str = "",
        hint: str = "",
        problems: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(f"{path}: {message}" if path else message, hint=hint)
        self.path = path
        self.problems = list(problems) or [(path, message)]


class RemoteError(WizardError):
    """Something between us and a node: the answer is unknown, not bad."""

    exit_status = 3


class Unreachable(RemoteError):
    """No connection to the node could be made (refused, no route, timed out)."""


class AuthenticationFailed(RemoteError):
    """The node refused every key that we offered. Never retried by itself (ssh.md)."""


class NotPermitted(RemoteError):
    """What needs root cannot be done by this login: no sudo, or its password was not accepted."""


class HostKeyError(RemoteError):
    """A host key on the way to the node could not be verified.

    Attributes:
        shown: the key, as data; None when the server showed none that could be judged.
    """

    def __init__(
        self,
        message: str,
        *,
        node: int | None = None,
        hint: str = "",
        retryable: bool = False,
        shown: ShownKey | None = None,
    ) -> None:
        super().__init__(message, node=node, hint=hint, retryable=retryable)
        self.shown = shown


class UnknownHostKey(HostKeyError):
    """No key of the host is on record: people may compare this one, and accept it."""


class ChangedHostKey(HostKeyError):
    """Another key of the host is on record. Never accepted."""


class RevokedHostKey(HostKeyError):
    """The key is on record as one that must not be trusted. Never accepted."""


class ConnectionLost(RemoteError):
    """The connection broke while a command ran: whether it had its effect is not known."""


class CommandTimeout(RemoteError):
    """A remote command did not end within its time limit."""


class LaunchError(WizardError):
    """A launch could not start, or failed."""
