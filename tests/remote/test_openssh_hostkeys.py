"""Host keys of Debian's own sshd: what ssh itself would know, we know, and what it refuses too."""

from __future__ import annotations

import subprocess
from pathlib import Path

import asyncssh
import pytest
from openssh_lab import OpenSSHLab, Sshd

from wizard.errors import ChangedHostKey, HostKeyError, RevokedHostKey, UnknownHostKey
from wizard.remote.fleet import SSHFleet

pytestmark = pytest.mark.usefixtures("openssh")
OTHER = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()


def _name(server: Sshd) -> str:
    return f"[{server.address}]:{server.port}"


def _ssh_agrees(lab: OpenSSHLab, server: Sshd) -> bool:
    """Whether ssh itself logs in with this known_hosts, asking nobody."""
    options = {
        "UserKnownHostsFile": lab.known_hosts,
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "BatchMode": "yes",
        "IdentityAgent": "none",
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    target = ("-p", str(server.port), "-i", str(lab.keys / "id"), server.address, "true")
    done = subprocess.run(
        ["ssh", "-F", "/dev/null", *words, *target], check=False, capture_output=True, timeout=30
    )
    return done.returncode == 0


async def _error(fleet: SSHFleet) -> HostKeyError:
    errors = await fleet.connect()
    (error,) = errors.values()
    assert isinstance(error, HostKeyError), error
    return error


async def test_unknown_accepted_recorded_and_then_known_to_ssh_as_well(openssh: OpenSSHLab) -> None:
    (server,) = await openssh.add(record=False)
    async with openssh.fleet() as fleet:
        error = await _error(fleet)
        assert isinstance(error, UnknownHostKey)
        said = subprocess.run(
            ["ssh-keygen", "-lf", f"{server.host_keys[0]}.pub"],
            check=True,
            capture_output=True,
            text=True,
        )
        assert said.stdout.split()[1] in error.message
        assert not _ssh_agrees(openssh, server)
        assert await fleet.accept(fleet.host_keys.pending) == {}
        assert (await fleet.remotes[0].run("echo in")).stdout == b"in\n"
    assert openssh.known_hosts.read_text() == server.known_hosts_lines()
    assert _ssh_agrees(openssh, server)


async def test_changed_is_told_with_both_fingerprints(openssh: OpenSSHLab) -> None:
    (server,) = await openssh.add(record=False)
    openssh.known_hosts.write_text(f"# mine\n{_name(server)} {OTHER}\n")
    async with openssh.fleet() as fleet:
        error = await _error(fleet)
        (shown,) = fleet.host_keys.pending
        with pytest.raises(HostKeyError, match="cannot be accepted"):
            await fleet.accept([shown])
    assert isinstance(error, ChangedHostKey)
    assert shown.fingerprint in error.message
    (recorded,) = shown.recorded
    assert recorded.fingerprint == asyncssh.import_public_key(OTHER).get_fingerprint()
    assert (recorded.file, recorded.line) == (str(openssh.known_hosts), 2)
    assert OTHER in openssh.known_hosts.read_text()
    assert server.logins == 0


async def test_the_way_to_forget_a_changed_key_works(openssh: OpenSSHLab) -> None:
    (server,) = await openssh.add(record=False)
    openssh.known_hosts.write_text(f"{_name(server)} {OTHER}\n")
    async with openssh.fleet() as fleet:
        error = await _error(fleet)
        assert error.shown is not None
        subprocess.run(error.shown.forget_command, shell=True, check=True, capture_output=True)
        assert isinstance(await _error(fleet), UnknownHostKey)


async def test_revoked_is_refused_though_it_is_known(openssh: OpenSSHLab) -> None:
    (server,) = await openssh.add()
    with openssh.known_hosts.open("a") as file:
        file.write(f"@revoked * {server.public_keys()[0]}\n")
    async with openssh.fleet() as fleet:
        error = await _error(fleet)
    assert isinstance(error, RevokedHostKey)
    assert "line 2" in error.message
    assert not _ssh_agrees(openssh, server)


async def test_hashed_entries_are_found_and_new_ones_are_hashed_too(openssh: OpenSSHLab) -> None:
    one, two = await openssh.add(2)
    openssh.known_hosts.write_text(one.known_hosts_lines())
    hash_them = ["ssh-keygen", "-q", "-H", "-f", str(openssh.known_hosts)]
    subprocess.run(hash_them, check=True, capture_output=True)
    async with openssh.fleet() as fleet:
        assert list(await fleet.connect()) == [1]
        assert await fleet.accept(fleet.host_keys.pending) == {}
    lines = openssh.known_hosts.read_text().splitlines()
    assert [line[:3] for line in lines] == ["|1|", "|1|"]
    assert _ssh_agrees(openssh, one)
    assert _ssh_agrees(openssh, two)


async def test_a_server_with_several_keys_is_known_by_any_of_them(openssh: OpenSSHLab) -> None:
    kinds = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa")
    (server,) = await openssh.add(host_key_types=kinds, record=False)
    for key in server.public_keys():
        openssh.known_hosts.write_text(f"{_name(server)} {key}\n")
        async with openssh.fleet() as fleet:
            assert await fleet.connect() == {}, key.split()[0]


def _signed(folder: Path, server: Sshd, authority: Path, principal: str) -> str:
    """Sign a server's key; return its line of sshd_config."""
    key = server.host_keys[0]
    words = ["-s", authority, "-I", "it", "-h", "-n", principal, f"{key}.pub"]
    subprocess.run(["ssh-keygen", "-q", *map(str, words)], check=True, capture_output=True)
    return f"HostCertificate {key}-cert.pub\n"


async def test_a_certificate_of_a_trusted_authority_is_enough(openssh: OpenSSHLab) -> None:
    (server,) = await openssh.add(record=False)
    await server.stop()
    ours, foreign = (openssh.folder / name for name in ("ca", "foreign-ca"))
    for path in (ours, foreign):
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(str(path))
        key.write_public_key(f"{path}.pub")
        path.chmod(0o600)
    config = server.folder / "config"
    config.write_text(_signed(openssh.folder, server, ours, server.address) + config.read_text())
    await server.start()

    def trust(path: Path, marker: str = "@cert-authority") -> str:
        return f"{marker} {_name(server)} {path.with_suffix('.pub').read_text().strip()}\n"

    openssh.known_hosts.write_text(trust(ours))
    async with openssh.fleet() as fleet:
        assert await fleet.connect() == {}
    openssh.known_hosts.write_text(trust(ours) + trust(ours, "@revoked"))
    async with openssh.fleet() as fleet:
        assert isinstance(await _error(fleet), RevokedHostKey)
    # a certificate that is not trusted is as none: the plain key counts then, as for ssh
    openssh.known_hosts.write_text(trust(foreign))
    async with openssh.fleet() as fleet:
        assert isinstance(await _error(fleet), UnknownHostKey)
    openssh.known_hosts.write_text(trust(foreign) + server.known_hosts_lines())
    async with openssh.fleet() as fleet:
        assert await fleet.connect() == {}


async def test_keys_on_the_way_through_a_jump_host(openssh: OpenSSHLab) -> None:
    jump, *servers = await openssh.add(3, record=False)
    nodes = [openssh.node(n, jump=jump.spec, rank=n - 1) for n in (1, 2)]
    async with openssh.fleet(*nodes) as fleet:
        errors = await fleet.connect()
        assert [type(error) for error in errors.values()] == [UnknownHostKey] * 2
        (of_jump,) = fleet.host_keys.pending
        assert (of_jump.who, of_jump.nodes) == (f"jump host {jump.address}", (0, 1))
        # behind it wait the keys of the nodes, which nobody could see before
        assert list(await fleet.accept([of_jump])) == [0, 1]
        assert [key.nodes for key in fleet.host_keys.pending] == [(0,), (1,)]
        assert await fleet.accept(fleet.host_keys.pending) == {}
        assert jump.logins == 1
    await jump.stop()
    lines = [f"{_name(jump)} {OTHER}\n", *(s.known_hosts_lines() for s in servers)]
    openssh.known_hosts.write_text("".join(lines))
    await jump.start()
    async with openssh.fleet(*nodes) as fleet:
        errors = await fleet.connect()
        assert [type(error) for error in errors.values()] == [ChangedHostKey] * 2
        assert f"jump host {jump.address} has changed" in str(errors[0])
        openssh.known_hosts.write_text(
            jump.known_hosts_lines() + f"{_name(servers[0])} {OTHER}\n"
            f"@revoked * {servers[1].public_keys()[0]}\n"
        )
        errors = await fleet.connect()
        assert [type(errors[n]) for n in (0, 1)] == [ChangedHostKey, RevokedHostKey]


async def test_a_host_key_alias_of_ssh_config_is_the_name_that_counts(openssh: OpenSSHLab) -> None:
    (server,) = await openssh.add(record=False)
    Path("~/.ssh/config").expanduser().write_text("Host *\n HostKeyAlias box\n")
    async with openssh.fleet() as fleet:
        error = await _error(fleet)
        assert error.shown is not None
        assert error.shown.name == "box"
        assert await fleet.accept(fleet.host_keys.pending) == {}
    assert openssh.known_hosts.read_text() == f"box {server.public_keys()[0]}\n"
