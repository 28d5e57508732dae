"""Jump hosts: one connection to each, shared by all nodes behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import asyncssh

from wizard.errors import AuthenticationFailed, RemoteError, Unreachable
from wizard.remote.target import Target

Connection = asyncssh.SSHClientConnection


class JumpHosts:
    """The open connections to jump hosts, and those being opened.

    Args:
        dial: opens a connection.
    """

    def __init__(self, dial: Callable[[Target], Awaitable[Connection]]) -> None:
        self._dial = dial
        self._hops: dict[Target, asyncio.Task[Connection]] = {}
        self._waits: dict[Target, Target] = {}  # who waits for which jump host now

    async def through(self, spec: str, target: Target) -> Connection:
        """Return the connection to the last jump host of ``a,user@b:port``.

        A jump host has a user, port, key and jump host of its own in ssh_config; the node's key
        and known_hosts stand in where it names none.

        Raises:
            RemoteError: it cannot be reached, told of the node.
        """
        first, _, last = spec.rpartition(",")
        user, _, rest = last.strip().removeprefix("ssh://").rpartition("@")
        host, port = _host_port(rest, target)
        hop = Target(
            host=host,
            label=f"jump host {host}",
            port=port,
            user=user or None,
            jump=first or None,
            spare_identity=target.identity_file or target.spare_identity,
            also_known=target.known_hosts or target.also_known,
        )
        if self._leads_back(hop, target):
            raise Unreachable(
                f"The jump hosts of {target.label} go round in a circle.",
                node=target.rank,
                hint="Check ProxyJump in ~/.ssh/config.",
            )
        self._waits[target] = hop
        try:
            return await self._hop(hop)
        except RemoteError as error:
            words = f"{target.label} cannot be reached: {error.message}"
            raise error.told_of(words, target.rank) from error
        finally:
            self._waits.pop(target, None)

    def forgive(self) -> None:
        """Let failed logins be tried once more: the user asked for it."""
        for hop, task in list(self._hops.items()):
            if task.done() and (task.cancelled() or task.exception() is not None):
                del self._hops[hop]

    async def close(self) -> None:
        """Close the connections."""
        hops, self._hops = list(self._hops.values()), {}
        for task in hops:
            task.cancel()
        for done in await asyncio.gather(*hops, return_exceptions=True):
            if isinstance(done, Connection):
                done.close()
                await done.wait_closed()

    def _leads_back(self, hop: Target | None, target: Target) -> bool:
        """Whether the way through ``hop`` waits for ``target`` itself, and so would for ever."""
        while hop is not None and hop != target:
            hop = self._waits.get(hop)
        return hop is not None

    async def _hop(self, hop: Target) -> Connection:
        task = self._hops.get(hop)
        if task is None or _useless(task):
            task = asyncio.ensure_future(self._dial(hop))
            self._hops[hop] = task
        return await asyncio.shield(task)


def _useless(task: asyncio.Task[Connection]) -> bool:
    """Whether a jump host must be dialled again. A failed login never is by itself."""
    if not task.done():
        return False
    if task.cancelled():
        return True
    error = task.exception()
    if error is not None:
        return not isinstance(error, AuthenticationFailed)
    return task.result().is_closed()


def _host_port(text: str, target: Target) -> tuple[str, int | None]:
    """Split ``host``, ``host:port``, ``[v6]:port`` or a bare IPv6 address."""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.lstrip(":")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, ""
    if not host or (port and not (port.isdigit() and 0 < int(port) < 65536)):
        raise Unreachable(
            f"The jump host {text!r} of {target.label} is not of the form user@host:port.",
            node=target.rank,
        )
    return host, int(port) if port else None
