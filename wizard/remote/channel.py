"""One exec channel: a script on stdin, output handed on as it comes, never paused.

asyncssh's traps that this bears (ssh.md): back-pressure stalls everything, so data goes straight
to a sink that bounds itself; a lost connection looks like a normal end without an exit status;
closing does not stop the process, so the end of stdin does (:mod:`wizard.remote.shell`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

import asyncssh
from pydantic import SecretStr

Piece = bytes | SecretStr  # of what is written on stdin
Sink = Callable[[bytes, bool], None]  # data, and whether it came on stderr

_LINGER_S = 2.0  # a process left in the background may hold the streams open after the end
_ABANDON_S = 5.0  # for the watchdog to end the command before the channel is closed on it
_PIECE = 1 << 15


class ExecChannel(asyncssh.SSHClientSession[bytes]):
    """A running script. ``exit_status`` and ``signal`` are both None when it was lost."""

    def __init__(self, sink: Sink) -> None:
        self._sink: Sink | None = sink
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self._linger: asyncio.TimerHandle | None = None
        self.ended = asyncio.Event()
        self.exit_status: int | None = None
        self.signal: str | None = None

    @classmethod
    async def open(
        cls,
        connection: asyncssh.SSHClientConnection,
        command: str,
        stdin: Sequence[Piece],
        sink: Sink,
    ) -> ExecChannel:
        """Start ``command``, which reads our script from stdin; it stays open after ``stdin``.

        Raises:
            asyncssh.ChannelOpenError: the node refused another session; nothing was started.
        """
        session = cls(sink)
        opening = asyncio.ensure_future(
            connection.create_session(lambda: session, command, encoding=None, request_pty=False)
        )
        try:
            channel, _ = await asyncio.shield(opening)
        except asyncio.CancelledError:
            # half open, it would stay on the node for as long as the connection
            opening.add_done_callback(_close)
            raise
        session._channel = channel
        for piece in stdin:
            if isinstance(piece, SecretStr):  # never in a variable that a traceback shows
                session.write(piece.get_secret_value().encode())
            else:
                for start in range(0, len(piece), _PIECE):
                    session.write(piece[start : start + _PIECE])
        return session

    @property
    def lost(self) -> bool:
        """Whether it ended without telling how: the connection broke."""
        return self.exit_status is None and self.signal is None

    def write(self, data: bytes) -> None:
        """Write to the script's stdin; after the end it is dropped."""
        if self._channel is not None and not self.ended.is_set():
            with suppress(BrokenPipeError):  # its end has come, and is told in a moment
                self._channel.write(data)

    def abandon(self) -> None:
        """Have the node end the command, without waiting for it; output is dropped from now on."""
        self._sink = None
        if self._channel is None or self.ended.is_set():
            return
        if self._channel.get_write_buffer_size():
            self._channel.abort()
            return
        self._channel.write_eof()
        self._close_later(_ABANDON_S)

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        """Hand on what came."""
        if self._sink is not None:
            self._sink(data, datatype is not None)
        if not self.lost:
            self._close_later(_LINGER_S)

    def eof_received(self) -> bool:
        """Keep our side open: the exit status comes after the end of the output."""
        return True

    def exit_status_received(self, status: int) -> None:
        """Remember how it ended."""
        self.exit_status = status
        self._close_later(_LINGER_S)

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        """Remember what ended it."""
        self.signal = signal
        self._close_later(_LINGER_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more will come, whether it ended well or the connection broke."""
        if self._linger is not None:
            self._linger.cancel()
        self.ended.set()

    def _close_later(self, delay_s: float) -> None:
        if self._linger is not None:
            self._linger.cancel()
        if self._channel is not None:
            self._linger = asyncio.get_running_loop().call_later(delay_s, self._channel.close)


def _close(
    opening: asyncio.Future[
        tuple[asyncssh.SSHClientChannel[bytes], asyncssh.SSHClientSession[bytes]]
    ],
) -> None:
    """Close a channel that nobody waits for any more."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result()[0].close()
