"""What goes wrong between us and a node: one clear sentence, in time, and no other node is touched.

Against real sshd, and against what is none.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace

import asyncssh
import pytest
from openssh_lab import OpenSSHLab
from remote_lab import processes, wait_for

from wizard.errors import (
    AuthenticationFailed,
    CommandTimeout,
    ConnectionLost,
    RemoteError,
    Unreachable,
)
from wizard.remote import dial
from wizard.remote.api import Job
from wizard.remote.dial import Limits
from wizard.remote.faults import needs_greeting
from wizard.remote.fleet import SSHFleet
from wizard.remote.text import clean

IMPATIENT = Limits(connect_s=1, keepalive_s=1.0, keepalive_count=2)
WATCHFUL = Limits(connect_s=20.0, keepalive_s=1.0, keepalive_count=2)
IN_TIME = 40  # seconds that no test may take, also on a machine that does ten other things


@asynccontextmanager
async def _listener(greeting: bytes, *, answer: bytes = b"", close: bool) -> AsyncIterator[int]:
    """A port that is no SSH server; yields its number, on 127.77.1.1."""
    writers = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)  # else the collector would close it
        writer.write(greeting)
        if answer:
            await reader.readline()
            writer.write(answer)
        if close:
            with contextlib.suppress(OSError):
                await writer.drain()
                writer.close()

    server = await asyncio.start_server(serve, "127.77.1.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        for writer in writers:
            writer.transport.abort()


@contextmanager
def _black_hole() -> Iterator[int]:
    """A port on which every further connection is dropped without a word: its queue is full."""
    with socket.socket() as full, contextlib.ExitStack() as stack:
        full.bind(("127.77.1.1", 0))
        full.listen(0)
        for _ in range(3):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                one.connect(full.getsockname())
        yield full.getsockname()[1]


async def _beside_a_good_node(lab: OpenSSHLab, ways: Mapping[str, tuple[str, int]]) -> list[str]:
    """Connect to a good node and bad ones side by side; return what is said of each bad one.

    ``ways`` are the bad ones' addresses and ports, by names for people.
    """
    good = lab.node(0)
    bad = [
        replace(good, rank=rank, host=host, port=port)
        for rank, (host, port) in enumerate(ways.values(), 1)
    ]
    async with lab.fleet(good, *bad) as fleet:
        await fleet.remotes[0].connect()
        fleet._dialer.limits = IMPATIENT
        async with asyncio.timeout(IN_TIME):
            done, errors = await asyncio.gather(
                fleet.remotes[0].run("echo in"),
                asyncio.gather(*(r.connect() for r in fleet.remotes[1:]), return_exceptions=True),
            )
        assert done.stdout == b"in\n"
    texts = []
    for rank, (way, error) in enumerate(zip(ways, errors, strict=True), 1):
        assert isinstance(error, Unreachable), way
        assert error.node == rank
        assert error.retryable
        text = str(error)
        assert text.startswith(f"node {rank} (")
        assert "\n" not in text
        assert clean(text) == text
        texts.append(text)
    return texts


HTTP = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\r\n<html>\r\n"
# greeting, answer, whether it closes the connection, and what is said of it
NO_SSH = {
    "silent": (b"", b"", False, "takes the connection, but nothing answered within 1 s"),
    "banner": (
        *(b"SSH-2.0-x\r\n", b"", False),
        "SSH server answers on port {}, but the login did not end",
    ),
    "http": (b"", HTTP, True, "what answers on port {} is a web server"),
    "http-open": (b"", HTTP, False, "what answers on port {} is a web server"),
    "smtp": (
        *(b"220 mail\x1b[31m ESMTP\r\n", b"", False),
        "is no SSH server; it says: 220 mail ESMTP.",
    ),
    "penalty": (b"Not allowed at this time\r\n", b"", True, "PerSourcePenalties"),
    "binary": (
        *(b"J\0\0\0\n5.7.1\0\xff\xfe", b"", False),
        "what answers on port {} is no SSH server.",
    ),
    "old": (b"SSH-1.5-old\r\n", b"", False, "is too old for us (SSH-1.5-old)"),
    "closed": (b"", b"", True, "it closed the connection before the login"),
}


async def test_ports_that_are_no_ssh_server_are_named(
    openssh: OpenSSHLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dial, "_DROPPED_S", ())  # how often it tries again is another test's
    await openssh.add()
    async with AsyncExitStack() as stack:
        ways = {}
        for name, (greeting, answer, close, _) in NO_SSH.items():
            listener = _listener(greeting, answer=answer, close=close)
            ways[name] = ("127.77.1.1", await stack.enter_async_context(listener))
        texts = await _beside_a_good_node(openssh, ways)
    for (name, (_, port)), text in zip(ways.items(), texts, strict=True):
        assert NO_SSH[name][3].format(port) in text, name


async def test_refused_black_holed_and_without_a_route(openssh: OpenSSHLab) -> None:
    await openssh.add()
    with socket.socket() as unused, _black_hole() as hole:
        unused.bind(("127.77.1.1", 0))  # bound, and nobody listens
        port = unused.getsockname()[1]
        refused, black_holed, unroutable, unnamed = await _beside_a_good_node(
            openssh,
            {
                "refused": ("127.77.1.1", port),
                "black-holed": ("127.77.1.1", hole),
                # the kernel has no route for a connection to it, whatever the network is
                "unroutable": ("255.255.255.255", 22),
                "unnamed": ("no-such-host.invalid", 22),
            },
        )
    assert f"the connection to port {port} was refused" in refused
    assert f"no answer on port {hole} within 1 s" in black_holed
    assert "there is no route to it" in unroutable
    assert "its name cannot be resolved" in unnamed


async def test_hosts_that_never_answer_keep_no_other_waiting(
    openssh: OpenSSHLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dial, "PLACE_S", 0.2)
    await openssh.add()
    good = openssh.node(0)
    with _black_hole() as port:
        count = 2 * dial.CONNECTS_AT_ONCE
        bad = [replace(good, rank=rank, host="127.77.1.1", port=port) for rank in range(count)]
        patient = Limits(connect_s=600.0)
        async with openssh.fleet(*bad, replace(good, rank=count), limits=patient) as fleet:
            *silent, last = fleet.remotes
            connecting = asyncio.gather(*(remote.connect() for remote in silent))
            await wait_for(fleet._dialer._gate.locked)
            async with asyncio.timeout(IN_TIME):
                await last.connect()
            assert not connecting.done(), "the others still wait for an answer"
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting


async def test_a_node_that_comes_up_is_reached_by_trying_it_alone(openssh: OpenSSHLab) -> None:
    one, two = await openssh.add(2)
    await two.stop()
    async with openssh.fleet() as fleet:
        assert list(await fleet.connect()) == [1]
        await two.start()
        await fleet.remotes[1].connect()
        assert (await fleet.remotes[1].run("echo back")).stdout == b"back\n"
    assert (one.logins, two.logins) == (1, 1)


async def test_a_login_that_is_refused_is_told_and_can_be_mended(openssh: OpenSSHLab) -> None:
    one, two = await openssh.add(2)
    allowed = (two.folder / "authorized").read_text()
    (two.folder / "authorized").write_text("")
    async with openssh.fleet() as fleet:
        errors = await fleet.connect()
        assert list(errors) == [1]
        assert isinstance(errors[1], AuthenticationFailed)
        assert str(errors[1]).startswith(f"node 1 ({two.address})")
        (two.folder / "authorized").write_text(allowed)
        await fleet.remotes[1].connect()
        assert (await fleet.remotes[1].run("echo in")).stdout == b"in\n"
    assert one.logins == 1


def _marker() -> str:
    return f"9{secrets.randbelow(10**9):09}"


async def _running(marker: str) -> None:
    await wait_for(lambda: bool(processes(f"sleep\0{marker}")), 30)


async def _batch(fleet: SSHFleet, rank: int, marker: str) -> list[str]:
    jobs = [Job("first", "echo 1"), Job("second", f"sleep {marker}", timeout_s=60.0)]
    return [result.id async for result in fleet.remotes[rank].batch(jobs)]


@pytest.mark.parametrize("way", ["dies", "hangs"])
async def test_one_that_dies_or_hangs_in_the_middle_and_then_returns(
    openssh: OpenSSHLab, way: str
) -> None:
    bad, _ = await openssh.add(2)
    markers = [_marker() for _ in range(3)]
    async with openssh.fleet(limits=WATCHFUL) as fleet:
        await fleet.connect()
        other = asyncio.create_task(fleet.remotes[1].run(f"sleep {markers[2]}; echo whole"))
        await _running(markers[2])

        async def follow() -> None:
            async for _ in fleet.remotes[0].stream("echo up; sleep 600"):
                pass

        tasks = [
            asyncio.create_task(fleet.remotes[0].run(f"sleep {markers[0]}", timeout_s=300)),
            asyncio.create_task(_batch(fleet, 0, markers[1])),
            asyncio.create_task(follow()),
        ]
        for marker in markers[:2]:
            await _running(marker)
        pids = bad.sessions()
        if way == "dies":
            bad.cut()
        else:
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
        async with asyncio.timeout(IN_TIME):
            errors = await asyncio.gather(*tasks, return_exceptions=True)
        for error, what in zip(errors, ("`sleep", "1 of 2 commands", "`echo up;"), strict=True):
            assert isinstance(error, ConnectionLost), error
            assert f"node 0 ({bad.address}) broke while {what}" in str(error)
            assert error.node == 0
            assert error.retryable
        assert (await fleet.remotes[0].run("echo back")).stdout == b"back\n"
        assert not other.done(), "the other node knows nothing of it"
        for pid in processes(f"sleep\0{markers[2]}"):
            os.kill(pid, signal.SIGKILL)
        assert b"whole" in (await other).stdout
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _resident() -> int:
    """Bytes of memory in use now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class _Pulse:
    """Counts how often the event loop comes round, and how much memory there was at most."""

    def __init__(self) -> None:
        self.beats = 0
        self.before = self.most = _resident()

    async def _beat(self) -> None:
        while True:
            self.beats += 1
            self.most = max(self.most, _resident())
            await asyncio.sleep(0.01)

    async def __aenter__(self) -> _Pulse:
        self._task = asyncio.create_task(self._beat())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()


