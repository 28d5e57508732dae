"""Opening a connection to a node, through jump hosts where there are any.

ssh_config is read by asyncssh; what it would get wrong is decided here (ssh.md): known_hosts is
always explicit, also for jump hops, which would not inherit it; there is one connection per jump
host, shared by all nodes behind it; authentication is tried once.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import cast

import asyncssh

from wizard.cluster import Node
from wizard.errors import AuthenticationFailed, RemoteError, UnknownHostKey, Unreachable
from wizard.remote import faults, hostkeys
from wizard.remote.credentials import offered, read_identity
from wizard.remote.keyledger import KeyLedger

# asyncssh's first choice, chacha20, sets up four ciphers per packet in Python; AES-GCM is one call
# of the library and half the CPU. The others stay, for servers that do not have it.
CIPHERS = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"
CONNECTS_AT_ONCE = 8  # sshd's MaxStartups drops some of more than ten; waves lose nothing


@dataclass(frozen=True, slots=True)
class Limits:
    """Time limits of connections, in seconds; tests make them short."""

    connect_s: float = 10.0
    keepalive_s: float = 3.0
    keepalive_count: int = 3


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect to: as in a preset; None leaves it to ssh_config."""

    host: str
    label: str
    rank: int | None = None
    port: int | None = None
    user: str | None = None
    identity_file: str | None = None
    jump: str | None = None
    known_hosts: str | None = None

    @classmethod
    def of(cls, node: Node) -> Target:
        """Return the target that a node of a preset is."""
        return cls(
            host=node.host,
            label=node.label,
            rank=node.rank,
            port=node.port,
            user=node.user,
            identity_file=node.identity_file,
            jump=node.jump,
            known_hosts=node.known_hosts,
        )


