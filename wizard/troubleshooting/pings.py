"""Reading the ping matrix: one device, one node, one direction, or just a pair. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.board import Board
from wizard.checks.model import CellKey, Result, Status
from wizard.checks.problems import Problem

Device = tuple[int, int]
Place = tuple[int, int | None]
Reading = tuple[str, list[Place], list[Result]]  # problem, culprits, the cells it explains


def read_matrix(board: Board, bad: Iterable[Result], suspects: set[Device]) -> list[Reading]:
    """Say who is to blame for the pings in ``bad``, which nothing else explains.

    A node, then a device, is named when all its pings fail in both directions while others of
    its peers do well; of two devices that only fail each other, the one in ``suspects`` is
    named, otherwise both. What is left is a pair: one direction only, or its own problem.
    """
    pings = [r for r in board if r.key.check == "ping" and r.status.final]
    left = {result.key: result for result in bad}
    found: list[Reading] = []
    for node in _outsiders(pings, left, [(k.node, k.peer_node) for k in left]):
        cells = [r for key, r in left.items() if node in (key.node, key.peer_node)]
        found.append((Problem.PING_NODE, [(node, None)], cells))
        _drop(left, cells)
    for device in _devices(pings, left, suspects):
        cells = [r for key, r in left.items() if device in _ends(key)]
        if cells:
            found.append((Problem.PING_DEVICE, [device], cells))
            _drop(left, cells)
    for key, result in list(left.items()):
        back = board.get(_reversed(key))
        one_way = back is not None and back.status is Status.PASS
        problem = str(result.value.get("problem"))
        if problem == Problem.PING_LOSS and one_way:
            problem = Problem.PING_ONE_WAY
        found.append((problem, list(_ends(key)), [result]))
    return found


def _drop(left: dict[CellKey, Result], cells: Iterable[Result]) -> None:
    for cell in cells:
        del left[cell.key]


def _ends(key: CellKey) -> tuple[Device, Device]:
    assert key.device is not None
    assert key.peer_node is not None
    assert key.peer_device is not None
    return (key.node, key.device), (key.peer_node, key.peer_device)


def _reversed(key: CellKey) -> CellKey:
    (node, device), (peer_node, peer_device) = _ends(key)
    return CellKey(peer_node, peer_device, "ping", node, device)


def _outsiders(
    pings: list[Result],
    left: dict[CellKey, Result],
    pairs: list[tuple[int, int | None]],
) -> list[int]:
    """Return the nodes all of whose pings fail, where the other nodes reach each other."""
    found = []
    for node in sorted({rank for pair in pairs for rank in pair if rank is not None}):
        mine = [r for r in pings if node in (r.key.node, r.key.peer_node)]
        others = [r for r in pings if node not in (r.key.node, r.key.peer_node)]
        devices = {r.key.device for r in mine}
        if (
            len(devices) > 1
            and all(r.key in left for r in mine)
            and any(r.status is Status.PASS for r in others)
        ):
            found.append(node)
    return found


def _devices(
    pings: list[Result], left: dict[CellKey, Result], suspects: set[Device]
) -> list[Device]:
    """Return the devices all of whose pings fail, most failures first.

    One whose every failure is shared with a likelier culprit is not named.
    """
    mine: dict[Device, list[Result]] = {}
    for result in pings:
        for end in _ends(result.key):
            mine.setdefault(end, []).append(result)
    silent = {d for d, all_ in mine.items() if all(r.key in left for r in all_)}
    named: list[Device] = []
    for device in sorted(silent, key=lambda d: (d not in suspects, -len(mine[d]), d)):
        peers = {end for r in mine[device] for end in _ends(r.key)} - {device}
        alone = not (peers & silent)
        if peers & set(named):
            continue
        if alone or (device in suspects and not peers & silent & suspects):
            named.append(device)
    return named
