"""The matrices of all nodes: side by side where there is room, else the current one alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from textual.containers import Container

from screens.widgets.matrix import WIDE, BoardMatrix
from screens.widgets.matrixlayout import Place
from wizard.checks.board import Board
from wizard.checks.model import CellKey

SIDE_BY_SIDE = 120  # columns of the terminal from which on nodes stand side by side
TALL = 36


class Panes(Container):
    """A matrix per node. It knows which node is current; which cell is, its matrix knows."""

    def __init__(self) -> None:
        super().__init__(id="panes")
        self.current = 0
        self._searching = False
        self._board: Board | None = None

    async def build(self, hosts: Sequence[str], board: Board) -> None:
        """Show other nodes, or another run of them."""
        self._board = board
        await self.remove_children()
        matrices = [BoardMatrix(n, f"node {n} {host}", board) for n, host in enumerate(hosts)]
        await self.mount_all(matrices)

    @property
    def matrices(self) -> list[BoardMatrix]:
        """One per node, in rank order."""
        return list(self.query(BoardMatrix))

    @property
    def matrix(self) -> BoardMatrix | None:
        """The current node's."""
        return next((m for m in self.matrices if m.node == self.current), None)

    def fit(self) -> bool:
        """Fit the panes to the terminal; return whether all nodes can be seen at once."""
        width, height = self.app.size
        wide, matrices = width >= SIDE_BY_SIDE, self.matrices
        columns = max(1, width // (WIDE + 1)) if wide else 1
        self.styles.grid_size_columns = min(columns, max(len(matrices), 1))
        # looking for something, a node that has none of it is in the way
        hits = [m for m in matrices if m.layout_of.rows] if self._searching else matrices
        share = 0.7 if height >= TALL else 0.6
        for matrix in matrices:
            # lower than its content it scrolls by itself, and its header stays in sight
            matrix.styles.max_height = max(6, int(height * share) - 1)
            shown = not hits or matrix in hits
            matrix.display = shown if wide else matrix.node == self.current
        return len(matrices) <= columns

    def take(self, changed: Iterable[CellKey], *, grown: bool) -> None:
        """Repaint cells that changed; ``grown``: the board has cells that it had not."""
        by_node: dict[int, list[CellKey]] = {}
        for key in changed:
            by_node.setdefault(key.node, []).append(key)
        every: dict[int, list[CellKey]] = {}
        if grown and self._board is not None:
            for result in self._board:  # once for all nodes: the full mesh has many cells
                every.setdefault(result.key.node, []).append(result.key)
        for matrix in self.matrices:
            if matrix.node in every:
                matrix.take_keys(every[matrix.node])
                matrix.refresh(layout=True)
            if matrix.node in by_node:
                matrix.update_cells(by_node[matrix.node])

    def ignore(self, ignored: Collection[CellKey], touched: Iterable[CellKey]) -> None:
        """Draw the ignored cells as such; those in ``touched`` have become or were ignored."""
        for matrix in self.matrices:
            matrix.ignored = ignored
        self.take(touched, grown=False)

    def show_only(self, shows: Callable[[CellKey], bool] | None) -> None:
        """Show the cells that a rule lets through, or all."""
        self._searching = shows is not None
        for matrix in self.matrices:
            matrix.show_only(shows)

    def go_to_node(self, node: int) -> None:
        """Make a node current and bring it into sight."""
        self.current = node
        matrix = self.matrix
        if matrix is not None:
            matrix.display = True
            matrix.focus(scroll_visible=False)
            self.call_after_refresh(
                self.scroll_to_widget, matrix, animate=False, top=True, force=True
            )

    def next_bad(self, by: int) -> tuple[int, Place] | None:
        """Return node and place of the next (1) or previous (-1) bad cell; None without any.

        0 is the one to begin with: a ping that fails is more often a consequence than a cause.
        """
        matrices = self.matrices
        places = [(m.node, place) for m in matrices for place in m.failures]
        if not places:
            return None
        matrix = self.matrix
        here = (self.current, matrix.cursor if matrix else Place(0, 0))
        if by > 0:
            return next((p for p in places if p > here), places[0])
        if by < 0:
            return next((p for p in reversed(places) if p < here), places[-1])
        own = [p for p in places if not matrices[p[0]].is_ping(p[1])]
        # a node that is not reached says so in the check that reaches it
        return next((p for p in own if matrices[p[0]].is_check(p[1], "ssh")), [*own, *places][0])
