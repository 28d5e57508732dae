"""The pings of a board as squares: counted by pair of nodes, followed as they change."""

from __future__ import annotations

from wizard.checks.board import Board
from wizard.checks.meshview import MeshView
from wizard.checks.model import CellKey, Result, Status
from wizard.cluster import Cluster, Node, Precision, Series

CLUSTER = Cluster(Series.A2, Precision.W8A8, tuple(Node(n, f"n{n}") for n in range(2)))


def put(board: Board, status: Status, device: int = 1, check: str = "ping", to: int = 1) -> CellKey:
    key = CellKey(0, device, check, to, device)
    board.put(Result(key, status, check))
    return key


def test_a_pair_of_nodes_shows_its_worst_ping_and_counts_all() -> None:
    board = Board()
    for device, status in enumerate((Status.PASS, Status.FAIL, Status.SKIPPED, Status.PASS)):
        put(board, status, device)
    board.put(Result(CellKey(0, 1, "link"), Status.ERROR, "no ping"))
    view = MeshView(board)
    pair = view.pairs[0, 1]
    assert pair.status is Status.FAIL
    assert pair.asked == 3
    assert pair.words == "2 of 3 pass, 1 fail, 1 skipped"
    assert view.counts[Status.PASS] == 2
    assert set(view.pairs) == {(0, 1)}


def test_it_follows_what_changes_and_says_where() -> None:
    board = Board()
    key = put(board, Status.PENDING)
    view = MeshView(board)
    assert view.pairs[0, 1].status is Status.PENDING
    put(board, Status.RUNNING)
    assert view.update([key]) == {(0, 1)}
    assert view.pairs[0, 1].status is Status.RUNNING
    put(board, Status.PASS)
    other = put(board, Status.PASS, device=2)
    assert view.update([key, other, CellKey(0, 1, "link")]) == {(0, 1)}
    assert view.pairs[0, 1].words == "2 of 2 pass"
    assert view.update([]) == set()


def test_of_two_ways_between_a_pair_the_worse_answer_stands() -> None:
    for roce, hccs in ((Status.PASS, Status.FAIL), (Status.FAIL, Status.PASS)):
        board = Board()
        put(board, roce)
        put(board, hccs, check="hccs_ping")
        assert MeshView(board).devices(0, 1)[1, 1].status is Status.FAIL
    board = Board()
    put(board, Status.SKIPPED)
    put(board, Status.PASS, check="hccs_ping")
    assert MeshView(board).devices(0, 1)[1, 1].key.check == "hccs_ping"


def test_what_is_missing_to_the_full_mesh_counts_roce_pairs() -> None:
    board = Board()
    put(board, Status.PASS)
    put(board, Status.PASS, check="hccs_ping")
    assert MeshView(board).missing(CLUSTER) == 2 * 8 * 8 - 1
