"""Several nodes put into the list at once."""

from __future__ import annotations

from wizard.draft import DraftNode
from wizard.nodeentry import fill


def draft(*addresses: str) -> list[DraftNode]:
    return [DraftNode(address) for address in addresses]


def test_they_take_the_place_of_the_line_and_use_up_empty_ones() -> None:
    nodes, last = fill(draft("a", "", "", "z"), 1, draft("b", "c"))
    assert (nodes, last) == (draft("a", "b", "c", "z"), 2)
    nodes, last = fill(draft("n[1-3]", "z"), 0, draft("n1", "n2", "n3"))
    assert (nodes, last) == (draft("n1", "n2", "n3", "z"), 2)
    assert fill([], 0, draft("a")) == (draft("a"), 0)


def test_they_share_the_way_of_their_line_and_stand_there_once() -> None:
    like = DraftNode("", jump="gate", identity_file="k", local_ip="10.0.0.1")
    nodes, _ = fill([like], 0, [DraftNode("a"), DraftNode("b", identity_file="own")])
    assert nodes == [
        DraftNode("a", jump="gate", identity_file="k"),
        DraftNode("b", jump="gate", identity_file="own"),
    ]
    assert fill(draft("a", ""), 1, draft("a", "b"))[0] == draft("a", "b")
    assert fill(draft("a", "x"), 1, draft("a"))[0] == draft("a")
    assert fill(draft("x"), 0, [])[0] == [DraftNode()]
