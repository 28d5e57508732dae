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
    counts: dict[int, Counter[str]] = {}
    for key in keys:
        check = CHECKS[key.check]
        if check.uses_hccn_tool:
            counts.setdefault(key.node, Counter())[check.scope] += 1
    return max((_one(lines[rank], count) for rank, count in counts.items()), default=0.0)


def seconds_left(lines: Iterable[NodeLine]) -> float:
    """Return the seconds until the slowest node of a run that goes on is done."""
    return max((_one(line, line.left) for line in lines), default=0.0)


def _one(line: NodeLine, counts: Mapping[str, int]) -> float:
    total = 0.0
    for scope, count in counts.items():
        took = line.took[scope][-_LATEST:] or line.took["device"][-_LATEST:]
        total += count * (mean(took) if took else USUAL_S)
    return total / line.width.now
