"""Fills in what a preset leaves open and a node can tell: its address and interface."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from wizard.discovery.addresses import Own, own
from wizard.discovery.asking import ask
from wizard.errors import UsageError
from wizard.remote.api import Fleet

if TYPE_CHECKING:
    from wizard.presets import Preset


async def complete(preset: Preset, fleet: Fleet) -> Preset:
    """Return ``preset`` with ``local_ip`` and ``nic`` of every node; what it holds is kept.

    Raises:
        RemoteError: a node that leaves one of them open could not be asked.
        UsageError: a node's address could not be told for sure, or the one of both that the
            preset holds is not the node's; names the node and the key to set.
    """
    hosts = [spec.host for spec in preset.nodes]

    async def fill(rank: int) -> dict[str, str]:
        spec, remote = preset.nodes[rank], fleet.remotes[rank]
        if spec.local_ip and spec.nic:
            return {}
        peers = [host for n, host in enumerate(hosts) if n != rank]
        facts = await ask(remote, peers, ())
        head = None if rank == 0 else hosts[0]
        found = own(facts, head, local_ip=spec.local_ip, nic=spec.nic)
        return _both(found, remote.node.label, rank)

    found = await asyncio.gather(
        *(fill(rank) for rank in range(len(preset.nodes))), return_exceptions=True
    )
    nodes = []
    for spec, keys in zip(preset.nodes, found, strict=True):
        if isinstance(keys, BaseException):
            raise keys  # all were waited for, so that the node named is always the same one
        nodes.append(spec.model_copy(update=keys))
    return preset.model_copy(update={"nodes": nodes})


def _both(found: Own, label: str, rank: int) -> dict[str, str]:
    if found.problem or not (found.local_ip and found.nic):
        raise UsageError(
            f"The address by which the other nodes reach {label} was not found: {found.problem}.",
            node=rank,
            hint=f"Set nodes[{rank}].local_ip and nodes[{rank}].nic in the preset.",
        )
    return {"local_ip": found.local_ip, "nic": found.nic}


def is_complete(preset: Preset) -> bool:
    """Whether every node has ``local_ip`` and ``nic``, so that scripts can be made offline."""
    return all(spec.local_ip and spec.nic for spec in preset.nodes)
