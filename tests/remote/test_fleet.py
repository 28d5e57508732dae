"""Opening the nodes of a cluster: all at once, refused, silent, wrong key, through a jump host."""

from __future__ import annotations

import asyncio
import shutil
from asyncio.subprocess import DEVNULL
from pathlib import Path

import asyncssh
import pytest
from remote_lab import Lab, wait_for

from wizard.errors import AuthenticationFailed, ConnectionLost, HostKeyError, Unreachable
from wizard.remote.dial import Limits
from wizard.remote.fleet import SSHFleet

IMPATIENT = Limits(connect_s=0.5, keepalive_s=1.0, keepalive_count=2)


async def test_all_nodes_are_opened_and_one_that_is_down_is_named(lab: Lab) -> None:
    servers = await lab.add(3)
    await servers[1].stop()
    async with lab.fleet() as fleet:
        errors = await fleet.connect()
        assert list(errors) == [1]
        assert isinstance(errors[1], Unreachable)
        assert "node 1 (127.77.0.2) cannot be reached" in str(errors[1])
        assert "was refused" in str(errors[1])
        assert [r.connected for r in fleet.remotes] == [True, False, True]
        await servers[1].start()
        assert await fleet.connect() == {}
        await fleet.close()
        assert not any(r.connected for r in fleet.remotes)
    assert [len(s.logins) for s in servers] == [1, 1, 1], "what is open is not opened again"


async def _listen(lab: Lab, greeting: bytes) -> tuple[asyncio.Server, int]:
    writers: list[asyncio.StreamWriter] = []

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)  # kept open: a listener that says no more
        writer.write(greeting)

    server = await asyncio.start_server(greet, "127.77.1.1", 0)
    return server, server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("greeting", "said"),
    [(b"", "nothing answered within 0.5 s"), (b"SSH-1.5-old\r\n", "too old for us")],
)
async def test_a_port_that_is_no_ssh_server_is_told_in_time(
    lab: Lab, greeting: bytes, said: str
) -> None:
    await lab.add()
    listener, port = await _listen(lab, greeting)
    node = lab.node(0, host="127.77.1.1", port=port)
    async with listener, lab.fleet(node, limits=IMPATIENT) as fleet:
        with pytest.raises(Unreachable, match=said):
            await asyncio.wait_for(fleet.remotes[0].connect(), 5)


async def test_a_wrong_key_is_refused_and_not_tried_again_by_itself(lab: Lab) -> None:
    (server,) = await lab.add()
    other = lab.folder / "other"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(other))
    async with lab.fleet(lab.node(0, identity_file=str(other))) as fleet:
        remote = fleet.remotes[0]
        for _ in range(3):
            with pytest.raises(AuthenticationFailed, match=r"127\.77\.0\.1.*refused.*user root"):
                await remote.run("true")
        assert len(server.logins) == 1, "servers lock out those who try again"
        with pytest.raises(AuthenticationFailed):
            await remote.connect()
        assert len(server.logins) == 2, "connect is the user's own retry"
    assert server.commands == []


@pytest.mark.parametrize("content", [None, "no key at all"])
async def test_an_identity_file_that_is_none_is_named(lab: Lab, content: str | None) -> None:
    (server,) = await lab.add()
    path = lab.folder / "missing-key"
    if content is not None:
        path.write_text(content)
    async with lab.fleet(lab.node(0, identity_file=str(path))) as fleet:
        with pytest.raises(AuthenticationFailed, match="missing-key of node 0"):
            await fleet.remotes[0].connect()
    assert server.logins == []


def _locked(lab: Lab) -> str:
    """The accepted key, with a passphrase."""
    path = lab.folder / "locked"
    key = asyncssh.read_private_key(str(lab.keys / "id"))
    key.write_private_key(str(path), "pkcs8-pem", passphrase="secret")
    return str(path)


async def test_a_key_with_a_passphrase_and_no_agent_is_told(lab: Lab) -> None:
    (server,) = await lab.add()
    async with lab.fleet(lab.node(0, identity_file=_locked(lab))) as fleet:
        with pytest.raises(AuthenticationFailed, match=r"node 0.*passphrase of .*locked.*agent"):
            await fleet.remotes[0].connect()
    assert server.logins == []


@pytest.mark.skipif(shutil.which("ssh-agent") is None, reason="no ssh-agent here")
async def test_a_key_with_a_passphrase_is_taken_from_the_agent(
    lab: Lab, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lab.add()
    socket = tmp_path_factory.mktemp("agent") / "s"
    agent = await asyncio.create_subprocess_exec("ssh-agent", "-D", "-a", socket, stdout=DEVNULL)
    try:
        await wait_for(socket.exists)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        add = ("ssh-add", "-q", lab.keys / "id")
        async with asyncio.timeout(20):  # the socket is there before anybody listens on it
            while await (await asyncio.create_subprocess_exec(*add, stderr=DEVNULL)).wait():
                await asyncio.sleep(0.05)
        async with lab.fleet(lab.node(0, identity_file=_locked(lab))) as fleet:
            assert (await fleet.remotes[0].run("echo in")).stdout == b"in\n"
    finally:
        agent.terminate()
        await agent.wait()


async def test_nodes_behind_a_jump_host_share_one_connection_to_it(lab: Lab) -> None:
    bastion, *servers = await lab.add(3)
    jump = f"root@{bastion.address}:{bastion.port}"
    async with lab.fleet(*(lab.node(n, jump=jump) for n in (1, 2))) as fleet:
        assert await fleet.connect() == {}
        for remote, server in zip(fleet.remotes, servers, strict=True):
            done = await remote.run("pwd")
            assert done.stdout.decode().strip() == str(server.home)
    assert [len(s.logins) for s in (bastion, *servers)] == [1, 1, 1]
    assert bastion.commands == []


async def test_a_jump_hosts_key_is_verified_too(lab: Lab) -> None:
    bastion, server = await lab.add(2)
    lab.known_hosts.write_text(server.known_hosts_line())
    jump = f"root@{bastion.address}:{bastion.port}"
    async with lab.fleet(lab.node(1, jump=jump)) as fleet:
        with pytest.raises(HostKeyError, match=r"node 1 .*jump host 127\.77\.0\.1 is unknown"):
            await fleet.remotes[0].connect()
    assert bastion.logins == server.logins == []


async def test_jump_hosts_of_ssh_config_that_go_in_a_circle_end(lab: Lab) -> None:
    await lab.add(2)
    config = Path("~/.ssh/config").expanduser()
    config.write_text("Host a\n ProxyJump b\nHost b\n ProxyJump a\n")
    async with lab.fleet(lab.node(0, jump="a"), lab.node(1, jump="b")) as fleet:
        errors = await asyncio.wait_for(fleet.connect(), 10)
    assert list(errors) == [0, 1]
    assert all("go round in a circle" in str(e) for e in errors.values())


async def test_a_stream_has_no_time_limit_and_tells_its_end(one: SSHFleet) -> None:
    command = "echo out; echo err >&2; printf 'a\\377'; exit 3"
    assert b"".join([c async for c in one.remotes[0].stream(command)]) == b"out\nerr\na\xff"


async def test_a_stream_that_breaks_is_no_end(lab: Lab, one: SSHFleet) -> None:
    async def read() -> None:
        async for chunk in one.remotes[0].stream("echo up; sleep 600"):
            assert chunk == b"up\n"
            lab.servers[0].cut()

    with pytest.raises(ConnectionLost, match="broke while `echo up"):
        await read()
    await wait_for(lambda: not one.remotes[0].connected)
