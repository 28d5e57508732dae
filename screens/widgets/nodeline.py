"""One line of the list of nodes: rank, address to type, what the node said, what is wrong."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from wizard.draft import DraftNode
from wizard.nodelist import is_many


class AddressInput(Input):
    """A field for an address that takes a whole list as well when it is pasted."""

    class Pasted(Message):
        """Text for several nodes was pasted."""

        def __init__(self, field: AddressInput, text: str) -> None:
            super().__init__()
            self.field, self.text = field, text

        @property
        def control(self) -> AddressInput:
            """The field."""
            return self.field

    def _on_paste(self, event: events.Paste) -> None:
        text = event.text.strip()
        if "\n" in text or is_many(text):
            event.stop()
            event.prevent_default()
            self.post_message(self.Pasted(self, text))


class NodeLine(Vertical):
    """One node: its rank, its address, what it said, and under it what is wrong with it."""

    DEFAULT_CSS = """
    NodeLine { height: auto; }
    NodeLine Horizontal { height: 1; }
    NodeLine .rank { width: 10; }
    NodeLine Input { width: 1fr; }
    NodeLine .cells { width: auto; padding-left: 1; }
    NodeLine .error { padding-left: 10; height: auto; }
    """

    def __init__(self, rank: int, node: DraftNode, problem: str) -> None:
        super().__init__(id=f"node{rank}")
        self.rank, self._node, self._problem = rank, node, problem

    def compose(self) -> ComposeResult:
        """Rank, address, facts; the problem below takes no line when there is none."""
        with Horizontal():
            role = "head" if self.rank == 0 else ""
            yield Static(f"{self.rank:>2} {role:<5}", classes="rank", markup=False)
            yield AddressInput(self._node.address, placeholder="user@host:port", compact=True)
            cells = Static("", classes="cells", markup=False)
            cells.display = False
            yield cells
        error = Static(self._problem, classes="error", markup=False)
        error.display = bool(self._problem)
        yield error

    def show_problem(self, problem: str) -> None:
        """Write or clear the problem."""
        error = self.query_one(".error", Static)
        error.update(problem)
        error.display = bool(problem)

    def show_cells(self, cells: Content) -> None:
        """Write what the node said, or make room for the address while it has said nothing."""
        shown = self.query_one(".cells", Static)
        shown.display = bool(cells.plain)
        shown.update(cells)


def line_of(widget: Widget | None) -> NodeLine | None:
    """Return the line that a widget belongs to."""
    if widget is None:
        return None
    return next((w for w in widget.ancestors_with_self if isinstance(w, NodeLine)), None)
