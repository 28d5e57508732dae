"""Against Debian's own sshd: the ways in, and the limits that servers set."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest
from openssh_lab import OpenSSHLab
from remote_lab import wait_for

from wizard.errors import CommandTimeout, Unreachable
from wizard.remote import slots
from wizard.remote.dial import Dialer, Target
from wizard.remote.line import CHANNELS


async def test_a_node_is_reached_and_its_bashrc_is_no_part_of_the_answer(
    openssh: OpenSSHLab,
) -> None:
    await openssh.add(bashrc="echo noise; echo more >&2; sleep 0.3\n")
    async with openssh.fleet() as fleet:
        done = await fleet.remotes[0].run("echo in; echo err >&2; exit 3")
    assert (done.stdout, done.stderr, done.exit_status) == (b"in\n", b"err\n", 3)


async def test_nodes_behind_two_jump_hosts(openssh: OpenSSHLab) -> None:
    first, second, *_ = await openssh.add(4)
    jump = f"{first.spec},{second.spec}"
    async with openssh.fleet(*(openssh.node(n, jump=jump) for n in (2, 3))) as fleet:
        assert await fleet.connect() == {}
        done = await asyncio.gather(*(r.run('echo "$HOME"') for r in fleet.remotes))
    assert [d.stdout.decode().strip() for d in done] == [str(s.home) for s in openssh.servers[2:]]
    assert [s.logins for s in openssh.servers] == [1, 1, 1, 1], "one connection per jump host"


async def test_a_server_that_allows_two_sessions_is_asked_no_more_at_once(
    openssh: OpenSSHLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "_WAIT_S", 60.0)  # nothing here holds a session for long
    (server,) = await openssh.add(max_sessions=2)
    async with openssh.fleet() as fleet:
        done = await asyncio.gather(*(fleet.remotes[0].run(f"echo {n}") for n in range(12)))
        assert [d.stdout for d in done] == [f"{n}\n".encode() for n in range(12)]
        await wait_for(lambda: server.logged("no more sessions") >= 1)
        # sshd frees a session only after the client has seen its end, so that the next one can
        # come too early: that is no reason to go down to one
        for _ in range(3):
            assert fleet.remotes[0]._line._slots.limit == 2, "it was learnt"
            await asyncio.gather(*(fleet.remotes[0].run("true") for _ in range(6)))
        await wait_for(lambda: server.logged("Starting session") == 30)
    assert server.logins == 1


@pytest.mark.parametrize("sessions", [1, 2])
async def test_logs_that_take_all_sessions_hold_up_nothing(
    openssh: OpenSSHLab, monkeypatch: pytest.MonkeyPatch, sessions: int
) -> None:
    """They are followed for hours: the rest gets connections of its own."""
    monkeypatch.setattr(slots, "_WAIT_S", 0.1)
    (server,) = await openssh.add(max_sessions=sessions)
    async with openssh.fleet() as fleet:
        remote = fleet.remotes[0]
        logs = [remote.stream("echo first; sleep 300") for _ in range(sessions)]
        for log in logs:
            assert await anext(log) == b"first\n"
        for _ in range(3):
            done = await asyncio.gather(*(remote.run(f"echo {n}") for n in range(8)))
            assert [d.stdout for d in done] == [f"{n}\n".encode() for n in range(8)]
        assert 2 <= server.logins <= CHANNELS, "they are used again"
        for log in logs:
            await log.aclose()
    await wait_for(lambda: not server.sessions())


async def test_nodes_behind_a_bastion_that_lets_two_knock_at_once(openssh: OpenSSHLab) -> None:
    bastion, node = await openssh.add(2, max_startups="2:100:2")
    nodes = [openssh.node(1, rank=n, jump=bastion.spec) for n in range(16)]
    async with openssh.fleet(*nodes) as fleet:
        assert await fleet.connect() == {}
    assert [bastion.logins, node.logins] == [1, 16]


async def test_a_node_that_drops_and_is_away_for_a_moment_is_reached_again(
    openssh: OpenSSHLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = []
    dial = Dialer.dial

    async def counted(self: Dialer, target: Target) -> object:
        try:
            return await dial(self, target)
        except Unreachable as error:
            refused.append(error)
            raise

    monkeypatch.setattr(Dialer, "dial", counted)
    (server,) = await openssh.add()
    async with openssh.fleet() as fleet:
        remote = fleet.remotes[0]
        await remote.connect()
        await server.stop()
        await wait_for(lambda: not remote.connected)
        task = asyncio.create_task(remote.run("echo back"))
        await wait_for(lambda: bool(refused))
        await server.start()
        assert (await task).stdout == b"back\n"


async def test_a_node_that_stays_away_is_given_up(
    openssh: OpenSSHLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wizard.remote.line._PATIENCE_S", 0.5)
    (server,) = await openssh.add()
    async with openssh.fleet() as fleet:
        await fleet.remotes[0].connect()
        await server.stop()
        await wait_for(lambda: not fleet.remotes[0].connected)
        with pytest.raises(Unreachable, match="was refused"):
            await fleet.remotes[0].run("true")


async def test_whether_a_node_answers_is_asked_of_its_sshd_and_starts_nothing(
    openssh: OpenSSHLab,
) -> None:
    (server,) = await openssh.add()
    async with openssh.fleet() as fleet:
        remote = fleet.remotes[0]
        await remote.answer(timeout_s=30)
        frozen = server.sessions()
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        with pytest.raises(CommandTimeout, match=r"node 0 .* has not answered for 0\.3 s"):
            await remote.answer(timeout_s=0.3)
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
        await remote.answer(timeout_s=30)
        server.cut()
        await remote.answer(timeout_s=30)
        assert server.logins == 2, "a connection that broke is opened anew"
    assert server.logged("Starting session") == 0


async def test_a_connection_that_nobody_waited_for_is_the_one_that_is_used(
    openssh: OpenSSHLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    opens = asyncio.Event()
    dial = Dialer.dial

    async def slow(self: Dialer, target: Target) -> object:
        await opens.wait()
        return await dial(self, target)

    monkeypatch.setattr(Dialer, "dial", slow)
    (server,) = await openssh.add()
    async with openssh.fleet() as fleet:
        remote = fleet.remotes[0]
        for _ in range(2):
            with pytest.raises(CommandTimeout):
                await remote.answer(timeout_s=0.05)
        opens.set()
        await wait_for(lambda: remote.connected)
        assert (await remote.run("echo there")).stdout == b"there\n"
    assert server.logins == 1
