"""Where each cell of a node stands in its matrix. Pure.

Devices are columns and their checks rows; pings have a row per peer. What is asked of the node as
a whole stands below, four names to a line: it has no device.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from wizard.checks.model import SEVERITY, CellKey, Result, Status

ACROSS = 4  # checks of the node on a line


class Place(NamedTuple):
    """A row, and a column: of devices, or of the node's own checks."""

    row: int
    column: int


@dataclass
class Row:
    """One check of all devices, the pings to one peer, or a line of the node's own checks."""

    label: str
    of_node: bool
    cells: dict[int, list[CellKey]] = field(default_factory=dict)  # column → usually one key

    @property
    def last(self) -> int:
        """The last column that holds a cell."""
        return max(self.cells, default=0)


class Layout:
    """Rows and columns for the cells of one node, in the order in which the board has them.

    Args:
        keys: the cells to be shown.
        devices: the columns; those of ``keys`` when not given.
    """

    def __init__(self, keys: Iterable[CellKey], devices: Iterable[int] | None = None) -> None:
        found = list(keys)
        if devices is None:
            devices = {key.device for key in found if key.device is not None}
        self.devices = sorted(devices)
        column = {device: index for index, device in enumerate(self.devices)}
        rows: dict[tuple[bool, str, int], Row] = {}
        of_node = [key for key in found if key.device is None]
        for key in found:
            if key.device is None:
                continue
            peer = -1 if key.peer_node is None else key.peer_node
            label = key.check if peer < 0 else f"{_short(key.check)} n{peer}"
            row = rows.setdefault((peer >= 0, key.check, peer), Row(label, False))
            row.cells.setdefault(column[key.device], []).append(key)
        # sorted is stable: devices' own rows first, each kind in the catalogue's order
        self.rows = [rows[name] for name in sorted(rows, key=lambda name: name[0])]
        for start in range(0, len(of_node), ACROSS):
            line = of_node[start : start + ACROSS]
            self.rows.append(Row("", True, {i: [key] for i, key in enumerate(line)}))
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
        return self.rows[place.row].cells.get(place.column, [])

    @property
    def first(self) -> Place:
        """Return the first place that holds a cell."""
        return min(self._places.values(), default=Place(0, 0))

    def near(self, row: int, column: int) -> Place:
        """Return the place nearest to a row and column, which may lie outside."""
        if not self.rows:
            return Place(0, 0)
        row = max(0, min(row, len(self.rows) - 1))
        last = self.rows[row].last if self.rows[row].of_node else max(len(self.devices) - 1, 0)
        return Place(row, max(0, min(column, last)))


def _short(check: str) -> str:
    return "hccs" if check == "hccs_ping" else check


def most_telling(results: Iterable[Result]) -> Result | None:
    """Return the result that one glyph should stand for: the worst, or what is not done yet."""

    def weight(result: Result) -> int:
        if result.status in SEVERITY:
            rank = SEVERITY.index(result.status)
            return rank + (10 if result.status in (Status.FAIL, Status.ERROR) else 0)
        return 5 if result.status is Status.RUNNING else 4

    return max(results, key=weight, default=None)
