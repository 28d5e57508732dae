"""One node over one shared connection: commands, batches, streams, files, tunnels.

What needs root runs as root, by sudo where the login is another user. The connection itself is
:mod:`wizard.remote.line`'s.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import asyncssh
from pydantic import SecretStr

from wizard.cluster import Node
from wizard.errors import NotPermitted
from wizard.remote import faults, shell, transfer, tunnels
from wizard.remote.api import Completed, Job, JobResult, Root
from wizard.remote.audit import AuditLog
from wizard.remote.buffers import Capture, Tail
from wizard.remote.channel import ExecChannel
from wizard.remote.desk import OpenDesk
from wizard.remote.dial import Dialer, Target
from wizard.remote.frames import FrameReader
from wizard.remote.line import Line
from wizard.remote.privileges import PLAIN, Entry, Privileges

_GRACE_S = 8.0  # for the way there and back, beyond the time limit that the node keeps itself


class SSHRemote:
    """A node reached by SSH (the ``Remote`` of :mod:`wizard.remote.api`)."""

    def __init__(self, node: Node, dialer: Dialer, *, audit: AuditLog | None = None) -> None:
        self._node = node
        self._audit = audit
        self._line = Line(node, dialer)
        self._root = Privileges(
            node.label,
            node.rank,
            run=lambda command, stdin: self.run(command, stdin=stdin or b""),
            user=lambda: dialer.user_of(Target.of(node)),
            secrets=dialer.secrets,
        )

    @property
    def node(self) -> Node:
        """The node that this reaches."""
        return self._node

    @property
    def connected(self) -> bool:
        """Whether the connection is open, as far as is known."""
        return self._line.connected

    async def connect(self) -> None:
        """Open the connection if it is not open, also when a login has failed before."""
        self.forgive()
        await self._line.connection()

    def forgive(self) -> None:
        """Let a login or sudo that was refused be tried once more, on next use."""
        self._root.forgive()
        self._line.forgive()

    async def connection(self) -> asyncssh.SSHClientConnection:
        """Return the open connection, opened now if need be; one attempt for all who wait."""
        return await self._line.connection()

    async def answer(self, *, timeout_s: float) -> None:
        """Return once the node's SSH server has answered; nothing is started there.

        Raises:
            CommandTimeout: it has not within ``timeout_s``; a connection that is being opened
                then is opened on.
            RemoteError: the connection broke, and could not be opened anew.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._line.answer()
        except TimeoutError:
            raise faults.no_answer(self._node, timeout_s) from None

    async def close(self) -> None:
        """Close the connection; what still runs on the node through it is ended there."""
        await self._line.close()

    async def run(
        self,
        command: str,
        *,
        timeout_s: float = 30.0,
        stdin: bytes | SecretStr = b"",
        limit: int = 1 << 20,
        root: Root = "no",
        upload: str = "",
    ) -> Completed:
        """Run shell text by bash; each stream is kept up to ``limit`` bytes, the rest dropped.

        A command ended by a signal has the exit status that a shell gives it (128 + number).
        ``upload`` says in words what the command is about, when it is files that it takes in.

        Raises:
            CommandTimeout: it did not end within ``timeout_s``; it was ended on the node.
            ConnectionLost: the connection broke; whether it had its effect is not known.
            NotPermitted: it must be root, and this login cannot.
        """
        entry = await self._root.entry(root)
        nonce = secrets.token_hex(8)
        out, err = Capture(nonce, limit), Capture(nonce, limit)
        script = shell.supervised(
            command, nonce=nonce, timeout_s=timeout_s, stdin_size=_size(stdin)
        )

        def sink(data: bytes, is_err: bool) -> None:
            (err if is_err else out).feed(data)

        began, status, note = time.monotonic(), None, "not started"
        try:
            async with self._line.channel(entry, (script, stdin), sink) as channel:
                began, note = time.monotonic(), "cancelled"
                try:
                    # not wait_for: Python 3.11's swallows a cancellation that meets the end
                    async with asyncio.timeout(timeout_s + _GRACE_S):
                        await channel.ended.wait()
                except TimeoutError:
                    note = "timed out"
                    raise faults.too_slow(self._node, upload or command, timeout_s) from None
            took = time.monotonic() - began
            if channel.lost:
                note = "connection lost"
                raise faults.lost(
                    self._node.label, self._node.rank, faults.short(upload or command)
                )
            if channel.exit_status in (124, 137) and took >= timeout_s:
                note = "timed out"
                raise faults.too_slow(self._node, upload or command, timeout_s)
            if not out.started:
                note = "not started"
                raise faults.no_bash(self._node, out.noise + err.noise)
            status, note = channel.exit_status, ""
        finally:
            kind = "upload" if upload else "command"
            took = time.monotonic() - began
            self._record(upload or command, took, status, note, kind, entry=entry)
        return Completed(
            command=command,
            exit_status=channel.exit_status,
            stdout=bytes(out.data),
            stderr=bytes(err.data),
            duration_s=took,
            signal=channel.signal,
            truncated=out.dropped + err.dropped > 0,
        )

    async def batch(self, jobs: Sequence[Job], *, width: int = 4) -> AsyncIterator[JobResult]:
        """Run many small commands as one framed script; answers come as they are ready.

        Each stream of a job is cut at ``shell.JOB_LIMIT`` bytes on the node.

        Raises:
            ConnectionLost: after the answers that came, when any is missing.
            CommandTimeout: the node stopped answering although all time limits have passed.
        """
        if not jobs:
            return
        entry, jobs = await self._permitted(jobs)
        nonce = secrets.token_hex(8)
        reader = FrameReader(nonce, [job.id for job in jobs])
        news: asyncio.Queue[JobResult | None] = asyncio.Queue()
        commands = {job.id: job.command for job in jobs}

        def sink(data: bytes, is_err: bool) -> None:
            if not is_err:
                for result in reader.feed(data):
                    news.put_nowait(result)

        script = shell.batch(jobs, nonce=nonce, width=max(1, width))
        async with self._line.channel(entry, (script,), sink) as channel:
            deadline = asyncio.get_running_loop().time() + _patience(jobs, max(1, width))
            ending = asyncio.create_task(_tell(channel, news))
            try:
                while (result := await self._next(news, deadline)) is not None:
                    took, status = result.duration_s, result.exit_status
                    self._record(commands[result.id], took, status, entry=entry)
                    yield result
            finally:
                ending.cancel()
                if not channel.ended.is_set():
                    self._record_missing(reader, commands, "cancelled", entry)
        if not reader.started and not channel.lost:
            raise faults.no_bash(self._node, reader.noise)
        if not reader.complete:
            self._record_missing(reader, commands, "connection lost", entry)
            count = f"{len(reader.missing)} of {len(jobs)} commands"
            raise faults.lost(self._node.label, self._node.rank, count)

    @asynccontextmanager
    async def desk(self, *, root: Root = "no") -> AsyncIterator[OpenDesk]:
        """Open a desk; leaving the context ends on the node whatever still runs."""
        denied = ""
        try:
            entry = await self._root.entry(root)
        except NotPermitted as error:
            entry, denied = PLAIN, str(error)
        desk = OpenDesk(self._node, partial(self._record, entry=entry), denied)
        async with self._line.channel(entry, (shell.desk(nonce=desk.nonce),), desk.sink) as channel:
            desk.open(channel)
            try:
                yield desk
            finally:
                desk.close()

    async def stream(self, command: str, *, root: Root = "no") -> AsyncGenerator[bytes, None]:
        """Run shell text without a time limit and yield its merged output in raw chunks.

        A reader slower than the output loses the oldest bytes beyond 16 MiB, and a line in the
        stream says how many. Ends when the command ends, whatever its exit status.

        Raises:
            ConnectionLost: the connection broke instead.
            NotPermitted: it must be root, and this login cannot.
        """
        entry = await self._root.entry(root)
        nonce = secrets.token_hex(8)
        capture, tail = Capture(nonce, 0), Tail()

        def sink(data: bytes, is_err: bool) -> None:
            if not is_err and (kept := capture.strip(data)):
                tail.put(kept)

        script = shell.supervised(command, nonce=nonce, timeout_s=0, stdin_size=0, merge=True)
        began, status, note = time.monotonic(), None, "not started"
        try:
            async with self._line.channel(entry, (script,), sink) as channel:
                self._record(command, 0.0, None, "started", "stream", entry=entry)
                note = "cancelled"
                ending = asyncio.create_task(_finish(channel, tail))
                try:
                    while chunk := await tail.get():
                        yield chunk
                finally:
                    ending.cancel()
                status, note = channel.exit_status, "connection lost" if channel.lost else ""
            if note:
                raise faults.lost(self._node.label, self._node.rank, faults.short(command))
            if not capture.started:
                raise faults.no_bash(self._node, capture.noise)
        finally:
            took = time.monotonic() - began
            self._record(command, took, status, note, "stream", entry=entry)

    async def upload(self, directory: str, files: Mapping[str, bytes]) -> None:
        """Put files into a fresh private directory, all or nothing.

        Raises:
            UsageError: a name that is no plain file name.
            RemoteError: the directory exists with other content, or the node could not write it.
        """
        await transfer.upload(self, directory, files)

    @asynccontextmanager
    async def tunnel(self, host: str, port: int) -> AsyncIterator[Path]:
        """Forward a Unix socket here, in a 0700 folder, to ``host:port`` as seen from the node."""
        what, began, note = f"tunnel to {host}:{port}", time.monotonic(), "not started"
        try:
            async with tunnels.tunnel(self.connection, self._node, host, port) as path:
                self._record(what, 0.0, None, "started", "tunnel")
                note = "closed"
                yield path
        finally:
            self._record(what, time.monotonic() - began, None, note, "tunnel")

    async def _permitted(self, jobs: Sequence[Job]) -> tuple[Entry, Sequence[Job]]:
        """Return how to start a batch, and its jobs; those that cannot be root say so instead."""
        needs = {job.root for job in jobs}
        need: Root = "must" if "must" in needs else "try" if "try" in needs else "no"
        try:
            return await self._root.entry(need), jobs
        except NotPermitted as error:
            return PLAIN, [shell.refused(job, str(error)) for job in jobs]

    async def _next(
        self, news: asyncio.Queue[JobResult | None], deadline: float
    ) -> JobResult | None:
        try:
            async with asyncio.timeout_at(deadline):
                return await news.get()
        except TimeoutError:
            raise faults.silent(self._node) from None

    def _record(
        self,
        command: str,
        duration_s: float,
        exit_status: int | None,
        note: str = "",
        kind: str = "command",
        *,
        entry: Entry = PLAIN,
    ) -> None:
        if self._audit is not None:
            self._audit.record(
                self._node,
                command,
                duration_s=duration_s,
                exit_status=exit_status,
                note=note,
                kind=kind,
                user="root" if entry.by_sudo else self._line.user,
            )

    def _record_missing(
        self, reader: FrameReader, commands: dict[str, str], note: str, entry: Entry
    ) -> None:
        for name in reader.missing:
            self._record(commands[name], 0.0, None, note, entry=entry)


def _size(stdin: bytes | SecretStr) -> int:
    """Return how many bytes it is on the wire."""
    return len(stdin.get_secret_value().encode() if isinstance(stdin, SecretStr) else stdin)


def _patience(jobs: Sequence[Job], width: int) -> float:
    """Return how long a batch may take at most when every job uses up its time limit."""
    lanes: dict[str, float] = {}
    for job in jobs:
        lanes[job.lane] = lanes.get(job.lane, 0.0) + job.timeout_s + 2 * _GRACE_S
    return sum(lanes.values()) / width + max(lanes.values()) + _GRACE_S


async def _tell(channel: ExecChannel, news: asyncio.Queue[JobResult | None]) -> None:
    await channel.ended.wait()
    news.put_nowait(None)


async def _finish(channel: ExecChannel, tail: Tail) -> None:
    await channel.ended.wait()
    tail.end()
