"""What is wrong with a script, one remark a line; Enter goes to the line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from screens.widgets.palette import MUTED, plain, status_text


@dataclass(frozen=True, slots=True)
class Line:
    """One remark: ``status`` is fail or warn, ``number`` the script's line, 0 for the whole."""

    status: str
    number: int
    text: str
    right: str = ""


class RemarkList(OptionList):
    """Takes no room when there is nothing to say."""

    DEFAULT_CSS = """
    RemarkList { height: auto; max-height: 6; border: none; background: $boost; padding: 0; }
    RemarkList:focus { background: $panel; }
    """

    class Chosen(Message):
        """Enter was pressed on a remark about a line."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False, compact=True)
        self._remarks: list[Line] = []
        self.display = False

    def show(self, lines: Sequence[Line]) -> None:
        """Show other remarks; the highlight stays at its place."""
        if list(lines) == self._remarks:
            return
        self._remarks, at = list(lines), self.highlighted
        self.clear_options()
        self.add_options([_option(line) for line in self._remarks])
        self.display = bool(self._remarks)
        if self._remarks:
            self.highlighted = min(at or 0, len(self._remarks) - 1)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Ask for the line."""
        event.stop()
        self.post_message(self.Chosen(self._remarks[event.option_index].number))


def _option(line: Line) -> Option:
    word = "error" if line.status == "fail" else "warning"
    where = f" line {line.number}: " if line.number else " "
    text = plain(f"{where}{line.text} ") + plain(line.right, MUTED)
    return Option(status_text(line.status, word) + text)
