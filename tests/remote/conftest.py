"""Fixtures of the remote room: labs of real SSH servers on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest
from remote_lab import Lab

from wizard.remote.fleet import SSHFleet


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the private key ``id`` that the servers accept."""
    folder = tmp_path_factory.mktemp("keys")
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(str(folder / "id"))
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
