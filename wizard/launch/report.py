"""Asking the nodes what runs there, without changing anything: for status, logs and attaching."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace

from wizard.errors import LaunchError, RemoteError, UsageError
from wizard.launch.clocks import ask_clock
from wizard.launch.conflict import put_back
from wizard.launch.fence import Fence
from wizard.launch.lines import LineReader
from wizard.launch.loadprobe import load_now
from wizard.launch.logfile import launches_dir
from wizard.launch.lookback import fetch_signs
from wizard.launch.moved import other_nodes
from wizard.launch.node import LaunchNode
from wizard.launch.progress import Phase, StageParser
from wizard.launch.remains import advice
from wizard.launch.runtime import Container, Listing
from wizard.launch.serving import silence_now
from wizard.launch.stages import look
from wizard.launch.state import NodeStatus, StatusReport
from wizard.presets import Preset
from wizard.remote.text import clean
from wizard.scripts import served_model

Answer = Listing | RemoteError | LaunchError


async def ask_all(nodes: Sequence[LaunchNode]) -> list[Answer]:
    """Return, by rank, our containers of the preset, or why the node could not be asked.

    Those that the node's other engine has are among them (see :meth:`LaunchNode.everywhere`).
    """
    return await asyncio.gather(*(_ask(node) for node in nodes))


async def _ask(node: LaunchNode) -> Answer:
    try:
        found = await node.everywhere()
    except (RemoteError, LaunchError) as error:
        return error
    return replace(found, containers=[c for c in found.containers if c.launch])


def held_by(fence: Fence, answer: Answer) -> Container | None:
    """Return the container of one launch on a node, None when it has none or was not asked."""
    return next(filter(fence.holds, containers([answer])), None)


def newest(answers: Sequence[Answer]) -> Container | None:
    """Return the container of the launch to speak of: one that runs, else the last one made."""
    found = [c for c in containers(answers) if not c.engine]
    return max(found, key=lambda c: (c.running, c.created_at or 0.0), default=None)


def containers(answers: Sequence[Answer]) -> list[Container]:
    """Return all containers that the nodes told of."""
    return [c for answer in answers if isinstance(answer, Listing) for c in answer.containers]


def unasked(answers: Sequence[Answer]) -> str:
    """Say why a launch may run under another engine though none was told of; "" if it cannot."""
    return next((a.unasked for a in answers if isinstance(a, Listing) and a.unasked), "")


def elsewhere(answers: Sequence[Answer]) -> list[Container]:
    """Return the containers that another engine has than the one that the preset names now."""
    return [c for c in containers(answers) if c.engine]


def under_another(answers: Sequence[Answer], preset: Preset) -> str:
    """Say that launches of the preset are under another engine, and what to do; "" for none."""
    found = elsewhere(answers)
    if not found:
        return ""
    launches = " and ".join(sorted({c.launch for c in found}))
    return (
        f"launch {launches} of {preset.name} is under {found[0].engine}, and the preset has "
        f"container.runtime: {preset.container.runtime} now. {put_back(found[0].engine)}; or take "
        f"it away with: v32-wizard stop {preset.name}"
    )


def present(nodes: Sequence[LaunchNode], answers: Sequence[Answer]) -> list[str]:
    """Say what of ours is on each node and who launched it, or why that is not known."""
    lines = []
    for node, answer in zip(nodes, answers, strict=True):
        if not isinstance(answer, Listing):
            lines.append(f"{node.state.label}: not known: {answer}")
            continue
        told = [
            f"{c.name}, {c.told}, launch {c.launch}" + (f" of {c.owner}" * bool(c.owner))
            for c in answer.containers
        ]
        told += [f"not known: {answer.unasked}"] * bool(answer.unasked)
        lines.append(f"{node.state.label}: {'; '.join(told) or 'nothing of ours'}")
    return lines


async def status(nodes: Sequence[LaunchNode], preset: Preset) -> StatusReport:
    """Ask every node what runs there, and node 0 whether it serves."""
    answers = await ask_all(nodes)
    last = newest(answers)
    launch_id = last.launch if last else ""
    found = parts(nodes, answers, launch_id)
    mine = [held_by(Fence.of(last), answer) for answer in answers] if last else []
    hosts = [node.state.host for node in nodes]
    remark = other_nodes(mine, hosts, preset.name) or advice(found, preset.name)
    about = [remark, under_another(answers, preset)]
    if last is None:  # it may run under the name that the preset had before
        asked = zip(nodes, answers, strict=True)  # who is out of reach is not dialled again
        about += await others([node for node, answer in asked if isinstance(answer, Listing)])
    remark = " ".join(filter(None, about))
    serving = all(node.state == "running" for node in found)
    if serving:
        why = await silence_now(nodes[0].remote, preset)
        nodes[0].state.heard(why, since=0.0)  # it is asked this once, and its log tells how long
        serving = not why
    load = None
    if serving:
        load = await load_now(nodes[0].remote, preset)
    else:
        found = await _with_stages(nodes, found)
    return StatusReport(
        preset.name, launch_id, serving, served_model(preset), found, load, remark=remark
    )


async def others(nodes: Sequence[LaunchNode]) -> list[str]:
    """Say what of other presets runs on the nodes, as far as they can be asked."""
    return [line for told in await asyncio.gather(*map(_others, nodes)) for line in told]


async def _others(node: LaunchNode) -> list[str]:
    try:
        found = (await node.everywhere(presets=True)).containers
    except (RemoteError, LaunchError):
        return []
    return [
        f"{node.state.label} has a container of {c.preset} (launch {c.launch}), left alone."
        for c in found
        if c.launch and c.preset != node.preset and (c.running or c.unstarted)
    ]


async def _with_stages(
    nodes: Sequence[LaunchNode], found: tuple[NodeStatus, ...]
) -> tuple[NodeStatus, ...]:
    """Add how far each node is and what it waits for, as its log tells."""
    await asyncio.gather(*(_look(node, one) for node, one in zip(nodes, found, strict=True)))
    looks = look([node.state for node in nodes], time.time())
    return tuple(
        replace(one, stage=seen.stage, note=seen.remark) if one.state == "running" else one
        for one, seen in zip(found, looks, strict=True)
    )


async def _look(node: LaunchNode, one: NodeStatus) -> None:
    """Put into the rank's state what the node said and what its log tells."""
    state = node.state
    state.state = _RANK_STATES.get(one.state, "failed")
    if one.started_at is not None:
        state.begin(Phase.CONTAINER, one.started_at)
        state.moved(one.started_at)
    if one.state != "running":
        return
    await ask_clock(node)
    parser = StageParser()
    with suppress(RemoteError, LaunchError):
        for text, at in await fetch_signs(node, one.container):
            if (stage := parser.feed(text)) is not None:
                state.reach(stage, at)
    state.stage = parser.stage.title


