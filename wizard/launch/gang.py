"""Starting all nodes or none: look, upload, create (rank 0 first), start node 0, then the workers.

The container's name is the lock: whoever creates it on rank 0 goes on, everybody else is told who
holds it (ssh.md, "Supervising"). A worker of vLLM gives up after five minutes when node 0's RPC
port does not answer, so the workers start only once it listens.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from wizard import apikey
from wizard.errors import LaunchError
from wizard.launch import readiness
from wizard.launch.conflict import Claim
from wizard.launch.diagnosis import diagnose_ranks, why
from wizard.launch.feed import LogFeed
from wizard.launch.fence import Fence, owner
from wizard.launch.meeting import require_meeting
from wizard.launch.node import LaunchNode, directory
from wizard.launch.together import together
from wizard.presets import Preset
from wizard.scripts import LaunchLabels, NodeScripts, api_port, render, rpc_port

if TYPE_CHECKING:
    from wizard.diagnosis.verdict import Diagnosis


RPC_WAIT_S = 600.0  # importing Python and the plugin from a cold disk takes minutes
_POLL_S = 1.0
_NPU = re.compile(r"--device /dev/davinci(\d+)\b")
_DRAIN_S = 3.0


def ports(preset: Preset) -> dict[int, str]:
    """Return the TCP ports that node 0 opens, and what for."""
    found = {api_port(preset): "the API"}
    rpc = rpc_port(preset)
    return found | ({rpc: "data-parallel RPC"} if rpc else {})


def claims(preset: Preset, scripts: Sequence[NodeScripts], fence: Fence) -> list[Claim]:
    """Return what a launch wants on each node; without scripts, all NPUs of each."""
    every = [frozenset(range(preset.series.devices)) for _ in preset.nodes]
    named = [frozenset(int(n) for n in _NPU.findall(script.container)) for script in scripts]
    return [Claim(preset.name, preset.container.name, npus, fence) for npus in named or every]


class GangStart:
    """One start of one launch. What it made is undone by whoever called it, on any error."""

    def __init__(
        self,
        preset: Preset,
        fence: Fence,
        nodes: Sequence[LaunchNode],
        feeds: Sequence[LogFeed],
        *,
        rpc_wait_s: float = RPC_WAIT_S,
        fetch_image: bool = False,
    ) -> None:
        self._preset, self._fence = preset, fence
        self._nodes, self._feeds = nodes, feeds
        self._rpc_wait_s = rpc_wait_s
        self._fetch_image = fetch_image
        self.made_anything = False
        self.diagnosis: Diagnosis | None = None  # once node 0 has failed
        self.brief = ""

    async def run(self) -> None:
        """Start everything.

        Raises:
            WizardError: something stood in the way; names the node.
        """
        preset, nodes = self._preset, self._nodes
        launch_id, token = self._fence.launch_id, self._fence.token
        labels = LaunchLabels(preset.name, launch_id, directory(launch_id), token, owner())
        scripts = render(preset, launch=labels)
        wanted = claims(preset, scripts, self._fence)
        self._tell("looking at the node")
        await readiness.require(nodes, wanted, preset, fetch_image=self._fetch_image)
        self._tell("uploading the scripts")
        self.made_anything = True
        await together(
            node.upload(script.files) for node, script in zip(nodes, scripts, strict=True)
        )
        if (key := apikey.for_launch(preset)) is not None:
            await nodes[0].put_key(key)
        self._tell("creating the container")
        await nodes[0].reserve(wanted[0])
        await together(node.reserve(c) for node, c in zip(nodes[1:], wanted[1:], strict=True))
        await nodes[0].start()
        port = rpc_port(preset)
        if port is not None and len(nodes) > 1:
            await self._wait_for_rpc(port)
            await require_meeting(nodes[1:], preset.nodes[0].local_ip or "", port)
        await together(node.start() for node in nodes[1:])

    def _tell(self, detail: str) -> None:
        for node in self._nodes:
            node.put("starting", "container", detail)

    async def _wait_for_rpc(self, port: int) -> None:
        """Wait until node 0's RPC port listens, with its log shown and its container watched."""
        head = self._nodes[0]
        for node in self._nodes[1:]:
            node.put("starting", "container", f"created; waits for node 0's RPC port {port}")
        async with self._reading(self._feeds[0]):
            try:
                async with asyncio.timeout(self._rpc_wait_s):
                    while not await head.listening({port: "data-parallel RPC"}):
                        await self._still_running(head)
                        await asyncio.sleep(_POLL_S)
            except TimeoutError:
                late = f"did not open its RPC port {port} within {self._rpc_wait_s:.0f} s"
                raise await self._failure(head, f"{head.state.label} {late}") from None

    async def _still_running(self, head: LaunchNode) -> None:
        container = await head.mine()
        if container is not None and container.running:
            return
        how = "its container was removed"
        if container is not None:
            how = container.how_it_ended()
            try:
                async with asyncio.timeout(_DRAIN_S):
                    await self._feeds[0].ended.wait()
            except TimeoutError:
                pass
        head.put("failed", detail=how)
        raise await self._failure(head, f"{head.state.label} failed: {how}", dead=True)

    async def _failure(self, head: LaunchNode, what: str, *, dead: bool = False) -> LaunchError:
        """Return the error for node 0, with what its log says about it."""
        rank = head.state.rank
        gone = [rank] if dead else []
        states = [node.state for node in self._nodes]
        self.diagnosis = await diagnose_ranks(states, self._preset, dead=gone)
        self.brief = f"{what}."
        return LaunchError(what + why(self.diagnosis, rank), node=rank)

    @asynccontextmanager
    async def _reading(self, feed: LogFeed) -> AsyncIterator[None]:
        """Show node 0's log meanwhile; the feed remembers where it stopped."""
        task = asyncio.create_task(self._read(feed))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _read(self, feed: LogFeed) -> None:
        whole = False
        while not whole:
            whole = await feed.once(feed.node.state.container)
            await asyncio.sleep(_POLL_S)  # a broken connection is not asked again at once
