"""What a check's answer is: status, result, and the key of its cell on the board."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple


class Status(StrEnum):
    """State of one cell. The contract's five, and two that a running check passes through."""

    PENDING = "pending"
    RUNNING = "running"
    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    ERROR = "error"
    SKIPPED = "skipped"

    @property
    def final(self) -> bool:
        """Whether the check has answered."""
        return self not in (Status.PENDING, Status.RUNNING)


# From best to worst; a verdict is the worst status that occurs (contract.md).
SEVERITY = (Status.SKIPPED, Status.PASS, Status.WARN, Status.FAIL, Status.ERROR)


def worst(statuses: list[Status]) -> Status:
    """Return the verdict over final statuses: error > fail > warn > pass.

    Nothing but skipped checks, or none at all, is no proof of anything: that is an error.
    """
    found = max(statuses, key=SEVERITY.index, default=Status.ERROR)
    return Status.ERROR if found is Status.SKIPPED else found


class CellKey(NamedTuple):
    """Names one cell: a check on a node, or on one of its devices, or from there to a peer."""

    node: int
    device: int | None
    check: str
    peer_node: int | None = None
    peer_device: int | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """One answer (contract.md, check report). ``output`` is already sanitised for display.

    ``value`` holds what the parser understood, by name; ``exit_code`` is None when the command
    did not end or never started.
    """

    key: CellKey
    status: Status
    summary: str
    host: str = ""
    command: str = ""
    exit_code: int | None = None
    output: str = ""
    duration_s: float = 0.0
    value: dict[str, Any] = field(default_factory=dict)
    peer_address: str | None = None


def device_name(device: tuple[int, int]) -> str:
    """Name a device, as node and physical id, for people: ``node 1 device 3``."""
    return f"node {device[0]} device {device[1]}"
