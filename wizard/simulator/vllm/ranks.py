"""How the ranks meet: workers come to node 0's RPC port over TCP and stay connected.

Real vLLM speaks ZeroMQ here; what can be seen from outside is the same. Node 0 waits for ever, a
worker gives up; nobody notices the death of another, except that nothing moves any more.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import time
from argparse import Namespace
from contextlib import suppress

_RETRY_S = 0.1


class RanksError(Exception):
    """The ranks cannot meet; the message is what vLLM says."""


class _Peer:
    """One connection between two nodes, spoken in lines."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self.stream = connection.makefile("rb")

    def fileno(self) -> int:
        """For ``select``."""
        return self._socket.fileno()

    def say(self, line: str) -> None:
        """Send a line; the death of the other side is seen when it is read from."""
        with suppress(OSError):
            self._socket.sendall(line.encode() + b"\n")

    @property
    def gone(self) -> bool:
        """Whether the other side has ended. Call it when there is something to read."""
        try:
            return not self.stream.peek(1)
        except OSError:
            return True


class FrontEnd:
    """Node 0's side. ``lost`` is true once a worker that had come has gone."""

    def __init__(self, address: str, port: int) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((address, port))
            self._socket.listen(16)
        except OSError as error:
            raise RanksError(
                f"zmq.error.ZMQError: {os.strerror(error.errno or 0)} (addr='tcp://{address}:{port}')"
            ) from error
        self._workers: dict[int, _Peer] = {}
        self._ready: set[int] = set()

    def gather(self, arguments: Namespace, local: int) -> None:
        """Wait until the ranks of all workers tile those that are not ours.

        Raises:
            RanksError: a worker comes with ranks that cannot be, or another configuration.
        """
        size = arguments.data_parallel_size
        expected = set(range(local, size))
        while expected:
            connection, _ = self._socket.accept()
            peer = _Peer(connection)
            line = peer.stream.readline()
            if not line:
                continue  # somebody only looked whether we listen
            hello = json.loads(line)
            ranks = range(hello["start"], hello["start"] + hello["local"])
            for rank in ranks:
                if rank in range(local):
                    raise RanksError(
                        f"RuntimeError: HELLO message from remote engine {rank}, "
                        "expected it to be local"
                    )
                if rank not in expected:
                    raise RanksError(
                        "RuntimeError: Message from engine with unexpected data parallel rank: "
                        f"{rank}"
                    )
            if hello["config"] != common(arguments):
                raise RanksError(
                    f"RuntimeError: Configuration mismatch detected for engine {hello['start']}."
                    " All DP workers must have identical configurations for parameters that "
                    "affect collective communication"
                )
            expected -= set(ranks)
            self._workers[hello["start"]] = peer
        self.tell("init")

    def tell(self, word: str) -> None:
        """Send a word to all workers."""
        for peer in self._workers.values():
            peer.say(word)

    @property
    def lost(self) -> bool:
        """Whether a worker has gone."""
        peers = list(self._workers.values())
        readable, _, _ = select.select(peers, [], [], 0)
        return any(peer.gone for peer in readable)

    def all_ready(self, wait_s: float) -> bool:
        """Wait at most ``wait_s`` for the READY of every worker; false when one is missing."""
        end = time.monotonic() + wait_s
        while len(self._ready) < len(self._workers):
            waiting = [peer for start, peer in self._workers.items() if start not in self._ready]
            readable, _, _ = select.select(waiting, [], [], max(end - time.monotonic(), 0))
            if not readable:
                return False
            for start, peer in self._workers.items():
                if peer in readable:
                    if peer.gone:
                        hang()  # the others wait in a collective for one that is gone
                    peer.stream.readline()  # the only word that comes is "ready"
                    self._ready.add(start)
        return True


class Worker:
    """A worker's side."""

    def __init__(
        self, arguments: Namespace, local: int, patience_s: float, *, blocked: bool = False
    ) -> None:
        address = (arguments.data_parallel_address, arguments.data_parallel_rpc_port)
        end = time.monotonic() + patience_s
        while True:
            try:
                if blocked:
                    raise TimeoutError
                connection = socket.create_connection(address, timeout=_RETRY_S * 10)
                break
            except OSError:
                if time.monotonic() > end:
                    raise RanksError(
                        "RuntimeError: Did not receive response from front-end process "
                        "within 5 minutes"
                    ) from None
                time.sleep(_RETRY_S)
        connection.settimeout(None)
        self._peer = _Peer(connection)
        start = arguments.data_parallel_start_rank or 0
        hello = {"start": start, "local": local, "config": common(arguments)}
        self._peer.say(json.dumps(hello))

    def wait_for(self, word: str) -> None:
        """Wait for a word of node 0, for ever when it has died."""
        try:
            line = self._peer.stream.readline()
        except OSError:
            line = b""
        if line.strip() != word.encode():
            hang()

    def ready(self) -> None:
        """Tell node 0 that this node is done."""
        self._peer.say("ready")

    def heard(self, wait_s: float) -> bool:
        """Whether node 0 says something within ``wait_s``."""
        return bool(select.select([self._peer], [], [], wait_s)[0])


def common(arguments: Namespace) -> list[object]:
    """Return what must be equal on all nodes."""
    names = ("data_parallel_size", "tensor_parallel_size", "max_model_len", "quantization")
    return [getattr(arguments, name) for name in names]


def hang() -> None:
    """Stay, holding the NPUs' memory, and do nothing until a signal comes."""
    while True:
        signal.pause()
