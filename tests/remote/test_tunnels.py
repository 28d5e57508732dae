"""A way to a port of a node: one private Unix socket, gone afterwards."""

from __future__ import annotations

import asyncio
import os
import stat
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from remote_lab import Lab, wait_for

from wizard.errors import Unreachable
from wizard.remote import tunnels
from wizard.remote.fleet import SSHFleet


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    """The port of a server on 127.77.2.1 that says back what it hears, line by line."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line.upper())
        writer.close()

    async with await asyncio.start_server(answer, "127.77.2.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def _ask(path: str, line: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(line)
        writer.write_eof()
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


async def test_it_is_a_private_socket_and_gone_at_the_end(one: SSHFleet, echo: int) -> None:
    async with one.remotes[0].tunnel("127.77.2.1", echo) as path:
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert path.is_socket()
        answers = await asyncio.gather(*(_ask(str(path), b"a%d\n" % n) for n in range(10)))
        assert answers == [b"A%d\n" % n for n in range(10)]
    assert not path.parent.exists()


async def test_what_a_killed_wizard_left_is_removed_and_nothing_else(
    one: SSHFleet, echo: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "t"))
    monkeypatch.setattr(tunnels, "_SOCKET_LIMIT", 1000)  # the place is as it is
    killed, begun, others, young = (tmp_path / f"t/v32-wizard-{name}" for name in "abcd")
    for folder in (killed, begun, others, young):
        folder.mkdir()
    (killed / "socket").touch()
    (others / "notes").touch()
    (young / "socket").touch()
    async with one.remotes[0].tunnel("127.77.2.1", echo) as path:
        for folder in (killed, begun, others, path.parent):
            os.utime(folder, (1, 1))
        async with one.remotes[0].tunnel("127.77.2.1", echo) as second:
            assert path.is_socket()
            assert {*(tmp_path / "t").iterdir()} == {others, young, path.parent, second.parent}
    assert {*(tmp_path / "t").iterdir()} == {others, young}


async def test_cancelling_removes_it(one: SSHFleet, echo: int) -> None:
    paths = []

    async def hold() -> None:
        async with one.remotes[0].tunnel("127.77.2.1", echo) as path:
            paths.append(path)
            await asyncio.Event().wait()

    task = asyncio.create_task(hold())
    await wait_for(lambda: bool(paths))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not paths[0].parent.exists()


async def test_a_port_where_nobody_listens_closes_the_connection(one: SSHFleet) -> None:
    async with one.remotes[0].tunnel("127.77.2.2", 9) as path:
        assert await asyncio.wait_for(_ask(str(path), b"x\n"), 5) == b""


async def test_a_node_that_is_down_is_told_and_leaves_no_folder(lab: Lab, one: SSHFleet) -> None:
    await lab.servers[0].stop()
    with pytest.raises(Unreachable, match=r"node 0 \(127\.77\.0\.1\)"):
        async with one.remotes[0].tunnel("127.0.0.1", 1):
            pass
