"""Host keys: unknown, changed, revoked, and the ways in which checking could be switched off."""

from __future__ import annotations

from pathlib import Path

import asyncssh
import pytest
from remote_lab import Lab, SSHNode

from wizard.audittrail import Trail
from wizard.errors import ChangedHostKey, HostKeyError, RevokedHostKey, UnknownHostKey
from wizard.remote.audit import AuditLog
from wizard.remote.shownkey import ShownKey

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
    assert "Compare the fingerprint" in error.hint
    assert isinstance(error, UnknownHostKey)
    assert error.shown is not None
    assert error.shown.name == f"[127.77.0.1]:{server.port}"
    assert (error.shown.public_key, error.shown.nodes) == (_public(server), (0,))


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
    recorded = asyncssh.import_public_key(OTHER).get_fingerprint()
    assert f"recorded is ssh-ed25519 {recorded} ({lab.known_hosts}, line 1)" in error.message
    assert f"ssh-keygen -R '[127.77.0.1]:{server.port}' -f {lab.known_hosts}" in error.hint
    assert isinstance(error, ChangedHostKey)


@pytest.mark.parametrize("where", ["[{0}]:{1}", "{0}", "another-name"])
async def test_a_revoked_key_is_refused_on_every_port(lab: Lab, where: str) -> None:
    (server,) = await lab.add()
    name = where.format(server.address, server.port)
    lines = server.known_hosts_line() + f"@revoked {name} {_public(server)}\n"
    lab.known_hosts.write_text(lines)
    error = await _refused(lab, known_hosts=str(lab.known_hosts))
    assert f"revoked in {lab.known_hosts}, line 2" in error.message
    assert isinstance(error, RevokedHostKey)


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


async def test_a_line_that_is_no_entry_keeps_nobody_out_but_is_told(lab: Lab) -> None:
    (server,) = await lab.add()
    lab.known_hosts.write_text(f"[{server.address}]:{server.port} ssh-ed25519 AAAA*\n")
    error = await _refused(lab, known_hosts=str(lab.known_hosts))
    assert f"is unknown (line 1 of {lab.known_hosts} could not be read)" in error.message
    with lab.known_hosts.open("a") as file:
        file.write(server.known_hosts_line())
    async with lab.fleet() as fleet:
        assert await fleet.connect() == {}


async def test_a_file_that_cannot_be_read_is_told(lab: Lab) -> None:
    await lab.add()
    error = await _refused(lab, known_hosts="/proc/self/mem")  # not even by root
    assert "known_hosts file /proc/self/mem cannot be read: Input/output error" in error.message


async def test_unknown_keys_wait_for_somebody_and_only_their_nodes_are_connected(lab: Lab) -> None:
    servers = await lab.add(3)
    lab.known_hosts.write_text(servers[0].known_hosts_line())
    async with lab.fleet() as fleet:
        assert list(await fleet.connect()) == [1, 2]
        first, second = fleet.host_keys.pending
        assert [(k.nodes, k.public_key) for k in (first, second)] == [
            ((1,), _public(servers[1])),
            ((2,), _public(servers[2])),
        ]
        assert await fleet.accept([first]) == {}
        assert [r.connected for r in fleet.remotes] == [True, True, False]
        assert fleet.host_keys.pending == [second]
        fleet.host_keys.dismiss()
        assert fleet.host_keys.pending == []
        with pytest.raises(UnknownHostKey):
            await fleet.remotes[2].run("true")
        assert fleet.host_keys.pending == [], "refused for now"
        await fleet.connect()
        assert fleet.host_keys.pending == [second], "the user's own retry shows it again"
    assert [len(server.logins) for server in servers] == [1, 1, 0]
    assert lab.known_hosts.read_text() == "".join(s.known_hosts_line() for s in servers[:2])


async def test_a_key_accepted_elsewhere_is_no_longer_asked_about(lab: Lab) -> None:
    await lab.add()
    lab.known_hosts.write_text("")
    async with lab.fleet() as fleet:
        await fleet.connect()
        assert len(fleet.host_keys.pending) == 1
        lab.record_keys()
        assert await fleet.connect() == {}
        assert fleet.host_keys.pending == []


async def test_new_keys_are_taken_unasked_only_when_wanted_and_changed_ones_never(lab: Lab) -> None:
    jump, node, changed = await lab.add(3)
    lab.known_hosts.write_text(f"[{changed.address}]:{changed.port} {OTHER}\n")
    told: list[ShownKey] = []
    spec = f"root@{jump.address}:{jump.port}"
    nodes = [
        lab.node(rank, host=server.address, port=server.port, jump=jump_spec)
        for rank, server, jump_spec in ((0, node, spec), (1, changed, None))
    ]
    audit = AuditLog(lab.folder / "audit.jsonl")
    async with lab.fleet(*nodes, accept_new=told.append, audit=audit) as fleet:
        errors = await fleet.connect()
        assert list(errors) == [1]
        assert isinstance(errors[1], ChangedHostKey)
        assert [key.who for key in told] == ["jump host 127.77.0.1", "node 0 (127.77.0.2)"]
    noted = [record.command for record in Trail(audit.path).news() if record.kind == "host-key"]
    assert len(noted) == 2
    assert node.host_key.get_fingerprint() in noted[1]
    lines = lab.known_hosts.read_text().splitlines(keepends=True)
    assert lines[1:] == [jump.known_hosts_line(), node.known_hosts_line()]
