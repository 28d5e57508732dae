"""The one connection to a node, and the channels on it.

Opened on first use and again on the next use after a drop. Concurrent callers share one attempt,
and a login that failed is not tried again by itself: servers lock out clients that do (ssh.md).
A node that bears few sessions per connection gets further connections, as from ssh's own master:
logs that are followed would hold up everything else for good.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncssh

from wizard.cluster import Node
from wizard.errors import (
    AuthenticationFailed,
    ConnectionLost,
    HostKeyError,
    RemoteError,
    Unreachable,
)
from wizard.remote import faults
from wizard.remote.channel import ExecChannel, Piece, Sink
from wizard.remote.dial import Dialer, Target
from wizard.remote.privileges import Entry
from wizard.remote.slots import Busy, Slots

CHANNELS = 5  # at once per node: of sshd's ten sessions, eight already lost short commands
_OPEN_TRIES = 6
_SURE = 3  # tries after which a node that has one session open surely bears no second
_AGAIN_S = (0.3, 0.6, 1.2, 2.4)  # before the next try of a connection that dropped
_PATIENCE_S = 5.0  # for all of them; a node that gives no answer at all is not waited for twice


class Line:
    """See the module. ``channels`` are borne at once, as far as is known; ``more`` lines beside."""

    def __init__(
        self, node: Node, dialer: Dialer, channels: int = CHANNELS, more: int = CHANNELS - 1
    ) -> None:
        self._node = node
        self._dialer = dialer
        self._connection: asyncssh.SSHClientConnection | None = None
        self._dialling: asyncio.Task[asyncssh.SSHClientConnection] | None = None
        self._failed = False
        self._refused: RemoteError | None = None
        self._slots = Slots(channels, patient=not more)
        self._more = more
        self._beside: Line | None = None
        self._closers: set[asyncio.Task[None]] = set()

    @property
    def connected(self) -> bool:
        """Whether the connection is open, as far as is known."""
        return self._connection is not None and not self._connection.is_closed()

    @property
    def user(self) -> str:
        """Whom we are logged in as, or were last; "" before the first login."""
        if self._connection is None:
            return ""
        return str(self._connection.get_extra_info("username", ""))

    def forgive(self) -> None:
        """Let a connection that failed be tried anew, its login too: the user's word."""
        if self._failed:
            self._failed, self._refused = False, None
            self._dialer.forgive()
        if self._beside is not None:
            self._beside.forgive()

    async def connection(self) -> asyncssh.SSHClientConnection:
        """Return the open connection, opened now if need be; one attempt for all who wait."""
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        if self._refused is not None:
            raise self._refused
        if self._dialling is None or self._dialling.done():
            self._dialling = asyncio.create_task(self._connect())
        return await asyncio.shield(self._dialling)

    async def answer(self) -> None:
        """Return once the other side has answered what it has no answer to but must give one.

        Raises:
            RemoteError: the connection broke, and could not be opened anew.
        """
        for _ in range(2):
            connection = await self.connection()
            # what asyncssh's keepalive sends; it has no public way to do so now and be told
            await connection._make_global_request(b"keepalive@openssh.com")
            if not connection.is_closed():
                return
        raise faults.lost(self._node.label, self._node.rank, "a question whether it is there")

    async def _connect(self) -> asyncssh.SSHClientConnection:
        """Open the connection and remember how that went, whether or not anybody still waits."""
        try:
            self._connection = await self._dial()
        except RemoteError as error:
            self._failed = True
            if isinstance(error, (AuthenticationFailed, HostKeyError)):
                self._refused = error
            if isinstance(error, HostKeyError):
                self._dialer.host_keys.report(self._node.rank, error)
            raise
        self._dialer.host_keys.settle(self._node.rank)
        return self._connection

    async def _dial(self) -> asyncssh.SSHClientConnection:
        """Open the connection; one that was open before is tried for some seconds."""
        target, loop = Target.of(self._node), asyncio.get_running_loop()
        if self._connection is not None:
            until = loop.time() + _PATIENCE_S
            for delay in _AGAIN_S:
                try:
                    return await self._dialer.dial(target)
                except Unreachable as error:
                    if not error.retryable or loop.time() + delay > until:
                        raise
                await asyncio.sleep(delay)
        return await self._dialer.dial(target)

    async def close(self) -> None:
        """Close the connection; what still runs on the node through it is ended there."""
        if self._beside is not None:
            await self._beside.close()
        if self._dialling is not None:
            self._dialling.cancel()
            await asyncio.gather(self._dialling, return_exceptions=True)
            if not self._dialling.cancelled() and self._dialling.exception() is None:
                self._connection = self._dialling.result()
        if self._connection is not None:
            self._connection.close()
            await self._connection.wait_closed()
            self._connection = None
        await asyncio.gather(*self._closers, return_exceptions=True)

    @asynccontextmanager
    async def channel(
        self, entry: Entry, stdin: Sequence[Piece], sink: Sink
    ) -> AsyncIterator[ExecChannel]:
        """Run a script, and what it reads; a body left early has the node end it.

        Takes one of the node's few slots.
        """
        line = self
        while True:
            try:
                channel = await line._take(entry, stdin, sink)
                break
            except Busy:
                line = line._next()
        try:
            yield channel
        finally:
            line._give_back(channel)

    def _next(self) -> Line:
        """Return the line beside this one, made if need be."""
        if self._beside is None:
            self._beside = Line(self._node, self._dialer, channels=1, more=self._more - 1)
        return self._beside

    async def _take(self, entry: Entry, stdin: Sequence[Piece], sink: Sink) -> ExecChannel:
        await self._slots.acquire()
        try:
            return await self._open(entry, stdin, sink)
        except BaseException:
            self._slots.release()
            raise

    def _give_back(self, channel: ExecChannel) -> None:
        if channel.ended.is_set():
            self._slots.release()
            return
        channel.abandon()
        closer = asyncio.create_task(self._free(channel))
        self._closers.add(closer)
        closer.add_done_callback(self._closers.discard)

    async def _free(self, channel: ExecChannel) -> None:
        await channel.ended.wait()
        self._slots.release()

    async def _open(self, entry: Entry, stdin: Sequence[Piece], sink: Sink) -> ExecChannel:
        """Open a channel. One that the node refused never started, so trying again is safe."""
        for attempt in range(_OPEN_TRIES):
            connection = await self.connection()
            try:
                async with asyncio.timeout(self._dialer.limits.connect_s):
                    return await ExecChannel.open(
                        connection, entry.command, (*entry.feed, *stdin), sink
                    )
            except asyncssh.ChannelOpenError as error:
                problem = error
                await asyncio.sleep(0)  # a connection that breaks says so before it is closed
                if connection.is_closed():
                    if error.code == asyncssh.OPEN_CONNECT_FAILED:
                        continue  # no refusal of the node's, and nothing was started
                    raise self._lost() from error
            except (OSError, asyncssh.Error, TimeoutError) as error:
                # the connection broke, or hangs: nothing has been sent on it for certain
                connection.abort()
                raise self._lost() from error
            if self._slots.narrow(last=attempt >= _SURE):
                await self._slots.again()
            else:
                await asyncio.sleep(0.05 * 2**attempt)
        if connection.is_closed():
            raise self._lost() from problem
        raise ConnectionLost(
            f"{self._node.label} opens no more sessions: {faults.their_words(problem)}.",
            node=self._node.rank,
            hint="Is MaxSessions of its sshd very low, or are many others logged in?",
            retryable=True,
        ) from problem

    def _lost(self) -> ConnectionLost:
        return faults.lost(self._node.label, self._node.rank, "the start of a command")
