"""Host keys: unknown, changed, revoked, and the ways in which checking could be switched off."""

from __future__ import annotations

from pathlib import Path

import asyncssh
import pytest
from remote_lab import Lab, SSHNode

from wizard.errors import HostKeyError

OTHER = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()


async def _refused(lab: Lab, *, known_hosts: str | None) -> HostKeyError:
    """The error at the first use; nothing may have reached the server."""
    async with lab.fleet(lab.node(0, known_hosts=known_hosts)) as fleet:
        with pytest.raises(HostKeyError) as caught:
            await fleet.remotes[0].run("echo secret")
    server = lab.servers[0]
    assert (server.logins, server.commands) == ([], [])
    assert caught.value.node == 0
    return caught.value


def _public(server: SSHNode) -> str:
    return server.host_key.export_public_key().decode().strip()


async def test_an_unknown_key_is_shown_with_what_to_do(lab: Lab) -> None:
    (server,) = await lab.add()
    lab.known_hosts.write_text(f"elsewhere {OTHER}\n")
    error = await _refused(lab, known_hosts=str(lab.known_hosts))
    assert "host key of node 0 (127.77.0.1) is unknown" in error.message
    assert server.host_key.get_fingerprint() in error.message
    assert f"ssh-keyscan -p {server.port} 127.77.0.1 >> {lab.known_hosts}" in error.hint


async def test_a_file_that_is_not_there_is_said(lab: Lab) -> None:
    await lab.add()
    error = await _refused(lab, known_hosts=str(lab.folder / "gone"))
    assert f"there is no file {lab.folder / 'gone'}" in error.message


async def test_a_changed_key_is_not_called_unknown(lab: Lab) -> None:
    (server,) = await lab.add()
    lab.known_hosts.write_text(f"[{server.address}]:{server.port} {OTHER}\n")
    error = await _refused(lab, known_hosts=str(lab.known_hosts))
    assert "has changed" in error.message
    assert server.host_key.get_fingerprint() in error.message
    assert f"ssh-keygen -R '[127.77.0.1]:{server.port}'" in error.hint


@pytest.mark.parametrize("where", ["[{0}]:{1}", "{0}"])
async def test_a_revoked_key_is_refused_on_every_port(lab: Lab, where: str) -> None:
    (server,) = await lab.add()
    name = where.format(server.address, server.port)
    lines = server.known_hosts_line() + f"@revoked {name} {_public(server)}\n"
    lab.known_hosts.write_text(lines)
    error = await _refused(lab, known_hosts=str(lab.known_hosts))
    assert "marked as revoked" in error.message


@pytest.mark.parametrize("value", ["none", "/dev/null"])
async def test_ssh_config_cannot_switch_checking_off(lab: Lab, value: str) -> None:
    await lab.add()
    config = Path("~/.ssh/config").expanduser()
    config.write_text(f"Host *\n UserKnownHostsFile {value}\n StrictHostKeyChecking no\n")
    assert "is unknown" in (await _refused(lab, known_hosts=None)).message


async def test_the_users_own_file_counts_when_the_preset_names_none(lab: Lab) -> None:
    (server,) = await lab.add()
    Path("~/.ssh/known_hosts").expanduser().write_text(server.known_hosts_line())
    async with lab.fleet(lab.node(0, known_hosts=None)) as fleet:
        assert (await fleet.remotes[0].run("echo in")).stdout == b"in\n"


async def test_a_line_that_is_no_entry_is_told(lab: Lab) -> None:
    await lab.add()
    lab.known_hosts.write_text("nonsense\n")
    error = await _refused(lab, known_hosts=str(lab.known_hosts))
    assert f"{lab.known_hosts} cannot be used" in error.message
