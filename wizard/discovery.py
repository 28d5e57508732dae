"""Fills in what a preset leaves open and a node can tell: its address and interface."""

from __future__ import annotations

import asyncio

from wizard.presets import Preset
from wizard.remote.api import Fleet
from wizard.remote.fleet import discover


async def complete(preset: Preset, fleet: Fleet) -> Preset:
    """Return ``preset`` with ``local_ip`` and ``nic`` of every node; what it holds is kept.

    Raises:
        RemoteError: a node that leaves one of them open could not be asked.
        UsageError: a node's address could not be told for sure; names the node and the key to set.
    """

    async def fill(rank: int) -> dict[str, str]:
        spec = preset.nodes[rank]
        if spec.local_ip and spec.nic:
            return {}
        found = await discover(fleet.remotes[rank])
        return {"local_ip": spec.local_ip or found.local_ip, "nic": spec.nic or found.nic}

    found = await asyncio.gather(
        *(fill(rank) for rank in range(len(preset.nodes))), return_exceptions=True
    )
    nodes = []
    for spec, keys in zip(preset.nodes, found, strict=True):
        if isinstance(keys, BaseException):
            raise keys  # all were waited for, so that the node named is always the same one
        nodes.append(spec.model_copy(update=keys))
    return preset.model_copy(update={"nodes": nodes})


def is_complete(preset: Preset) -> bool:
    """Whether every node has ``local_ip`` and ``nic``, so that scripts can be made offline."""
    return all(spec.local_ip and spec.nic for spec in preset.nodes)
