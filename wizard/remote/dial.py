"""Opening a connection to a node, through jump hosts where there are any.

What ssh_config says comes from OpenSSH itself (:mod:`wizard.remote.sshconfig`) and is passed on
explicitly, so that asyncssh reads nothing of its own (ssh.md). Keys come first, then a password if
the server takes one. Nothing secret is sent twice to the same node by itself.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import asyncssh
from pydantic import SecretStr

from wizard.errors import AuthenticationFailed, RemoteError, UnknownHostKey, Unreachable
from wizard.remote import faults, hostkeys, login
from wizard.remote.credentials import KeyFileError, KeyRing, Offer
from wizard.remote.greeting import greeting
from wizard.remote.jumps import Connection, JumpHosts
from wizard.remote.keyledger import KeyLedger
from wizard.remote.proxy import Proxy
from wizard.remote.secrets import NoSecret, SecretKind, Secrets
from wizard.remote.sshconfig import ConfigError, ConfigReader, HostConfig
from wizard.remote.target import Limits, Target

__all__ = ["Dialer", "Limits", "Target"]

# asyncssh's first choice, chacha20, sets up four ciphers per packet in Python; AES-GCM is one call
# of the library and half the CPU. The others stay, for servers that do not have it.
CIPHERS = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"
CONNECTS_AT_ONCE = 8  # sshd's MaxStartups drops some of more than ten; waves lose nothing
PLACE_S = 2.0  # of a wave; a host that answers no sooner must not keep the others waiting
_ROUNDS = 8  # of one login: each opens one more key, or adds the password
# Seconds before the next try when sshd hung up before the login: MaxStartups, nothing was tried.
_DROPPED_S = (0.1, 0.2, 0.4, 0.8, 1.6, 1.6)
_DROPPED = (asyncssh.ConnectionLost, ConnectionResetError, BrokenPipeError)


@dataclass(frozen=True, slots=True)
class _Way:
    """All that is known of a target before it is dialled."""

    target: Target
    config: HostConfig
    via: Connection | None

    @property
    def identity(self) -> str | None:
        """The key file that counts alone, if there is one."""
        spare = None if self.config.named else self.target.spare_identity
        return self.target.identity_file or spare

    @property
    def proxy_command(self) -> str | None:
        """The program that leads there; a jump host wins over it."""
        return None if self.via is not None else self.config.proxy_command

    @property
    def subject(self) -> str:
        """Whose password it takes: nodes share their users', a jump host has its own."""
        user = self.config.user
        return user if self.target.rank is not None else f"{user} at {self.config.host}"


@dataclass(slots=True)
class _Attempt:
    """How one login went; ``connection`` None: everything was refused."""

    connection: Connection | None
    login: login.Login
    offer: Offer


