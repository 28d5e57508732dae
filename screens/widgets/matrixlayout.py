"""Where each cell of a node stands in its matrix. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from wizard.checks.model import SEVERITY, CellKey, Result, Status


class Place(NamedTuple):
    """A row, and a column of devices; column 0 for a row that is about the whole node."""

    row: int
    column: int


@dataclass
class Row:
    """One check of all devices, one check of the node, or the pings to one peer."""

    label: str
    of_node: bool
    cells: dict[int, list[CellKey]] = field(default_factory=dict)  # column → usually one key


class Layout:
    """Rows and columns for the cells of one node, in the order in which the board has them."""

    def __init__(self, keys: Iterable[CellKey]) -> None:
        found = list(keys)
        self.devices = sorted({key.device for key in found if key.device is not None})
        column = {device: index for index, device in enumerate(self.devices)}
        rows: dict[tuple[int, str, int], Row] = {}
        for key in found:
            of_node = key.device is None
            peer = -1 if key.peer_node is None else key.peer_node
            label = key.check if peer < 0 else f"{key.check} n{peer}"
            kind = 0 if of_node else 1 if peer < 0 else 2  # node, devices, pairs
            row = rows.setdefault((kind, key.check, peer), Row(label, of_node))
            row.cells.setdefault(0 if key.device is None else column[key.device], []).append(key)
        # sorted is stable: within a kind, rows keep the catalogue's order
        self.rows = [rows[name] for name in sorted(rows, key=lambda name: name[0])]
        self._places = {
            key: Place(r, c)
            for r, row in enumerate(self.rows)
            for c, cell in row.cells.items()
            for key in cell
        }

    def place(self, key: CellKey) -> Place | None:
        """Return where a cell stands."""
        return self._places.get(key)

    def keys(self, place: Place) -> list[CellKey]:
        """Return the cells at a place; several when a device has pings to several peers there."""
        if not 0 <= place.row < len(self.rows):
            return []
        row = self.rows[place.row]
        return row.cells.get(0 if row.of_node else place.column, [])


def most_telling(results: Iterable[Result]) -> Result | None:
    """Return the result that one glyph should stand for: the worst, or what is not done yet."""

    def weight(result: Result) -> int:
        if result.status in SEVERITY:
            rank = SEVERITY.index(result.status)
            return rank + (10 if result.status in (Status.FAIL, Status.ERROR) else 0)
        return 5 if result.status is Status.RUNNING else 4

    return max(results, key=weight, default=None)
