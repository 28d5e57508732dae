"""How we write for people what comes up in many places: how long ago, numbers, NPUs. Pure."""

from __future__ import annotations

from collections.abc import Iterable


def ago(seconds: float) -> str:
    """Return how long ago, in the largest unit that fits."""
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return "just now"


def npus(numbers: Iterable[int]) -> str:
    """Return NPUs by their numbers: ``NPU 3``, ``NPUs 0-3, 5``."""
    found = set(numbers)
    return f"NPU{'s' * (len(found) != 1)} {spans(found)}"


def spans(numbers: Iterable[int]) -> str:
    """Return numbers with neighbours drawn together: ``0-3, 5``."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
