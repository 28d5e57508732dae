"""Fixtures of the remote room: labs of real SSH servers on loopback."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest
from openssh_lab import SSHD, OpenSSHLab
from remote_lab import Lab

from wizard.remote.fleet import SSHFleet


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the private key ``id`` that the servers accept."""
    folder = tmp_path_factory.mktemp("keys")
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(str(folder / "id"))
    key.write_public_key(str(folder / "id.pub"))
    (folder / "id").chmod(0o600)
    return folder


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads the user's own ssh_config, known_hosts or agent."""
    home = tmp_path / "user-home"
    (home / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("V32_WIZARD_HOME", str(home / "wizard"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


@pytest.fixture
async def lab(tmp_path: Path, keys: Path) -> AsyncIterator[Lab]:
    """An empty lab; ``add`` starts servers."""
    it = Lab(tmp_path, keys)
    yield it
    for server in it.servers:
        await server.stop()


@pytest.fixture
async def one(lab: Lab) -> AsyncIterator[SSHFleet]:
    """A fleet of one running server (``lab.servers[0]``)."""
    await lab.add()
    async with lab.fleet() as fleet:
        yield fleet


@pytest.fixture
async def openssh(tmp_path: Path, keys: Path) -> AsyncIterator[OpenSSHLab]:
    """An empty lab of real sshd; ``add`` starts servers."""
    if not os.path.exists(SSHD):
        pytest.skip(f"no {SSHD} here")
    it = OpenSSHLab(tmp_path, keys)
    try:
        yield it
    finally:
        await it.aclose()
