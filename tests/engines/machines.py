"""Machines of their own on this computer: each has its own namespaces, root folder and real sshd.

A machine sees this computer's files through an overlay and writes into memory only; its processes,
its network and its /dev are its own. So two of them may use the same ports and container names, as
real nodes do, and whatever is left in one goes with it: also when the tests are killed, for the
kernel then ends its process 1. Needs root and Linux with overlayfs.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh

HERE = Path(__file__).parent
NIC = "eth0"
_TOOLS = ("unshare", "setpriv", "nsenter", "pivot_root", "ip")
_MORTAL = ("setpriv", "--pdeathsig", "KILL", "--")  # it ends with the tests, however they end
_START_S = 60
_RUN_S = 120


class CannotRun(Exception):
    """This computer cannot have such machines; says why."""


@dataclass
class Machine:
    """One machine. ``pid`` is its process 1, as this computer numbers it."""

    name: str
    address: str
    pid: int
    process: subprocess.Popen[str]
    log: Path

    def run(self, script: str, *, status: int | None = 0) -> str:
        """Run bash text on it, not over SSH; return what it printed on both streams.

        Args:
            script: what to run.
            status: the exit status that it must have; None: any.
        """
        where = ("nsenter", "-t", str(self.pid), "-m", "-n", "-p", "-u", "-i", "-r", "-w")
        environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        done = subprocess.run(
            (*where, "bash", "-c", script),
            env=environment | {"HOME": "/root"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_RUN_S,
            check=False,
        )
        assert status in (None, done.returncode), f"{self.name}: {script}: {done.stdout}"
        return done.stdout

    def processes(self, words: str) -> list[str]:
        """The command lines on it that hold ``words``."""
        listed = self.run("ps -eo args=").splitlines()
        return [line for line in listed if words in line]


class Room:
    """Some machines, and the switch that joins them with this computer.

    Raises:
        CannotRun: on entering, when this computer cannot have them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.machines: list[Machine] = []
        self.key = folder / "id"
        self.known_hosts = folder / "known_hosts"
        self._switch: subprocess.Popen[bytes] | None = None
        self._net = ""
        self._ours = ""

    def __enter__(self) -> Room:
        try:
            self._open()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _open(self) -> None:
        require(*_TOOLS)
        if not Path("/usr/sbin/sshd").exists():
            raise CannotRun("openssh-server is not installed")
        self.folder.mkdir(parents=True, exist_ok=True)
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(str(self.key))
        self.key.chmod(0o600)
        key.write_public_key(f"{self.key}.pub")
        self._switch = subprocess.Popen((*_MORTAL, "unshare", "--net", "sleep", "infinity"))
        _until(lambda: _is_apart(self._switch.pid), "no network namespace could be made")
        self._net = _free_net()
        self._ours = ours = f"v32t{os.getpid()}"
        tool(
            "ip",
            "link",
            "add",
            ours,
            "type",
            "veth",
            "peer",
            "name",
            "uplink",
            "netns",
            self._number,
        )
        tool("ip", "address", "add", f"{self._net}.254/24", "dev", ours)
        tool("ip", "link", "set", ours, "up")
        self._on_switch("link", "add", "switch", "type", "bridge")
        self._on_switch("link", "set", "switch", "up")
        self._plug("uplink")

    @property
    def _number(self) -> str:
        assert self._switch is not None
        return str(self._switch.pid)

    def _on_switch(self, *words: str) -> None:
        tool("nsenter", "-t", self._number, "-n", "ip", *words)

    def _plug(self, end: str) -> None:
        self._on_switch("link", "set", end, "master", "switch", "up")

    def add(self, setup: Path, *more: Path, shares: Sequence[Path] = ()) -> Machine:
        """Start a machine.

        Args:
            setup: bash text that it runs before its sshd.
            more: files and folders that it finds in /run/machine.
            shares: folders of this computer that it may read where they are.
        """
        number = len(self.machines)
        name, address = f"node{number}", f"{self._net}.{number + 1}"
        folder = self.folder / name
        folder.mkdir()
        self._sshd_files(folder, address)
        shutil.copy(setup, folder / "setup.sh")
        for path in more:
            copy = shutil.copytree if path.is_dir() else shutil.copy
            copy(path, folder / path.name)
        (folder / "shares").write_text("".join(f"{share}\n" for share in shares))
        log = self.folder / f"{name}.log"
        apart = ("--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--kill-child")
        with log.open("w") as stderr:
            process = subprocess.Popen(
                (*_MORTAL, "unshare", *apart, "bash", str(HERE / "machine.sh"), name, str(folder)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        machine = Machine(name, address, 0, process, log)
        self.machines.append(machine)
        _hear(machine, "up")
        machine.pid = _child(process.pid)
        cable = ("type", "veth", "peer", "name", NIC, "netns", str(machine.pid))
        self._on_switch("link", "add", name, *cable)
        self._plug(name)
        machine.run(f"ip address add {address}/24 dev {NIC} && ip link set {NIC} up")
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
        _hear(machine, "ready")
        _until(lambda: _answers(address), f"the sshd of {name} does not answer: {log}")
        return machine

    def _sshd_files(self, folder: Path, address: str) -> None:
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(str(folder / "host_key"))
        (folder / "host_key").chmod(0o600)
        with self.known_hosts.open("a") as known:
            known.write(f"{address} {key.export_public_key().decode().strip()}\n")
        shutil.copy(f"{self.key}.pub", folder / "authorized")
        lines = (
            "HostKey /run/machine/host_key",
            "AuthorizedKeysFile /run/machine/authorized",
            "PidFile none",
            "StrictModes no",
            "PermitRootLogin yes",
            "UsePAM no",
            "UseDNS no",
        )
        (folder / "sshd_config").write_text("\n".join(lines) + "\n")

    def cut(self, machine: Machine) -> None:
        """Pull the machine's cable."""
        self._on_switch("link", "set", machine.name, "down")

    def join(self, machine: Machine) -> None:
        """Put the cable back."""
        self._on_switch("link", "set", machine.name, "up")

    def nodes(self) -> list[dict[str, Any]]:
        """The machines as the ``nodes`` of a preset."""
        return [
            {
                "host": machine.address,
                "user": "root",
                "identity_file": str(self.key),
                "known_hosts": str(self.known_hosts),
                "local_ip": machine.address,
                "nic": NIC,
            }
            for machine in self.machines
        ]

    def __exit__(self, *_: object) -> None:
        for machine in self.machines:
            machine.process.kill()
        for machine in self.machines:
            machine.process.wait()
            assert machine.process.stdin is not None
            assert machine.process.stdout is not None
            machine.process.stdin.close()
            machine.process.stdout.close()
        if self._switch is not None:
            self._switch.kill()
            self._switch.wait()
        if self._ours:  # it would go with the switch, but some time later
            words = ("ip", "link", "delete", self._ours)
            subprocess.run(words, stderr=subprocess.DEVNULL, timeout=_RUN_S, check=False)
        gone = [f"/proc/{machine.pid}" for machine in self.machines if machine.pid]
        _until(lambda: not any(map(os.path.exists, gone)), "machines that do not end")


def require(*tools: str) -> None:
    """Raise CannotRun unless we are root and have these tools."""
    if os.geteuid() != 0:
        raise CannotRun("only root can make machines out of namespaces")
    missing = [name for name in tools if shutil.which(name) is None]
    if missing:
        raise CannotRun(f"not installed here: {', '.join(missing)}")


def tool(*words: str) -> str:
    """Run a tool; raise CannotRun when it fails."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=_RUN_S, check=False)
    if done.returncode:
        raise CannotRun(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def _free_net() -> str:
    """Return three bytes of a net that nobody has a route to, in the range for test beds.

    Where it looks first depends on the process, so that two that start at once do not meet.
    """
    used = tool("ip", "-4", "route", "show")
    nets = (f"198.19.{(os.getpid() + n) % 256}" for n in range(256))
    return next(net for net in nets if f"{net}." not in used)


def _is_apart(pid: int) -> bool:
    return os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net")


def _child(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0])


def _hear(machine: Machine, word: str) -> None:
    assert machine.process.stdout is not None
    said = machine.process.stdout.readline().strip()
    if said != word:
        raise CannotRun(f"{machine.name} did not come up: {machine.log.read_text().strip()}")


def _answers(address: str) -> bool:
    try:
        with socket.create_connection((address, 22), timeout=1) as connection:
            return re.match(rb"SSH-2", connection.recv(16)) is not None
    except OSError:
        return False


def _until(seen: Any, otherwise: str) -> None:
    end = time.monotonic() + _START_S
    while not seen():
        if time.monotonic() > end:
            raise CannotRun(otherwise)
        time.sleep(0.02)
