"""ssh_config as OpenSSH reads it: resolved by ssh itself, and what becomes of the answer."""

from __future__ import annotations

import asyncio
import getpass
import os
import shutil
from pathlib import Path

import pytest
from openssh_lab import OpenSSHLab, Sshd, needs_sshd
from remote_lab import processes, wait_for

from wizard.errors import AuthenticationFailed, Unreachable
from wizard.remote.sshconfig import ConfigError, ConfigReader, HostConfig, parse

needs_ssh = pytest.mark.skipif(shutil.which("ssh") is None, reason="no ssh here")
ME = getpass.getuser()


def _config(text: str) -> Path:
    path = Path("~/.ssh/config").expanduser()
    path.write_text(text)
    path.chmod(0o600)
    return path


async def _read(host: str, user: str | None = None, port: int | None = None) -> HostConfig:
    reader = ConfigReader()
    try:
        return await reader.read(host, user, port)
    finally:
        await reader.close()


@needs_ssh
async def test_match_exec_include_and_tokens() -> None:
    folder = _config(
        "Include more\n"
        'Match host node* exec "test %n = node1"\n  Port 2201\n'
        "Host node*\n"
        "  HostName %h.lan\n  User ops\n  IdentityFile ~/keys/%r@%h-%p\n"
        "  CertificateFile %d/c-%n.pub\n  ProxyJump gate\n  HostKeyAlias rack-%h\n"
    ).parent
    (folder / "more").write_text("Host node1\n  IdentityAgent ~/agents/%r\n")
    one, two = await _read("node1"), await _read("node2", "me", 77)
    home = str(folder.parent)
    assert (one.host, one.port, one.user, one.jump) == ("node1.lan", 2201, "ops", "gate")
    assert one.identity_files == (f"{home}/keys/ops@node1.lan-2201",)
    assert one.certificate_files == (f"{home}/c-node1.pub",)
    assert one.named
    assert one.agent is not None
    assert one.agent.endswith("/agents/ops")
    assert (two.host, two.port, two.user, two.agent) == ("node2.lan", 77, "me", None)


@needs_ssh
async def test_paths_of_known_hosts_may_have_spaces() -> None:
    _config('Host a\n  UserKnownHostsFile "/my keys/known" /b "/c  d"\n')
    assert (await _read("a")).known_hosts == ("/my keys/known", "/b", "/c  d")


@needs_ssh
async def test_without_a_config_it_is_what_ssh_would_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    found = await _read("::1")
    home = str(Path("~").expanduser())
    assert (found.host, found.port, found.user, found.agent) == ("::1", 22, ME, "/run/agent")
    assert f"{home}/.ssh/id_ed25519" in found.identity_files
    assert not found.named
    assert found.known_hosts == (f"{home}/.ssh/known_hosts", f"{home}/.ssh/known_hosts2")
    assert (found.jump, found.proxy_command, found.host_key_alias) == (None, None, None)


@needs_ssh
async def test_what_is_wrong_in_it_is_said_in_sshs_own_words() -> None:
    _config("Host *\n  Nonsense yes\n")
    with pytest.raises(ConfigError, match=r"terminating, 1 bad configuration options"):
        await _read("node1")


@needs_ssh
async def test_a_match_exec_that_hangs_is_ended_with_who_asked() -> None:
    mark = f"4242.{os.getpid()}"
    _config(f'Match exec "sleep {mark}"\n  User x\n')
    reader = ConfigReader()
    task = asyncio.create_task(reader.read("node1"))
    await wait_for(lambda: bool(processes(mark)))
    task.cancel()
    await reader.close()
    await wait_for(lambda: not processes(mark))


