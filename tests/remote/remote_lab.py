"""Real SSH servers on loopback, each with its own key, home and bash, to reach nodes at."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh
from asyncssh.packet import UInt32

from wizard.cluster import Cluster, Node, Precision, Series
from wizard.remote.audit import AuditLog
from wizard.remote.dial import Limits
from wizard.remote.fleet import SSHFleet, open_fleet

QUICK = Limits(connect_s=5.0, keepalive_s=2.0, keepalive_count=3)


async def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until a condition holds; fail when it does not in time."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


def processes(marker: str) -> list[int]:
    """Pids of processes with ``marker`` among their arguments, this one's children or not."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            with contextlib.suppress(OSError):
                if marker.encode() in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
    return found


async def _pump(reader: Any, writer: Any) -> None:
    """Copy until the end, or until nobody listens any more (then drop what comes)."""
    with contextlib.suppress(OSError, asyncssh.Error, asyncssh.BreakReceived):
        while data := await reader.read(1 << 16):
            if not writer.is_closing():
                writer.write(data)
                await writer.drain()
    with contextlib.suppress(OSError):
        writer.close() if isinstance(writer, asyncio.StreamWriter) else None


async def _exited(child: asyncio.subprocess.Process) -> int:
    """Return the exit status at the exit; ``wait`` waits for the end of the streams as well."""
    while child.returncode is None:
        await asyncio.sleep(0.005)
    return child.returncode


class _Server(asyncssh.SSHServer):
    def __init__(self, owner: SSHNode) -> None:
        self._owner = owner

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._owner.connections.append(conn)

    def begin_auth(self, username: str) -> bool:
        self._owner.logins.append(username)
        return True

    def connection_requested(self, *arguments: object) -> bool:
        return True


@dataclass
class SSHNode:
    """A server and what happened to it."""

    home: Path
    address: str
    client_key: asyncssh.SSHKey
    host_key: asyncssh.SSHKey = field(
        default_factory=lambda: asyncssh.generate_private_key("ssh-ed25519")
    )
    port: int = 0
    max_sessions: int = 10
    connections: list[asyncssh.SSHServerConnection] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    running: int = 0
    most_running: int = 0
    _acceptor: asyncssh.SSHAcceptor | None = None
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    async def start(self) -> None:
        """Listen, on the same port as before when there was one."""
        authorized = asyncssh.import_authorized_keys(self.client_key.export_public_key().decode())
        self._acceptor = await asyncssh.create_server(
            lambda: _Server(self),
            self.address,
            self.port,
            server_host_keys=[self.host_key],
            authorized_client_keys=authorized,
            process_factory=self._process,
            encoding=None,
        )
        self.port = self._acceptor.get_port()

    async def stop(self) -> None:
        """Stop listening, cut all connections and wait for what ran on them; idempotent."""
        if self._acceptor is None:
            return
        acceptor, self._acceptor = self._acceptor, None
        acceptor.close()
        self.cut()
        await acceptor.wait_closed()
        if self._tasks:  # a subprocess that outlives the loop breaks some later test
            await asyncio.wait(self._tasks, timeout=5)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Cut all connections, as a network does: no farewell."""
        for connection in self.connections:
            connection.abort()
        self.connections.clear()

    def known_hosts_line(self) -> str:
        """The entry that makes its key known."""
        key = self.host_key.export_public_key().decode().strip()
        return f"[{self.address}]:{self.port} {key}\n"

    async def _process(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        assert process.command is not None
        self.commands.append(process.command)
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            if self.running > self.max_sessions:
                process.exit(254)
            else:
                await self._bash(process, process.command)
        finally:
            self.running -= 1

    async def _bash(self, process: asyncssh.SSHServerProcess[bytes], command: str) -> None:
        # As sshd does: the login shell runs the command; a bash there reads ~/.bashrc first.
        rc = self.home / ".bashrc"
        child = await asyncio.create_subprocess_exec(
            "bash",
            "-c",
            f". {rc}; {command}" if rc.exists() else command,
            cwd=self.home,
            env={**os.environ, "HOME": str(self.home)},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        feeder = asyncio.create_task(_pump(process.stdin, child.stdin))
        pumps = asyncio.gather(
            _pump(child.stdout, process.stdout), _pump(child.stderr, process.stderr)
        )
        closed = asyncio.create_task(process.wait_closed())
        try:
            status = await _exited(child)
            if status < 0:
                await pumps
                process.exit_with_signal("KILL")
            elif not process.channel.is_closing():
                # As sshd does: the status at once, though something may hold the streams open.
                process.channel._send_request(b"exit-status", UInt32(status))
                await asyncio.wait({pumps, closed}, return_when=asyncio.FIRST_COMPLETED)
                process.channel.close()
            await closed
        finally:
            for task in (feeder, pumps, closed):
                task.cancel()
            await asyncio.gather(feeder, pumps, closed, return_exceptions=True)
            if child.returncode is None:
                os.killpg(child.pid, signal.SIGKILL)
                await _exited(child)
            child._transport.close()  # type: ignore[attr-defined]


@dataclass
class Lab:
    """Some servers, and a fleet that reaches them."""

    folder: Path
    keys: Path
    servers: list[SSHNode] = field(default_factory=list)

    @property
    def known_hosts(self) -> Path:
        """The file that holds the servers' keys."""
        return self.folder / "known_hosts"

    async def add(self, count: int = 1) -> list[SSHNode]:
        """Start servers, and make their keys known."""
        client_key = asyncssh.read_private_key(str(self.keys / "id"))
        for _ in range(count):
            number = len(self.servers)
            home = self.folder / f"home{number}"
            home.mkdir()
            server = SSHNode(home, f"127.77.0.{number + 1}", client_key)
            await server.start()
            self.servers.append(server)
        self.record_keys()
        return self.servers[-count:]

    def record_keys(self) -> None:
        """Write known_hosts."""
        self.known_hosts.write_text("".join(s.known_hosts_line() for s in self.servers))

    def node(self, rank: int, **changes: object) -> Node:
        """The node of a server, as a preset would have it."""
        server = self.servers[rank]
        values: dict[str, object] = {
            "rank": rank,
            "host": server.address,
            "port": server.port,
            "user": "root",
            "identity_file": str(self.keys / "id"),
            "known_hosts": str(self.known_hosts),
        }
        return Node(**(values | changes))  # type: ignore[arg-type]

    def fleet(
        self, *nodes: Node, audit: AuditLog | None = None, limits: Limits = QUICK, **options: Any
    ) -> SSHFleet:
        """A fleet of the given nodes, or of all servers."""
        chosen = nodes or tuple(self.node(n) for n in range(len(self.servers)))
        cluster = Cluster(Series.A3, Precision.BF16, chosen)
        return open_fleet(cluster, audit=audit, limits=limits, **options)
