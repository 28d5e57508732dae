"""Host keys without the screen: refused and listed at once, or recorded by the flag."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import asyncssh
import pytest
import yaml
from remote_lab import Lab

OTHER = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
FLAG = "--accept-new-host-keys"


async def _run(lab: Lab, *words: str) -> tuple[int, str, str]:
    """Run the program on a preset of all servers; return status, stdout and stderr."""
    keys = ("host", "port", "user", "identity_file", "known_hosts")
    nodes = [lab.node(rank) for rank in range(len(lab.servers))]
    preset = {
        "version": 1,
        "name": "lab",
        "series": "A3",
        "precision": "bf16",
        "nodes": [
            {key: getattr(node, key) for key in keys} | {"local_ip": f"10.9.9.{n}", "nic": "e0"}
            for n, node in enumerate(nodes, 1)
        ],
    }
    path = lab.folder / "lab.yaml"
    path.write_text(yaml.safe_dump(preset))
    command, *rest = words
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "wizard.cli", command, str(path), *rest),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("words", [("check", "--only", "ssh"), ("logs",)])
async def test_all_unknown_keys_are_listed_and_none_is_recorded(
    lab: Lab, words: tuple[str, ...]
) -> None:
    servers = await lab.add(2)
    lab.known_hosts.write_text("")
    status, _, err = await _run(lab, *words)
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


async def test_the_flag_records_them_says_so_and_is_then_not_needed_any_more(lab: Lab) -> None:
    servers = await lab.add(2)
    lab.known_hosts.unlink()
    status, _, err = await _run(lab, "check", "--only", "ssh", FLAG)
    assert status == 0, err
    for number, server in enumerate(servers):
        said = f"recorded the host key of node {number} ({server.address})"
        assert said in err
        assert server.host_key.get_fingerprint() in err
    recorded = sorted(lab.known_hosts.read_text().splitlines())
    assert recorded == sorted(server.known_hosts_line().strip() for server in servers)
    status, _, err = await _run(lab, "check", "--only", "ssh")
    assert (status, err) == (0, "")


async def test_the_flag_never_takes_a_changed_key(lab: Lab) -> None:
    first, second = await lab.add(2)
    text = f"[{first.address}]:{first.port} {OTHER}\n{second.known_hosts_line()}"
    lab.known_hosts.write_text(text)
    status, _, err = await _run(lab, "check", "--only", "ssh", FLAG)
    assert status == 3
    assert "the host key of node 0 (127.77.0.1) is changed, and refused:" in err
    assert first.host_key.get_fingerprint() in err
    assert asyncssh.import_public_key(OTHER).get_fingerprint() in err
    assert f"ssh-keygen -R '[127.77.0.1]:{first.port}' -f {lab.known_hosts}" in err
    assert lab.known_hosts.read_text() == text
    assert first.logins == []
