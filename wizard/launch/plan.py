"""What a launch will do, in order, on which node: shown before anything is done. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from wizard import apikey
from wizard.launch import durations
from wizard.launch.imagecommands import fetch_text
from wizard.launch.node import directory
from wizard.presets import Preset
from wizard.scripts import api_port, image, rpc_port, served_model

Action = Literal["look", "fetch", "stop", "upload", "key", "create", "start", "follow"]


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what is done, on which nodes (ranks, in order), and it in words."""

    action: Action
    nodes: tuple[int, ...]
    text: str


def steps(
    preset: Preset, launch_id: str, fetch: Sequence[int] = (), replaces: str = ""
) -> list[Step]:
    """Return the steps in order.

    Args:
        preset, launch_id: what is launched.
        fetch: ranks of the nodes that the image is brought to.
        replaces: the launch that runs and is stopped for it, in words; "" for none.
    """
    nodes = preset.cluster.nodes
    head, workers = nodes[0], nodes[1:]
    every, behind = tuple(n.rank for n in nodes), tuple(n.rank for n in workers)
    all_of_them = "the node" if not workers else "every node"
    others = ", ".join(node.label for node in workers)
    name, rpc = preset.container.name, rpc_port(preset)
    look = (
        f"on {all_of_them}: see once more that {preset.container.runtime} runs and has the image "
        f"{image(preset)}, that container name, NPUs and ports are free, and that weights, mounts "
        "and room are there"
    )
    found = [Step("look", every, look)]
    if fetch:
        where = ", ".join(nodes[rank].label for rank in fetch)
        text = f"on {where}: {fetch_text(preset)}, then look again"
        found.append(Step("fetch", tuple(fetch), text))
    if replaces:
        text = f"on {all_of_them}: stop {replaces}, then see that ports and NPUs are free"
        found.append(Step("stop", every, text))
    put = f"on {all_of_them}: put container.sh and serve.sh into {directory(launch_id)} (0700)"
    found.append(Step("upload", every, put))
    if preset.serve.api_key:
        text = (
            f"on {head.label}: put the API key ({apikey.origin(preset)}) into a file (0600) that "
            "serve.sh removes once it has read it"
        )
        found.append(Step("key", (head.rank,), text))
    create = f"create the container {name} on {head.label}" + (
        f", then on {others}" * bool(workers)
    )
    found.append(Step("create", every, create))
    start = f"start it on {head.label}"
    if workers:
        start += f" and wait until its RPC port {rpc} listens"
    found.append(Step("start", (head.rank,), start))
    if workers:
        text = f"start {others}" + (" together" * (len(workers) > 1))
        found.append(Step("start", behind, text))
    follow = (
        f"follow {all_of_them} until {head.label} serves {served_model(preset)} on port "
        f"{api_port(preset)}; typically {durations.WHOLE.words}"
    )
    found.append(Step("follow", every, follow))
    return found


def headline(preset: Preset, launch_id: str) -> str:
    """Return what it is all about."""
    count = "1 node" if len(preset.nodes) == 1 else f"{len(preset.nodes)} nodes"
    return (
        f"{preset.name}: DeepSeek-V3.2-Exp in {preset.precision.label} on {count} of "
        f"{preset.series.machine}, launch {launch_id}"
    )


def promises(preset: Preset) -> list[str]:
    """Return what holds besides the steps."""
    every = "every node runs" if len(preset.nodes) > 1 else "the node runs"
    lines = [f"Once {every} it goes on without this program; nothing else there is touched."]
    if len(preset.nodes) > 1:
        lines.insert(0, "If one node fails before that, the others are stopped as well.")
    return lines


def numbered(found: Sequence[Step]) -> list[str]:
    """Return the steps, a line each, with their numbers."""
    return [f"{number}. {step.text}" for number, step in enumerate(found, 1)]


def plan(preset: Preset, launch_id: str, fetch: Sequence[int] = ()) -> list[str]:
    """Return the plan as lines, the first one saying what it is all about."""
    found = numbered(steps(preset, launch_id, fetch))
    return [headline(preset, launch_id), *found, *promises(preset)]
