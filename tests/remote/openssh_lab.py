"""Debian's own sshd on loopback addresses, each server with its own config, host keys and home.

No privilege is needed to log in as the user who runs the tests. Real accounts (passwords, sudo)
are made only by root, named ``v32t…``, and removed with the lab.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import asyncssh
import pytest

from wizard.cluster import Cluster, Node, Precision, Series
from wizard.remote.audit import AuditLog
from wizard.remote.dial import Limits
from wizard.remote.fleet import SSHFleet, open_fleet

SSHD = "/usr/sbin/sshd"  # it insists on an absolute path
PATIENT = Limits(connect_s=20.0, keepalive_s=5.0, keepalive_count=4)
needs_sshd = pytest.mark.skipif(not os.path.exists(SSHD), reason=f"no {SSHD} here")
needs_accounts = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("sudo") or not shutil.which("useradd"),
    reason="only root can make accounts, and sudo must be there",
)

Sudo = Literal["none", "nopasswd", "password"]
_numbers = itertools.count()


@dataclass
class Sshd:
    """A running sshd. ``log`` is everything it has said (LogLevel VERBOSE)."""

    folder: Path
    address: str
    port: int
    host_keys: list[Path]
    process: asyncio.subprocess.Process | None = None

    @property
    def home(self) -> Path:
        """HOME of who runs the tests, on this server; accounts have homes of their own."""
        return self.folder / "home"

    @property
    def spec(self) -> str:
        """The server as a jump host is named: ``user@address:port``."""
        return f"{getpass.getuser()}@{self.address}:{self.port}"

    @property
    def log(self) -> str:
        """What it has logged until now."""
        return (self.folder / "log").read_text(errors="replace")

    def logged(self, pattern: str) -> int:
        """How many lines of the log match."""
        return len(re.findall(pattern, self.log))

    @property
    def logins(self) -> int:
        """How many logins it has accepted."""
        return self.logged(r"Accepted \S+ for")

    def public_keys(self) -> list[str]:
        """Its public host keys, each as ``type base64``."""
        return [
            " ".join(key.with_name(key.name + ".pub").read_text().split()[:2])
            for key in self.host_keys
        ]

    def known_hosts_lines(self) -> str:
        """The entries that make its keys known."""
        return "".join(f"[{self.address}]:{self.port} {key}\n" for key in self.public_keys())

    async def start(self) -> None:
        """Listen; also again after :meth:`stop`, on the same port with the same keys."""
        with open(self.folder / "log", "ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(SSHD, "-D", "-e", "-f", str(self.folder / "config")),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        async with asyncio.timeout(20):
            while "Server listening" not in self.log.rpartition("=start=")[2]:
                assert self.process.returncode is None, self.log
                await asyncio.sleep(0.01)

    def sessions(self) -> list[int]:
        """Pids of its connections and of all that runs in them."""
        return _descendants(self.process.pid) if self.process else []

    def cut(self) -> None:
        """Kill all connections, but not the listener; what ran in them goes too."""
        for pid in self.sessions():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def stop(self) -> None:
        """End it, its connections and what runs in them; idempotent."""
        process, sessions = self.process, self.sessions()
        self.process = None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        for pid in sessions:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with open(self.folder / "log", "a") as log:
            log.write("=start=\n")


@dataclass
class Account:
    """A real user of this machine."""

    name: str
    password: str


@dataclass
class OpenSSHLab:
    """Some servers, and fleets that reach them. ``keys`` holds the client's key ``id``."""

    folder: Path
    keys: Path
    servers: list[Sshd] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)

    @property
    def known_hosts(self) -> Path:
        """The file that holds the servers' keys."""
        return self.folder / "sshd_known_hosts"

    async def add(
        self,
        count: int = 1,
        *,
        max_sessions: int = 10,
        max_startups: str = "10:30:100",
        password: bool = False,
        keyboard_interactive: bool = False,
        publickey: bool = True,
        bashrc: str = "",
        host_key: Path | None = None,
        host_key_types: Sequence[str] = ("ssh-ed25519",),
        authorized: Sequence[Path] = (),
        extra: Sequence[str] = (),
        record: bool = True,
    ) -> list[Sshd]:
        """Start servers.

        Args:
            max_sessions: of one connection.
            max_startups: connections that have not logged in yet.
            password: method ``password`` (for accounts made by :meth:`account`).
            keyboard_interactive: by PAM, which asks for the password.
            publickey: method ``publickey``.
            bashrc: text of ~/.bashrc, which a login shell reads for every exec channel.
            host_key: an existing private key, in place of keys generated.
            host_key_types: asyncssh's names of the keys to generate.
            authorized: further public key files that may log in.
            extra: more lines of sshd_config (no ``Match``).
            record: put the keys into :attr:`known_hosts`.
        """
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)  # where it separates privileges
        added = []
        for _ in range(count):
            number = len(self.servers)
            folder = self.folder / f"sshd{number}"
            (folder / "home").mkdir(parents=True)
            folder.chmod(0o755)
            if bashrc:
                (folder / "home" / ".bashrc").write_text(bashrc)
            keys = [host_key] if host_key else [_generate(folder, t) for t in host_key_types]
            address = f"127.78.0.{number + 1}"
            server = Sshd(folder, address, _free_port(address), keys)
            publics = [self.keys / "id.pub", *authorized]
            (folder / "authorized").write_text("".join(p.read_text() for p in publics))
            lines = [
                f"ListenAddress {address}:{server.port}",
                *(f"HostKey {key}" for key in keys),
                f"PidFile {folder}/pid",
                *_authorized(folder),
                "StrictModes no",
                "LogLevel VERBOSE",
                "PermitRootLogin yes",
                f"UsePAM {_yes(keyboard_interactive)}",
                f"PubkeyAuthentication {_yes(publickey)}",
                f"PasswordAuthentication {_yes(password)}",
                f"KbdInteractiveAuthentication {_yes(keyboard_interactive)}",
                f"MaxSessions {max_sessions}",
                f"MaxStartups {max_startups}",
                "UseDNS no",
                "PrintMotd no",
                *(["PerSourcePenalties no"] if _version() >= (9, 8) else []),
                *extra,
                f"Match User {getpass.getuser()}",
                f"SetEnv HOME={server.home}",
            ]
            (folder / "config").write_text("\n".join(lines) + "\n")
            await server.start()
            self.servers.append(server)
            added.append(server)
        if record:
            self.record_keys()
        return added

    def record_keys(self) -> None:
        """Write known_hosts, with the keys of all servers."""
        self.known_hosts.write_text("".join(s.known_hosts_lines() for s in self.servers))

    def node(self, number: int, **changes: object) -> Node:
        """The node of a server, as a preset would have it; its rank is the server's number."""
        server = self.servers[number]
        values: dict[str, object] = {
            "rank": number,
            "host": server.address,
            "port": server.port,
            "user": getpass.getuser(),
            "identity_file": str(self.keys / "id"),
            "known_hosts": str(self.known_hosts),
        }
        return Node(**(values | changes))  # type: ignore[arg-type]

    def fleet(
        self,
        *nodes: Node,
        audit: AuditLog | None = None,
        limits: Limits = PATIENT,
        **options: Any,
    ) -> SSHFleet:
        """A fleet of the given nodes, or of all servers."""
        chosen = nodes or tuple(self.node(n) for n in range(len(self.servers)))
        cluster = Cluster(Series.A3, Precision.BF16, chosen)
        return open_fleet(cluster, audit=audit, limits=limits, **options)

    async def account(self, *, password: str = "", sudo: Sudo = "none") -> Account:
        """Make a real user, whom :attr:`keys` ``id`` may log in as too. Only for root.

        Args:
            password: of the account; "" has none.
            sudo: not allowed, without a password, or with the account's own.
        """
        name = f"v32t{os.getpid()}x{next(_numbers)}"
        account = Account(name, password)
        self.accounts.append(account)
        # "*" fits no password, and unlike useradd's own "!" it does not lock the account
        home = ("--create-home", "--home-dir", f"/tmp/{name}", "--skel", "/nonexistent")
        await _tool("useradd", *home, "--shell", "/bin/bash", "--password", "*", name)
        if password:
            await _tool("chpasswd", "-c", "SHA512", stdin=f"{name}:{password}\n")
        if sudo != "none":
            tag = "NOPASSWD: " if sudo == "nopasswd" else ""
            rule = _sudoers(name)
            rule.write_text(f"Defaults:{name} !lecture\n{name} ALL=(ALL) {tag}ALL\n")
            rule.chmod(0o440)
        return account

    async def aclose(self) -> None:
        """Stop the servers and remove the accounts."""
        for server in self.servers:
            await server.stop()
        for account in self.accounts:
            _sudoers(account.name).unlink(missing_ok=True)
            await _tool("userdel", "--force", "--remove", account.name, check=False)


