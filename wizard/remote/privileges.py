"""Root on a node where the login is another user: by sudo, found out once per connection.

The whole script of ours runs by sudo (:func:`wizard.remote.shell.sudo_entry`), so that its
watchdog and its time limits, being root's too, can end what root runs.
"""

from __future__ import annotations

import asyncio
import secrets as random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

from pydantic import SecretStr

from wizard.errors import NotPermitted
from wizard.remote import shell
from wizard.remote.api import Completed, Root
from wizard.remote.secrets import NoSecret, SecretKind, Secrets
from wizard.remote.text import clean

_Run = Callable[[str, SecretStr | None], Awaitable[Completed]]


class Access(Enum):
    """How root is had."""

    IS_ROOT = "the login is root"
    FREE = "sudo asks nothing"
    PASSWORD = "sudo asks for a password"
    NONE = "not at all"


@dataclass(frozen=True, slots=True)
class Entry:
    """How a script is started: the command, and what stands on stdin before the script."""

    command: str = shell.ENTRY
    feed: tuple[SecretStr, ...] = ()

    @property
    def by_sudo(self) -> bool:
        """Whether the script is root's though the login is another user."""
        return self.command != shell.ENTRY


PLAIN = Entry()

_TRY = "LC_ALL=C sudo {} -- bash --norc --noprofile -c :"
NO_SUDO = "there is no sudo"
PROBE = (
    f'echo "uid=$EUID"; type -P sudo >/dev/null || {{ echo "{NO_SUDO}"; exit 3; }}; '
    + _TRY.format("-n")
    + " 2>&1"
)
# echo: the end of the line, which the secret itself has not.
CHECK = "{ cat; echo; } | " + _TRY.format(
    "-k -S -p ''"
)  # -k: a password that sudo remembers would not be read


def read_probe(done: Completed) -> tuple[Access, str]:
    """Return how root is had, and sudo's words when it is not (pure)."""
    lines = clean(done.stdout).strip().splitlines()
    if lines and lines[0] == "uid=0":
        return Access.IS_ROOT, ""
    if done.exit_status == 0:
        return Access.FREE, ""
    said = " ".join(lines[1:])
    return (Access.PASSWORD if "password is required" in said else Access.NONE), said


class Privileges:
    """What one node's login may do.

    Args:
        label: the node's.
        run: runs a command as the login, with a stdin.
        user: tells whom we log in as.
    """

    def __init__(
        self,
        label: str,
        rank: int,
        *,
        run: _Run,
        user: Callable[[], Awaitable[str]],
        secrets: Secrets,
    ) -> None:
        self._label, self._rank = label, rank
        self._run, self._user, self._secrets = run, user, secrets
        self._lock = asyncio.Lock()
        self._access: Access | None = None
        self._said = ""
        self._refused: NotPermitted | None = None
        self._checked: SecretStr | None = None

    def forgive(self) -> None:
        """Find out anew what was refused: the user tries again."""
        if self._refused is not None or self._access is Access.NONE:
            self._access, self._refused = None, None

    async def entry(self, root: Root) -> Entry:
        """Return how to start a script that needs root as told.

        Raises:
            NotPermitted: root must be had, and cannot.
        """
        if root == "no":
            return PLAIN
        user = await self._user()
        if user == "root":
            return PLAIN
        async with self._lock:
            access = await self._probe()
            if access is Access.IS_ROOT:
                return PLAIN
            nonce = random.token_hex(8)
            if access is Access.FREE:
                return Entry(shell.sudo_entry(nonce, password=False))
            if access is Access.PASSWORD and root == "try" and self._checked is None:
                return PLAIN
            if access is Access.PASSWORD:
                feed = (await self._password(user), SecretStr(f"\n{nonce}\n"))
                return Entry(shell.sudo_entry(nonce, password=True), feed)
        if root == "try" or self._said == NO_SUDO:
            return PLAIN  # the command itself says best what it may not do
        raise self._no(f"the user {user} is not root, and sudo is of no help: {self._said}")

    async def _probe(self) -> Access:
        if self._access is None:
            self._access, self._said = read_probe(await self._run(PROBE, None))
        return self._access

    async def _password(self, user: str) -> SecretStr:
        """Return the password that sudo has accepted here."""
        if self._checked is not None:
            return self._checked
        if self._refused is not None:
            raise self._refused
        try:
            self._checked = await self._ask(user)
        except NoSecret as error:
            self._refused = self._no(str(error))
            raise self._refused from None
        except NotPermitted as error:
            self._refused = error
            raise
        return self._checked

    async def _ask(self, user: str) -> SecretStr:
        guess = self._secrets.proven(SecretKind.PASSWORD, user, self._label)
        async with self._secrets.trial(SecretKind.SUDO, user, self._label, guess) as trial:
            done = await self._run(CHECK, trial.value)
            said = clean(done.stderr).strip()
            wrong = "try again" in said or "incorrect password" in said
            if wrong:
                trial.refused = f"sudo on {self._label} refused it"
            else:
                trial.accepted = True  # as a password it is right, whatever it allows
        if wrong:
            raise self._no(f"sudo refused the password of the user {user}")
        if done.exit_status != 0:
            self._access, self._said = Access.NONE, " ".join(said.splitlines())
            raise self._no(f"the user {user} is not root, and sudo is of no help: {self._said}")
        return trial.value

    def _no(self, why: str) -> NotPermitted:
        return NotPermitted(
            f"{self._label} does not permit what needs root: {why.rstrip('.')}.",
            node=self._rank,
            hint="Log in as root, or let this user run bash by sudo.",
        )
