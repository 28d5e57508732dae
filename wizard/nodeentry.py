"""Putting several nodes into the list at once (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from wizard.draft import DraftNode


def fill(
    nodes: Sequence[DraftNode], at: int, found: Sequence[DraftNode]
) -> tuple[list[DraftNode], int]:
    """Put ``found`` in place of line ``at``, using up empty lines that follow.

    A new node gets the key, jump host and known_hosts of the line that it was typed into, unless
    it has its own. An address that stands in another line already is not put in again.

    Returns:
        The new list, and the place of the last node that was put in.
    """
    like = nodes[at] if at < len(nodes) else DraftNode()
    there = {node.address.strip() for n, node in enumerate(nodes) if n != at}
    new = [
        replace(
            node,
            identity_file=node.identity_file or like.identity_file,
            jump=node.jump or like.jump,
            known_hosts=node.known_hosts or like.known_hosts,
        )
        for node in found
        if node.address not in there
    ]
    before, after = list(nodes[:at]), list(nodes[at + 1 :])
    for _ in new[1:]:
        if not after or after[0].address.strip():
            break
        after.pop(0)
    if not new:
        new = [DraftNode()] if not (before or after) else []
    return [*before, *new, *after], max(0, at + len(new) - 1)
