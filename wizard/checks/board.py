"""The board of a check run: the latest state of every cell, and what changed since a revision.

The engine writes, screens and reports read. A reader keeps the revision that it has seen and asks
for the cells changed since; a burst of writes to one cell is one change, and a reader that comes
late (a screen entered again) starts from 0 and is right at once.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator

from wizard.checks.model import CellKey, Result, Status


class Board:
    """Latest result by cell. Not thread-safe: everything runs on one event loop."""

    def __init__(self) -> None:
        self._cells: dict[CellKey, Result] = {}
        self._changed: OrderedDict[CellKey, int] = OrderedDict()  # oldest change first
        self._counts: Counter[tuple[int, Status]] = Counter()
        self.revision = 0

    def expect(self, keys: Iterable[CellKey]) -> None:
        """Put cells on the board as pending, in the order given."""
        for key in keys:
            self.put(Result(key, Status.PENDING, ""))

    def put(self, result: Result) -> None:
        """Write the latest state of one cell."""
        old = self._cells.get(result.key)
        if old is not None:
            self._counts[old.key.node, old.status] -= 1
        self._cells[result.key] = result
        self._counts[result.key.node, result.status] += 1
        self.revision += 1
        self._changed[result.key] = self.revision
        self._changed.move_to_end(result.key)

    def changed_since(self, revision: int) -> list[CellKey]:
        """Return the cells written after ``revision``, oldest change first."""
        found = []
        for key in reversed(self._changed):
            if self._changed[key] <= revision:
                break
            found.append(key)
        found.reverse()
        return found

    def get(self, key: CellKey) -> Result | None:
        """Return the state of one cell, or None where there is no such cell."""
        return self._cells.get(key)

    def count(self, status: Status, node: int | None = None) -> int:
        """Return how many cells have ``status``, on one node or on all."""
        if node is not None:
            return self._counts[node, status]
        return sum(n for (_, s), n in self._counts.items() if s is status)

    def __iter__(self) -> Iterator[Result]:
        return iter(self._cells.values())

    def __len__(self) -> int:
        return len(self._cells)
