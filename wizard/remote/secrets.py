"""Passphrases and passwords: asked for once, held in memory only, tried sparingly.

One answer serves all nodes that share it. An answer that nobody has accepted yet is tried on one
node at a time, and when that node refuses it the others never see it: servers and directories
lock out whoever sends a wrong password many times.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import SecretStr


class SecretKind(StrEnum):
    """What is asked for."""

    PASSPHRASE = "passphrase"
    PASSWORD = "password"
    SUDO = "sudo password"


@dataclass
class SecretRequest:
    """A question for the person at the terminal.

    Attributes:
        kind: what is asked for.
        subject: path of the key, or name of the user.
        nodes: labels of the nodes that need it now; more may come while it is asked.
        attempt: 1, then 2 after a refusal, and so on.
        refused: why the last answer was not taken, or "".
    """

    kind: SecretKind
    subject: str
    nodes: Sequence[str]
    attempt: int = 1
    refused: str = ""

    @property
    def title(self) -> str:
        """What to type, in a few words."""
        if self.kind is SecretKind.PASSPHRASE:
            return f"Passphrase of the SSH key {self.subject}"
        if self.kind is SecretKind.SUDO:
            return f"sudo password of the user {self.subject}"
        return f"Password of the user {self.subject}"

    @property
    def whom(self) -> str:
        """The nodes that it is for, in a few words."""
        names = sorted(set(self.nodes), key=lambda name: (len(name.partition(" (")[0]), name))
        if len(names) <= 3:
            return "for " + ", ".join(names)
        return f"for {', '.join(names[:2])} and {len(names) - 2} more nodes"


Asker = Callable[[SecretRequest], Awaitable[SecretStr | None]]  # None: not given


class NoSecret(Exception):
    """There is no answer that could be tried; says why, to stand behind a node's name."""


@dataclass(eq=False)
class Trial:
    """An answer being tried; say how it went, or nothing when that is not known."""

    value: SecretStr
    accepted: bool = False
    refused: str = ""


@dataclass(eq=False)
class _Held:
    """An answer, or the place for one."""

    value: SecretStr | None = None
    proven: bool = False
    attempts: int = 0
    refused: str = ""
    failures: int = 0
    why: str = ""  # of the last failure
    waiting: list[str] = field(default_factory=list)
    unfit: set[str] = field(default_factory=set)  # nodes that refuse what others accept
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def fail(self, why: str) -> NoSecret:
        self.value, self.proven, self.why = None, False, why
        self.failures += 1
        return NoSecret(why)


class Secrets:
    """The answers given so far.

    Args:
        asker: puts a question to a person; None: there is nobody to ask.
    """

    def __init__(self, asker: Asker | None = None) -> None:
        self._asker = asker
        self._held: dict[tuple[SecretKind, str, str], _Held] = {}
        self._asking = asyncio.Lock()

    @property
    def interactive(self) -> bool:
        """Whether somebody can be asked."""
        return self._asker is not None

    def proven(self, kind: SecretKind, subject: str, who: str) -> SecretStr | None:
        """Return an answer that some node has accepted and this one has not refused."""
        held = self._place(kind, subject, who)
        return held.value if held.proven else None

    def remember(self, kind: SecretKind, subject: str, value: SecretStr) -> None:
        """Keep an answer that has proven right without a trial on a node."""
        held = self._place(kind, subject, "")
        held.value, held.proven = value, True

    async def ask(
        self, kind: SecretKind, subject: str, nodes: Sequence[str], attempt: int, refused: str
    ) -> SecretStr:
        """Put one question, after those that stand before it.

        Raises:
            NoSecret: nobody is there to be asked, or no answer was given.
        """
        if self._asker is None:
            raise NoSecret(f"the {kind} of {subject} is needed, and nobody can be asked for it")
        async with self._asking:
            value = await self._asker(SecretRequest(kind, subject, nodes, attempt, refused))
        if value is None or not value.get_secret_value():
            raise NoSecret(f"no {kind} of {subject} was given")
        return value

    @asynccontextmanager
    async def trial(
        self, kind: SecretKind, subject: str, who: str, guess: SecretStr | None = None
    ) -> AsyncIterator[Trial]:
        """Give an answer to be tried on node ``who``, asking for it if need be.

        The body sets ``accepted`` or ``refused``.

        Args:
            guess: what to try first, in place of a question.

        Raises:
            NoSecret: there is none; also when the one that we waited for was refused.
        """
        held = self._place(kind, subject, who)
        seen = held.failures
        held.waiting.append(who)
        try:
            if not held.proven:
                async with held.turn:
                    if held.failures != seen:
                        raise NoSecret(held.why)
                    if not held.proven:
                        if held.value is None:
                            await self._fill(held, kind, subject, guess)
                        async with self._tried(held, who) as trial:
                            yield trial
                        return
            async with self._tried(held, who) as trial:
                yield trial
        finally:
            held.waiting.remove(who)

    @asynccontextmanager
    async def _tried(self, held: _Held, who: str) -> AsyncIterator[Trial]:
        assert held.value is not None
        trial = Trial(held.value)
        yield trial
        if trial.accepted:
            held.proven, held.refused = True, ""
        elif trial.refused:
            held.refused = trial.refused
            if held.proven:
                held.unfit.add(who)
            else:
                held.fail(trial.refused)

    def _place(self, kind: SecretKind, subject: str, who: str) -> _Held:
        held = self._held.setdefault((kind, subject, ""), _Held())
        if who in held.unfit:
            held = self._held.setdefault((kind, subject, who), _Held(refused=held.refused))
        return held

    async def _fill(
        self, held: _Held, kind: SecretKind, subject: str, guess: SecretStr | None
    ) -> None:
        if guess is not None and held.attempts == 0:
            held.value = guess
        else:
            try:
                held.value = await self.ask(
                    kind, subject, held.waiting, held.attempts + 1, held.refused
                )
            except NoSecret as error:
                raise held.fail(str(error)) from None
        held.attempts += 1
