"""Passphrases asked for on the terminal: unseen, on /dev/tty, and not at all when told so."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from openssh_lab import OpenSSHLab, needs_sshd
from terminal_lab import Typist, write_preset
from test_login import generate

pytestmark = [
    needs_sshd,
    pytest.mark.skipif(shutil.which("setsid") is None, reason="no setsid (util-linux) here"),
]
SECRET = "open-sesame-5531"


@pytest.fixture
async def preset(openssh: OpenSSHLab) -> str:
    key = generate(openssh.folder, "locked", passphrase=SECRET)
    await openssh.add(authorized=[key.with_name("locked.pub")])
    node = openssh.node(0, identity_file=str(key))
    return write_preset(openssh.folder / "p.yaml", node)


@asynccontextmanager
async def typing(*words: str) -> AsyncIterator[Typist]:
    typist = Typist(*words)
    try:
        yield typist
    finally:
        typist.close()


async def test_it_is_typed_unseen_and_again_when_wrong(preset: str) -> None:
    async with typing("check", preset, "--only", "ssh") as terminal:
        await terminal.wait(r"Passphrase of the SSH key .*locked[^$]*for node 0 \(127.78.0.1\): ")
        assert not terminal.echoes
        terminal.type("wrong\n")
        await terminal.wait(r"asked again: it does not open the key")
        terminal.type(f"{SECRET}\n")
        assert await terminal.ended() == 0, terminal.seen
        assert terminal.echoes
        assert SECRET not in terminal.seen
        assert "wrong" not in terminal.seen
        assert b"Verdict: PASS" in terminal.out


@pytest.mark.parametrize(("key", "status"), [("\x03", 130), ("\x04", 3)])
async def test_giving_up_leaves_the_terminal_as_it_was(preset: str, key: str, status: int) -> None:
    async with typing("status", preset) as terminal:
        await terminal.wait(r"for node 0 \(127.78.0.1\): ")
        terminal.type(key)
        assert await terminal.ended() == status, terminal.seen
        assert terminal.echoes


async def test_no_input_asks_nothing(preset: str) -> None:
    async with typing("check", preset, "--only", "ssh", "--no-input") as terminal:
        assert await terminal.ended() == 3, terminal.seen
        assert "Passphrase of" not in terminal.seen
        assert b"nobody can be asked" in terminal.out


async def test_without_a_terminal_nothing_is_asked(preset: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "wizard.cli", "check", preset, "--only", "ssh"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    async with asyncio.timeout(60):
        out, _ = await process.communicate()
    assert process.returncode == 3
    assert b"nobody can be asked" in out
