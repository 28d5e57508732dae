"""One thing that does not fit, as it is shown and acted upon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["blocks", "warns"]


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One thing that does not fit.

    Attributes:
        id: stable name of the rule.
        nodes: ranks concerned.
        text: what is wrong, a sentence that names the nodes.
        right: what to do, a sentence.
    """

    id: str
    severity: Severity
    nodes: tuple[int, ...]
    text: str
    right: str


def named(ranks: Sequence[int]) -> str:
    """Return ``node 1``, ``nodes 0 and 2``, ``nodes 0, 1 and 2``."""
    words = [str(rank) for rank in sorted(ranks)]
    if len(words) == 1:
        return f"node {words[0]}"
    return f"nodes {', '.join(words[:-1])} and {words[-1]}"
