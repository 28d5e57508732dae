"""Whether a preset is launched right now: asked of its nodes, without any question to people."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from wizard.cluster import Cluster
from wizard.errors import LaunchError, RemoteError
from wizard.launch import report
from wizard.launch.fence import new_fence
from wizard.launch.node import LaunchNode
from wizard.launch.runtime import Runtime
from wizard.launch.state import RankState
from wizard.presets import Preset
from wizard.remote.api import Fleet
from wizard.remote.secrets import Secrets

LIMIT_S = 15.0


@dataclass(frozen=True, slots=True)
class RunningLaunch:
    """A launch that runs, or was made and not started.

    Attributes:
        preset: what it was launched from; with the container.runtime that it runs under.
        launch_id: its id.
        nodes: on how many of the preset's nodes its container runs.
        waiting: on how many it was made and never started.
        since: when the first of them was started, by the node's clock; None when not known.
        owner: who launched it, ``user@host``, or "".
    """

    preset: Preset
    launch_id: str
    nodes: int
    since: float | None
    owner: str = ""
    waiting: int = 0


async def find_running(
    preset: Preset, open_fleet: Callable[[Cluster, Secrets], Fleet]
) -> RunningLaunch | None:
    """Ask the nodes of a preset; return its launch, or None when none of them has one.

    Nobody is asked for a secret or about a host key: a node that would need one counts as out of
    reach.

    Raises:
        RemoteError, LaunchError: no node could be asked, or none has one and not all is known.
        TimeoutError: they took too long.
    """
    fleet = open_fleet(preset.cluster, Secrets())
    runtime, fence = Runtime(preset.container.runtime), new_fence()  # of none: nothing is changed
    nodes = [
        LaunchNode(remote, runtime, preset.name, RankState(n.rank, n.host), lambda: None, fence)
        for remote, n in zip(fleet.remotes, preset.cluster.nodes, strict=True)
    ]
    try:
        async with asyncio.timeout(LIMIT_S):
            answers = await report.ask_all(nodes)
    finally:
        await fleet.close()
    errors = [one for one in answers if isinstance(one, RemoteError | LaunchError)]
    if len(errors) == len(answers):
        raise errors[0]
    newest = report.newest(answers)
    there = report.containers(answers)
    if newest is None:  # the preset named another engine then: it is followed as it was launched
        there = report.elsewhere(answers)
        newest = max(there, key=lambda c: c.running, default=None)
    if newest is None:
        if why := report.unasked(answers):
            raise LaunchError(why)
        return None
    if newest.engine:
        spec = preset.container.model_copy(update={"runtime": newest.engine})
        preset = preset.model_copy(update={"container": spec})
    its = [c for c in there if c.launch == newest.launch]
    run = [c for c in its if c.running]
    waiting = sum(c.unstarted for c in its)
    if not run and not waiting:
        return None
    since = min((c.started_at for c in run if c.started_at is not None), default=None)
    return RunningLaunch(preset, newest.launch, len(run), since, newest.owner, waiting)
