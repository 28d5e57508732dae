"""The whole simulated cluster: started, described by a preset, ended without a trace."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType

import asyncssh
import yaml

from wizard.cluster import Precision, Series
from wizard.errors import UsageError, WizardError
from wizard.simulator import janitor, tree
from wizard.simulator.containers import images
from wizard.simulator.containers.daemon import Daemon
from wizard.simulator.devices import make_device
from wizard.simulator.holds import Hold
from wizard.simulator.scenario import check_fits, load_scenario
from wizard.simulator.sshd import NodeServer, write_known_hosts
from wizard.simulator.state import NIC, SimNode, World
from wizard.simulator.toolserver import ToolServer

SSH_PORT = 2222
MAX_NODES = 16
_FIRST_HOST = 11  # node 0 of block A.B is 127.A.B.11


class SimulatedCluster:
    """A cluster on this machine's loopback, for as long as the context lasts.

    Args:
        series, precision: what the preset is for; series also says how many NPUs a node has.
        nodes: 1 to 16; None takes what the ``guide`` recipe needs.
        scenario: name of a shipped one, or path of a YAML file.
        speed: every simulated duration is divided by it; above 0. 1 suits a person who looks on.
        preset_out: another place to write the preset to; removed at the end.

    Attributes:
        directory: the run's own directory (0700), gone afterwards.
        preset_path: the preset that leads to this cluster.

    Raises:
        UsageError: an argument makes no sense, or the scenario is refused.
    """

    def __init__(
        self,
        *,
        series: Series,
        precision: Precision,
        nodes: int | None = None,
        scenario: str | Path = "healthy",
        speed: float = 1.0,
        preset_out: Path | None = None,
    ) -> None:
        if not speed > 0:
            raise UsageError(f"The speed must be above 0, not {speed}.")
        self.series = series
        self.precision = precision
        self.count = usual_nodes(series, precision) if nodes is None else nodes
        if not 1 <= self.count <= MAX_NODES:
            raise UsageError(f"A simulated cluster has 1 to {MAX_NODES} nodes, not {self.count}.")
        self.scenario = load_scenario(scenario)
        check_fits(self.scenario, str(scenario), series, self.count)
        self.speed = speed
        self._preset_out = preset_out
        self._run = secrets.token_hex(8)
        self._janitor: asyncio.subprocess.Process | None = None
        self._servers: list[NodeServer] = []
        self._squatters: list[asyncio.Server] = []  # what listens on ports that a launch needs
        self._tools: ToolServer | None = None
        self.directory = Path()
        self.preset_path = Path()
        self._world: World | None = None
        self.daemon: Daemon | None = None

    @property
    def nodes(self) -> list[SimNode]:
        """The nodes, in rank order; empty before the start."""
        return self._world.nodes if self._world else []

    @property
    def world(self) -> World:
        """The state that all tools share; only once started."""
        assert self._world is not None, "the simulated cluster was not started"
        return self._world

    @property
    def tools(self) -> ToolServer:
        """What answers the tools of all nodes; only once started."""
        assert self._tools is not None, "the simulated cluster was not started"
        return self._tools

    async def __aenter__(self) -> SimulatedCluster:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Bring everything up; afterwards :attr:`preset_path` can be used."""
        # Named first, made second: from its first moment on somebody will remove it.
        self.directory = _run_directory(self._run)
        await self._start_janitor()
        self.directory.mkdir(mode=0o700)
        block = _free_block(self.count)
        self._world = World(self.series, self.scenario, self.speed, self._make_nodes(block))
        tree.write_tools(self.directory / "bin")
        for node in self.nodes:
            fault = self.scenario.node_fault(node.rank)
            tree.write_tree(
                node,
                self.precision,
                hccn_conf=fault.hccn_conf is None,
                weights=fault.weights,
            )
            if fault.archive is not None:
                tree.write_archive(node, fault.archive)
            tree.damage(node, fault.absent, fault.folders)
            for port in fault.ports:
                self._squatters.append(await asyncio.start_server(_ignore, node.address, port))
        self.daemon = Daemon(self.world, self.directory, self._environment)
        self.daemon.cut = self.cut
        self._tools = ToolServer(self.world, self.daemon.command, self.daemon.users)
        self._tool_port = await self._tools.start()
        await self._start_ssh()
        self._write_preset()

    def _make_nodes(self, block: str) -> list[SimNode]:
        now = time.time()
        nodes = []
        for rank in range(self.count):
            fault = self.scenario.node_fault(rank)
            series = fault.host.series or self.series
            count = series.devices if fault.host.devices is None else fault.host.devices
            nodes.append(
                SimNode(
                    rank=rank,
                    series=series,
                    address=f"{block}.{_FIRST_HOST + rank}",
                    token=secrets.token_hex(16),
                    root=self.directory / f"n{rank}" / "fs",
                    slow=fault.slow,
                    devices=[
                        make_device(rank, i, self.scenario, now, self.count) for i in range(count)
                    ],
                    images=set() if fault.image else images.stocked(series),
                    traits=fault.host,
                )
            )
        return nodes

    async def _start_ssh(self) -> None:
        client_key = asyncssh.generate_private_key("ssh-ed25519")
        identity = self.directory / "id_ed25519"
        identity.touch(0o600)
        identity.write_bytes(client_key.export_private_key("openssh"))
        keys: dict[str, asyncssh.SSHKey] = {}
        for node in self.nodes:
            key = keys[node.address] = asyncssh.generate_private_key("ssh-ed25519")
            server = NodeServer(self.world, node, key, client_key, self._environment(node))
            self._servers.append(server)
            await server.start(SSH_PORT)
        write_known_hosts(self.directory / "known_hosts", keys, SSH_PORT)

    def _environment(self, node: SimNode) -> dict[str, str]:
        """The environment of every process on a node; nothing of ours but what is named here."""
        bin_folder = str(self.directory / "bin")
        return {
            "PATH": f"{bin_folder}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(node.home),
            "USER": "root",
            "LOGNAME": "root",
            "SHELL": "/bin/bash",
            "LANG": "C.UTF-8",
            "BASH_ENV": f"{bin_folder}/env.sh",
            "V32_SIM_RUN": self._run,
            "V32_SIM_BIN": bin_folder,
            "V32_SIM_ROOT": str(node.root),
            "V32_SIM_ADDRESS": node.address,
            "V32_SIM_PORT": str(self._tool_port),
            "V32_SIM_TOKEN": node.token,
            "V32_SIM_CLOCK": str(node.traits.clock),
            "V32_SIM_RPC": self.scenario.node_fault(node.rank).rpc or "open",
        }

    def _write_preset(self) -> None:
        preset = {
            "version": 1,
            "name": f"simulated-{self.series.value.lower()}-{self.precision.value}",
            "series": self.series.value,
            "precision": self.precision.value,
            "nodes": [
                {
                    "host": node.address,
                    "port": SSH_PORT,
                    "user": "root",
                    "identity_file": str(self.directory / "id_ed25519"),
                    "known_hosts": str(self.directory / "known_hosts"),
                    "local_ip": node.address,
                    "nic": node.nic or NIC,
                }
                for node in self.nodes
            ],
        }
        text = "# The simulated cluster of this run; gone when it ends.\n"
        text += yaml.safe_dump(preset, sort_keys=False)
        self.preset_path = self.directory / "preset.yaml"
        for path in filter(None, (self.preset_path, self._preset_out)):
            with open(path, "w", opener=lambda p, flags: os.open(p, flags, 0o600)) as file:
                file.write(text)

    def hold(self, rank: int, at: str) -> Hold:
        """Hold on a node whatever comes to a place (see :mod:`wizard.simulator.holds`)."""
        return self.world.holds.put(rank, at)

    # --- the end ---------------------------------------------------------------------------

    def cut(self, rank: int) -> None:
        """Cut all SSH connections to a node; it can be reached again at once."""
        self._servers[rank].cut()

    async def take_away(self, rank: int) -> None:
        """Put a node out of reach: its SSH server is gone, its containers go on."""
        await self._servers[rank].stop()

    async def bring_back(self, rank: int) -> None:
        """Let a node that was taken away be reached again."""
        await self._servers[rank].start(SSH_PORT)

    async def _start_janitor(self) -> None:
        files = [str(self._preset_out.absolute())] if self._preset_out else []
        self._janitor = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-I", "-S", janitor.__file__, self._run, str(self.directory), *files),
            stdin=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in our terminal must not end it
        )

    async def stop(self) -> None:
        """End everything: connections, processes, ports, files. Quick; may be called twice."""
        for squatter in self._squatters:
            squatter.close()
        for server in self._servers:
            await server.stop()
        if self._tools is not None:
            await self._tools.stop()
        if self._janitor is not None and self._janitor.stdin is not None:
            self._janitor.stdin.close()
            await self._janitor.wait()
        if self.daemon is not None:
            await self.daemon.ended()
        self._servers, self._tools, self._janitor = [], None, None


async def _ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take a connection on a port that is none of ours, and close it."""
    writer.close()


def usual_nodes(series: Series, precision: Precision) -> int:
    """Return how many nodes the ``guide`` recipe needs.

    Raises:
        UsageError: the recipe does not know the combination.
    """
    from wizard.recipes import choices  # noqa: PLC0415 - built apart; needed only without --nodes

    for choice in choices("guide"):
        if (choice.series, choice.precision) == (series, precision):
            nodes: int = choice.nodes
            return nodes
    raise UsageError(f"The guide has no recipe for {precision.label} on {series.value}.")


def _run_directory(run: str) -> Path:
    return Path(tempfile.gettempdir()).resolve() / f"v32-sim-{run}"


def _free_block(count: int) -> str:
    """Return ``127.A.B`` such that nobody listens for SSH on the addresses of ``count`` nodes."""
    for _attempt in range(50):
        block = f"127.{64 + secrets.randbelow(190)}.{secrets.randbelow(256)}"
        if all(_free(f"{block}.{_FIRST_HOST + rank}") for rank in range(count)):
            return block
    raise WizardError("No free block of loopback addresses (127.A.B.x) could be found.")


def _free(address: str) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, SSH_PORT))
        except OSError:
            return False
    return True