def _authorized(folder: Path) -> list[str]:
    """The config for who may log in; as root also for accounts that cannot read our folder."""
    if os.geteuid() != 0:
        return [f"AuthorizedKeysFile {folder}/authorized"]
    cat = os.path.realpath(shutil.which("cat") or "/bin/cat")
    return [f"AuthorizedKeysCommand {cat} {folder}/authorized", "AuthorizedKeysCommandUser root"]


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _sudoers(name: str) -> Path:
    return Path("/etc/sudoers.d") / name


async def _tool(*words: str, stdin: str = "", check: bool = True) -> None:
    """Run a tool that changes accounts; other test processes may hold their lock meanwhile."""
    done = None
    for _ in range(40):
        done = await asyncio.to_thread(
            subprocess.run, words, input=stdin, text=True, capture_output=True, check=False
        )
        if done.returncode == 0 or "lock" not in done.stderr:
            break
        await asyncio.sleep(0.25)
    assert done is not None
    assert done.returncode == 0 or not check, f"{words[0]}: {done.stderr}"


def _generate(folder: Path, kind: str) -> Path:
    path = folder / f"host-{kind}"
    key = asyncssh.generate_private_key(kind)
    key.write_private_key(str(path))
    path.chmod(0o600)
    key.write_public_key(str(path) + ".pub")
    return path


def _free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port


def _version() -> tuple[int, int]:
    said = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=False).stderr
    found = re.search(r"OpenSSH_(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _descendants(pid: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                parents.setdefault(int(fields[1]), []).append(int(folder.name))
    found, rest = [], [pid]
    while rest:
        children = parents.get(rest.pop(), [])
        found += children
        rest += children
    return found
