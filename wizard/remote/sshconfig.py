"""What ssh_config says of a host, as OpenSSH itself reads it: by ``ssh -G``.

So Match (exec too), Include, tokens and /etc/ssh/ssh_config mean what the operator expects. Where
there is no ``ssh``, asyncssh's own reader stands in; it knows less (ssh.md).
"""

from __future__ import annotations

import asyncio
import getpass
import os
import pwd
import re
import shutil
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from wizard.remote import local
from wizard.remote.text import clean

TIME_LIMIT_S = 15.0  # a `Match exec` may ask the network
_DEFAULT_KEY = re.compile(r"~/\.ssh/id_[a-z0-9_-]+")
_DEFAULT_KEYS = ("~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ed25519")


class ConfigError(Exception):
    """ssh_config cannot be read, or says what we cannot do; in words."""


@dataclass(frozen=True, slots=True)
class HostConfig:
    """How to reach a host. Paths are expanded, tokens filled in.

    Attributes:
        host: name or address to connect to.
        alias: name as typed (``%n``).
        identity_files: private keys, in order; some need not exist.
        named: the identity files were named by somebody; else they are ssh's usual ones.
        identities_only: of the agent's keys, offer only those of ``identity_files``.
        agent: path of the agent's socket, or None.
        known_hosts: of UserKnownHostsFile; empty for ``none``.
        jump: ProxyJump, or None.
        proxy_command: shell text, or None.
        host_key_alias: name under which the host key is on record, or None.
    """

    host: str
    alias: str
    port: int
    user: str
    identity_files: tuple[str, ...] = ()
    named: bool = False
    identities_only: bool = False
    certificate_files: tuple[str, ...] = ()
    agent: str | None = None
    known_hosts: tuple[str, ...] = ()
    global_known_hosts: tuple[str, ...] = ()
    jump: str | None = None
    proxy_command: str | None = None
    host_key_alias: str | None = None


