"""What a server says of itself before any command runs: shown to people, so it may be anything."""

from __future__ import annotations

import asyncssh
import pytest
from remote_lab import Lab
from test_login import Person

from wizard.errors import AuthenticationFailed, ConnectionLost
from wizard.remote import line

HOSTILE = "\x1b]0;owned\x07\x1b[2Jtoken\u202e\r\nCode: "


class Hostile(asyncssh.SSHServer):
    """Asks two things at the login, and opens no session."""

    def __init__(self, key: str) -> None:
        self._key = key

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return self._key == "taken"

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return True

    def kbdint_auth_supported(self) -> bool:
        return True

    def get_kbdint_challenge(
        self, username: str, lang: str, submethods: str
    ) -> tuple[str, str, str, list[tuple[str, bool]]]:
        return HOSTILE, HOSTILE, "", [(HOSTILE, False), (HOSTILE * 100, True)]

    def session_requested(self) -> bool:
        raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, HOSTILE)


async def _add(lab: Lab, key: str) -> None:
    (server,) = await lab.add()
    await server.stop()
    server._acceptor = await asyncssh.create_server(
        lambda: Hostile(key), server.address, server.port, server_host_keys=[server.host_key]
    )


@pytest.mark.parametrize("key", ["taken", "refused"])
async def test_its_words_act_on_no_terminal(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setattr(line, "_OPEN_TRIES", 1)
    await _add(lab, key)
    expected = ConnectionLost if key == "taken" else AuthenticationFailed
    async with lab.fleet(asker=Person("a password")) as fleet:
        with pytest.raises(expected) as caught:
            await fleet.remotes[0].run("true")
    words = str(caught.value)
    assert "token" in words
    assert words.isprintable(), repr(words)
    assert len(words) < 600
