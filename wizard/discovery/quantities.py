"""Amounts as people read them."""

from __future__ import annotations


def span(seconds: float) -> str:
    """Return a length of time for people: ``42 s``, ``1 h 7 min``, ``3 d``."""
    total = round(seconds)
    if total < 120:
        return f"{total} s"
    minutes, hours, days = total // 60, total // 3600, total // 86400
    if minutes < 120:
        return f"{minutes} min"
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{days} d"


def size(count: int) -> str:
    """Return a number of bytes for people, in powers of ten as disks are sold."""
    for unit, name in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB")):
        if count >= unit:
            number = count / unit
            return f"{number:.1f} {name}" if number < 10 else f"{number:.0f} {name}"
    return f"{count // 1000} kB"