_RANK_STATES = {
    **{"running": "running", "created": "starting", "configured": "starting", "paused": "paused"},
    **{"unreachable": "unreachable", "absent": "pending", "unknown": "unreachable"},
}


def parts(
    nodes: Sequence[LaunchNode], answers: Sequence[Answer], launch_id: str
) -> tuple[NodeStatus, ...]:
    """Return what each node has of one launch."""
    return tuple(_status(n, a, launch_id) for n, a in zip(nodes, answers, strict=True))


def in_place(answers: Sequence[Answer]) -> Container | None:
    """Return a container of the launch that a restart would take the place of, None for none."""
    return newest(answers) or next(iter(elsewhere(answers)), None)


def _status(node: LaunchNode, answer: Answer, launch_id: str) -> NodeStatus:
    rank, host = node.state.rank, node.state.host
    if isinstance(answer, RemoteError):
        return NodeStatus(rank, host, "unreachable", error=str(answer))
    if isinstance(answer, LaunchError):
        return NodeStatus(rank, host, "unknown", error=str(answer))
    container = next((c for c in answer.containers if c.launch == launch_id), None)
    if container is None:
        aside = [c for c in answer.containers if c.engine]
        told = [f"{c.name} (launch {c.launch}) is {c.told}" for c in aside]
        told += [answer.unasked] * bool(answer.unasked)
        state = "unknown" if answer.unasked and not launch_id else "absent"
        return NodeStatus(rank, host, state, error="; ".join(told))
    ended = "" if container.running or container.unstarted else container.how_it_ended()
    return NodeStatus(rank, host, container.status, container.id, container.started_at, error=ended)


async def logs(node: LaunchNode, *, follow: bool) -> AsyncIterator[str]:
    """Yield the serve log of one node from its start, cleaned for display.

    Raises:
        UsageError: no container of the preset is there.
    """
    answer = await _ask(node)
    if isinstance(answer, Exception):
        raise answer
    container = newest([answer])
    if container is None and (told := elsewhere([answer])):
        raise UsageError(
            f"{told[0].name} is {told[0].told} on {node.state.label}, which is not the preset's "
            "container.runtime now.",
            node=node.state.rank,
            hint=f"{put_back(told[0].engine)}.",
        )
    if container is None and answer.unasked:
        raise LaunchError(answer.unasked, node=node.state.rank)
    if container is None:
        raise UsageError(
            f"no container of {node.preset} is on {node.state.label}.",
            node=node.state.rank,
            hint=f"Launch it first (v32-wizard launch).{_kept()}",
        )
    reader = LineReader(stamps=False)
    async for chunk in node.stream(node.runtime.logs(container.id, follow=follow)):
        for line in reader.feed(chunk):
            yield clean(line.text).rstrip()
    for line in reader.flush():
        yield clean(line.text).rstrip()


def _kept() -> str:
    """Say where the logs of launches that were followed from here lie, if there are any."""
    folder = launches_dir()
    return f" Logs of earlier launches lie in {folder}." if folder.is_dir() else ""
