"""The board: latest state by cell, and what changed since a revision."""

from __future__ import annotations

import pytest

from wizard.checks.board import Board
from wizard.checks.model import CellKey, Result, Status, worst


def key(device: int, node: int = 0) -> CellKey:
    return CellKey(node, device, "link")


def test_a_burst_of_writes_to_one_cell_is_one_change() -> None:
    board = Board()
    board.expect([key(0), key(1)])
    seen = board.revision
    for status in (Status.RUNNING, Status.FAIL, Status.PASS):
        board.put(Result(key(1), status, "x"))
    assert board.changed_since(seen) == [key(1)]
    assert board.changed_since(board.revision) == []


def test_a_reader_that_comes_late_gets_every_cell() -> None:
    board = Board()
    board.expect([key(0), key(1), key(2)])
    board.put(Result(key(0), Status.PASS, "up"))
    assert board.changed_since(0) == [key(1), key(2), key(0)]


def test_counts_follow_a_cell_from_state_to_state() -> None:
    board = Board()
    board.expect([key(0), key(0, node=1)])
    board.put(Result(key(0), Status.FAIL, "down"))
    assert (board.count(Status.FAIL), board.count(Status.FAIL, node=1)) == (1, 0)
    board.put(Result(key(0), Status.PASS, "up"))
    assert (board.count(Status.FAIL), board.count(Status.PASS, node=0)) == (0, 1)
    assert board.count(Status.PENDING) == 1


@pytest.mark.parametrize(
    ("statuses", "verdict"),
    [
        ([Status.PASS, Status.WARN], Status.WARN),
        ([Status.FAIL, Status.ERROR, Status.PASS], Status.ERROR),
        ([Status.FAIL, Status.WARN], Status.FAIL),
        ([Status.PASS, Status.SKIPPED], Status.PASS),
        ([Status.SKIPPED], Status.ERROR),
        ([], Status.ERROR),
    ],
)
def test_the_verdict_is_the_worst_status_and_nothing_proves_nothing(
    statuses: list[Status], verdict: Status
) -> None:
    assert worst(statuses) is verdict
