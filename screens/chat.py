"""Step 8: ask the served model; its answer comes as it is written."""

from __future__ import annotations

import time
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Markdown, Static
from textual.widgets.markdown import MarkdownStream

from screens.base import StepScreen
from screens.widgets.palette import MUTED, plain
from screens.widgets.prompt import Prompt
from wizard.conversation import Message
from wizard.session import Step

FEED_S = 0.25  # Markdown is laid out anew with every piece: four pieces a second are fluid


class Turn(Vertical):
    """One turn. What the user wrote is plain text, what the model wrote is Markdown."""

    def __init__(self, message: Message) -> None:
        super().__init__()
        self.message = message
        self._fed = 0
        self._stream: MarkdownStream | None = None
        self._told = ""
        self._ready = False

    def compose(self) -> ComposeResult:
        """Who, what, and a note on how it went."""
        mine = self.message.role == "user"
        yield Static("You" if mine else "Model", classes="who", markup=False)
        if mine:
            yield Static(self.message.content, classes="mine", markup=False)
        else:
            yield Markdown(open_links=False)
            yield Static("", classes="note", markup=False)

    def on_mount(self) -> None:
        """Show what there is of it."""
        self._ready = True
        self.feed()

    def feed(self) -> None:
        """Pass on what has come since the last time."""
        message = self.message
        if message.role == "user" or not self._ready:
            return
        if len(message.content) > self._fed:
            if self._stream is None:
                self._stream = Markdown.get_stream(self.query_one(Markdown))
            piece, self._fed = message.content[self._fed :], len(message.content)
            self.call_later(self._stream.write, piece)
        note = self._note()
        if note != self._told:
            self._told = note
            style = "$text-error" if message.state == "failed" else MUTED
            self.query_one(".note", Static).update(plain(note, style))

    def _note(self) -> str:
        message = self.message
        if message.state == "failed":
            how = "Broken off" if message.content else "No answer"
            return f"{how}: {message.note}"
        if message.state != "streaming":
            return message.note
        if message.content:
            return "answering ..."
        if message.reasoning:
            return f"thinking ({len(message.reasoning.split())} words so far) ..."
        return "waiting for the first word ..."

    async def on_unmount(self) -> None:
        """End the stream's own task."""
        if self._stream is not None:
            await self._stream.stop()


class ChatScreen(StepScreen):
    """The conversation above the line to type on."""

    step = Step.CHAT
    heading = "Chat with the served model"
    next_label = ""
    help_text = (
        "Enter sends, Ctrl+J begins a new line. F4 stops an answer; what has come stays.\n"
        "Page Up and Page Down scroll. Esc goes back; the model keeps answering, and keeps\n"
        "serving after the wizard is left."
    )
    CSS_PATH = "chat.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f4", "halt", "Stop answer", id="chat.stop"),
        Binding("f2", "copy", "Copy answer", id="chat.copy"),
        Binding("pageup", "scroll(-1)", "Scroll up", show=False, id="chat.up", priority=True),
        Binding("pagedown", "scroll(1)", "Scroll down", show=False, id="chat.down", priority=True),
    ]

    def body(self) -> ComposeResult:
        """Turns, and the prompt."""
        self._seen = -1
        self._fed_at = 0.0
        self._launch_state: str | None = None
        with VerticalScroll(id="turns", can_focus=False):
            yield Static(
                "Type a question and press Enter. Ctrl+J begins a new line.",
                id="empty",
                markup=False,
            )
        yield Prompt(id="prompt")

    def on_mount(self) -> None:
        """Show the conversation so far."""
        self.query_one("#turns", VerticalScroll).anchor()
        self.query_one("#prompt").focus()
        self.drain()

    def _tell_launch(self) -> None:
        """Say it as long as it holds when nobody is there to answer any more."""
        launch = self.session.launch
        state = launch.state if launch is not None else ""
        if state == self._launch_state:
            return
        self._launch_state = state
        if launch is not None and state == "failed":
            self.say(f"{launch.brief or 'The launch has failed.'} Esc leads to it.", "fail")
        elif not self.session.serving:
            self.say("No model is served as far as we know. Go back and launch it.", "warn")
        else:
            self.say("")

    def drain(self) -> None:
        """Take up what was said since the last time, four times a second at most."""
        self._tell_launch()
        chat = self.session.chat
        now = time.monotonic()
        if chat.revision == self._seen or (chat.busy and now - self._fed_at < FEED_S):
            return
        self._seen, self._fed_at = chat.revision, now
        turns = self.query_one("#turns")
        shown = list(self.query(Turn))
        for turn in shown:
            turn.feed()
        turns.mount_all(Turn(message) for message in chat.messages[len(shown) :])
        self.query_one("#empty").display = not chat.messages

    def on_prompt_submitted(self, event: Prompt.Submitted) -> None:
        """Ask."""
        event.stop()
        prompt = self.query_one(Prompt)
        text = prompt.text.strip()
        if not text:
            return
        if not self.session.ask(text):
            self.say("The model is still answering. F4 stops it.", "warn")
            return
        prompt.clear()
        self._launch_state = None  # what was said of the answer before no longer holds
        self.query_one("#turns", VerticalScroll).anchor()
        self._fed_at = 0.0
        self.drain()

    def action_scroll(self, by: int) -> None:
        """Scroll the conversation while the prompt keeps the focus."""
        turns = self.query_one("#turns")
        turns.scroll_relative(y=by * max(1, turns.size.height - 1), animate=False)

    def action_halt(self) -> None:
        """Stop the answer that streams."""
        if not self.session.stop_answer():
            self.say("No answer is on its way.")

    def action_copy(self) -> None:
        """Copy the latest answer."""
        answers = [m.content for m in self.session.chat.messages if m.role == "assistant"]
        if answers and answers[-1]:
            self.copy(answers[-1], "answer")
