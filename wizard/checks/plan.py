"""Which cells a run answers, and in which rounds the pings go. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from wizard.checks.catalogue import CHECKS
from wizard.checks.model import CellKey
from wizard.cluster import Cluster, Series
from wizard.errors import UsageError


def wanted_checks(only: frozenset[str] | None, series: Series | None = None) -> list[str]:
    """Return the checks to run, in catalogue order: those asked for and what their verdicts need.

    Args:
        only: names; None for all.
        series: leaves out what other series have alone.

    Raises:
        UsageError: a name is not in the catalogue.
    """
    every = [n for n, c in CHECKS.items() if series is None or c.series in (None, series)]
    if only is None:
        return every
    unknown = sorted(only - set(CHECKS))
    if unknown:
        raise UsageError(
            f"There is no check named {', '.join(unknown)}.",
            hint=f"The checks are {', '.join(CHECKS)}.",
        )
    if foreign := sorted(only - set(every)):
        raise UsageError(f"{series} nodes have no {', '.join(foreign)}: another series has.")
    found, new = set(only), set(only)
    while new:
        new = {need for name in new for need in CHECKS[name].needs} - found
        found |= new
    return [name for name in every if name in found]


def plan_cells(
    cluster: Cluster, only: frozenset[str] | None = None, *, full: bool = False
) -> list[CellKey]:
    """Return the cells of a run: node by node, device by device, then the pings in their order."""
    names = wanted_checks(only, cluster.series)
    cells: list[CellKey] = []
    for node in cluster.nodes:
        cells += [CellKey(node.rank, None, n) for n in names if CHECKS[n].scope == "node"]
        for device in range(cluster.series.devices):
            cells += [CellKey(node.rank, device, n) for n in names if CHECKS[n].scope == "device"]
    for name in names:
        if CHECKS[name].scope == "pair":
            for step in mesh(cluster, full=full):
                cells += [key._replace(check=name) for key in step]
    return cells


def mesh(cluster: Cluster, *, full: bool = False) -> list[list[CellKey]]:
    """Return the pings in rounds; in a round a device is at most once source and once target.

    Quick: every device to the device of the same index on every other node, both directions.
    Full: every device to every device of every other node. In each round all nodes ping the node
    ``offset`` further on, so nobody is pinged by all at once.
    """
    ranks = [node.rank for node in cluster.nodes]
    devices = cluster.series.devices
    return [
        [
            CellKey(source, i, "ping", ranks[(place + offset) % len(ranks)], (i + shift) % devices)
            for place, source in enumerate(ranks)
            for i in range(devices)
        ]
        for shift in range(devices if full else 1)
        for offset in range(1, len(ranks))
    ]


def rounds_of(pings: Iterable[CellKey], cluster: Cluster) -> list[list[CellKey]]:
    """Put the given pings into the rounds of the full mesh, check by check; no round is empty."""
    ranks = [node.rank for node in cluster.nodes]
    devices = cluster.series.devices
    found: dict[tuple[str, int, int], list[CellKey]] = defaultdict(list)
    for key in pings:
        assert key.device is not None
        assert key.peer_node is not None
        assert key.peer_device is not None
        shift = (key.peer_device - key.device) % devices
        offset = (ranks.index(key.peer_node) - ranks.index(key.node)) % len(ranks)
        found[key.check, shift, offset].append(key)
    return [found[place] for place in sorted(found)]
