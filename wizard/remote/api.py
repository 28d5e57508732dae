"""What the rest of the engine asks of a node, whatever carries it there.

Only ``wizard.remote`` knows asyncssh; everything else speaks to these types, so that a test can
put a stand-in there.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from wizard.cluster import Node
from wizard.remote.keyledger import KeyLedger
from wizard.remote.shownkey import ShownKey

# What a command needs where the login is not root: "no" root; root where that costs no question
# ("try"); root, by a password asked for if need be ("must").
Root = Literal["no", "try", "must"]


@dataclass(frozen=True, slots=True)
class Completed:
    """A remote command that ended. Both streams are raw bytes, cut at the caller's limit."""

    command: str
    exit_status: int | None  # None: ended by a signal
    stdout: bytes
    stderr: bytes
    duration_s: float
    signal: str | None = None
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """One small command of a batch.

    Attributes:
        id: chosen by the caller; comes back with the answer.
        command: shell text; whatever the user gave was quoted by the caller with shlex.
        timeout_s: time limit, kept on the node itself (``timeout -k 1``).
        lane: jobs of one lane run one after the other (one NPU is never asked two things at
            once); different lanes run side by side up to the batch's width.
        root: whether it needs root; a batch with such a job runs as root as a whole. A job that
            must have it and cannot says "permission denied" on stderr, with the reason, status 126.
    """

    id: str
    command: str
    timeout_s: float = 10.0
    lane: str = ""
    root: Root = "no"


@dataclass(frozen=True, slots=True)
class JobResult:
    """Answer to one job. ``exit_status`` 124 (or 137) means that its time limit ended it."""

    id: str
    exit_status: int
    stdout: bytes
    stderr: bytes
    duration_s: float

    @property
    def timed_out(self) -> bool:
        """Whether the time limit ended the command (exit status of coreutils' ``timeout``)."""
        return self.exit_status in (124, 137)


class Desk(Protocol):
    """An open script on a node that runs each small command as soon as it is asked for."""

    async def ask(self, job: Job) -> JobResult:
        """Run a job now, beside those that run already (``lane`` is the caller's matter).

        Raises ConnectionLost when the connection broke before the answer came. Giving up the
        call leaves the job to its time limit; closing the desk ends all of them.
        """
        ...


class Remote(Protocol):
    """One node over its one shared connection, opened on first use and again after a drop.

    Every method raises a :class:`wizard.errors.RemoteError` that names the node: Unreachable,
    AuthenticationFailed, HostKeyError, ConnectionLost (the outcome is unknown), CommandTimeout.
    Cancelling a call ends the command on the node as well, its process group and nothing else.
    """

    @property
    def node(self) -> Node:
        """The node that this reaches."""
        ...

    async def connect(self) -> None:
        """Open the connection if it is not open."""
        ...

    async def answer(self, *, timeout_s: float) -> None:
        """Return once the node's SSH server has answered; nothing is started there.

        A connection that had broken is opened anew. Raises CommandTimeout when no answer came in
        time, however far it had got.
        """
        ...

    async def run(
        self,
        command: str,
        *,
        timeout_s: float = 30.0,
        stdin: bytes = b"",
        limit: int = 1 << 20,
        root: Root = "no",
    ) -> Completed:
        """Run shell text by bash; each stream is kept up to ``limit`` bytes, the rest dropped.

        Raises NotPermitted when it must be root and cannot.
        """
        ...

    def batch(self, jobs: Sequence[Job], *, width: int = 4) -> AsyncIterator[JobResult]:
        """Run many small commands as one framed script; answers come as they are ready.

        A job whose answer never came is not invented: after the last answer ConnectionLost is
        raised when any is missing.
        """
        ...

    def desk(self, *, root: Root = "no") -> AbstractAsyncContextManager[Desk]:
        """Open a desk: one channel for many small commands, whose order the caller decides.

        With ``root`` all of it runs as root where that can be had; where not, it is a plain one,
        on which jobs that must be root say so instead (see :class:`Job`).
        """
        ...

    def stream(self, command: str, *, root: Root = "no") -> AsyncGenerator[bytes, None]:
        """Run shell text without a time limit and yield its merged output in raw chunks.

        Ends when the command ends; raises ConnectionLost when the connection broke instead.
        """
        ...

    async def upload(self, directory: str, files: Mapping[str, bytes]) -> None:
        """Put files (name → content, 0600; ``*.sh`` 0700) into a fresh 0700 ``directory``.

        ``directory`` may begin with ``~/``. Raises RemoteError when it exists already with other
        content; the same content again is no error (a step whose connection broke is repeated).
        """
        ...

    def tunnel(self, host: str, port: int) -> AbstractAsyncContextManager[Path]:
        """Forward a Unix socket here, in a 0700 folder, to ``host:port`` as seen from the node."""
        ...


class Nodes(Protocol):
    """Nodes that can be asked, however they are kept."""

    @property
    def remotes(self) -> Sequence[Remote]:
        """One per node, in rank order."""
        ...


class Fleet(Nodes, Protocol):
    """All nodes of a preset, a connection each, opened in waves."""

    async def connect(self) -> dict[int, Exception]:
        """Open all connections side by side; return the errors by rank, empty when all are open."""
        ...

    def forgive(self) -> None:
        """Let what was refused (a login, sudo) be tried and asked for once more: the user's word.

        ``connect`` does so too; this one does not connect.
        """
        ...

    @property
    def host_keys(self) -> KeyLedger:
        """The host keys that keep nodes out of reach now."""
        ...

    @property
    def audit_problem(self) -> str:
        """Why the audit log cannot be written, or ""."""
        ...

    async def accept(self, keys: Sequence[ShownKey]) -> dict[int, Exception]:
        """Record host keys that a person accepted; connect to the nodes that they kept away."""
        ...

    async def close(self) -> None:
        """Close everything; idempotent."""
        ...
