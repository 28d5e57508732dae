"""What a server says of itself before any command runs: shown to people, so it may be anything."""

from __future__ import annotations

import asyncssh
import pytest
from remote_lab import Lab
from test_login import Person

from wizard.errors import AuthenticationFailed, ConnectionLost
from wizard.remote import line
from wizard.remote.faults import connect_error
from wizard.remote.text import clean

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


async def add(lab: Lab, key: str, kind: type[Hostile] = Hostile) -> None:
    (server,) = await lab.add()
    await server.stop()
    server._acceptor = await asyncssh.create_server(
        *(lambda: kind(key), server.address, server.port),
        server_host_keys=[server.host_key],
        encoding=None,
    )


@pytest.mark.parametrize("key", ["taken", "refused"])
async def test_its_words_act_on_no_terminal(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setattr(line, "_OPEN_TRIES", 1)
    await add(lab, key)
    expected = ConnectionLost if key == "taken" else AuthenticationFailed
    async with lab.fleet(asker=Person("a password")) as fleet:
        with pytest.raises(expected) as caught:
            await fleet.remotes[0].run("true")
    words = str(caught.value)
    assert "token" in words
    assert words.isprintable(), repr(words)
    assert len(words) < 600


@pytest.mark.parametrize(
    "error",
    [
        asyncssh.ChannelOpenError(2, "no\x1b[31m way\nat all"),
        asyncssh.DisconnectError(2, "go \x1b]0;x\x07away\r\n", ""),
        asyncssh.ProtocolError("\u202ebad"),
        OSError("odd\x9b31m"),
    ],
)
def test_the_other_sides_words_are_clean_in_what_is_said(error: Exception) -> None:
    for greeting in (None, b"SSH-2.0-\x1b[31m\r\n", b"hi\x1b[31m\r\n"):
        told = connect_error(
            error, "node 1", rank=1, port=22, user="root", timeout_s=1, greeting=greeting
        )
        assert clean(str(told)) == str(told)
        assert "\n" not in str(told)
