"""A passphrase or password to type, over whatever step is shown; what is typed is never seen."""

from __future__ import annotations

import time
from typing import ClassVar

from pydantic import SecretStr
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from screens.widgets.palette import plain
from wizard.remote.secrets import SecretRequest
from wizard.secretdesk import SecretDesk

SOON_S = 0.7  # nobody reads the question and types an answer in less
_TOO_SOON = "Not used: Enter came as soon as the question. Type it for this question."
_KEYS = "Enter uses it   Esc goes on without it: what needs it fails"


class SecretInput(Input):
    """A masked line that tells nobody what it holds: a crash shows messages, and their content."""

    class Entered(Message):
        """Enter was pressed."""

    def __init__(self) -> None:
        super().__init__(password=True, compact=True)

    def post_message(self, message: Message) -> bool:
        """Keep what was typed out of the messages."""
        if isinstance(message, Input.Changed):
            return True
        return super().post_message(
            self.Entered() if isinstance(message, Input.Submitted) else message
        )

    def take(self) -> SecretStr:
        """Return what was typed, and forget it."""
        typed = SecretStr(self.value)
        self.value = ""
        return typed


class SecretScreen(ModalScreen[None]):
    """Asks one question of the desk, and closes itself when it is no longer open."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "refuse", "Do without", id="secret.refuse"),
    ]
    DEFAULT_CSS = """
    SecretScreen { align: center middle; }
    SecretScreen > Vertical {
        width: 70; height: auto; max-height: 22; padding: 1 2;
        background: $surface; border: ascii $primary;
    }
    SecretScreen Static { height: auto; margin-bottom: 1; }
    SecretScreen #refused { color: $text-error; }
    SecretScreen #refused.-empty { display: none; }
    SecretScreen SecretInput { width: 1fr; background: $panel; margin-bottom: 1; }
    SecretScreen #hint { color: $text-muted; margin-bottom: 0; }
    """

    def __init__(self, desk: SecretDesk, request: SecretRequest) -> None:
        super().__init__()
        self._desk, self._request = desk, request
        self._whom = ""
        self._shown_at = 0.0  # by the monotonic clock

    def compose(self) -> ComposeResult:
        """What is asked, for whom, why again, and the line to type."""
        request = self._request
        with Vertical():
            yield Static(plain(request.title, "bold"), id="title", markup=False)
            yield Static("", id="whom", markup=False)
            said = f"Asked again: {request.refused}." if request.refused else ""
            yield Static(said, id="refused", classes="" if said else "-empty", markup=False)
            yield SecretInput()
            yield Static(_KEYS, id="hint", markup=False)

    def on_mount(self) -> None:
        """Be ready to type."""
        self.drain()
        self.query_one(SecretInput).focus()
        self._shown_at = time.monotonic()

    def drain(self) -> None:
        """Name the nodes that wait by now; go when none does. The app calls this on its timer."""
        if self._desk.pending is not self._request:
            self.dismiss()
        elif self._request.whom != self._whom:
            self._whom = self._request.whom
            self.query_one("#whom", Static).update(plain(self._whom))

    def on_secret_input_entered(self) -> None:
        """Use what was typed for this question; nothing is no answer."""
        typed = self.query_one(SecretInput).take()
        if not typed.get_secret_value():
            return
        if time.monotonic() - self._shown_at < SOON_S:  # it was on its way somewhere else
            said = self.query_one("#refused", Static)
            said.update(_TOO_SOON)
            said.remove_class("-empty")
            return
        self._desk.answer(self._request, typed)

    def action_refuse(self) -> None:
        """Go on without it: the nodes that need it fail, with a word of why."""
        self.query_one(SecretInput).take()
        self._desk.answer(self._request, None)
