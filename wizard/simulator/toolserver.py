"""Answers the tools of all nodes: a request by TCP on loopback, the answer in frames.

A request is NUL-ended fields: token of the node, tool, working directory, number of arguments,
the arguments. Frames of the answer: ``o LENGTH`` and ``e LENGTH`` (bytes for stdout and stderr
follow), ``x CODE`` (the end). A caller that goes away ends its call.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from wizard.simulator import hccn
from wizard.simulator.holds import STAGE
from wizard.simulator.hosttools import HOST_TOOLS
from wizard.simulator.npu_smi import npu_smi
from wizard.simulator.state import Output, SimNode, World

HUNG_S = 300.0  # how long a dead NPU blocks a call


@dataclass(slots=True)
class Call:
    """One call of a tool, with the way back to its caller."""

    node: SimNode
    tool: str
    cwd: str
    argv: list[str]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def out(self, data: bytes) -> None:
        """Write to the caller's stdout."""
        await self._frame(b"o", data)

    async def err(self, data: bytes) -> None:
        """Write to the caller's stderr."""
        await self._frame(b"e", data)

    async def wants(self, path: str = "") -> None:
        """Ask the caller for its stdin, or for a file that it opens; both come by ``reader``."""
        data = path.encode()
        self.writer.write(b"%s %d\n" % (b"f" if path else b"i", len(data)) + data)
        await self.writer.drain()

    async def while_there(self, work: Coroutine[Any, Any, None]) -> None:
        """Do a long work as long as the caller is there; it must not be sending anything."""
        task = asyncio.ensure_future(work)
        gone = asyncio.ensure_future(self.reader.read(1))
        try:
            await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            if not task.done():
                task.cancel()
        await task

    async def _frame(self, kind: bytes, data: bytes) -> None:
        if data:
            self.writer.write(b"%s %d\n" % (kind, len(data)) + data)
            await self.writer.drain()

    async def end(self, code: int) -> None:
        """End the call with an exit code."""
        self.writer.write(b"x %d\n" % code)
        await self.writer.drain()


Engine = Callable[[Call], Awaitable[int]]  # plays docker; returns the exit code
Users = Callable[[SimNode], dict[int, int]]  # device → pid that holds it


class ToolServer:
    """Listens for the tools of all nodes."""

    def __init__(self, world: World, engine: Engine, users: Users) -> None:
        self.world = world
        self._engine = engine
        self._users = users
        self._server: asyncio.Server | None = None
        self._calls: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        """Begin to listen; return the port on 127.0.0.1."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, backlog=256)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """End all calls and the listening."""
        if self._server is not None:
            self._server.close()
        for task in list(self._calls):
            task.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._calls.add(task)
        try:
            call = await self._read(reader, writer)
            if call is not None:
                await self._serve(call)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the caller is gone, or we are stopping: nobody is left to be told
        finally:
            self._calls.discard(task)
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _read(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Call | None:
        async def text() -> str:
            return (await reader.readuntil(b"\0"))[:-1].decode(errors="replace")

        token, tool, cwd, count = [await text() for _ in range(4)]
        argv = [await text() for _ in range(int(count))]
        node = next((n for n in self.world.nodes if n.token == token), None)
        return Call(node, tool, cwd, argv, reader, writer) if node else None

    async def _serve(self, call: Call) -> None:
        if call.tool in ("docker", "podman"):  # reads its own input, and streams
            await call.end(await self._engine(call))
            return
        answer = asyncio.create_task(self._answer(call))
        gone = asyncio.create_task(call.reader.read(1))
        try:
            await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            if not answer.done():
                answer.cancel()  # the caller was killed (timeout): its slot is free again
        output = await answer
        await call.out(output.stdout.encode())
        await call.err(output.stderr.encode())
        await call.end(output.code)

    async def _answer(self, call: Call) -> Output:
        world, node = self.world, call.node
        if call.tool == "hccn_tool":
            return await self.hccn_tool(node, call.argv)
        if call.tool == "npu-smi":
            await world.pause(0.2 * node.slow)
            return npu_smi(world, node, call.argv, self._users(node))
        if call.tool == "vllm-facts":
            return Output(json.dumps(self._facts(node)))
        if call.tool == "vllm-hold":
            await world.holds.wait(node.rank, STAGE + call.argv[0])
            return Output()
        if call.tool in HOST_TOOLS:
            return HOST_TOOLS[call.tool](world, node, call.argv)
        return Output(stderr=f"{call.tool}: command not found\n", code=127)

    async def hccn_tool(self, node: SimNode, argv: list[str]) -> Output:
        """Run one call; the tool takes turns, by device and by the scenario's width."""
        world = self.world
        index = hccn.device_of(argv)
        slot = -1 if index is None else index
        busy = world.scenario.node_fault(node.rank).busy
        if busy or slot in node.calls or len(node.calls) >= world.scenario.hccn_width:
            return hccn.BUSY
        node.calls.add(slot)
        try:
            if 0 <= slot < len(node.devices) and node.devices[slot].hung:
                await world.pause(HUNG_S)
                return hccn.DEAD
            await world.pause(world.random.uniform(*world.scenario.timing.hccn_tool) * node.slow)
            output = hccn.hccn_tool(world, node, argv)
            await world.pause(output.seconds)
            return output
        finally:
            node.calls.discard(slot)

    def _facts(self, node: SimNode) -> dict[str, object]:
        """What the ``vllm`` tool must know of the machine that it runs on."""
        timing = self.world.scenario.timing
        fault = next((f for f in self.world.scenario.launch if f.node == node.rank), None)
        return {
            "rank": node.rank,
            "address": node.address,
            "nic": node.nic,
            "devices": len(node.devices),
            "speed": self.world.speed,
            "stages": timing.stages.model_dump(),
            "patience": timing.rpc_patience,
            "token": timing.token,
            "slow": node.slow,
            "rpc_blocked": self.world.scenario.node_fault(node.rank).rpc is not None,
            "held": self.world.holds.stages(node.rank),
            "fault": None if fault is None else {"at": fault.at, "does": fault.does},
        }
