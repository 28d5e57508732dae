"""Exceptions of asyncssh and the system, told as our errors: one sentence, node, reason."""

from __future__ import annotations

import errno
import socket

import asyncssh

from wizard.cluster import Node
from wizard.errors import (
    AuthenticationFailed,
    CommandTimeout,
    ConnectionLost,
    RemoteError,
    Unreachable,
)
from wizard.remote.text import clean

_NO_ROUTE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN}


def connect_error(
    error: Exception, who: str, *, rank: int | None, port: int, user: str, timeout_s: float
) -> RemoteError:
    """Say why no connection to ``who`` (a label) came about."""
    if isinstance(error, RemoteError):
        return error
    if isinstance(error, asyncssh.PermissionDenied):
        return AuthenticationFailed(
            f"{who} refused every key that was offered for the user {user}.",
            node=rank,
            hint=f"Check that `ssh -p {port} {user}@…` works without a password: user,"
            " identity_file, ssh-agent.",
        )
    reason, hint = _reason(error, port, timeout_s)
    return Unreachable(f"{who} cannot be reached: {reason}.", node=rank, hint=hint, retryable=True)


def _reason(error: Exception, port: int, timeout_s: float) -> tuple[str, str]:
    if isinstance(error, TimeoutError):
        return (
            f"no answer on port {port} within {timeout_s:g} s",
            "Is the host up, and does no firewall drop the connection?",
        )
    if isinstance(error, socket.gaierror):
        return "its name cannot be resolved", "Check the spelling, or give its address."
    if isinstance(error, ConnectionRefusedError):
        return f"the connection to port {port} was refused", "Is sshd running there, on that port?"
    if isinstance(error, OSError) and error.errno in _NO_ROUTE:
        return "there is no route to it", "Check the address, the network and any VPN."
    if isinstance(error, asyncssh.ChannelOpenError):
        return (
            f"the jump host could not open a connection to port {port} ({error.reason})",
            "Check that the jump host can reach it and allows forwarding.",
        )
    if isinstance(error, (asyncssh.ConnectionLost, ConnectionResetError, BrokenPipeError)):
        return (
            "it closed the connection before the login",
            "Is it an SSH server, with logins left (MaxStartups)?",
        )
    if isinstance(error, asyncssh.Error):
        return (
            f"what answers on port {port} does not speak SSH as we do ({error.reason})",
            "Is it really the SSH server's port?",
        )
    return f"{error}" or type(error).__name__, ""


def lost(who: str, rank: int, what: str) -> ConnectionLost:
    """Say that the connection broke while ``what`` ran."""
    return ConnectionLost(
        f"The connection to {who} broke while {what} ran: its outcome is not known.",
        node=rank,
        hint="Try again; the connection is opened anew.",
        retryable=True,
    )


def too_slow(node: Node, command: str, timeout_s: float) -> CommandTimeout:
    """Say that a command did not end in its time."""
    return CommandTimeout(
        f"{short(command)} on {node.label} did not end within {timeout_s:g} s.",
        node=node.rank,
        retryable=True,
    )


def silent(node: Node) -> CommandTimeout:
    """Say that a batch has no answers any more although all its time limits have passed."""
    return CommandTimeout(
        f"{node.label} stopped answering in the middle of a batch of commands.",
        node=node.rank,
        hint="Is the node overloaded?",
        retryable=True,
    )


def no_bash(node: Node, noise: bytes) -> RemoteError:
    """Say that the login ended before our script began, and with which words."""
    said = clean(noise).strip().replace("\n", " ")[:200]
    return RemoteError(
        f"{node.label} could not start bash for our commands"
        + (f"; it said: {said}" if said else "."),
        node=node.rank,
        hint="The account needs bash, and a login that runs commands.",
    )


def short(command: str) -> str:
    """Return a command as an error names it: its first line, not too long."""
    line = command.strip().partition("\n")[0]
    return f"`{line[:77]}...`" if len(line) > 80 else f"`{line}`"