@needs_ssh
async def test_a_host_is_asked_once() -> None:
    log = Path("~/asked").expanduser()
    _config(f'Match exec "echo x >> {log}"\n  User x\n')
    reader = ConfigReader()
    found = await asyncio.gather(*(reader.read("node1") for _ in range(5)))
    assert {f.user for f in found} == {"x"}
    assert log.read_text() == "x\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [("proxycommand nc %x %p", "token %x"), ("identityfile ~/%Z", "token %Z")],
)
def test_a_token_that_we_do_not_know_is_named(line: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse(line, "node1")


def test_none_switches_nothing_off() -> None:
    found = parse(
        "userknownhostsfile none\nproxyjump none\nidentityagent none\nidentityfile none\n", "a"
    )
    assert (found.known_hosts, found.jump, found.agent) == ((), None, None)
    assert (found.identity_files, found.named) == ((), False)


async def test_without_ssh_the_simple_things_still_work(monkeypatch: pytest.MonkeyPatch) -> None:
    _config("Host node1\n  HostName 10.0.0.1\n  Port 2222\n  User ops\n  IdentityFile ~/key\n")
    monkeypatch.setenv("PATH", "/nonexistent")
    found = await _read("node1")
    assert (found.host, found.port, found.user) == ("10.0.0.1", 2222, "ops")
    assert found.identity_files == (str(Path("~/key").expanduser()),)
    assert (await _read("node1", "me", 23)).port == 23


def _host(name: str, server: Sshd, lab: OpenSSHLab, *more: str) -> str:
    lines = (
        f"HostName {server.address}",
        f"Port {server.port}",
        f"User {ME}",
        f"IdentityFile {lab.keys / 'id'}",
        f"UserKnownHostsFile {lab.known_hosts}",
        *more,
    )
    return f"Host {name}\n" + "".join(f"  {line}\n" for line in lines)


def _alias(lab: OpenSSHLab, name: str) -> dict[str, object]:
    """A node of which a preset says nothing but its alias."""
    return {
        "host": name,
        "port": None,
        "user": None,
        "identity_file": None,
        "known_hosts": None,
    }


@needs_sshd
async def test_a_chain_of_jump_hosts_written_in_ssh_config(openssh: OpenSSHLab) -> None:
    outer, inner, node = await openssh.add(3)
    _config(
        _host("outer", outer, openssh)
        + _host("inner", inner, openssh, "ProxyJump outer")
        + _host("node", node, openssh, "ProxyJump inner")
    )
    async with openssh.fleet(openssh.node(2, **_alias(openssh, "node"))) as fleet:
        assert (await fleet.remotes[0].run('echo "$HOME"')).stdout.decode().strip() == str(
            node.home
        )
    assert [s.logins for s in openssh.servers] == [1, 1, 1]


@needs_sshd
async def test_a_proxy_command_leads_there_and_ends_with_the_connection(
    openssh: OpenSSHLab,
) -> None:
    (node,) = await openssh.add()
    relay = openssh.folder / "relay.py"
    relay.write_text(
        "import os, socket, sys, threading\n"
        "s = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
        "print('relay is chatty', file=sys.stderr)\n"
        "def up():\n"
        "    while data := os.read(0, 65536): s.sendall(data)\n"
        "threading.Thread(target=up, daemon=True).start()\n"
        "while data := s.recv(65536): os.write(1, data)\n"
    )
    _config(_host("node", node, openssh, f"ProxyCommand python3 {relay} %h %p"))
    async with openssh.fleet(openssh.node(0, **_alias(openssh, "node"))) as fleet:
        assert (await fleet.remotes[0].run("echo in")).stdout == b"in\n"
        assert len(processes(str(relay))) == 1
        node.cut()
        await wait_for(lambda: not processes(str(relay)))
        assert (await fleet.remotes[0].run("echo again")).stdout == b"again\n"
    await wait_for(lambda: not processes(str(relay)))


@needs_sshd
async def test_a_proxy_command_that_fails_is_told_with_its_words(openssh: OpenSSHLab) -> None:
    (node,) = await openssh.add()
    _config(_host("node", node, openssh, "ProxyCommand sh -c 'echo no such gate >&2; exit 1'"))
    async with openssh.fleet(openssh.node(0, **_alias(openssh, "node"))) as fleet:
        with pytest.raises(Unreachable, match=r"node 0 .*ProxyCommand.*no such gate"):
            await fleet.remotes[0].connect()


@needs_sshd
async def test_what_the_preset_says_wins(openssh: OpenSSHLab) -> None:
    gate, node = await openssh.add(2)
    _config(
        f"Host {node.address}\n  Port 1\n  User nobody\n  ProxyCommand false\n"
        "  IdentityFile ~/nothing\n  UserKnownHostsFile none\n" + _host(gate.address, gate, openssh)
    )
    async with openssh.fleet(openssh.node(1, jump=gate.address)) as fleet:
        assert await fleet.connect() == {}
    assert [gate.logins, node.logins] == [1, 1]


@needs_sshd
async def test_a_config_that_was_mended_counts_at_the_next_retry(openssh: OpenSSHLab) -> None:
    (node,) = await openssh.add()
    _config("Host node\n  Nonsense yes\n")
    async with openssh.fleet(openssh.node(0, **_alias(openssh, "node"))) as fleet:
        for _ in range(2):
            with pytest.raises(Unreachable, match=r"ssh_config for node 0 .*bad configuration"):
                await fleet.remotes[0].connect()
        _config(_host("node", node, openssh, "User nobody-here").replace(f"  User {ME}\n", ""))
        with pytest.raises(AuthenticationFailed, match="user nobody-here"):
            await fleet.remotes[0].connect()
        _config(_host("node", node, openssh))
        await fleet.remotes[0].connect()
