"""What a pod's container runs: the plan's ``vllm serve``, told what only the pod itself knows.

A manifest cannot hold what differs from node to node, since nobody knows where a pod will run:

- ``local_ip`` is the pod's address, which with the host's network is the node's;
- ``nic_name`` is looked for inside, as the interface that holds that address. psutil is vLLM's own
  dependency, and vLLM-Ascend's multi-node runner finds it so too;
- ``node0_ip`` is the leader's address, which LeaderWorkerSet tells by name;
- the workers' start rank follows from their index in the group.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from wizard import scripts, servelines
from wizard.presetmodel import Preset
from wizard.recipes.model import DP_START, PLACEHOLDERS
from wizard.scriptlines import Option

POD_IP = "POD_IP"
LOCAL_IP, NIC_NAME, NODE0_IP = PLACEHOLDERS

# Kubernetes would take a $( for its own: what a command says is read from a process substitution.
_NIC = """\
nic_name=''
read -r nic_name _ < <(python3 -c 'import os, psutil
ip = os.environ["POD_IP"]
print(*[nic for nic, held in psutil.net_if_addrs().items() if any(a.address == ip for a in held)])
') || true
if [ -z "$nic_name" ]; then
  echo "no network interface holds POD_IP=$POD_IP" >&2
  exit 1
fi"""

# A worker that gave up would have the whole group made anew, while the leader may still be pulling
# its image: only the single steps have a limit.
_NODE0 = """\
node0_ip=''
until read -r node0_ip _ < <(timeout 10 getent ahosts "$LWS_LEADER_ADDRESS") &&
  timeout 5 bash -c ": </dev/tcp/$node0_ip/{port}" 2>/dev/null; do
  echo "waiting for node 0: port {port} of $LWS_LEADER_ADDRESS (${{node0_ip:-no address yet}})"
  sleep 5
done"""

_START_RANK = 'declare -i start_rank="LWS_WORKER_INDEX * {ranks}"'


@dataclass(frozen=True, slots=True)
class Start:
    """How the container of one kind of pod is started; all texts are as a manifest takes them.

    Attributes:
        script: what bash runs; it hands the words that it gets to ``vllm serve``.
        args: these words: the model, and the arguments that every such pod shares.
        env: the variables.
    """

    script: str
    args: list[str]
    env: dict[str, str]


def start(preset: Preset, rank: int) -> Start:
    """Return how the leader's pod (``rank`` 0) or every worker's (1) serves.

    A worker's arguments are node 1's but for the start rank: a recipe's workers differ in nothing
    else.
    """
    found: list[str] = []  # what the script itself must add
    args = [literal(shlex.split(servelines.model(preset).text)[0])]
    for option in servelines.arguments(preset, rank):
        if not option.text:  # the recipe has it, the plan has not
            continue
        name, *value = shlex.split(option.text)
        if name == DP_START:
            found.append(f'{name} "$start_rank"')
        elif _needs_shell(option, rank):
            found.append(option.text)
        else:
            args += [name, *(_value(option, text) for text in value)]
    env, exports = {}, []
    for option in servelines.environment(preset):
        if _needs_shell(option, rank):
            exports.append(option.text)
        elif option.text:
            name, _, text = shlex.split(option.text)[1].partition("=")
            env[name] = _value(option, text)
    return Start(literal(_script(preset, exports, found)), args, env)


def _script(preset: Preset, exports: list[str], found: list[str]) -> str:
    run = " ".join(['exec vllm serve "$@"', *found])
    used = "\n".join([*exports, run])
    lines = ["set -eu"]
    if NIC_NAME in used:
        lines.append(_NIC)
    if NODE0_IP in used:
        lines.append(_NODE0.format(port=scripts.rpc_port(preset)))
    if "$start_rank" in used:
        lines.append(_START_RANK.format(ranks=preset.scenario.dp_local))
    return "\n".join([*lines, *exports, run]) + "\n"


def _placeholder(option: Option) -> str | None:
    """Return the placeholder that is the option's value, None for a value.

    Placeholders stand in double quotes; a value that reads the same stands in single ones.
    """
    return next((name for name in PLACEHOLDERS if option.text.endswith(f'"{name}"')), None)


def _needs_shell(option: Option, rank: int) -> bool:
    """Whether Kubernetes cannot fill it in: it knows the pod's address, and on the leader that of
    node 0."""
    known = {None, LOCAL_IP} | ({NODE0_IP} if rank == 0 else set())
    return _placeholder(option) not in known


def _value(option: Option, text: str) -> str:
    return f"$({POD_IP})" if _placeholder(option) else literal(text)


def literal(text: str) -> str:
    """Return a text that Kubernetes hands on as it is: ``$(NAME)`` and ``$$`` mean something there.

    Source: the Kubernetes API reference of a container's ``command``, ``args`` and ``env.value``.
    """
    return re.sub(r"\$(?=[$(])", "$$", text)
