"""A field for a question: Enter sends, Ctrl+J begins a new line."""

from __future__ import annotations

from textual import events
from textual.message import Message
from textual.widgets import TextArea


class Prompt(TextArea):
    """A text area without line numbers that grows with its text.

    A terminal sends Enter and Ctrl+J as different bytes everywhere; Shift+Enter it does not.
    """

    DEFAULT_CSS = """
    Prompt { border: ascii $panel; }
    Prompt:focus { border: ascii $primary; }
    """

    class Submitted(Message):
        """Enter was pressed."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(
            id=id, soft_wrap=True, show_line_numbers=False, highlight_cursor_line=False
        )
        self.cursor_blink = False  # a blink is a repaint, and repaints cost over SSH

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            self.post_message(self.Submitted())
        elif event.key == "ctrl+j":
            event.stop()
            event.prevent_default()
            self.insert("\n")
        else:
            await super()._on_key(event)
