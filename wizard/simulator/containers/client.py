"""``docker`` and ``podman`` of a simulated node: passes the call to the simulator, streams back.

Run with ``python -I -S``, so the standard library only, and little of it: it must start fast.
"""

import os
import socket
import sys
import threading


def main() -> None:
    """Send the call, copy the answer to stdout and stderr, exit as it says."""
    peer = socket.create_connection(("127.0.0.1", int(os.environ["V32_SIM_PORT"])))
    tty = "1" if os.isatty(0) else "0"
    argv = [tty, *sys.argv[1:]]
    fields = [os.environ["V32_SIM_TOKEN"], sys.argv[0], os.getcwd(), str(len(argv)), *argv]
    peer.sendall(b"".join(os.fsencode(field) + b"\0" for field in fields))
    try:
        code = _copy(peer)
    except (BrokenPipeError, KeyboardInterrupt):
        code = 130
    sys.stdout.flush()
    os._exit(code)


def _copy(peer: socket.socket) -> int:
    stream = peer.makefile("rb")
    while header := stream.readline():
        kind, count = header.split()
        if kind == b"x":
            return int(count)
        if kind in (b"i", b"f"):  # the command wants our input, or a file that we open
            name = os.fsdecode(stream.read(int(count))) if kind == b"f" else ""
            source = os.open(name, os.O_RDONLY) if name else 0
            threading.Thread(target=_feed, args=(peer, source), daemon=True).start()
            continue
        data = stream.read(int(count))
        out = 1 if kind == b"o" else 2
        while data:
            data = data[os.write(out, data) :]
    os.write(2, b"error during connect: the simulator is gone\n")
    return 1


def _feed(peer: socket.socket, source: int) -> None:
    while data := os.read(source, 1 << 16):
        peer.sendall(data)
    peer.shutdown(socket.SHUT_WR)