async def test_200_megabytes_cost_neither_memory_nor_the_loop(openssh: OpenSSHLab) -> None:
    await openssh.add()
    size = 200_000_000
    async with openssh.fleet() as fleet, _Pulse() as pulse, asyncio.timeout(IN_TIME):
        remote = fleet.remotes[0]
        done = await remote.run(f"head -c {size} /dev/zero; echo end >&2; exit 3", limit=1000)
        assert (done.exit_status, done.truncated, done.stderr) == (3, True, b"end\n")
        assert done.stdout == b"\0" * 1000
        text = f"yes text | head -c {size // 10}; exit 4"
        jobs = [Job("big", text, timeout_s=30), Job("small", "echo 1", lane="x")]
        results = {result.id: result async for result in remote.batch(jobs)}
        assert results["big"].exit_status == 4
        assert len(results["big"].stdout) < 1_000_000
        assert results["small"].stdout == b"1\n"
        got = b""
        async for chunk in remote.stream(f"head -c {size // 2} /dev/zero; echo; echo the end"):
            got = chunk
            await asyncio.sleep(0.2)  # a slow reader: what it cannot take in is dropped
        assert got.endswith(b"the end\n")
    assert pulse.most - pulse.before < 150_000_000
    assert pulse.beats > 20


async def test_endless_output_ends_at_the_time_limit(openssh: OpenSSHLab) -> None:
    await openssh.add()
    marker = _marker()
    async with openssh.fleet() as fleet, _Pulse() as pulse, asyncio.timeout(IN_TIME):
        with pytest.raises(CommandTimeout, match=r"on node 0 .* did not end within 1 s"):
            await fleet.remotes[0].run(f"yes {marker}", timeout_s=1, limit=1000)
        await wait_for(lambda: not processes(marker), 20)
        assert (await fleet.remotes[0].run("echo still here")).stdout == b"still here\n"
    assert pulse.most - pulse.before < 150_000_000
    assert pulse.beats > 20