class Dialer:
    """Opens connections, at most eight at once, and keeps the ones to jump hosts.

    Attributes:
        host_keys: the keys that stand in the way, and whether new ones are taken unasked.
        secrets: passphrases and passwords, asked for when they are needed.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        host_keys: KeyLedger | None = None,
        secrets: Secrets | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.host_keys = host_keys or KeyLedger()
        self.secrets = secrets or Secrets()
        self._jumps = JumpHosts(self.dial)
        self._configs = ConfigReader()
        self._keys = KeyRing(self.secrets)
        self._gate = asyncio.Semaphore(CONNECTS_AT_ONCE)
        self._proxies: set[asyncio.Task[None]] = set()

    def forgive(self) -> None:
        """Let what failed be tried once more, from ssh_config on: the user asked for it."""
        self._configs.forget()
        self._jumps.forgive()

    async def user_of(self, target: Target) -> str:
        """Return whom we log in as.

        Raises:
            Unreachable: ssh_config cannot be read.
        """
        return (await self._config(target)).user

    async def dial(self, target: Target) -> Connection:
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

    async def close(self) -> None:
        """Close the connections to jump hosts, and end what helped to make connections."""
        await self._jumps.close()
        await self._keys.close()
        await self._configs.close()
        for task in self._proxies:
            task.cancel()
        await asyncio.gather(*self._proxies, return_exceptions=True)

    async def _config(self, target: Target) -> HostConfig:
        try:
            return await self._configs.read(target.host, target.user, target.port)
        except ConfigError as error:
            raise Unreachable(
                f"ssh_config for {target.label} cannot be used: {error}.",
                node=target.rank,
                hint="Check ~/.ssh/config.",
            ) from error

    async def _dial(self, target: Target) -> Connection:
        config = await self._config(target)
        # ssh has either; what the preset says wins over both
        spec = target.jump or config.jump
        via = await self._jumps.through(spec, target) if spec else None
        way = _Way(target, config, via)
        try:
            return await self._enter(way)
        except NoSecret as error:
            raise login.locked(target.label, target.rank, str(error)) from None
        except KeyFileError as error:
            raise AuthenticationFailed(
                f"The identity_file {way.identity} of {target.label} cannot be used: {error}.",
                node=target.rank,
                hint="Give the path of an SSH private key.",
            ) from error

    async def _enter(self, way: _Way) -> Connection:
        """Log in; ask for what is still needed, with no connection open, and try again."""
        target, opened = way.target, set[str]()
        asks = self.secrets.proven(SecretKind.PASSWORD, way.subject, target.label) is not None
        for _ in range(_ROUNDS):
            tried = await (self._with_password(way) if asks else self._attempt(way, None))
            if tried.connection is not None:
                return tried.connection
            locked = [p for p in (*tried.offer.wanted, *tried.offer.locked) if p not in opened]
            if locked:
                await self._keys.unlock(locked[0], target.label)
                opened.add(locked[0])
            elif tried.login.wants_password and self.secrets.interactive and not asks:
                asks = True
            else:
                break
        raise login.refused(
            target.label,
            target.rank,
            way.config.user,
            way.config.port,
            keys=len(tried.offer.keys),
            login=tried.login,
            asked=self.secrets.interactive,
        )

    async def _with_password(self, way: _Way) -> _Attempt:
        who = way.target.label
        async with self.secrets.trial(SecretKind.PASSWORD, way.subject, who) as trial:
            tried = await self._attempt(way, trial.value)
            if tried.login.gave_password:
                trial.accepted = tried.connection is not None
                trial.refused = "" if trial.accepted else f"{who} refused it"
        return tried

    async def _attempt(self, way: _Way, password: SecretStr | None) -> _Attempt:
        """Connect once; again when the server had no place for us. Refusals are no error here."""
        target, config = way.target, way.config
        known = hostkeys.files(
            target.known_hosts, config.known_hosts, config.global_known_hosts or ("none",)
        )
        if target.also_known:
            known = (*hostkeys.files(target.also_known, ()), *known)
        witness = await asyncio.to_thread(
            hostkeys.witness_for,
            known,
            config.host,
            config.port,
            alias=config.host_key_alias or "",
            rank=target.rank,
        )
        client = login.Login(witness, password)
        async with self._keys.offer(config, way.identity) as offer:
            if not (offer.keys or self.secrets.interactive):
                if offer.locked:
                    await self._keys.unlock(offer.locked[0], target.label)  # says what it needs
                raise login.no_key(target.label, target.rank)
            try:
                return _Attempt(await self._patiently(way, client, offer), client, offer)
            except asyncssh.PermissionDenied:
                return _Attempt(None, client, offer)
            except asyncssh.HostKeyNotVerifiable as error:
                raise hostkeys.explain(target.label, target.rank, error.reason, witness) from error
            except (OSError, asyncssh.Error) as error:
                if faults.cut_off(error):
                    client.cut_off = True
                    return _Attempt(None, client, offer)
                raise await self._told(way, error) from error

    async def _told(self, way: _Way, error: Exception) -> RemoteError:
        said = None
        if faults.needs_greeting(error) and way.via is None and not way.proxy_command:
            limit_s = min(1.0, self.limits.connect_s / 2)
            said = await greeting(way.config.host, way.config.port, limit_s)
        return faults.connect_error(
            error,
            way.target.label,
            rank=way.target.rank,
            port=way.config.port,
            user=way.config.user,
            timeout_s=self.limits.connect_s,
            greeting=said,
        )

    async def _patiently(self, way: _Way, client: login.Login, offer: Offer) -> Connection:
        for delay in _DROPPED_S:
            try:
                async with self._place():
                    return await self._connect(way, client, offer)
            except _DROPPED:
                if client.began:
                    raise  # it may have been refused
            await asyncio.sleep(delay * random.uniform(0.7, 1.3))  # noqa: S311 - not for secrets
        async with self._place():
            return await self._connect(way, client, offer)

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """Wait for a place among those that connect now, and keep it for two seconds at most."""
        await self._gate.acquire()
        held = True

        def give_back() -> None:
            nonlocal held
            if held:
                held = False
                self._gate.release()

        timer = asyncio.get_running_loop().call_later(PLACE_S, give_back)
        try:
            yield
        finally:
            timer.cancel()
            give_back()

    async def _connect(self, way: _Way, client: login.Login, offer: Offer) -> Connection:
        try:
            return await self._connect_once(way, client, offer)
        except asyncssh.HostKeyNotVerifiable:
            if not client.witness.without_certificates():
                raise
        return await self._connect_once(way, client, offer)

    async def _connect_once(self, way: _Way, client: login.Login, offer: Offer) -> Connection:
        if not way.proxy_command:
            return await self._open(way, client, offer, None)
        async with AsyncExitStack() as stack:
            proxy = await Proxy.start(way.proxy_command)
            stack.push_async_callback(proxy.stop)
            try:
                connection = await self._open(way, client, offer, proxy)
            except _DROPPED as error:
                said = await proxy.stop()
                raise Unreachable(
                    f"{way.target.label} cannot be reached: its ProxyCommand ended"
                    + (f", saying: {said}." if said else "."),
                    node=way.target.rank,
                    hint="Run that command of ~/.ssh/config by itself to see why.",
                    retryable=True,
                ) from error
            task = asyncio.create_task(proxy.end_with(connection))
            self._proxies.add(task)
            task.add_done_callback(self._proxies.discard)
            stack.pop_all()
        return connection

    async def _open(
        self, way: _Way, client: login.Login, offer: Offer, proxy: Proxy | None
    ) -> Connection:
        config = way.config
        return await asyncssh.connect(
            config.host,
            config.port,
            config=None,
            username=config.user,
            tunnel=way.via,
            sock=proxy.sock if proxy else None,
            host_key_alias=config.host_key_alias,
            known_hosts=client.witness.trusted,
            server_host_key_algs=client.witness.judge.algorithms(),
            client_factory=lambda: client,
            # an empty list would let asyncssh look for keys of its own
            client_keys=list(offer.keys) or None,
            agent_path=None,
            encryption_algs=CIPHERS,
            preferred_auth=login.METHODS,
            connect_timeout=self.limits.connect_s,
            login_timeout=self.limits.connect_s,
            keepalive_interval=self.limits.keepalive_s,
            keepalive_count_max=self.limits.keepalive_count,
        )
