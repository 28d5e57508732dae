"""Host keys without the screen: refused and listed at once, or recorded by the flag."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import asyncssh
import pytest
from remote_lab import Lab
from terminal_lab import write_preset

from wizard import commands
from wizard.cli import main

OTHER = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
FLAG = "--accept-new-host-keys"


Run = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
def run(lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command on a preset of all servers; its status, stdout and stderr.

    In a thread with a loop of its own, because a process costs seconds of imports; signals
    belong to the main thread, so those are left out.
    """
    monkeypatch.setattr(commands, "_guarded", lambda command, **_: command)

    async def run(command: str, *rest: str) -> tuple[int, str, str]:
        nodes = [lab.node(rank) for rank in range(len(lab.servers))]
        preset = write_preset(lab.folder / "lab.yaml", *nodes)
        status = await asyncio.to_thread(main, [command, preset, *rest])
        out, err = capsys.readouterr()
        return status, out, err

    return run


@pytest.mark.parametrize("words", [("check", "--only", "ssh"), ("logs",)])
async def test_all_unknown_keys_are_listed_and_none_is_recorded(
    lab: Lab, run: Run, words: tuple[str, ...]
) -> None:
    servers = await lab.add(2)
    lab.known_hosts.write_text("")
    status, _, err = await run(*words)
    assert status == 3
    for number, server in enumerate(servers):
        line = (
            f"  node {number} ({server.address}): ssh-ed25519 {server.host_key.get_fingerprint()}"
        )
        assert line in err.splitlines()
    assert f"then {FLAG} records them in {lab.known_hosts}." in err
    assert "Traceback" not in err
    assert lab.known_hosts.read_text() == ""
    assert [server.logins for server in servers] == [[], []]


async def test_the_flag_records_them_says_so_and_is_then_not_needed_any_more(
    lab: Lab, run: Run
) -> None:
    servers = await lab.add(2)
    lab.known_hosts.unlink()
    status, _, err = await run("check", "--only", "ssh", FLAG)
    assert status == 0, err
    for number, server in enumerate(servers):
        said = f"recorded the host key of node {number} ({server.address})"
        assert said in err
        assert server.host_key.get_fingerprint() in err
    recorded = sorted(lab.known_hosts.read_text().splitlines())
    assert recorded == sorted(server.known_hosts_line().strip() for server in servers)
    status, _, err = await run("check", "--only", "ssh")
    assert (status, err) == (0, "")


async def test_the_flag_never_takes_a_changed_key(lab: Lab, run: Run) -> None:
    first, second = await lab.add(2)
    text = f"[{first.address}]:{first.port} {OTHER}\n{second.known_hosts_line()}"
    lab.known_hosts.write_text(text)
    status, _, err = await run("check", "--only", "ssh", FLAG)
    assert status == 3
    assert "the host key of node 0 (127.77.0.1) is changed, and refused:" in err
    assert first.host_key.get_fingerprint() in err
    assert asyncssh.import_public_key(OTHER).get_fingerprint() in err
    assert f"ssh-keygen -R '[127.77.0.1]:{first.port}' -f {lab.known_hosts}" in err
    assert lab.known_hosts.read_text() == text
    assert first.logins == []
