"""Questions and notes on top of a screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

Variant = Literal["default", "primary", "success", "warning", "error"]
Answer = tuple[str, str, Variant]  # id, label, colour

# Each dialog carries all of it: any of them may be the first to be shown.
_CSS = """
Confirm, Notice, Ask { align: center middle; }
Confirm > Vertical, Notice > Vertical, Ask > Vertical {
    width: auto; max-width: 76; height: auto; max-height: 22; padding: 1 2;
    background: $surface; border: ascii $primary;
}
Confirm Static, Ask Static { width: auto; max-width: 68; margin-bottom: 1; }
Confirm Static { max-height: 16; }  /* the answers are always seen */
Confirm Horizontal { width: auto; height: 1; }
Confirm Button { margin-right: 2; }
Notice VerticalScroll { width: 70; height: auto; max-height: 18; }
Ask Input { width: 60; }
"""


class Confirm(ModalScreen[str]):
    """A question with a few answers; the id of the chosen one comes back, "" for Esc.

    The first answer has the focus, so it must be the harmless one.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss('')", "Cancel", id="dialog.cancel"),
        Binding("left,up", "app.focus_previous", "Previous", show=False, id="dialog.previous"),
        Binding("right,down", "app.focus_next", "Next", show=False, id="dialog.next"),
    ]
    DEFAULT_CSS = _CSS

    def __init__(self, question: str, answers: Sequence[Answer]) -> None:
        super().__init__()
        self._question, self._answers = question, answers

    def compose(self) -> ComposeResult:
        """Lay out the question above its answers."""
        with Vertical():
            yield Static(self._question, markup=False)
            with Horizontal():
                for name, label, variant in self._answers:
                    yield Button(label, variant=variant, id=name, compact=True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Hand back the answer."""
        event.stop()
        self.dismiss(event.button.id or "")


class Notice(ModalScreen[None]):
    """Something to read; any of Esc, Enter and F1 closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,f1,q", "dismiss", "Close", id="notice.close")
    ]
    DEFAULT_CSS = _CSS

    def __init__(self, content: Content) -> None:
        super().__init__()
        self._content = content

    def compose(self) -> ComposeResult:
        """Lay out the text, scrollable."""
        with Vertical(), VerticalScroll():
            yield Static(self._content, markup=False)


class Ask(ModalScreen[str]):
    """One line to type; "" for Esc."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss('')", "Cancel", id="ask.cancel")
    ]
    DEFAULT_CSS = _CSS

    def __init__(self, question: str, value: str) -> None:
        super().__init__()
        self._question, self._value = question, value

    def compose(self) -> ComposeResult:
        """Lay out the question above the line."""
        with Vertical():
            yield Static(self._question, markup=False)
            yield Input(self._value, compact=True)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Hand back the line."""
        event.stop()
        self.dismiss(event.value.strip())


class TooSmall(ModalScreen[None]):
    """Covers the screen while the terminal is too small; everything below goes on."""

    DEFAULT_CSS = "TooSmall { align: center middle; background: $background; }"

    def compose(self) -> ComposeResult:
        """Say how large the terminal is, and how large it should be."""
        yield Static(self._text(), markup=False)

    def _text(self) -> str:
        width, height = self.app.size
        return f"Terminal is {width}x{height}; the wizard needs 80x24. It goes on meanwhile."

    def on_resize(self) -> None:
        """Keep the numbers right."""
        self.query_one(Static).update(self._text())
