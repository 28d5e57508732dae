"""Starting all nodes or none: look, upload, create (rank 0 first), start node 0, then the workers.

The container's name is the lock: whoever creates it on rank 0 goes on, everybody else is told who
holds it (ssh.md, "Supervising"). A worker of vLLM gives up after five minutes when node 0's RPC
port does not answer, so the workers start only once it listens.
"""

from __future__ import annotations

import re
from collections.abc import Coroutine, Sequence
from typing import Any

from wizard import apikey
from wizard.launch import readiness
from wizard.launch.conflict import Claim
from wizard.launch.fence import Fence, owner
from wizard.launch.headstart import RPC_WAIT_S, HeadStart
from wizard.launch.lookout import Lookout
from wizard.launch.meeting import require_meeting
from wizard.launch.node import directory
from wizard.launch.reserving import reserve_all
from wizard.launch.seen import INTERVAL_S
from wizard.launch.startfailure import StartFailure
from wizard.launch.together import together
from wizard.launch.watch import NodeWatch
from wizard.presets import Preset
from wizard.scripts import LaunchLabels, NodeScripts, render, rpc_port

_NPU = re.compile(r"--device /dev/davinci(\d+)\b")


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
        watches: Sequence[NodeWatch],
        *,
        rpc_wait_s: float = RPC_WAIT_S,
        interval_s: float = INTERVAL_S,
        fetch_image: bool = False,
    ) -> None:
        self._preset, self._fence = preset, fence
        self._nodes = nodes = [watch.node for watch in watches]
        self._fetch_image = fetch_image
        self.made_anything = False
        self.failure = StartFailure(preset, nodes)
        self.head = HeadStart(nodes, watches[0].feed, self.failure, wait_s=rpc_wait_s)
        self._lookout = Lookout(watches, interval_s=interval_s)

    async def run(self) -> None:
        """Start everything.

        Raises:
            WizardError: something stood in the way, or a container ended; names the node.
        """
        await self._watched(self._run())

    async def go_on(self) -> None:
        """Start the containers, which are all there: node 0, and once it listens the workers.

        What runs already is left as it is, so that this also finishes a start that was cut off.

        Raises:
            WizardError: as :meth:`run`.
        """
        await self._watched(self._start())

    async def _watched(self, work: Coroutine[Any, Any, None]) -> None:
        fallen = await self._lookout.beside(work)
        if fallen is not None:
            raise await self.failure.of_container(fallen)

    async def _run(self) -> None:
        preset, nodes = self._preset, self._nodes
        launch_id, token = self._fence.launch_id, self._fence.token
        hosts = tuple(node.host for node in preset.cluster.nodes)
        labels = LaunchLabels(preset.name, launch_id, directory(launch_id), token, owner(), hosts)
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
        await reserve_all(nodes, wanted)
        if preset.serve.api_key:  # now that no other launch of the preset can begin
            await nodes[0].drop_keys()
        await self._start()

    async def _start(self) -> None:
        nodes, port = self._nodes, rpc_port(self._preset)
        self._lookout.made.set()
        await nodes[0].start()
        if port is not None and len(nodes) > 1:
            await self.head.wait(port)
            await require_meeting(nodes[1:], self._preset.nodes[0].local_ip or "", port)
        await together(node.start() for node in nodes[1:])

    def _tell(self, detail: str) -> None:
        for node in self._nodes:
            node.put("starting", "container", detail)
