"""Nodes that cost next to no CPU: real SSH servers, and a tool that only sleeps.

What a bash would do for the wizard's desk, or for one of the guide's loops, is done in this one
process; so what is measured is who waits for the tool and how well, not this machine's forking.
Anything else goes to a real bash. The tool takes its time, bears so many calls at a time on a
node, and answers "busy" at once beyond that; what it prints is the simulator's.
"""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any

import asyncssh

from wizard.cluster import Series
from wizard.simulator import hccn
from wizard.simulator.devices import make_device
from wizard.simulator.npu_smi import npu_smi
from wizard.simulator.scenario import Scenario
from wizard.simulator.state import Output, SimNode, World

PORT = 2299
PING = (
    "device {} PING {}\nrecv seq=0,time=0.061000ms\nrecv seq=1,time=0.058000ms\n"
    "recv seq=2,time=0.057000ms\n3 packets transmitted, 3 received, 0.00% packet loss\n"
)
CHECKS = ("link", "lldp", "ip", "net_health", "netdetect", "gateway")
_NONCE = re.compile(rb"nonce=(\w+) ")
_LOOP = re.compile(r"for i in \{0\.\.(\d+)\}; do hccn_tool -i \$i (.*?)(?: \| grep .*)?; done$")


class LightNode:
    """One node: its tool, with its time and its width."""

    def __init__(self, world: World, rank: int, took_s: float, width: int) -> None:
        self.world, self.node = world, world.nodes[rank]
        self.took_s, self.width = took_s, width
        self.calls = 0
        # worked out before the clock starts
        self.said = {
            words: hccn.hccn_tool(world, self.node, words.split())
            for index in range(len(self.node.devices))
            for words in (f"-i {index} -{check} -g" for check in CHECKS)
        }

    async def tool(self, argv: list[str]) -> Output:
        """Answer one call of hccn_tool."""
        if self.calls >= self.width:
            return hccn.BUSY
        self.calls += 1
        try:
            await asyncio.sleep(self.took_s)
            if argv[2] == "-ping":  # the simulator would work out whether it arrives
                return Output(PING.format(argv[1], argv[-1]))
            return self.said[" ".join(argv)]
        finally:
            self.calls -= 1

    async def process(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """Serve one exec channel."""
        command = process.command or ""
        if found := _LOOP.match(command):
            for index in range(int(found[1]) + 1):
                said = await self.tool(["-i", str(index), *found[2].split()])
                process.stdout.write(said.stdout.encode())
            process.exit(0)
        elif command.endswith("bash --norc --noprofile -s"):
            await self._script(process)
        else:
            await self._bash(process, b"")

    async def _script(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        script = b""
        while b"\n}\n" not in script:
            piece = await process.stdin.read(1 << 16)
            if not piece:
                break
            script += piece
        if b"desk() {" not in script:
            await self._bash(process, script)
            return
        while not script.endswith(b"\nexit 0\n\n}\n") and b"\nexit 0\n\n}\n" not in script:
            script += await process.stdin.read(1 << 16)
        nonce = _NONCE.search(script)
        assert nonce is not None
        rest = script.partition(b"\nexit 0\n\n}\n")[2]
        await self._desk(process, nonce[1], rest)

    async def _desk(
        self, process: asyncssh.SSHServerProcess[bytes], nonce: bytes, rest: bytes
    ) -> None:
        process.stdout.write(b"\x1e%s H 0 0 0\n\n" % nonce)
        tasks: set[asyncio.Task[None]] = set()
        while True:
            *fields, rest = rest.split(b"\0")
            whole = len(fields) - len(fields) % 3
            for number, _, command in zip(*[iter(fields[:whole])] * 3, strict=True):
                task = asyncio.create_task(self._job(process, nonce, number, command.decode()))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            rest = b"".join(field + b"\0" for field in fields[whole:]) + rest
            piece = await process.stdin.read(1 << 16)
            if not piece:
                break
            rest += piece
        for task in tasks:
            task.cancel()
        process.exit(0)

    async def _job(self, process: Any, nonce: bytes, number: bytes, command: str) -> None:
        began = asyncio.get_running_loop().time()
        _, tool, words = command.partition("}; hccn_tool ")
        if tool:
            said = await self.tool(words.split())
        else:
            said = npu_smi(self.world, self.node, shlex.split(command)[-8:][1:], {})
        frames = b""
        for kind, text in ((b"o", said.stdout), (b"e", said.stderr)):
            if text:
                data = text.encode()
                frames += b"\x1e%s %s %s 0 %d\n%s\n" % (nonce, kind, number, len(data), data)
        end = f"{began:.2f} {asyncio.get_running_loop().time():.2f}".encode()
        frames += b"\x1e%s x %s %d %d\n%s\n" % (nonce, number, said.code, len(end), end)
        process.stdout.write(frames)

    async def _bash(self, process: asyncssh.SSHServerProcess[bytes], script: bytes) -> None:
        words = ["bash", "--norc", "--noprofile"]
        words += ["-s"] if script else ["-c", process.command or "true"]
        child = await asyncio.create_subprocess_exec(
            *words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(script)
        await child.stdin.drain()
        process.stdout.write(await child.stdout.read())
        child.stdin.close()
        process.exit(await child.wait())


async def serve(folder: Path, count: int, took_s: float, width: int) -> None:
    """Listen on 127.79.0.1 and on, write key, known_hosts and hosts into the folder; say ready."""
    nodes = [
        SimNode(rank, Series.A3, f"127.79.0.{rank + 1}", "", folder, 1.0, [], set())
        for rank in range(count)
    ]
    world = World(Series.A3, Scenario(), 1.0, nodes)
    for node in nodes:
        node.devices = [make_device(node.rank, i, world.scenario, 0.0, count) for i in range(16)]
    key = asyncssh.generate_private_key("ssh-ed25519")
    host = asyncssh.generate_private_key("ssh-ed25519")
    (folder / "id").touch(0o600)
    (folder / "id").write_bytes(key.export_private_key("openssh"))
    allowed = asyncssh.import_authorized_keys(key.export_public_key("openssh").decode())
    public = host.export_public_key("openssh").decode().strip()
    lines = []
    for rank, node in enumerate(nodes):
        light = LightNode(world, rank, took_s, width)
        await asyncssh.listen(
            node.address,
            PORT,
            server_host_keys=[host],
            authorized_client_keys=allowed,
            process_factory=light.process,
            encoding=None,
            gss_host=None,
            server_version="OpenSSH_8.8",
        )
        lines.append(f"[{node.address}]:{PORT} {public}\n")
    (folder / "known").write_text("".join(lines))
    (folder / "hosts").write_text(json.dumps([node.address for node in nodes]))
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp())
    asyncio.run(serve(place, int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])))
