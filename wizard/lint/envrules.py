"""Variables of a serve.sh: the node's own address and interface, and names that look misspelt."""

from __future__ import annotations

import difflib
from functools import cache
from importlib import resources

from wizard import recipes
from wizard.cluster import Node
from wizard.lint.call import Call
from wizard.lint.knownflags import Known
from wizard.lint.model import Place

_INTERFACES = ("HCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME", "TP_SOCKET_IFNAME")


def check(call: Call, node: Node, known: Known, place: Place) -> None:
    """Check the variables that ``vllm serve`` of one node gets."""
    _expect(call, "HCCL_IF_IP", node.local_ip, "local_ip", place)
    for name in _INTERFACES:
        _expect(call, name, node.nic, "nic", place)
    names = known.env | _others() | _of_recipes()
    for name, value in call.env.items():
        if name in names:
            continue
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.85)
        if near:
            text = f"Nobody reads {name}."
            place.warning(value.line, "misspelt-variable", text, f"Did you mean {near[0]}?")


@cache
def _others() -> frozenset[str]:
    """Return the variables of CANN, HCCL, torch and torch_npu."""
    text = resources.files(__package__).joinpath("flags/variables.txt").read_text("utf-8")
    return frozenset(line for line in text.splitlines() if not line.startswith("#"))


@cache
def _of_recipes() -> frozenset[str]:
    every = (s.env for name in recipes.names() for s in recipes.load(name).scenarios)
    return frozenset(name for env in every for name in env)


def _expect(call: Call, name: str, expected: str | None, key: str, place: Place) -> None:
    value = call.env.get(name)
    if value is None or value.text is None or expected is None:
        return
    said = value.text.removeprefix("=")  # HCCL's own way to say "exactly this interface"
    if said != expected:
        text = f"{name} is {value.text!r}, but the node's {key} is {expected!r}."
        right = f"Both name the same; or correct nodes[{call.rank}].{key} in the preset."
        place.error(value.line, "node-address", text, right)
