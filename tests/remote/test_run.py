"""Single commands on a node: output, status, limits, cancelling, lost connections."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import time

import pytest
from asyncssh import SSHClientChannel
from remote_lab import Lab, processes, wait_for

from wizard.errors import CommandTimeout, ConnectionLost
from wizard.remote import channel
from wizard.remote.fleet import SSHFleet


async def test_both_streams_and_the_status_come_back_as_they_are(one: SSHFleet) -> None:
    done = await one.remotes[0].run("printf 'a\\nb'; printf 'c\\377\\0d' >&2; exit 7")
    assert (done.exit_status, done.stdout, done.stderr) == (7, b"a\nb", b"c\xff\0d")
    assert (done.truncated, done.signal) == (False, None)


async def test_the_command_is_bash_and_needs_no_quoting_of_ours(one: SSHFleet) -> None:
    done = await one.remotes[0].run(
        "a=('x y' \"it's\"); [[ 1 == 1 ]] && printf '%s|' \"${a[@]}\"\n"
    )
    assert done.stdout == b"x y|it's|"


async def test_stdin_reaches_the_command_whole_and_ends(one: SSHFleet) -> None:
    data = secrets.token_bytes(300_000)
    done = await one.remotes[0].run("sha256sum", stdin=data)
    import hashlib

    assert done.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest()


async def test_without_stdin_the_command_sees_its_end_at_once(one: SSHFleet) -> None:
    assert (await one.remotes[0].run("cat; echo end", timeout_s=5)).stdout == b"end\n"


async def test_a_command_that_ignores_its_stdin_ends_too(one: SSHFleet) -> None:
    done = await one.remotes[0].run("echo x", stdin=b"y" * 5_000_000, timeout_s=5)
    assert (done.exit_status, done.stdout) == (0, b"x\n")


async def test_the_time_limit_is_kept_on_the_node(one: SSHFleet) -> None:
    marker = f"9{secrets.randbelow(10**9):09}"
    began = time.monotonic()
    with pytest.raises(CommandTimeout, match=r"node 0 \(127.77.0.1\) did not end within 0.3 s"):
        await one.remotes[0].run(f"sleep {marker} & sleep {marker}", timeout_s=0.3)
    assert time.monotonic() - began < 4
    await wait_for(lambda: not processes(marker))


async def test_an_exit_status_of_124_is_no_timeout(one: SSHFleet) -> None:
    assert (await one.remotes[0].run("exit 124", timeout_s=20)).exit_status == 124


@pytest.mark.parametrize("command", ["sleep {}", "sleep {} | cat", "trap '' TERM; sleep {}; :"])
async def test_cancelling_ends_the_command_on_the_node(one: SSHFleet, command: str) -> None:
    marker = f"9{secrets.randbelow(10**9):09}"
    task = asyncio.create_task(one.remotes[0].run(command.format(marker), timeout_s=60))
    await wait_for(lambda: bool(processes(f"sleep\0{marker}")))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await wait_for(lambda: not processes(marker))
    assert (await one.remotes[0].run("echo still here")).stdout == b"still here\n"


async def test_cancelling_ends_a_command_that_never_reads_its_stdin(one: SSHFleet) -> None:
    marker = f"9{secrets.randbelow(10**9):09}"
    run = one.remotes[0].run(f"sleep {marker}", stdin=b"y" * 5_000_000, timeout_s=600)
    task = asyncio.create_task(run)
    await wait_for(lambda: bool(processes(f"sleep\0{marker}")))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await wait_for(lambda: not processes(f"sleep\0{marker}"))


async def test_cancelled_while_it_is_opened_no_channel_stays(
    lab: Lab, one: SSHFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    await one.remotes[0].run("true")
    opened, asked, ask = (
        len(lab.servers[0].commands),
        asyncio.Event(),
        SSHClientChannel._make_request,
    )

    async def noted(self: SSHClientChannel[bytes], request: bytes, *words: bytes) -> bool | None:
        asked.set()
        return await ask(self, request, *words)

    monkeypatch.setattr(SSHClientChannel, "_make_request", noted)
    task = asyncio.create_task(one.remotes[0].run("true"))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await wait_for(lambda: len(lab.servers[0].commands) > opened)
    await wait_for(lambda: lab.servers[0].running == 0)


async def test_output_is_bounded_while_it_is_drained(one: SSHFleet) -> None:
    done = await one.remotes[0].run(
        "head -c 50000000 /dev/zero; head -c 100000 /dev/zero >&2; exit 3", limit=1000, timeout_s=30
    )
    assert (done.exit_status, done.truncated) == (3, True)
    assert (done.stdout, done.stderr) == (b"\0" * 1000, b"\0" * 1000)


async def test_a_connection_cut_in_the_middle_is_an_unknown_outcome(
    lab: Lab, one: SSHFleet
) -> None:
    marker = f"9{secrets.randbelow(10**9):09}"
    task = asyncio.create_task(one.remotes[0].run(f"sleep {marker}", timeout_s=60))
    await wait_for(lambda: bool(processes(f"sleep\0{marker}")))
    lab.servers[0].cut()
    with pytest.raises(ConnectionLost, match=r"node 0 \(127.77.0.1\) broke while `sleep"):
        await task
    await wait_for(lambda: not processes(marker))


async def test_it_reconnects_on_the_next_use_after_a_drop(lab: Lab, one: SSHFleet) -> None:
    await one.remotes[0].run("true")
    lab.servers[0].cut()
    await wait_for(lambda: not one.remotes[0].connected)
    assert (await one.remotes[0].run("echo back")).stdout == b"back\n"
    assert len(lab.servers[0].logins) == 2


async def test_a_noisy_login_shell_changes_nothing(lab: Lab, one: SSHFleet) -> None:
    (lab.servers[0].home / ".bashrc").write_text(
        "echo 'Welcome to node'; echo 'mail!' >&2; printf 'no newline'\n"
    )
    done = await one.remotes[0].run("echo out; echo err >&2")
    assert (done.stdout, done.stderr) == (b"out\n", b"err\n")


async def test_a_process_left_in_the_background_does_not_hold_up_the_answer(
    one: SSHFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "_LINGER_S", 0.2)
    marker = f"9{secrets.randbelow(10**9):09}"
    try:
        done = await one.remotes[0].run(f"sleep {marker} & echo $!", timeout_s=30)
        assert done.exit_status == 0
        assert done.duration_s < 10
        assert processes(f"sleep\0{marker}") == [int(done.stdout)], "it lives on, as by ssh"
    finally:
        for pid in processes(f"sleep\0{marker}"):
            os.kill(pid, signal.SIGKILL)


async def test_commands_beyond_the_channel_limit_wait_their_turn(lab: Lab, one: SSHFleet) -> None:
    answers = await asyncio.gather(*(one.remotes[0].run(f"sleep 0.1; echo {n}") for n in range(20)))
    assert [int(a.stdout) for a in answers] == list(range(20))
    assert lab.servers[0].most_running <= 5
    assert len(lab.servers[0].logins) == 1
