"""A launch that is on its nodes in parts only: what there is of it, and what can be done. Pure.

Node 0's container is made first and taken away first. So one that lacks it was being stopped, and
one that has it and lacks others was being made; either its wizard is at it still, or was ended.
"""

from __future__ import annotations

from collections.abc import Sequence

from wizard.launch.runtime import UNSTARTED
from wizard.launch.state import NodeStatus

_ASKED_NOT = frozenset({"unreachable", "unknown"})


def headless(found: Sequence[NodeStatus]) -> bool:
    """Whether node 0 has nothing of a launch that another node has something of."""
    return found[0].state == "absent" and any(node.container for node in found)


def unmade(found: Sequence[NodeStatus]) -> bool:
    """Whether nothing of a launch was started, and not every node has its container."""
    there = [node for node in found if node.container]
    return 0 < len(there) < len(found) and all(node.state in UNSTARTED for node in there)


def advice(found: Sequence[NodeStatus], preset: str) -> str:
    """Say what became of a launch that is not whole, and what to do; "" for one that is."""
    away = f"take it away with: v32-wizard stop {preset}"
    if headless(found):
        return f"It was being stopped, or somebody removed it on node 0: {away}"
    if unmade(found):
        return f"It was being made, and cannot be finished if its wizard has ended: {away}"
    waits = ", ".join(str(node.rank) for node in found if node.state in UNSTARTED)
    if not waits or any(node.state == "absent" for node in found):
        return ""
    return (
        f"It was being started, and is not on node {waits}. If its wizard has ended, finish it "
        f"with: v32-wizard launch {preset} --attach; or {away}"
    )


def told(found: Sequence[NodeStatus], preset: str, launch: str, owner: str) -> str:
    """Say where there is what of a launch that can be neither followed nor finished."""
    whose = f" of {owner}" if owner else ""
    where, todo = _where(found), advice(found, preset)
    return f"launch {launch}{whose} is there in parts only: {where}. {todo}"


def unstopped(found: Sequence[NodeStatus], preset: str, by: str) -> str:
    """Say that a launch is half stopped, by whom, and what to do."""
    where, away = _where(found), f"take it away with: v32-wizard stop {preset}"
    return f"{by} was stopping it, and may be at it still: {where}. If it stays so, {away}"


def _where(found: Sequence[NodeStatus]) -> str:
    words = {"absent": "nothing"} | dict.fromkeys(_ASKED_NOT, "not known")
    return ", ".join(f"node {n.rank} ({n.host}) {words.get(n.state, n.state)}" for n in found)
