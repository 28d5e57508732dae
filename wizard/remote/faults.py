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
from wizard.remote.greeting import quoted
from wizard.remote.text import clean

_TURNED_AWAY = (  # how OpenSSH says so, in place of its greeting
    "Not allowed at this time",
    "Exceeded MaxStartups",
)
_NO_ROUTE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN}


def needs_greeting(error: Exception) -> bool:
    """Whether asking the port once more would tell more than the error does."""
    if isinstance(error, (TimeoutError, ConnectionResetError, BrokenPipeError)):
        return True
    known = (asyncssh.PermissionDenied, asyncssh.ChannelOpenError)
    return isinstance(error, asyncssh.Error) and not isinstance(error, known)


def cut_off(error: Exception) -> bool:
    """Whether the server ended a login after MaxAuthTries attempts: a refusal, in sshd's words."""
    return isinstance(error, asyncssh.DisconnectError) and (
        "too many authentication failures" in error.reason.lower()
    )


def connect_error(
    error: Exception,
    who: str,
    *,
    rank: int | None,
    port: int,
    user: str,
    timeout_s: float,
    greeting: bytes | None = None,
) -> RemoteError:
    """Say why no connection to ``who`` (a label) came about.

    Args:
        error: what asyncssh or the system raised.
        who: the node or jump host, as a label.
        rank: the node's; None for a jump host.
        port: that was tried.
        user: whom we wanted to log in as.
        timeout_s: time limit of connecting.
        greeting: what the port said when it was asked once more
            (:func:`wizard.remote.greeting.greeting`); None: not asked, or it took no connection.
    """
    if isinstance(error, RemoteError):
        return error
    if isinstance(error, asyncssh.PermissionDenied):
        return AuthenticationFailed(
            f"{who} refused every key that was offered for the user {user}.",
            node=rank,
            hint=f"Check that `ssh -p {port} {user}@…` works without a password: user,"
            " identity_file, ssh-agent.",
        )
    known = _answered(error, greeting, port, timeout_s) if greeting is not None else None
    reason, hint = known or _reason(error, port, timeout_s)
    return Unreachable(f"{who} cannot be reached: {reason}.", node=rank, hint=hint, retryable=True)


def _answered(error: Exception, said: bytes, port: int, timeout_s: float) -> tuple[str, str] | None:
    """Name what answers on the port; None when the error itself says it best."""
    wrong_port = "Is it really the SSH server's port?"
    if said.startswith(b"SSH-2.") or not said:
        if not isinstance(error, TimeoutError):
            return None
        if not said:
            return (
                f"port {port} takes the connection, but nothing answered within {timeout_s:g} s",
                f"Does its sshd hang? {wrong_port}",
            )
        return (
            f"its SSH server answers on port {port}, but the login did not end within"
            f" {timeout_s:g} s",
            "Is the host overloaded, or does its login wait (for DNS, or a file system)?",
        )
    if said.startswith(b"HTTP/"):
        return f"what answers on port {port} is a web server", wrong_port
    if said.startswith(b"SSH-"):
        return f"the SSH server on port {port} is too old for us ({quoted(said)})", wrong_port
    if words := quoted(said):
        hint = wrong_port
        if words.startswith(_TURNED_AWAY):
            hint = "sshd turns clients away for a while (PerSourcePenalties, MaxStartups): wait."
        return f"what answers on port {port} is no SSH server; it says: {words}", hint
    return f"what answers on port {port} is no SSH server", wrong_port


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
            f"the jump host could not open a connection to port {port} ({their_words(error)})",
            "Check that the jump host can reach it and allows forwarding.",
        )
    if isinstance(error, (asyncssh.ConnectionLost, ConnectionResetError, BrokenPipeError)):
        return (
            "it closed the connection before the login",
            "Is it an SSH server, with logins left (MaxStartups)?",
        )
    if isinstance(error, asyncssh.Error):
        return (
            f"what answers on port {port} does not speak SSH as we do ({their_words(error)})",
            "Is it really the SSH server's port?",
        )
    return clean(f"{error}") or type(error).__name__, ""


def their_words(error: asyncssh.Error | asyncssh.ChannelOpenError) -> str:
    """Return the other side's words: they are its own, and may be anything."""
    return clean(error.reason).strip().replace("\n", " ")[:200] or "no reason given"


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


def no_answer(node: Node, timeout_s: float) -> CommandTimeout:
    """Say that a node, or the way to it, gives no sign of life."""
    return CommandTimeout(
        f"{node.label} has not answered for {timeout_s:g} s.",
        node=node.rank,
        hint="Is it, or the way to it, overloaded or cut off?",
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