BINARY = "printf '%b' '\\0377\\0376\\033[2J\\033]0;t\\007\\0342\\0200\\0256x\\r10%\\r\\0233m\\000z'"


async def test_binary_comes_as_it_is_and_is_clean_when_shown(openssh: OpenSSHLab) -> None:
    await openssh.add(bashrc="printf '\\033[31m\\377noise\\r'\n")
    raw = b"\xff\xfe\x1b[2J\x1b]0;t\x07\xe2\x80\xaex\r10%\r\x9bm\0z"
    async with openssh.fleet() as fleet:
        remote = fleet.remotes[0]
        done = await remote.run(f"{BINARY}; {BINARY} >&2; exit 5")
        assert (done.exit_status, done.stdout, done.stderr) == (5, raw, raw)
        results = [r async for r in remote.batch([Job("a", BINARY), Job("b", "echo fine")])]
        assert [r.stdout for r in results] == [raw, b"fine\n"]
        assert b"".join([chunk async for chunk in remote.stream(BINARY)]) == raw
        assert clean(raw) == "\ufffdmz"
    assert openssh.servers[0].logins == 1, "no byte of it broke the connection"


async def test_a_login_that_ends_by_itself_says_what_it_said(openssh: OpenSSHLab) -> None:
    await openssh.add(bashrc="printf '\\033]0;owned\\007This account is closed.\\n'; exit 1\n")
    async with openssh.fleet() as fleet:
        with pytest.raises(RemoteError) as caught:
            await fleet.remotes[0].run("echo never")
    text = str(caught.value)
    assert text.startswith("node 0 (127.78.0.1) could not start bash")
    assert "it said: This account is closed." in text
    assert clean(text) == text


def test_a_refused_login_or_port_is_not_asked_again() -> None:
    """A further connection would only make a server angrier, and tell nothing."""
    assert not needs_greeting(asyncssh.PermissionDenied("no"))
    assert not needs_greeting(ConnectionRefusedError())
    assert not needs_greeting(asyncssh.ChannelOpenError(2, "no"))
    assert needs_greeting(TimeoutError())
