"""The ping matrix in words: a row, a column, a block, a direction, an outsider."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from wizard.checks.board import Board
from wizard.checks.mesh import Kind, Reading, read_mesh
from wizard.checks.model import CellKey, Result, Status
from wizard.checks.plan import mesh
from wizard.checks.problems import Problem
from wizard.cluster import Cluster, Node, Precision, Series

LOSS = {"problem": Problem.PING_LOSS.value, "received": 0}


def cluster(nodes: int) -> Cluster:
    return Cluster(Series.A2, Precision.W8A8, tuple(Node(n, f"n{n}") for n in range(nodes)))


def read(
    nodes: int,
    fails: Callable[[CellKey], bool],
    *,
    full: bool = False,
    check: str = "ping",
    extra: tuple[Result, ...] = (),
) -> list[Reading]:
    board = Board()
    for result in extra:
        board.put(result)
    for step in mesh(cluster(nodes), full=full):
        for key in step:
            cell = key._replace(check=check)
            if fails(cell):
                board.put(Result(cell, Status.FAIL, "0 of 3 packets came back", value=LOSS))
            else:
                board.put(Result(cell, Status.PASS, "all"))
    return read_mesh(board, cluster(nodes))


def ends(key: CellKey) -> set[tuple[int, int | None]]:
    return {(key.node, key.device), (key.peer_node or 0, key.peer_device)}


def said(readings: list[Reading]) -> list[tuple[Kind, tuple[tuple[int, int | None], ...]]]:
    return [(r.kind, r.culprits) for r in readings]


@pytest.mark.parametrize("full", [False, True])
def test_a_healthy_mesh_says_nothing(full: bool) -> None:
    assert read(4, lambda key: False, full=full) == []


@pytest.mark.parametrize("full", [False, True])
def test_a_row_and_a_column_are_one_device(full: bool) -> None:
    found = read(4, lambda key: (1, 3) in ends(key), full=full)
    assert said(found) == [(Kind.DEVICE, ((1, 3),))]
    assert found[0].problem == Problem.PING_DEVICE
    assert len(found[0].cells) == (2 * 3 * 8 if full else 2 * 3)
    assert found[0].text.startswith("node 1 device 3: none of its ")


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    ("kind", "fails", "words"),
    [
        (Kind.ROW, lambda k: (k.node, k.device) == (2, 5), "reaches nobody"),
        (Kind.COLUMN, lambda k: (k.peer_node, k.peer_device) == (2, 5), "is reached by nobody"),
    ],
)
def test_one_direction_of_one_device(
    kind: Kind, fails: Callable[[CellKey], bool], words: str, full: bool
) -> None:
    found = read(4, fails, full=full)
    assert said(found) == [(kind, ((2, 5),))]
    assert found[0].problem == Problem.PING_ONE_WAY
    assert words in found[0].text


def test_a_whole_node() -> None:
    found = read(3, lambda key: 1 in (key.node, key.peer_node))
    assert said(found) == [(Kind.NODE, ((1, None),))]


def test_two_nodes_that_fail_each_other_are_a_block_and_neither_alone_is_to_blame() -> None:
    found = read(2, lambda key: True)
    assert said(found) == [(Kind.BLOCK, ((0, None), (1, None)))]
    found = read(4, lambda key: {key.node, key.peer_node} == {1, 3}, full=True)
    assert said(found) == [(Kind.BLOCK, ((1, None), (3, None)))]
    assert found[0].problem == Problem.PING_BLOCK


def test_a_wall_between_two_switches_is_one_block() -> None:
    lldp = tuple(
        Result(CellKey(n, d, "lldp"), Status.PASS, "", value={"switch": f"sw{n // 2}", "port": "p"})
        for n in range(4)
        for d in range(8)
    )
    found = read(4, lambda k: k.node // 2 != (k.peer_node or 0) // 2, extra=lldp)
    assert said(found) == [(Kind.BLOCK, ((0, None), (1, None), (2, None), (3, None)))]
    assert "switch sw0 to sw1" in found[0].text


def test_an_outsider_against_a_majority_that_all_reach_each_other() -> None:
    def fails(key: CellKey) -> bool:  # with every second one only, so no whole row
        return (0, 6) in ends(key) and sum(d or 0 for _, d in ends(key)) % 2 == 0

    found = read(4, fails, full=True)
    assert said(found) == [(Kind.OUTSIDER, ((0, 6),))]
    assert found[0].text == ("node 0 device 6 fails with 12 others; 19 NPUs all reach each other")


def test_a_pair_in_one_direction_and_a_pair_in_both() -> None:
    one_way = CellKey(0, 1, "ping", 1, 1)
    found = read(3, lambda key: key == one_way)
    assert said(found) == [(Kind.ONE_WAY, ((0, 1), (1, 1)))]
    assert found[0].text == "node 0 device 1 does not reach node 1 device 1, but the way back works"
    found = read(3, lambda key: ends(key) == {(0, 1), (1, 1)})
    assert [r.kind for r in found] == [Kind.PAIR, Kind.PAIR]


def test_several_culprits_are_told_apart() -> None:
    def fails(key: CellKey) -> bool:
        return 3 in (key.node, key.peer_node) or (0, 2) in ends(key)

    found = read(4, fails)
    assert said(found) == [(Kind.NODE, ((3, None),)), (Kind.DEVICE, ((0, 2),))]
    cells = [cell for reading in found for cell in reading.cells]
    assert len(cells) == len(set(cells)), "a cell is explained once"


def test_hccs_is_a_mesh_of_its_own() -> None:
    found = read(3, lambda key: (2, 7) in ends(key), check="hccs_ping")
    assert said(found) == [(Kind.DEVICE, ((2, 7),))]


def test_pings_that_were_never_sent_tell_nothing_of_the_network() -> None:
    board = Board()
    for step in mesh(cluster(2)):
        for key in step:
            value = {"problem": Problem.PING_NO_ADDRESS.value}
            board.put(Result(key, Status.ERROR, "not sent", value=value))
    assert read_mesh(board, cluster(2)) == []
