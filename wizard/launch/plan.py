"""What a launch will do, in order, in words: shown before anything is done. Pure."""

from __future__ import annotations

from wizard import apikey
from wizard.launch import durations
from wizard.launch.node import directory
from wizard.presets import Preset
from wizard.scripts import api_port, image, rpc_port, served_model


def _key_step(preset: Preset, head: str) -> list[str]:
    if not preset.serve.api_key:
        return []
    return [
        f"on {head}: put the API key ({apikey.origin(preset)}) into a file (0600) that serve.sh "
        "removes once it has read it"
    ]


def plan(preset: Preset, launch_id: str) -> list[str]:
    """Return the steps, a line each, the first one saying what it is all about."""
    nodes = preset.cluster.nodes
    head, workers = nodes[0], nodes[1:]
    count = "1 node" if not workers else f"{len(nodes)} nodes"
    every = "the node" if not workers else "every node"
    others = ", ".join(node.label for node in workers)
    name, rpc = preset.container.name, rpc_port(preset)
    lines = [
        f"{preset.name}: DeepSeek-V3.2-Exp in {preset.precision.label} on {count} of "
        f"{preset.series.machine}, launch {launch_id}"
    ]
    steps = [
        f"on {every}: see that {preset.container.runtime} has the image {image(preset)}, that the "
        f"container name {name} is free, and on {head.label} that its ports are",
        f"on {every}: put container.sh and serve.sh into {directory(launch_id)} (0700)",
        *_key_step(preset, head.label),
        f"create the container {name} on {head.label}" + (f", then on {others}" * bool(workers)),
        f"start it on {head.label}",
    ]
    if workers:
        steps[-1] += f" and wait until its RPC port {rpc} listens"
        steps.append(f"start {others}" + (" together" * (len(workers) > 1)))
    steps.append(
        f"follow {every} until {head.label} serves {served_model(preset)} on port "
        f"{api_port(preset)}; typically {durations.WHOLE.words}"
    )
    lines += [f"{number}. {step}" for number, step in enumerate(steps, 1)]
    if workers:
        lines.append("If one node fails before that, the others are stopped as well.")
    lines.append("It goes on without this program; nothing else on the nodes is touched.")
    return lines
