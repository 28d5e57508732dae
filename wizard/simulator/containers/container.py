"""One container: a real process of its own session, its log with timestamps, its view of files."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wizard.simulator.containers.spec import Spec
from wizard.simulator.state import SimNode

_LINE_LIMIT = 16 * 1024  # docker cuts longer lines into records of this size
_LOG_LINES = 200_000


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a container's log."""

    time_ns: int
    stream: str  # o | e, as the frames of the tools
    data: bytes  # with its newline, when it had one


@dataclass(slots=True)
class Container:
    """A container, from create to rm."""

    id: str
    node: SimNode
    spec: Spec
    root: Path  # its own view of the file tree
    created: float = field(default_factory=time.time)
    status: str = "created"  # created | running | exited
    exit_code: int = 0
    error: str = ""
    started: float | None = None
    finished: float | None = None
    log: list[Record] = field(default_factory=list)
    process: asyncio.subprocess.Process | None = None
    grew: asyncio.Event = field(default_factory=asyncio.Event)
    follower: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether its first process runs."""
        return self.status == "running"

    def build_root(self) -> None:
        """Lay out the container's file tree: mounts and devices are links to the node's."""
        for mount in self.spec.mounts:
            source = self.node.path(mount.source)
            if not source.exists():
                source.mkdir(parents=True)  # as docker does: a missing source becomes a directory
            self._link(mount.target, source)
        for device in self.spec.devices:
            self._link(device, self.node.path(device))
        for folder in ("root", "dev", "tmp"):
            with suppress(FileExistsError):
                (self.root / folder).mkdir(parents=True)
        profile = self.root / "root/.bash_profile"
        if not profile.exists():
            profile.write_text('PATH=$V32_SIM_BIN:$PATH\n. "$BASH_ENV"\n')
        toolkit = self.root / "usr/local/Ascend/ascend-toolkit"
        with suppress(OSError):  # part of the image, unless a mount hides it
            toolkit.mkdir(parents=True)
            (toolkit / "set_env.sh").write_text("export ASCEND_HOME_PATH=/usr/local/Ascend\n")

    def _link(self, target: str, source: Path) -> None:
        place = self.root / target.strip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            place.symlink_to(source)

    def environment(self, base: dict[str, str]) -> dict[str, str]:
        """Return the environment of a process in here."""
        return base | {
            "HOME": str(self.root / "root"),
            "V32_SIM_ROOT": str(self.root),
            "V32_SIM_CONTAINER": self.id,
            "V32_SIM_IMAGE": self.spec.image,
            **self.spec.env,
        }

    def argv(self, command: list[str]) -> list[str]:
        """Return a command with the container's paths led to where they really lie."""
        return [self._real(word) for word in command]

    def _real(self, word: str) -> str:
        mounts = sorted(self.spec.mounts, key=lambda m: len(m.target), reverse=True)
        for mount in mounts:
            target = mount.target.rstrip("/")
            if word == target or word.startswith(target + "/"):
                return str(self.root / word.lstrip("/"))
        return word

    def folder(self, workdir: str | None) -> Path:
        """Return the directory in which a process of the container starts."""
        place = self.root / (workdir or self.spec.workdir or "/root").strip("/")
        return place if place.is_dir() else self.root

    async def start(self, base: dict[str, str]) -> None:
        """Start the first process. Raises OSError when its program cannot be run."""
        self.process = await asyncio.create_subprocess_exec(
            *self.argv(self.spec.command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self.environment(base),
            cwd=self.folder(None),
            start_new_session=True,
        )
        self.status, self.started, self.finished = "running", time.time(), None
        self.exit_code, self.error = 0, ""
        self.follower = asyncio.create_task(self._follow(self.process))

    async def _follow(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        readers = asyncio.gather(self._read(process.stdout, "o"), self._read(process.stderr, "e"))
        await _exit_of(process.pid)
        self.kill_rest()  # the first process of a container takes all others with it
        code = await process.wait()  # asyncio also waits for the pipes, which the others held
        await readers
        self.exit_code = code if code >= 0 else 128 - code
        self.status, self.finished = "exited", time.time()
        self._tell()

    async def _read(self, reader: asyncio.StreamReader, stream: str) -> None:
        pending = b""
        while data := await reader.read(1 << 16):
            pending += data
            while pending:
                cut = pending.find(b"\n", 0, _LINE_LIMIT) + 1
                if not cut and len(pending) < _LINE_LIMIT:
                    break
                cut = cut or _LINE_LIMIT
                self._record(stream, pending[:cut])
                pending = pending[cut:]
            self._tell()
        if pending:
            self._record(stream, pending)
        self._tell()

    def _record(self, stream: str, data: bytes) -> None:
        self.log.append(Record(time.time_ns(), stream, data))
        if len(self.log) > _LOG_LINES:
            del self.log[: _LOG_LINES // 10]

    def _tell(self) -> None:
        self.grew.set()
        self.grew = asyncio.Event()

    def send(self, number: int) -> None:
        """Send a signal to the first process."""
        if self.process is not None and self.process.returncode is None:
            with suppress(ProcessLookupError):
                self.process.send_signal(number)

    def pids(self) -> list[int]:
        """Return the processes that run in the container."""
        mark, found = f"V32_SIM_CONTAINER={self.id}".encode(), []
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                with suppress(OSError):
                    if mark in Path(f"/proc/{entry}/environ").read_bytes().split(b"\0"):
                        found.append(int(entry))
        return found

    def kill_rest(self) -> None:
        """Kill whatever still runs in the container."""
        for pid in self.pids():
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)

    async def stop(self, seconds: float, number: int = signal.SIGTERM) -> None:
        """End it: ``number`` first, and SIGKILL when it still runs after ``seconds``."""
        if not self.running or self.follower is None:
            return
        self.send(number)
        done, _ = await asyncio.wait({self.follower}, timeout=seconds)
        if not done:
            self.send(signal.SIGKILL)
            await asyncio.wait({self.follower})

    def inspect(self) -> dict[str, Any]:
        """Return what `docker inspect` shows."""
        spec = self.spec
        return {
            "Id": self.id,
            "Name": f"/{spec.name}",
            "Created": _stamp(self.created),
            "Path": spec.command[0],
            "Args": spec.command[1:],
            "State": {
                "Status": self.status,
                "Running": self.running,
                "Paused": False,
                "Restarting": False,
                "OOMKilled": False,
                "Dead": False,
                "Pid": self.process.pid if self.running and self.process else 0,
                "ExitCode": self.exit_code,
                "Error": self.error,
                "StartedAt": _stamp(self.started),
                "FinishedAt": _stamp(self.finished),
            },
            "RestartCount": 0,
            "Image": "sha256:" + spec.image.encode().hex().ljust(64, "0")[:64],
            "Config": {
                "Image": spec.image,
                "Labels": spec.labels,
                "Env": [f"{k}={v}" for k, v in spec.env.items()],
                "Cmd": spec.command,
                "WorkingDir": spec.workdir or "",
            },
            "HostConfig": spec.host,
            "Mounts": [
                {
                    "Type": "bind",
                    "Source": m.source,
                    "Destination": m.target,
                    "Mode": m.mode,
                    "RW": "ro" not in m.mode.split(","),
                }
                for m in spec.mounts
            ],
        }

    def row(self) -> dict[str, Any]:
        """Return what `docker ps` shows of it, by the names that ``--format`` uses."""
        return {
            "ID": self.id[:12],
            "Names": self.spec.name,
            "Image": self.spec.image,
            "Command": f'"{shlex.join(self.spec.command)}"',
            "CreatedAt": time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC", time.gmtime(self.created)),
            "RunningFor": f"{_ago(self.created)} ago",
            "Status": self._status_text(),
            "State": self.status,
            "Ports": "",
            "Networks": self.spec.host["NetworkMode"],
            "Mounts": ",".join(m.source for m in self.spec.mounts),
            "Labels": ",".join(f"{k}={v}" for k, v in self.spec.labels.items()),
            "_labels": self.spec.labels,
        }

    def _status_text(self) -> str:
        if self.running:
            return f"Up {_ago(self.started)}"
        if self.status == "exited":
            return f"Exited ({self.exit_code}) {_ago(self.finished)} ago"
        return "Created"


async def _exit_of(pid: int) -> None:
    """Wait until a process ends, whoever still holds its pipes."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return  # it has ended, and was taken note of
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(handle, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)


def _ago(since: float | None) -> str:
    seconds = int(time.time() - (since or 0))
    if seconds < 1:
        return "Less than a second"
    for size, word in ((3600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {word}{'s' if count > 1 else ''}"
    return ""


def stamp_ns(time_ns: int) -> str:
    """Return a time as docker stamps log lines: UTC, nanoseconds."""
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time_ns // 10**9))
    return f"{whole}.{time_ns % 10**9:09d}Z"


def _stamp(seconds: float | None) -> str:
    return "0001-01-01T00:00:00Z" if seconds is None else stamp_ns(int(seconds * 10**9))
