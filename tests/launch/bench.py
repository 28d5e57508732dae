"""A test bench without SSH: real bash on this machine, a container engine of files, a real HTTP
server on a Unix socket in place of vLLM."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import wizard.simulator
from tests.launch import fakeengine
from wizard.cluster import Node
from wizard.errors import NotPermitted, RemoteError, Unreachable
from wizard.launch import Launch
from wizard.presets import Preset, parse_preset
from wizard.remote import local
from wizard.remote.api import Completed, Job, JobResult, Root
from wizard.scripts import LaunchLabels, NodeScripts, image, served_model

RPC = 13389  # of the guide, on node 0
TOOLS = Path(__file__).parent / "tools"
ASKS = Path(wizard.simulator.__file__).parent / "shims" / "tool.sh"


async def until(condition: Callable[[], object], *, limit_s: float = 10.0) -> None:
    """Wait for a condition, with a time limit."""
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.01)


async def end(process: asyncio.subprocess.Process) -> None:
    """Kill a command with all its children, and read its pipes to their end.

    Waiting for the exit alone would leave the pipes open until the loop is closed.
    """
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.communicate()


def preset(nodes: int = 2, **extra: object) -> Preset:
    body: dict[str, Any] = {
        "version": 1,
        "name": "lab",
        "series": "A2",
        "precision": "w8a8",
        "nodes": [
            {"host": f"10.0.0.{11 + i}", "local_ip": f"10.0.0.{11 + i}", "nic": "eth0"}
            for i in range(nodes)
        ],
    }
    if nodes == 1:
        body["series"] = "A3"
    return parse_preset(json.dumps(body | extra))


def render(preset: Preset, *, launch: LaunchLabels) -> list[NodeScripts]:
    """Scripts without devices and mounts, which this machine has not."""
    marks = " ".join(f"--label {name}={value}" for name, value in launch.labels.items())
    npus = " ".join(f"--device /dev/davinci{n}" for n in range(preset.series.devices))
    text = (
        f"[ ! -e $FAKE_NODE/refuse ] || {{ cat $FAKE_NODE/refuse >&2; exit 1; }}\n"
        f"runtime={preset.container.runtime}\n"
        f'"$runtime" create --name {preset.container.name} {marks} {npus} {image(preset)}\n'
    )
    return [NodeScripts(node.rank, text, "serve\n") for node in preset.cluster.nodes]


class FakeNode:
    """One node: what its engine holds, and the Remote that reaches it."""

    def __init__(self, node: Node, folder: Path) -> None:
        self._node = node
        self.home = folder / f"node{node.rank}"
        self.files = self.home / "engine"
        self.files.mkdir(parents=True, exist_ok=True)  # two presets may share nodes
        (self.files / "image").touch()
        self.socket = self.home / "api.sock"
        self.unreachable = False
        self.denies = False  # docker's socket is not for the user that we are
        self.sudo: NotPermitted | None = None  # why root cannot be had
        self.reaches_node_0: bool | None = True  # None: it is tried, on this machine
        self.lacks: tuple[str, ...] = ()  # programs that are not on PATH
        self.lose: list[str] = []  # commands containing these lose their answer, once each
        self.streams = 0

    # -- what a test does to the node

    def containers(self) -> list[dict[str, Any]]:
        found = []
        for path in self.files.glob("*.json"):
            with suppress(FileNotFoundError):  # removed meanwhile
                found.append(json.loads(path.read_text()))
        return found

    @property
    def container(self) -> dict[str, Any]:
        (only,) = self.containers()
        return only

    def put(self, entry: dict[str, Any]) -> None:
        path = self.files / f"{entry['Id']}.json"
        path.with_suffix(".new").write_text(json.dumps(entry))
        path.with_suffix(".new").replace(path)

    def stranger(self, name: str, **labels: str) -> None:
        self.put(
            {
                "Id": f"{len(self.containers()):064x}",
                "Name": f"/{name}",
                "Created": "2026-11-20T10:00:00Z",
                "State": {"Status": "running", "StartedAt": "2026-11-20T10:00:00Z"},
                "Config": {"Image": "busybox", "Labels": labels},
            }
        )

    def dies(self, code: int = 1, *, ago_s: float = 0.0) -> None:
        entry = self.container
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - ago_s))
        entry["State"] |= {"Status": "exited", "ExitCode": code, "FinishedAt": when}
        (self.files / "ports").unlink(missing_ok=True)
        self.put(entry)

    def says(self, *lines: str) -> None:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
        with (self.files / f"{self.container['Id']}.log").open("a") as file:
            for line in lines:
                file.write(f"{stamp}.{time.time_ns() % 10**9:09d}Z {line}\n")

    def listens(self, *ports: int) -> None:
        (self.files / "ports").write_text("".join(f"{p}\n" for p in ports))

    def calls(self, verb: str) -> int:
        path = self.files / "calls"
        return path.read_text().split().count(verb) if path.exists() else 0

    @property
    def status(self) -> str:
        found = self.containers()
        return str(found[0]["State"]["Status"]) if found else "absent"

    # -- Remote

    @property
    def node(self) -> Node:
        return self._node

    async def connect(self) -> None:
        self._reach()

    def _reach(self) -> None:
        if self.unreachable:
            raise Unreachable(f"{self._node.label} cannot be reached.", node=self._node.rank)

    async def answer(self, *, timeout_s: float) -> None:
        self._reach()

    async def _spawn(self, command: str) -> asyncio.subprocess.Process:
        second = f"{TOOLS / 'second'}:" if (self.files / "podman").is_dir() else ""
        environment = {
            "HOME": str(self.home),
            "PATH": f"{TOOLS}:{second}{os.environ['PATH']}",
            "FAKE_NODE": str(self.files),
            "FAKE_TOOL": str(ASKS),
            "V32_SIM_PORT": str(fakeengine.port()),
            "V32_SIM_TOKEN": str(self.files),
        }
        return await local.start(  # not asyncio's own, which may wait for ever when cancelled
            "bash",
            "-c",
            command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
        )

    async def run(
        self,
        command: str,
        *,
        timeout_s: float = 30.0,
        stdin: bytes = b"",
        limit: int = 1 << 20,
        root: Root = "no",
    ) -> Completed:
        from wizard.errors import ConnectionLost

        self._reach()
        user = root == "no" or (root == "try" and self.sudo is not None)
        if self.denies and user and ("docker" in command or "container.sh" in command):
            said = b"permission denied while trying to connect to the Docker daemon socket"
            return Completed(command, 1, b"", said, 0.0)
        if root == "must" and self.sudo is not None:
            raise self.sudo
        if "/dev/tcp/" in command and self.reaches_node_0 is not None:
            return Completed(command, 0 if self.reaches_node_0 else 124, b"", b"", 0.0)
        if (program := command.split(maxsplit=1)[0]) in self.lacks:
            said = f"bash: line 1: {program}: command not found\n".encode()
            return Completed(command, 127, b"", said, 0.0)
        process = await self._spawn(command)
        try:
            async with asyncio.timeout(timeout_s):
                out, err = await process.communicate()
        finally:
            await end(process)
        for part in self.lose:
            if part in command:
                self.lose.remove(part)
                raise ConnectionLost("the connection broke", node=self._node.rank)
        self._reach()
        return Completed(command, process.returncode, out[:limit], err[:limit], 0.0)

    def batch(self, jobs: Sequence[Job], *, width: int = 4) -> AsyncIterator[JobResult]:
        raise NotImplementedError

    @asynccontextmanager
    async def desk(self, *, root: Root = "no") -> AsyncIterator[FakeNode]:
        self._reach()
        yield self

    async def ask(self, job: Job) -> JobResult:
        """The desk's: as root where that can be had."""
        root: Root = "no" if self.sudo is not None else "must"
        done = await self.run(job.command, timeout_s=job.timeout_s, root=root)
        assert done.exit_status is not None
        return JobResult(job.id, done.exit_status, done.stdout, done.stderr, 0.0)

    async def stream(self, command: str, *, root: Root = "no") -> AsyncIterator[bytes]:
        self._reach()
        assert not self.denies or root == "must", "docker's socket is closed to this user"
        process = await self._spawn(command)
        assert process.stdout is not None
        self.streams += 1
        try:
            while chunk := await process.stdout.read(4096):
                self._reach()
                yield chunk
        finally:
            self.streams -= 1
            await end(process)

    async def upload(self, directory: str, files: Mapping[str, bytes]) -> None:
        self._reach()
        path = self.home / directory.removeprefix("~/")
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, content in files.items():
            (path / name).write_bytes(content)

    @asynccontextmanager
    async def tunnel(self, host: str, port: int) -> AsyncIterator[Path]:
        assert host == "127.0.0.1"
        self._reach()
        if not self.socket.exists():
            raise RemoteError("nobody listens", node=self._node.rank)
        yield self.socket