class Dialer:
    """Opens connections, at most eight at once, and keeps the ones to jump hosts.

    Attributes:
        host_keys: the keys that stand in the way, and whether new ones are taken unasked.
    """

    def __init__(self, limits: Limits = Limits(), host_keys: KeyLedger | None = None) -> None:
        self.limits = limits
        self.host_keys = host_keys or KeyLedger()
        self._gate = asyncio.Semaphore(CONNECTS_AT_ONCE)
        self._hops: dict[Target, asyncio.Task[asyncssh.SSHClientConnection]] = {}
        self._waits: dict[Target, Target] = {}  # who waits for which jump host now

    async def dial(self, target: Target) -> asyncssh.SSHClientConnection:
        """Open a connection.

        Raises:
            RemoteError: Unreachable, AuthenticationFailed or HostKeyError, naming the node.
        """
        try:
            return await self._dial(target)
        except UnknownHostKey as error:
            if not await self.host_keys.accepts(error):
                raise
        return await self._dial(target)

    async def _dial(self, target: Target) -> asyncssh.SSHClientConnection:
        options = await self._options(target)
        spec = target.jump or (options.tunnel if isinstance(options.tunnel, str) else None)
        via = await self._through(spec, target) if spec else None
        configured = options.config.get("UserKnownHostsFile", ())
        names = hostkeys.files(target.known_hosts, cast("list[str]", configured))
        witness = await asyncio.to_thread(
            hostkeys.witness_for,
            names,
            options.host,
            options.port,
            alias=options.host_key_alias or "",
            rank=target.rank,
        )
        try:
            async with self._gate, offered(options) as keys:
                if not keys:
                    raise AuthenticationFailed(
                        f"There is no SSH key that could be offered to {target.label}.",
                        node=target.rank,
                        hint="Name an identity_file; a key with a passphrase must be loaded into"
                        " ssh-agent.",
                    )
                return await self._connect(target, options, via, witness, keys)
        except asyncssh.HostKeyNotVerifiable as error:
            raise hostkeys.explain(target.label, target.rank, error.reason, witness) from error
        except (OSError, asyncssh.Error) as error:
            raise faults.connect_error(
                error,
                target.label,
                rank=target.rank,
                port=options.port,
                user=options.username,
                timeout_s=self.limits.connect_s,
            ) from error

    async def close(self) -> None:
        """Close the connections to jump hosts."""
        hops, self._hops = list(self._hops.values()), {}
        for task in hops:
            task.cancel()
        for done in await asyncio.gather(*hops, return_exceptions=True):
            if isinstance(done, asyncssh.SSHClientConnection):
                done.close()
                await done.wait_closed()

    async def _connect(
        self,
        target: Target,
        options: asyncssh.SSHClientConnectionOptions,
        via: asyncssh.SSHClientConnection | None,
        witness: hostkeys.HostKeyWitness,
        keys: list[asyncssh.SSHKeyPair],
    ) -> asyncssh.SSHClientConnection:
        try:
            return await self._connect_once(target, options, via, witness, keys)
        except asyncssh.HostKeyNotVerifiable:
            if not witness.without_certificates():
                raise
        return await self._connect_once(target, options, via, witness, keys)

    async def _connect_once(
        self,
        target: Target,
        options: asyncssh.SSHClientConnectionOptions,
        via: asyncssh.SSHClientConnection | None,
        witness: hostkeys.HostKeyWitness,
        keys: list[asyncssh.SSHKeyPair],
    ) -> asyncssh.SSHClientConnection:
        return await asyncssh.connect(
            target.host,
            target.port or (),
            username=target.user or (),
            tunnel=via or (),
            known_hosts=witness.trusted,
            server_host_key_algs=witness.judge.algorithms(),
            client_factory=lambda: witness,
            # an empty list would let asyncssh look for keys of its own again
            client_keys=keys or None,
            agent_path=None,
            encryption_algs=CIPHERS,
            preferred_auth=("publickey",),
            connect_timeout=self.limits.connect_s,
            login_timeout=self.limits.connect_s,
            keepalive_interval=self.limits.keepalive_s,
            keepalive_count_max=self.limits.keepalive_count,
        )

    async def _options(self, target: Target) -> asyncssh.SSHClientConnectionOptions:
        """Resolve ssh_config for a target, its keys loaded."""

        def resolve(keys: object) -> asyncssh.SSHClientConnectionOptions:
            return asyncssh.SSHClientConnectionOptions(
                host=target.host,
                port=target.port or (),
                username=target.user or (),
                client_keys=keys,
                config=(),
            )

        def load() -> asyncssh.SSHClientConnectionOptions:
            if target.identity_file is None:
                return resolve(())
            try:
                return resolve([read_identity(target.identity_file)])
            except (OSError, asyncssh.KeyImportError) as error:
                if "passphrase" in str(error).lower():  # asyncssh has no class of its own for it
                    return resolve(())  # the agent may hold it
                raise AuthenticationFailed(
                    f"The identity_file {target.identity_file} of {target.label} cannot be"
                    f" used: {error}.",
                    node=target.rank,
                    hint="Give the path of an SSH private key.",
                ) from error

        try:
            return await asyncio.to_thread(load)
        except (ValueError, OSError, asyncssh.Error) as error:
            raise Unreachable(
                f"ssh_config or the keys for {target.label} cannot be used: {error}.",
                node=target.rank,
                hint="Check ~/.ssh/config.",
            ) from error

    async def _through(self, spec: str, target: Target) -> asyncssh.SSHClientConnection:
        """Return the shared connection to the last jump host of ``a,user@b:port``."""
        first, _, last = spec.rpartition(",")
        user, _, rest = last.strip().rpartition("@")
        host, port = _host_port(rest, target)
        hop = Target(
            host=host,
            label=f"jump host {host}",
            port=port,
            user=user or None,
            identity_file=target.identity_file,
            jump=first or None,
            known_hosts=target.known_hosts,
        )
        if self._leads_back(hop, target):
            raise Unreachable(
                f"The jump hosts of {target.label} go round in a circle.",
                node=target.rank,
                hint="Check ProxyJump in ~/.ssh/config.",
            )
        self._waits[target] = hop
        try:
            return await self._hop(hop)
        except RemoteError as error:
            words = f"{target.label} cannot be reached: {error.message}"
            raise error.told_of(words, target.rank) from error
        finally:
            self._waits.pop(target, None)

    def _leads_back(self, hop: Target | None, target: Target) -> bool:
        """Whether the way through ``hop`` waits for ``target`` itself, and so would for ever."""
        while hop is not None and hop != target:
            hop = self._waits.get(hop)
        return hop is not None

    async def _hop(self, hop: Target) -> asyncssh.SSHClientConnection:
        task = self._hops.get(hop)
        if task is None or _useless(task):
            task = asyncio.create_task(self.dial(hop))
            self._hops[hop] = task
        return await asyncio.shield(task)


def _useless(task: asyncio.Task[asyncssh.SSHClientConnection]) -> bool:
    """Whether a jump host must be dialled again. A failed login never is by itself."""
    if not task.done():
        return False
    if task.cancelled():
        return True
    error = task.exception()
    if error is not None:
        return not isinstance(error, AuthenticationFailed)
    return task.result().is_closed()


def _host_port(text: str, target: Target) -> tuple[str, int | None]:
    """Split ``host``, ``host:port``, ``[v6]:port`` or a bare IPv6 address."""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.lstrip(":")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, ""
    if not host or (port and not (port.isdigit() and 0 < int(port) < 65536)):
        raise Unreachable(
            f"The jump host {text!r} of {target.label} is not of the form user@host:port.",
            node=target.rank,
        )
    return host, int(port) if port else None
