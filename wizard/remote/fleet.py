"""All nodes of a preset, a connection each, opened side by side in waves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType

from wizard.cluster import Cluster
from wizard.remote.audit import AuditLog
from wizard.remote.connection import SSHRemote
from wizard.remote.dial import Dialer, Limits
from wizard.remote.keyledger import KeyLedger
from wizard.remote.secrets import Asker, Secrets
from wizard.remote.shownkey import ShownKey

__all__ = ["SSHFleet", "open_fleet"]


class SSHFleet:
    """The nodes, reached by SSH (the ``Fleet`` of :mod:`wizard.remote.api`).

    Also an async context manager that closes everything at its end; it does not connect.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        audit: AuditLog | None = None,
        limits: Limits | None = None,
        accept_new: Callable[[ShownKey], None] | None = None,
        secrets: Secrets | None = None,
    ) -> None:
        self.cluster = cluster
        self.host_keys = KeyLedger(accept_new, self._note_key)
        self._audit = audit
        self._dialer = Dialer(limits, self.host_keys, secrets)
        self._remotes = tuple(SSHRemote(node, self._dialer, audit=audit) for node in cluster.nodes)

    @property
    def remotes(self) -> Sequence[SSHRemote]:
        """One per node, in rank order."""
        return self._remotes

    def forgive(self) -> None:
        """Let what was refused be tried once more, on next use."""
        for remote in self._remotes:
            remote.forgive()

    async def connect(self) -> dict[int, Exception]:
        """Open all connections side by side; return the errors by rank, empty when all are open."""
        return await self._connect(self._remotes)

    def _note_key(self, key: ShownKey) -> None:
        """Put an accepted host key into the audit log; a jump host's under the first node."""
        if self._audit is not None:
            rank = key.nodes[0] if key.nodes else self.cluster.nodes[0].rank
            node = next(node for node in self.cluster.nodes if node.rank == rank)
            words = f"host key of {key.who} recorded as {key.name} in {key.file}: {key.shown}"
            self._audit.record(node, words, duration_s=0.0, exit_status=0, kind="host-key")

    @property
    def audit_problem(self) -> str:
        """Why the audit log cannot be written, or ""."""
        return self._audit.problem if self._audit is not None else ""

    async def accept(self, keys: Sequence[ShownKey]) -> dict[int, Exception]:
        """Record host keys that a person accepted; connect to the nodes that they kept away.

        Returns:
            the errors of those nodes by rank; further keys may stand in the way of some.

        Raises:
            HostKeyError: a key could not be recorded.
        """
        ranks = await self.host_keys.record(keys)
        return await self._connect([r for r in self._remotes if r.node.rank in ranks])

    async def _connect(self, chosen: Iterable[SSHRemote]) -> dict[int, Exception]:
        remotes = list(chosen)
        results = await asyncio.gather(
            *(remote.connect() for remote in remotes), return_exceptions=True
        )
        errors: dict[int, Exception] = {}
        for remote, result in zip(remotes, results, strict=True):
            if isinstance(result, Exception):
                errors[remote.node.rank] = result
            elif isinstance(result, BaseException):
                raise result
        return errors

    async def close(self) -> None:
        """Close everything; idempotent."""
        await asyncio.gather(*(remote.close() for remote in self._remotes))
        await self._dialer.close()
        if self._audit is not None:
            self._audit.close()

    async def __aenter__(self) -> SSHFleet:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


def open_fleet(
    cluster: Cluster,
    *,
    audit: AuditLog | None = None,
    limits: Limits | None = None,
    accept_new: Callable[[ShownKey], None] | None = None,
    asker: Asker | None = None,
    secrets: Secrets | None = None,
) -> SSHFleet:
    """Return the nodes of a cluster, not connected yet: each is, on first use.

    Args:
        cluster: nodes in rank order.
        audit: where every remote command is noted; None: nowhere.
        limits: time limits other than the usual ones.
        accept_new: unknown host keys are recorded unasked, and this is told of each; None: they
            are refused, and wait in ``host_keys`` for somebody to accept them.
        asker: puts questions for passphrases and passwords to a person; None: nobody is there.
        secrets: answers that were given before, in place of ``asker``.
    """
    return SSHFleet(
        cluster,
        audit=audit,
        limits=limits,
        accept_new=accept_new,
        secrets=secrets or Secrets(asker),
    )
