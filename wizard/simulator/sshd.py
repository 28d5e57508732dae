"""The SSH server of a simulated node: real bash for every command, tunnels only to the cluster."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh

from wizard.simulator.state import SimNode, World

MAX_SESSIONS = 10  # OpenSSH's default: more channels at once are refused
_HERE = {"127.0.0.1", "localhost", "0.0.0.0", "::1", ""}  # noqa: S104 - names of the node itself
_QUIET = {"server_version": "OpenSSH_8.8"}


class NodeServer:
    """Listens for one node, on its own address."""

    def __init__(
        self,
        world: World,
        node: SimNode,
        host_key: asyncssh.SSHKey,
        client_key: asyncssh.SSHKey,
        environment: Mapping[str, str],
    ) -> None:
        self.world = world
        self.node = node
        self.environment = dict(environment)
        self._host_key = host_key
        public = client_key.export_public_key("openssh").decode()
        self._allowed = asyncssh.import_authorized_keys(public)
        self._listener: asyncio.Server | asyncssh.SSHAcceptor | None = None
        self.connections: set[asyncssh.SSHServerConnection] = set()

    async def start(self, port: int) -> None:
        """Begin to listen. Raises OSError when the port is taken."""
        fault = self.world.scenario.node_fault(self.node.rank).ssh
        if fault == "refused":
            return
        if fault == "silent":
            self._listener = await asyncio.start_server(_never_speaks, self.node.address, port)
            return
        self._listener = await asyncssh.listen(
            self.node.address,
            port,
            server_factory=lambda: _Connection(self),
            server_host_keys=[self._host_key],
            authorized_client_keys=self._allowed,
            encoding=None,
            allow_scp=False,
            agent_forwarding=False,
            x11_forwarding=False,
            login_timeout=30,
            gss_host=None,
            **_QUIET,
        )

    def cut(self) -> None:
        """Cut all connections; new ones can be made."""
        for connection in list(self.connections):
            connection.abort()

    async def stop(self) -> None:
        """Cut all connections and stop to listen."""
        if self._listener is not None:
            self._listener.close()
        self.cut()
        await asyncio.sleep(0)

    def reach(self, host: str) -> str | None:
        """Return the address that a tunnel's target really has, None when it may not be asked."""
        if host in _HERE:
            return self.node.address
        names = {n.address: n.address for n in self.world.nodes}
        names |= {n.hostname: n.address for n in self.world.nodes}
        return names.get(host)


async def _never_speaks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.CancelledError):
        while await reader.read(4096):
            pass
    writer.close()


class _Connection(asyncssh.SSHServer):
    """One client."""

    def __init__(self, server: NodeServer) -> None:
        self.server = server
        self.sessions = 0
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self.server.connections.add(conn)
        client, server = (conn.get_extra_info(end) for end in ("peername", "sockname"))
        # as sshd tells its commands in SSH_CONNECTION; a connection that broke has no ends any more
        self.ends = f"{client[0]} {client[1]} {server[0]} {server[1]}" if client and server else ""

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection is not None:
            self.server.connections.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return False

    def kbdint_auth_supported(self) -> bool:
        return False

    def session_requested(self) -> Any:
        if self.sessions >= MAX_SESSIONS:
            return False
        self.sessions += 1
        return _Session(self)

    def connection_requested(
        self, dest_host: str, dest_port: int, orig_host: str, orig_port: int
    ) -> Any:
        address = self.server.reach(dest_host)
        if address is None:
            raise asyncssh.ChannelOpenError(
                asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "not a node of this cluster"
            )
        assert self._connection is not None
        return _Forward(self._connection, address, dest_port)


@dataclass(frozen=True)
class _Forward:
    """A forwarded connection once it is awaited; a connection that breaks first awaits nothing."""

    connection: asyncssh.SSHServerConnection
    address: str
    port: int

    def __await__(self) -> Generator[Any, None, Any]:
        return self.connection.forward_connection(self.address, self.port).__await__()


class _Session(asyncssh.SSHServerSession[bytes]):
    """One command. As with OpenSSH, it goes on when its channel is closed; only its pipes end."""

    def __init__(self, connection: _Connection) -> None:
        self._owner = connection
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._early: list[bytes | None] = []  # input that came before the process; None: its end
        self._may_write = asyncio.Event()
        self._may_write.set()

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan

    def pty_requested(self, term_type: Any, term_size: Any, term_modes: Any) -> bool:
        return False  # no terminal here: what needs one must notice

    def exec_requested(self, command: str) -> bool:
        self._begin(["-c", command])
        return True

    def shell_requested(self) -> bool:
        self._begin(["-l"])
        return True

    def _begin(self, arguments: list[str]) -> None:
        self._task = asyncio.create_task(self._run(arguments))

    async def _run(self, arguments: list[str]) -> None:
        server, channel = self._owner.server, self._channel
        assert channel is not None
        pipe = asyncio.subprocess.PIPE
        process = self._process = await asyncio.create_subprocess_exec(
            "bash",
            *arguments,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            cwd=server.node.home,
            env=server.environment | {"SSH_CONNECTION": self._owner.ends},
            start_new_session=True,
        )
        for data in self._early:
            self._feed(data)
        assert process.stdout is not None
        assert process.stderr is not None
        await asyncio.gather(self._copy(process.stdout, None), self._copy(process.stderr, 1))
        code = await process.wait()
        if not channel.is_closing():
            if code < 0:
                name = signal.Signals(-code).name.removeprefix("SIG")
                channel.exit_with_signal(name, False, "")
            else:
                channel.exit(code)

    async def _copy(self, reader: asyncio.StreamReader, kind: int | None) -> None:
        channel = self._channel
        assert channel is not None
        while data := await reader.read(1 << 16):
            await self._may_write.wait()
            if channel.is_closing():
                return
            channel.write(data, kind)

    def data_received(self, data: bytes, datatype: Any) -> None:
        self._feed(data) if self._process else self._early.append(data)

    def eof_received(self) -> bool:
        self._feed(None) if self._process else self._early.append(None)
        return True  # output may still come

    def _feed(self, data: bytes | None) -> None:
        stdin = self._process.stdin if self._process else None
        if stdin is None or stdin.is_closing():
            return
        with contextlib.suppress(OSError):
            if data is None:
                stdin.close()
            else:
                stdin.write(data)

    def signal_received(self, signal: str) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, KeyError):
                os.killpg(self._process.pid, _signal_number(signal))

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._owner.sessions -= 1
        self._may_write.set()
        process = self._process
        if process is None:  # it is being started: it must not wait for input for ever
            self._early.append(None)
            return
        self._feed(None)
        if process.returncode is None:
            transport = process._transport  # type: ignore[attr-defined]
            for number in (1, 2):  # the next write of the command meets a broken pipe
                pipe = transport.get_pipe_transport(number)
                if pipe is not None:
                    pipe.close()


def _signal_number(name: str) -> int:
    return signal.Signals["SIG" + name.removeprefix("SIG")].value


def write_known_hosts(path: Path, keys: Mapping[str, asyncssh.SSHKey], port: int) -> None:
    """Write a known_hosts file: address → host key, all on one port."""
    lines = []
    for address, key in keys.items():
        public = key.export_public_key("openssh").decode().strip()
        lines.append(f"[{address}]:{port} {public}\n")
    path.write_text("".join(lines))
    path.chmod(0o600)
