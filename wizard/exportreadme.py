"""The README of an exported folder: the order of steps for somebody without the wizard. Pure."""

from __future__ import annotations

import shlex

from wizard import scripts
from wizard.cluster import Node
from wizard.presetmodel import Preset
from wizard.scriptlines import KEY_DIRECTORY, KEY_FILE

_MINUTES = "10 to 20 minutes; slow storage takes longer"


def text(preset: Preset) -> str:
    """Return the README of a preset's exported scripts."""
    nodes = preset.cluster.nodes
    parts = [_head(preset), _copy(preset)]
    number = 2
    if preset.serve.api_key:
        parts.append(_key(preset, number))
        number += 1
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


def _runs_itself(preset: Preset) -> bool:
    """Whether container.sh runs serve.sh; else the user does, inside the container."""
    return not preset.strict_guide and preset.makes("command")


def _outlives_terminal(preset: Preset) -> bool:
    return _runs_itself(preset) and preset.makes("detached")


def _start(preset: Preset, node: Node, number: int) -> str:
    others = "" if node.rank == 0 else ", once node 0's RPC port listens"
    title = f"## {number}. Start node {node.rank} ({node.host}){others}\n\n"
    folder = _folder(preset, node)
    command = f"bash {shlex.quote(f'{folder}/container.sh')}"
    if _outlives_terminal(preset):
        return title + _block(_ssh(node, command))
    terminal = _ssh(node, command).replace("ssh ", "ssh -t ", 1)
    if _runs_itself(preset):
        return title + "It ends with this terminal: keep it open.\n\n" + _block(terminal)
    return (
        title
        + "The container needs a terminal, and ends with it: keep it open. `serve.sh` must lie in "
        + "a folder that the container mounts, such as `/root/.cache`.\n\n"
        + _block(
            _ssh(node, f"cp {shlex.quote(f'{folder}/serve.sh')} /root/.cache/serve.sh"),
            terminal,
            "# and inside the container:",
            "bash -l /root/.cache/serve.sh",
        )
    )


def _key(preset: Preset, number: int) -> str:
    head = preset.cluster.nodes[0]
    folder = shlex.quote(f"{_folder(preset, head)}/{KEY_DIRECTORY}")
    put = f"umask 077; mkdir -p {folder} && cat >{folder}/{KEY_FILE}"
    return (
        f"## {number}. Give node 0 the API key\n\n"
        "It is removed as soon as it is read: do this before every start. The key stands in no "
        "file of yours and in no command line; type it once, in the terminal of the next steps.\n\n"
        + _block(
            'read -rsp "API key: " KEY',
            f"printf '%s\\n' \"$KEY\" | {_ssh(head, put)}",
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
    runtime = preset.container.runtime
    logs = f"{runtime} logs -f --tail 50 {name}" if _outlives_terminal(preset) else ""
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
    if preset.serve.api_key:
        header += ["-H", "@-"]  # the key comes on stdin, and so stands in no argument
    ask = shlex.join(["curl", "-s", "--noproxy", "*", url, *header, "-d", body])
    models = f"curl -s --noproxy '*' http://127.0.0.1:{port}/v1/models"
    if preset.serve.api_key:
        give = "printf 'Authorization: Bearer %s\\n' \"$KEY\" | "
        lines = [f"{give}{_ssh(head, f'{models} -H @-')}", f"{give}{_ssh(head, ask)}"]
    else:
        lines = [_ssh(head, models), _ssh(head, ask)]
    return f"## {number}. Ask it\n\n" + _block(*lines)


def _stop(preset: Preset, number: int) -> str:
    title = f"## {number}. Stop it, on every node\n\n"
    if not _outlives_terminal(preset):
        return title + "Press Ctrl-C in each container's terminal, then `exit`.\n"
    runtime, name = preset.container.runtime, preset.container.name
    command = f"{runtime} stop -t 60 {name} && {runtime} rm {name}"
    return title + _block(*(_ssh(node, command) for node in preset.cluster.nodes))
