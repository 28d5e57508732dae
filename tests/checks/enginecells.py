"""Answers that are bad, and what of a run of checks is not well."""

from __future__ import annotations

from typing import Any

from wizard.checks.model import CellKey, Status

DOWN = ("link status: DOWN\n", "", 0)
LOST = ("recv time out seq=0\n3 packets transmitted, 0 received, 100.00% packet loss\n", "", 0)
PART = ("recv time out seq=1\n3 packets transmitted, 2 received, 33.33% packet loss\n", "", 0)
HUNG = ("", "", 124)


def bad(run: Any) -> dict[CellKey, Status]:
    """What is not well; without a preset, what only a preset can tell is skipped."""
    fine = (Status.PASS, Status.SKIPPED)
    return {r.key: r.status for r in run.board if r.status not in fine}


def ping(node: int, device: int, peer: int) -> CellKey:
    return CellKey(node, device, "ping", peer, device)
