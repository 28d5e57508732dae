"""Each node is a real SSH server: streams, exit codes, input, signals, tunnels, limits."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncssh
import pytest

from tests.launch.bench import until
from tests.simulator.bench import LIMIT_S, Ran, connect, preset, running
from wizard.cluster import Precision, Series
from wizard.simulator.cluster import SimulatedCluster
from wizard.simulator.sshd import MAX_SESSIONS


async def test_streams_codes_input_and_bash() -> None:
    async with running(precision=Precision.W8A8) as made:
        shell = made.shells[0]
        assert await shell("echo a; echo b >&2; exit 7") == Ran("a\n", "b\n", 7)
        assert await shell("read x; echo ${x^^}", "word\n") == Ran("WORD\n", "", 0)
        assert (await shell("no-such-tool")).code == 127
        killed = await shell.connection.run("kill -TERM $$")
        assert killed.exit_signal is not None
        assert killed.exit_signal[0] == "TERM"


async def test_a_node_has_its_own_files_and_no_path_of_ours_shows() -> None:
    async with running() as made:
        first, second = made.shells
        await first.good("echo kept > mine.txt")
        assert await first.good("cat /root/mine.txt") == "kept\n"
        lost = await second("cat /root/mine.txt")
        assert lost == Ran("", "cat: /root/mine.txt: No such file or directory\n", 1)
        assert str(made.cluster.directory) not in (await first.good("ls -d /root/mine.txt"))


async def test_a_tunnel_leads_to_the_cluster_only() -> None:
    async with running() as made:
        connection = made.shells[0].connection
        here, there = (node.address for node in made.cluster.nodes)
        for host in ("127.0.0.1", here, there):
            reader, writer = await connection.open_connection(host, 2222)
            banner = await asyncio.wait_for(reader.readline(), LIMIT_S)
            assert bytes(banner).startswith(b"SSH-2.0-")
            writer.close()
        for host in ("127.1.2.3", "example.org"):
            with pytest.raises(asyncssh.ChannelOpenError, match="not a node"):
                await connection.open_connection(host, 80)


async def test_more_channels_than_openssh_allows_are_refused() -> None:
    async with running(precision=Precision.W8A8) as made:
        shell = made.shells[0]
        open_ones = [
            await shell.connection.create_process("exec sleep 977") for _ in range(MAX_SESSIONS)
        ]
        with pytest.raises(asyncssh.ChannelOpenError):
            await shell.connection.create_process("true")
        for process in open_ones:
            process.send_signal("KILL")
            await asyncio.wait_for(process.wait(), LIMIT_S)
        assert await shell("true") == Ran("", "", 0)


async def test_a_command_outlives_its_channel_until_it_writes() -> None:
    async with running(precision=Precision.W8A8) as made:
        shell, node = made.shells[0], made.cluster.nodes[0]
        mark = node.home / "went-on"
        process = await shell.connection.create_process(
            f"until [ -e go ]; do sleep 0.02; done; builtin echo yes > {mark}"
        )
        process.close()
        await asyncio.wait_for(process.wait_closed(), LIMIT_S)
        assert not mark.exists()
        (node.home / "go").touch()
        await until(mark.exists)


@pytest.mark.parametrize(
    ("fault", "error"), [("refused", ConnectionRefusedError), ("silent", TimeoutError)]
)
async def test_nodes_that_do_not_answer(tmp_path: Path, fault: str, error: type[Exception]) -> None:
    path = tmp_path / "away.yaml"
    path.write_text(f"nodes: [{{node: 1, ssh: {fault}}}]\n")
    async with SimulatedCluster(
        series=Series.A3, precision=Precision.BF16, scenario=path
    ) as cluster:
        first, second = preset(cluster.preset_path)["nodes"]
        async with await connect(first):
            pass
        with pytest.raises(error):
            await asyncio.wait_for(connect(second), 1)
