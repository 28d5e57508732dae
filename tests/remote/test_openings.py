"""Sessions that end, or lose their connection, in the moment in which they are opened."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from remote_lab import Lab
from test_hostile_words import Hostile, add

from wizard.errors import RemoteError


class Hasty(Hostile):
    """Ends each session in the moment in which it begins, before a word of ours can come."""

    def session_requested(self) -> asyncssh.SSHServerSession[bytes]:  # type: ignore[override]
        return Over()


class Over(asyncssh.SSHServerSession[bytes]):
    """A login that is over at once."""

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan

    def exec_requested(self, command: str) -> bool:
        return True

    def session_started(self) -> None:
        self._channel.write_stderr(b"This account is closed.\n")
        self._channel.exit(1)


async def test_a_session_that_ends_before_we_write_is_no_broken_connection(lab: Lab) -> None:
    await add(lab, "taken", Hasty)
    async with lab.fleet() as fleet:
        for _ in range(10):  # our words and its end pass each other now and then
            with pytest.raises(RemoteError, match=r"could not start bash.*This account is closed"):
                await fleet.remotes[0].run("true")
            assert fleet.remotes[0].connected, "no reason to break it"


async def test_a_connection_that_breaks_under_an_opening_is_no_refusal_of_the_node(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken for one, it left one channel for good: a followed log then held up all the rest."""
    create, breaks = asyncssh.SSHClientConnection.create_session, asyncio.Event()

    async def breaking(self: asyncssh.SSHClientConnection, *args: Any, **more: Any) -> Any:
        if breaks.is_set():
            breaks.clear()
            self.abort()
        return await create(self, *args, **more)

    monkeypatch.setattr(asyncssh.SSHClientConnection, "create_session", breaking)
    (server,) = await lab.add()
    os.mkfifo(tmp_path / "fifo")
    async with lab.fleet() as fleet:
        remote = fleet.remotes[0]
        await remote.connect()
        breaks.set()
        done = await asyncio.gather(*(remote.run(f"echo {n}") for n in range(3)))
        assert [d.stdout for d in done] == [b"0\n", b"1\n", b"2\n"]
        meeting = (f"echo met > {tmp_path}/fifo", f"cat {tmp_path}/fifo")
        both = await asyncio.gather(*(remote.run(c, timeout_s=20) for c in meeting))
    assert both[1].stdout == b"met\n"
    assert len(server.logins) == 2
