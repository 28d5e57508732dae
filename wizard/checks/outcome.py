"""What a run amounts to: its verdict, the exit status, and names of cells for people."""

from __future__ import annotations

from typing import Protocol

from wizard.checks.board import Board
from wizard.checks.model import CellKey, Status, worst
from wizard.checks.problems import Problem

STATUSES = (Status.PASS, Status.WARN, Status.FAIL, Status.ERROR, Status.SKIPPED)
_EXIT = {Status.PASS: 0, Status.WARN: 0, Status.FAIL: 1, Status.ERROR: 3}
# a bad answer of the check ``ssh``, but a node that was not reached all the same
_NOT_REACHED = (Problem.AUTH_FAILED, Problem.HOST_KEY)


class Checked(Protocol):
    """What has a board: a run of the checks, or a report of one."""

    @property
    def board(self) -> Board:
        """The answers."""
        ...


def verdict(run: Checked) -> Status:
    """Return the worst status of the run; a cell without an answer counts as an error."""
    return worst([r.status if r.status.final else Status.ERROR for r in run.board])


def exit_status(run: Checked) -> int:
    """Return what ``check`` exits with: 0 passed or warned, 1 failed, 3 not checked."""
    if any(result.value.get("problem") in _NOT_REACHED for result in run.board):
        return 3
    return _EXIT[verdict(run)]


def unread(run: Checked) -> list[str]:
    """Return the checks whose answers nobody understood, when nothing else is wrong; else none.

    So it is where a driver words an answer as no rule knows: people can read it themselves.
    """
    bad = [r for r in run.board if r.status in (Status.FAIL, Status.ERROR) or not r.status.final]
    if all(r.value.get("problem") == Problem.NOT_UNDERSTOOD for r in bad):
        return sorted({r.key.check for r in bad})
    return []


def place(key: CellKey) -> str:
    """Name a cell for people: ``node 1 device 3 → node 0 device 3``."""
    own = f"node {key.node}" + ("" if key.device is None else f" device {key.device}")
    if key.peer_node is None:
        return own
    return f"{own} → node {key.peer_node} device {key.peer_device}"
