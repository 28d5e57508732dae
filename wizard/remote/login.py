"""Logging in: what a server asks beside keys, and what is said when it refuses."""

from __future__ import annotations

from collections.abc import Sequence

import asyncssh
from pydantic import SecretStr

from wizard.errors import AuthenticationFailed
from wizard.remote.hostkeys import HostKeyWitness
from wizard.remote.text import clean

_WORDS_LIMIT = 200  # characters of what a server asks
METHODS = ("publickey", "keyboard-interactive", "password")


class Login(asyncssh.SSHClient):
    """One attempt. Gives the password at most once, by whichever method the server asks first.

    Args:
        witness: judges the host's key; nothing is given before it is satisfied.
        password: what to give; None: nothing.

    Attributes:
        wants_password: the server would take one, and we had none to give.
        gave_password: it was given.
        began: the host's key has been seen, so that the login may have been tried.
        cut_off: the server ended it after too many attempts (MaxAuthTries).
        odd: the server asked for something else than a password, by these words.
    """

    def __init__(self, witness: HostKeyWitness, password: SecretStr | None) -> None:
        self.witness = witness
        self._password = password
        self.wants_password = False
        self.gave_password = False
        self.began = False
        self.cut_off = False
        self.odd = ""

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey
    ) -> bool:
        """Ask the witness."""
        self.began = True
        return self.witness.validate_host_public_key(host, addr, port, key)

    def validate_host_ca_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Ask the witness."""
        self.began = True
        return self.witness.validate_host_ca_key(host, addr, port, key)

    def public_key_auth_requested(self) -> None:
        """Offer no more keys than were given at the start."""

    def password_auth_requested(self) -> str | None:
        """Give the password, once."""
        if self.gave_password:
            return None
        if self._password is None:
            self.wants_password = True
            return None
        self.gave_password = True
        return self._password.get_secret_value()

    def kbdint_auth_requested(self) -> str | None:
        """Let the server ask, when there is something to answer."""
        if self._password is None:
            self.wants_password = True
            return None
        return None if self.gave_password else ""

    def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        """Answer one hidden question by the password; anything else is beyond us."""
        if not prompts:
            return []  # a message, to be acknowledged
        if len(prompts) == 1 and not prompts[0][1] and not self.gave_password:
            self.gave_password = True
            assert self._password is not None
            return [self._password.get_secret_value()]
        if not self.gave_password:
            words = clean(", ".join(prompt for prompt, _ in prompts))
            self.odd = " ".join(words.split())[:_WORDS_LIMIT]
        return None


def refused(
    who: str, rank: int | None, user: str, port: int, *, keys: int, login: Login, asked: bool
) -> AuthenticationFailed:
    """Say why a server let nobody in (the method ``refused`` of no secret: see the dialer).

    Args:
        who: the node, or the jump host, as a label.
        keys: how many keys were offered.
        asked: whether somebody can be asked for a password.
    """
    hint = f"Check that `ssh -p {port} {user}@…` works: user, identity_file, ssh-agent."
    if login.gave_password:
        return AuthenticationFailed(
            f"{who} refused the password of the user {user}.",
            node=rank,
            hint="Try again to type it anew; it is not sent twice by itself.",
        )
    if login.cut_off:
        return AuthenticationFailed(
            f"{who} ended the login of the user {user} after too many keys that it does not know"
            f" ({keys} were to be offered, and its MaxAuthTries is lower).",
            node=rank,
            hint="Name the right one as identity_file, or set IdentitiesOnly in ~/.ssh/config.",
        )
    said = "every key that was offered" if keys else "the login without a key"
    if login.odd:
        return AuthenticationFailed(
            f"{who} refused {said} for the user {user}, and asks for more than a password"
            f" ({login.odd}).",
            node=rank,
            hint="Log in by a key, or through a jump host that does.",
        )
    if login.wants_password and not asked:
        hint = (
            "It would take a password: run this in a terminal (without --no-input), or load a key"
            " that it knows into ssh-agent."
        )
    return AuthenticationFailed(f"{who} refused {said} for the user {user}.", node=rank, hint=hint)


def no_key(who: str, rank: int | None) -> AuthenticationFailed:
    """Say that there is nothing to log in with, and nobody to ask."""
    return AuthenticationFailed(
        f"There is no SSH key that could be offered to {who}.",
        node=rank,
        hint="Name an identity_file, or load a key into ssh-agent.",
    )


def locked(who: str, rank: int | None, why: str) -> AuthenticationFailed:
    """Say that a passphrase or password would be needed and is not there."""
    return AuthenticationFailed(
        f"{who} cannot be logged in to: {why}.",
        node=rank,
        hint="Type it when asked (in a terminal, without --no-input), or load the key into"
        " ssh-agent.",
    )
