"""How long the rest of a run will take, from how long calls took and how many run at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from statistics import mean

from wizard.checks.catalogue import CHECKS
from wizard.checks.model import CellKey
from wizard.checks.nodeline import NodeLine

USUAL_S = 0.35  # a call takes roughly 0.1 to 0.6 s (facts on hccn_tool)
_LATEST = 64  # calls that the mean is taken over


def seconds(keys: Iterable[CellKey], lines: Mapping[int, NodeLine]) -> float:
    """Return the seconds until the slowest node has answered these cells."""
    counts: Counter[tuple[int, str]] = Counter()
    for key in keys:
        check = CHECKS[key.check]
        if check.uses_hccn_tool:
            counts[key.node, check.scope] += 1
    totals: dict[int, float] = {}
    for (rank, scope), count in counts.items():
        line = lines[rank]
        took = line.took[scope][-_LATEST:] or line.took["device"][-_LATEST:]
        one = mean(took) if took else USUAL_S
        totals[rank] = totals.get(rank, 0.0) + count * one / line.width.now
    return max(totals.values(), default=0.0)
