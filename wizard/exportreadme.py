"""The README of an exported folder: the order of steps for somebody without the wizard. Pure."""

from __future__ import annotations

import shlex

from wizard import scripts
from wizard.cluster import Node
from wizard.presetmodel import Preset

_MINUTES = "10 to 20 minutes; slow storage takes longer"


def text(preset: Preset) -> str:
    """Return the README of a preset's exported scripts."""
    nodes = preset.cluster.nodes
    parts = [_head(preset), _copy(preset)]
    number = 2
    for node in nodes:
        parts.append(_start(preset, node, number))
        number += 1
        if node.rank == 0 and len(nodes) > 1:
            parts.append(_wait_for_rpc(preset, number))
            number += 1
    parts.append(_wait_until_served(preset, number))
    parts.append(_ask(preset, number + 1))
    parts.append(_stop(preset, number + 2))
    return "\n".join(parts)


def _block(*commands: str) -> str:
    return "\n".join(["```bash", *commands, "```", ""])


def _target(node: Node, brackets: str = "") -> str:
    """How ssh names the node, and with brackets scp, which takes a colon for the path's."""
    host = node.host
    if ":" in host and brackets:
        host = f"[{host}]"
    return f"{node.user}@{host}" if node.user else host


def _ssh(node: Node, command: str = "") -> str:
    words = ["ssh", *_options(node, "-p"), _target(node), *([command] if command else [])]
    return shlex.join(words)


def _options(node: Node, port: str) -> list[str]:
    found = [port, str(node.port)] if node.port else []
    found += ["-i", node.identity_file] if node.identity_file else []
    found += ["-J", node.jump] if node.jump else []
    return found + (["-o", f"UserKnownHostsFile={node.known_hosts}"] if node.known_hosts else [])


def _folder(preset: Preset, node: Node) -> str:
    return f"v32-wizard-{preset.name}/node{node.rank}"


def _head(preset: Preset) -> str:
    scenario, count = preset.scenario, len(preset.nodes)
    lines = [
        f"# {preset.name}: DeepSeek-V3.2-Exp on {count} {'node' if count == 1 else 'nodes'}",
        "",
        f"{preset.precision.label} on {preset.series.machine}, recipe {preset.recipe}, image "
        f"`{scripts.image(preset)}`.",
        "These scripts are run by hand, in the order below. All nodes start, or none: when one of",
        "them ends, the others hang; stop all, and start again from node 0.",
        "",
        "| node | host | scripts |",
        "| --- | --- | --- |",
        *(f"| {n.rank} | {n.host} | `node{n.rank}/` |" for n in preset.cluster.nodes),
        "",
    ]
    if scenario.note:
        lines += [f"Note: {scenario.note}", ""]
    lines += [
        "Before you start, on every node: the image is there "
        f"(`{preset.container.runtime} pull {scripts.image(preset)}`), the weights lie where "
        "`serve.sh` looks for them, and the NPUs are idle (`npu-smi info`).",
        "",
    ]
    return "\n".join(lines)


def _copy(preset: Preset) -> str:
    commands = []
    for node in preset.cluster.nodes:
        folder = _folder(preset, node)
        commands.append(_ssh(node, f"umask 077; mkdir -p {shlex.quote(folder)}"))
        source = [f"node{node.rank}/container.sh", f"node{node.rank}/serve.sh"]
        words = ["scp", "-p", *_options(node, "-P"), *source, f"{_target(node, '[]')}:{folder}/"]
        commands.append(shlex.join(words))
    return "## 1. Copy the scripts\n\n" + _block(*commands)


def _start(preset: Preset, node: Node, number: int) -> str:
    others = "" if node.rank == 0 else ", once node 0's RPC port listens"
    title = f"## {number}. Start node {node.rank} ({node.host}){others}\n\n"
    path = shlex.quote(f"{_folder(preset, node)}/container.sh")
    if not preset.strict_guide:
        return title + _block(_ssh(node, f"bash {path}"))
    return (
        title
        + "strict_guide: the guide's own container, which needs a terminal and ends with it. "
        + "`serve.sh` must lie in a folder that the container mounts, such as `/root/.cache`.\n\n"
        + _block(
            _ssh(node, f"cp {_folder(preset, node)}/serve.sh /root/.cache/serve.sh"),
            _ssh(node).replace("ssh ", "ssh -t ", 1) + " " + shlex.quote(f"bash {path}"),
            "# and inside the container:",
            "bash -l /root/.cache/serve.sh",
        )
    )


def _wait_for_rpc(preset: Preset, number: int) -> str:
    port = scripts.rpc_port(preset)
    loop = f"until ss -ltn | grep -q ':{port} '; do sleep 2; done; echo ready"
    return (
        f"## {number}. Wait until node 0's RPC port {port} listens\n\n"
        "A worker gives up after five minutes without it. It takes a minute or two.\n\n"
        + _block(_ssh(preset.cluster.nodes[0], loop))
    )


def _wait_until_served(preset: Preset, number: int) -> str:
    head, port, name = preset.cluster.nodes[0], scripts.api_port(preset), preset.container.name
    url = f"http://127.0.0.1:{port}/health"
    loop = f"until curl -sf --noproxy '*' {url}; do sleep 5; done; echo served"
    logs = "" if preset.strict_guide else f"{preset.container.runtime} logs -f --tail 50 {name}"
    lines = [_ssh(head, loop)]
    if logs:
        lines += ["# meanwhile, the log of each node; every one of them must go on:"]
        lines += [_ssh(node, logs) for node in preset.cluster.nodes]
    return f"## {number}. Wait until it serves ({_MINUTES})\n\n" + _block(*lines)


def _ask(preset: Preset, number: int) -> str:
    head, port = preset.cluster.nodes[0], scripts.api_port(preset)
    body = (
        f'{{"model": "{scripts.served_model(preset)}", "prompt": "The future of AI is", '
        '"max_tokens": 50, "temperature": 0}'
    )
    url = f"http://127.0.0.1:{port}/v1/completions"
    header = ["-H", "Content-Type: application/json"]
    ask = shlex.join(["curl", "-s", "--noproxy", "*", url, *header, "-d", body])
    models = f"curl -s --noproxy '*' http://127.0.0.1:{port}/v1/models"
    return f"## {number}. Ask it\n\n" + _block(_ssh(head, models), _ssh(head, ask))


def _stop(preset: Preset, number: int) -> str:
    title = f"## {number}. Stop it, on every node\n\n"
    if preset.strict_guide:
        return title + "Press Ctrl-C in each container's terminal, then `exit`.\n"
    runtime, name = preset.container.runtime, preset.container.name
    command = f"{runtime} stop -t 60 {name} && {runtime} rm {name}"
    return title + _block(*(_ssh(node, command) for node in preset.cluster.nodes))
