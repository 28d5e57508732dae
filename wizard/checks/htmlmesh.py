"""The pings in the HTML report: node by node, and device by device where something is wrong."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from html import escape

from wizard.checks.htmlparts import anchor, cell, table
from wizard.checks.model import Result, Status
from wizard.checks.report import Report

Pairs = Mapping[tuple[int, int], list[Result]]  # rank of the source and of the target → pings
_WORST = (Status.ERROR, Status.FAIL, Status.WARN)


def mesh(report: Report) -> list[str]:
    """Return the reading in words, the matrix of nodes, and a matrix per pair with a bad ping."""
    pairs: dict[tuple[int, int], list[Result]] = defaultdict(list)
    for result in report.board:
        if result.key.peer_node is not None:
            pairs[result.key.node, result.key.peer_node].append(result)
    if not pairs:
        return []
    parts = [f"<p>{escape(line)}</p>" for line in report.mesh]
    parts.append(_nodes(report, pairs))
    for (source, target), pings in pairs.items():
        if any(ping.status in _WORST for ping in pings):
            title = f"node {source} to node {target}, device by device"
            inside = _devices(pings)
            parts.append(f"<details><summary>{title}</summary>{inside}</details>")
    return parts


def _nodes(report: Report, pairs: Pairs) -> str:
    ranks = [node.rank for node in report.cluster.nodes]
    rows = []
    for source in ranks:
        row = [f"<th>from node {source}</th>"]
        for target in ranks:
            pings = pairs.get((source, target), [])
            counts = Counter(ping.status for ping in pings)
            worst = next((s for s in _WORST if counts[s]), Status.PASS)
            asked = len(pings) - counts[Status.SKIPPED]
            text = f"{counts[Status.PASS]}/{asked}"
            title = f"node {source} to node {target}: {counts[Status.PASS]} of {asked} pass"
            row.append(cell(worst, title, text=text) if pings else "<td></td>")
        rows.append(row)
    return table(["", *(f"to {rank}" for rank in ranks)], rows)


def _devices(pings: list[Result]) -> str:
    sources = sorted({p.key.device for p in pings if p.key.device is not None})
    targets = sorted({p.key.peer_device for p in pings if p.key.peer_device is not None})
    found = {(p.key.device, p.key.peer_device): p for p in pings}
    rows = []
    for source in sources:
        row = [f"<th>from {source}</th>"]
        for target in targets:
            ping = found.get((source, target))
            if ping is None:
                row.append("<td></td>")
                continue
            link = anchor(ping.key) if ping.status is not Status.PASS else ""
            row.append(cell(ping.status, f"{ping.status}: {ping.summary}", link=link))
        rows.append(row)
    return table(["", *(f"to {target}" for target in targets)], rows)