class ConfigReader:
    """Asks once per host, user and port; the answers are kept as long as the reader."""

    def __init__(self) -> None:
        self._asked: dict[tuple[str, str | None, int | None], asyncio.Task[HostConfig]] = {}

    async def read(self, host: str, user: str | None = None, port: int | None = None) -> HostConfig:
        """Return what ssh_config says of ``host``; ``user`` and ``port`` win over it.

        Raises:
            ConfigError: see there.
        """
        key = (host, user, port)
        task = self._asked.get(key)
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            task = asyncio.create_task(_ask(host, user, port))
            self._asked[key] = task
        return await asyncio.shield(task)

    def forget(self) -> None:
        """Ask again from now on: the user may have changed ssh_config."""
        self._asked = {key: task for key, task in self._asked.items() if not task.done()}

    async def close(self) -> None:
        """End what still asks."""
        tasks, self._asked = list(self._asked.values()), {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _ask(host: str, user: str | None, port: int | None) -> HostConfig:
    program = shutil.which("ssh")
    if program is None:
        return await asyncio.to_thread(_without_ssh, host, user, port)
    words = [program, "-G", "-T", "-o", "BatchMode=yes", *_own_home()]
    words += ["-l", user] if user else []
    words += ["-p", str(port)] if port else []
    process = await local.start(
        *words,
        "--",
        host,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(TIME_LIMIT_S):
            out, err = await process.communicate()
    except TimeoutError:
        raise ConfigError(
            f"`ssh -G {host}` gave no answer within {TIME_LIMIT_S:g} s (a Match exec?)"
        ) from None
    finally:
        await local.end(process)  # and a `Match exec` with it
    if process.returncode != 0:
        lines = [line for line in clean(err).splitlines() if line.strip()]
        raise ConfigError(lines[-1].strip().rstrip(".") if lines else "`ssh -G` failed")
    return await asyncio.to_thread(parse, clean(out), host)


def _own_home() -> list[str]:
    """Return the option that makes ssh read the config of $HOME.

    OpenSSH takes the account's home from the password file. Who sets another HOME means it.
    """
    home = os.environ.get("HOME", "")
    if not home or os.path.realpath(home) == os.path.realpath(_account_home()):
        return []
    config = Path(home, ".ssh", "config")
    return ["-F", str(config) if config.is_file() else "none"]


def _account_home() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return os.environ.get("HOME", "/")


def parse(text: str, alias: str) -> HostConfig:
    """Read the output of ``ssh -G`` for ``alias``."""
    values: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if value:
            values.setdefault(name.lower(), []).append(value.strip())

    def last(name: str) -> str | None:
        value = values.get(name, [""])[-1]
        return None if value.lower() in ("", "none") else value

    host, user = last("hostname") or alias, last("user") or getpass.getuser()
    port = int(last("port") or asyncssh.DEFAULT_PORT)
    tokens = _tokens(alias, host, port, user, values.get("hostkeyalias", [alias])[-1])
    identities = [v for v in values.get("identityfile", []) if v.lower() != "none"]
    usual = len(identities) > 1 and all(_DEFAULT_KEY.fullmatch(v) for v in identities)
    proxy = last("proxycommand")
    return HostConfig(
        host=host.strip("[]"),
        alias=alias,
        port=port,
        user=user,
        identity_files=tuple(_path(v, tokens) for v in identities),
        named=bool(identities) and not usual,
        identities_only=last("identitiesonly") == "yes",
        certificate_files=tuple(_path(v, tokens) for v in values.get("certificatefile", [])),
        agent=_agent(values.get("identityagent", ["SSH_AUTH_SOCK"])[-1], tokens),
        known_hosts=_files(values.get("userknownhostsfile", [])),
        global_known_hosts=_files(values.get("globalknownhostsfile", [])),
        jump=last("proxyjump"),
        proxy_command=expand(proxy, tokens) if proxy else None,
        host_key_alias=last("hostkeyalias"),
    )


def _tokens(alias: str, host: str, port: int, user: str, key_alias: str) -> dict[str, str]:
    """The tokens of ssh_config(5) that may stand in a path or a ProxyCommand."""
    machine = socket.gethostname()
    return {
        "%": "%",
        "d": os.environ.get("HOME") or _account_home(),
        "h": host,
        "i": str(os.getuid()),
        "k": key_alias,
        "L": machine.partition(".")[0],
        "l": machine,
        "n": alias,
        "p": str(port),
        "r": user,
        "u": getpass.getuser(),
    }


def expand(text: str, tokens: Mapping[str, str]) -> str:
    """Fill in ``%`` tokens.

    Raises:
        ConfigError: one that we do not know.
    """

    def fill(match: re.Match[str]) -> str:
        if match[1] not in tokens:
            raise ConfigError(f"the token %{match[1]} in {text!r} is not supported")
        return tokens[match[1]]

    return re.sub(r"%(.)", fill, text)


def _path(text: str, tokens: Mapping[str, str]) -> str:
    filled = re.sub(r"\$\{(\w+)\}", lambda m: os.environ.get(m[1], ""), expand(text, tokens))
    return os.path.expanduser(filled.strip('"'))


def _agent(value: str, tokens: Mapping[str, str]) -> str | None:
    if value.lower() == "none":
        return None
    if value == "SSH_AUTH_SOCK":
        return os.environ.get("SSH_AUTH_SOCK") or None
    if re.fullmatch(r"\$\w+", value):
        return os.environ.get(value[1:]) or None
    return _path(value, tokens)


def _files(values: Sequence[str]) -> tuple[str, ...]:
    """Paths of a known_hosts option. Ours, where ssh names the usual ones of the account's home.

    ``ssh -G`` prints several paths on one line without quotes: a word that begins no path goes on
    with the path before it, which has a space in it.
    """
    names: list[str] = []
    for word in " ".join(values).split(" "):
        if names and not word.startswith(("/", "~", "%", "$", ".")):
            names[-1] += f" {word}"
        else:
            names.append(word)
    names = [name for name in names if name]
    if [name.lower() for name in names] == ["none"]:
        return ()
    usual = f"{_account_home()}/.ssh/known_hosts"
    home = os.path.expanduser("~/.ssh/known_hosts")
    found = [home + n[len(usual) :] if n in (usual, usual + "2") else n for n in names]
    return tuple(os.path.expanduser(name) for name in found if name != "/dev/null")


def _without_ssh(host: str, user: str | None, port: int | None) -> HostConfig:
    """Read ssh_config by asyncssh. Blocks."""
    try:
        options = asyncssh.SSHClientConnectionOptions(
            host=host, port=port or (), username=user or (), client_keys=None, config=()
        )
    except (ValueError, OSError, asyncssh.Error) as error:
        raise ConfigError(str(error)) from error
    config = options.config

    def many(name: str) -> tuple[str, ...]:
        value = config.get(name, ())
        listed = [value] if isinstance(value, str) else value if isinstance(value, list) else []
        return tuple(os.path.expanduser(str(v)) for v in listed)

    agent = config.get("IdentityAgent", "SSH_AUTH_SOCK")
    proxy = config.get("ProxyCommand")
    jump = options.tunnel if isinstance(options.tunnel, str) else None
    usual = tuple(os.path.expanduser(name) for name in _DEFAULT_KEYS)
    return HostConfig(
        host=options.host,
        alias=host,
        port=options.port,
        user=options.username,
        identity_files=many("IdentityFile") or usual,
        named=bool(many("IdentityFile")),
        identities_only=bool(config.get("IdentitiesOnly", False)),
        certificate_files=many("CertificateFile"),
        agent=_agent(str(agent), {}),
        known_hosts=many("UserKnownHostsFile") or _files(["~/.ssh/known_hosts"]),
        jump=None if jump == "none" else jump,
        proxy_command=proxy if isinstance(proxy, str) and proxy.lower() != "none" else None,
        host_key_alias=options.host_key_alias,
    )