class FakeFleet:
    """The nodes of a preset."""

    def __init__(self, preset: Preset, folder: Path) -> None:
        self.preset = preset
        self.nodes = [FakeNode(node, folder) for node in preset.cluster.nodes]
        self.hangs = False  # requests for tokens are never answered
        self.tokens = 0  # requests for them

    @property
    def remotes(self) -> Sequence[FakeNode]:
        return self.nodes

    async def connect(self) -> dict[int, Exception]:
        return {}

    async def close(self) -> None:
        pass

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Node 0 serves while the block runs: /health, /v1/models, and a token unless it hangs."""

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked = await reader.readuntil(b"\r\n\r\n")
            body = json.dumps({"data": [{"id": served_model(self.preset)}]}).encode()
            if b"/v1/completions" in asked:
                body = b'data: {"choices": [{"text": "1"}]}\n\ndata: [DONE]\n\n'
                self.tokens += 1
                if self.hangs:
                    await reader.read()  # until the caller gives up
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
            writer.close()

        socket = self.nodes[0].socket
        server = await asyncio.start_unix_server(answer, socket)
        try:
            yield
        finally:
            server.close()
            socket.unlink(missing_ok=True)


def launch(fleet: FakeFleet, **options: object) -> Launch:
    return Launch(fleet, fleet.preset, interval_s=0.05, **options)  # type: ignore[arg-type]


async def started(fleet: FakeFleet) -> Launch:
    """A launch whose start is over; the RPC port listens once node 0 was started."""
    work = launch(fleet)
    task = asyncio.create_task(work.start())
    await until(lambda: task.done() or work.ranks[0].state == "running")
    fleet.nodes[0].listens(RPC)
    await task
    return work
