"""A desk: one channel on which small commands are asked for one by one, and answered in frames.

Where a batch is decided before it starts, a desk lets the caller decide at any moment what runs
next, at the price of a message per command.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable

from wizard.cluster import Node
from wizard.errors import RemoteError
from wizard.remote import faults, shell
from wizard.remote.api import Job, JobResult
from wizard.remote.channel import ExecChannel
from wizard.remote.frames import FrameReader

_GRACE_S = 16.0  # for the way there and back and a busy node, beyond the job's own time limit


class OpenDesk:
    """The ``Desk`` of :mod:`wizard.remote.api`.

    ``record`` notes a command for the audit log; ``denied`` says why it cannot be root, if so.
    """

    def __init__(self, node: Node, record: Callable[..., None], denied: str = "") -> None:
        self.nonce = secrets.token_hex(8)
        self._node = node
        self._record = record
        self._denied = denied
        self._ids: list[str] = []
        self._jobs: list[Job] = []
        self._unsent = bytearray()
        self._reader = FrameReader(self.nonce, self._ids, grows=True)
        self._waiting: dict[str, asyncio.Future[JobResult]] = {}
        self._channel: ExecChannel | None = None
        self._watch: asyncio.Task[None] | None = None

    def sink(self, data: bytes, is_err: bool) -> None:
        """Take what the channel brings."""
        if is_err:
            return
        for result in self._reader.feed(data):
            future = self._waiting.pop(result.id, None)
            command = self._jobs[int(result.id)].command
            self._record(command, result.duration_s, result.exit_status)
            if future is not None and not future.done():
                future.set_result(result)

    def open(self, channel: ExecChannel) -> None:
        """Begin: jobs go to this channel, and fail when it ends."""
        self._channel = channel
        self._watch = asyncio.create_task(self._until_lost(channel))

    def close(self) -> None:
        """End: what has no answer is noted as cancelled."""
        if self._watch is not None:
            self._watch.cancel()
        for name in self._reader.missing:
            self._record(self._jobs[int(name)].command, 0.0, None, "cancelled")
        for future in self._waiting.values():
            future.cancel()
        self._waiting.clear()

    async def ask(self, job: Job) -> JobResult:
        """Run a job now, and return its answer.

        Raises:
            ConnectionLost: the connection broke before the answer came.
            CommandTimeout: the node stopped answering although the time limit has passed.
        """
        channel = self._channel
        if channel is None or channel.ended.is_set():
            raise self._lost(job)
        number = len(self._ids)
        name = str(number)
        self._ids.append(name)
        self._jobs.append(job)
        future = self._waiting[name] = asyncio.get_running_loop().create_future()
        told = shell.refused(job, self._denied) if self._denied else job
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._send)
        self._unsent += shell.asked(number, told)
        try:
            async with asyncio.timeout(job.timeout_s + _GRACE_S):
                result = await future
        except TimeoutError:
            raise faults.silent(self._node) from None
        finally:
            self._waiting.pop(name, None)
        return JobResult(
            job.id, result.exit_status, result.stdout, result.stderr, result.duration_s
        )

    def _send(self) -> None:
        """Send what was asked for in one turn of the loop as one message."""
        data, self._unsent = bytes(self._unsent), bytearray()
        if self._channel is not None:
            self._channel.write(data)

    async def _until_lost(self, channel: ExecChannel) -> None:
        await channel.ended.wait()
        waiting, self._waiting = self._waiting, {}
        for name, future in waiting.items():
            if not future.done():
                future.set_exception(self._lost(self._jobs[int(name)]))
            with contextlib.suppress(asyncio.CancelledError):
                future.exception()  # whoever waited may be gone

    def _lost(self, job: Job) -> RemoteError:
        if not self._reader.started and self._channel is not None and not self._channel.lost:
            return faults.no_bash(self._node, self._reader.noise)
        return faults.lost(self._node.label, self._node.rank, faults.short(job.command))
