"""Workers that do not reach node 0 are named before they start."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from tests.launch.bench import RPC, FakeFleet, launch, preset, until
from tests.launch.simulated import launch_nodes
from wizard.errors import LaunchError
from wizard.launch.meeting import require_meeting


async def test_a_port_that_listens_is_reached_and_one_that_does_not_is_named(
    fleet: FakeFleet,
) -> None:
    worker = launch_nodes(fleet, fleet.preset)[1]
    fleet.nodes[1].reaches_node_0 = None
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        with pytest.raises(LaunchError) as caught:
            await require_meeting([worker], "127.0.0.1", port)
        assert caught.value.message == (
            f"node 1 (10.0.0.12) does not reach node 0's RPC port, 127.0.0.1 port {port}: the "
            "connection is refused. The ranks would never meet."
        )
        assert caught.value.node == 1
        assert "ip route get 127.0.0.1" in caught.value.hint
        held.listen()
        await require_meeting([worker], "127.0.0.1", port)


async def test_what_is_not_understood_stops_nothing(fleet: FakeFleet) -> None:
    worker = launch_nodes(fleet, fleet.preset)[1]
    fleet.nodes[1].reaches_node_0 = None
    await require_meeting([worker], "no-such-host.invalid", 1)  # bash: not the network's word


@pytest.mark.usefixtures("no_devices")
async def test_a_worker_behind_a_firewall_is_not_started_and_nothing_is_left(
    tmp_path: Path,
) -> None:
    fleet = FakeFleet(preset(), tmp_path)
    fleet.nodes[1].reaches_node_0 = False
    work = launch(fleet)
    start = asyncio.create_task(work.start())
    await until(lambda: work.ranks[0].state == "running")
    fleet.nodes[0].listens(RPC)
    with pytest.raises(LaunchError, match=r"node 1 \(10\.0\.0\.12\) does not reach .*within 5 s"):
        await asyncio.wait_for(start, 20)
    assert [rank.state for rank in work.ranks] == ["aborted", "failed"]
    assert fleet.nodes[1].calls("start") == 0
    assert [node.containers() for node in fleet.nodes] == [[], []]
