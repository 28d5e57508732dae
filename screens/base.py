"""What every step's screen has in common: stepper, heading, buttons, keys, and one drain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Button, Static

from screens.copying import copy_text
from screens.widgets.dialog import Notice
from screens.widgets.keyline import KeyLine
from screens.widgets.palette import MUTED, plain
from screens.widgets.stepper import Stepper
from wizard.errors import WizardError
from wizard.session import Session, Step

STEP_NAMES = ("Start", "Hardware", "Nodes", "Checks", "Problems", "Preview", "Launch", "Chat")


class Goto(Message):
    """A screen asks the app for another step.

    ``place`` is where in it, as a diagnosis says; ``back`` is where Back leads from there, the
    step before it when None.
    """

    def __init__(
        self, step: Step, place: Mapping[str, Any] | None = None, back: Step | None = None
    ) -> None:
        super().__init__()
        self.step, self.place, self.back = step, place, back


class StepScreen(Screen[None]):
    """One step. It keeps no answers of its own: what it shows comes from the session."""

    step: ClassVar[Step]
    heading: ClassVar[str]
    help_text: ClassVar[str] = ""
    next_label: ClassVar[str] = "Next"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012 - Textual's own way
    VERTICAL_BREAKPOINTS = [(0, "-low"), (36, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", id="step.back"),
        Binding("ctrl+n,f10", "next", "Next", id="step.next", key_display="^n"),
        Binding("n", "next", "Next", show=False, id="step.next_letter"),
        Binding("f1,question_mark", "help", "Help", id="step.help", key_display="F1"),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.place: Mapping[str, Any] | None = None  # where to go once all is there
        self.back_to: Step | None = None  # whence one was led here, for a look at something

    def compose(self) -> ComposeResult:
        """Stepper, heading, the step's own body, message line, buttons, keys."""
        yield Stepper(STEP_NAMES, self.step)
        yield Static(self._heading(), id="heading", markup=False)
        yield from self.body()
        yield Static("", id="message", classes="-empty", markup=False)
        with Horizontal(id="buttons"):
            if self.step is not Step.START:
                yield Button("Back", id="back", compact=True)
            yield from self.buttons()
            if self.next_label:
                yield Button(self.next_label, id="next", variant="primary", compact=True)
        yield KeyLine()

    def show_steps(self) -> None:
        """Bring the line of steps in line with the session."""
        session = self.session
        busy: set[int] = {Step.CHECKS} if session.checks_running else set()
        self.query_one(Stepper).show({*session.done}, {*session.problem_steps}, busy)

    def on_screen_resume(self) -> None:
        """What went on meanwhile may have changed the steps."""
        self.show_steps()
        if (place := self.place) is not None:
            self.place = None
            self.call_after_refresh(self.lead, place)  # a place must be on the screen already

    def lead(self, place: Mapping[str, Any]) -> None:
        """Go to a place in this step: the key ``field`` of the preset, or ``check`` and ``node``.

        See :attr:`wizard.diagnosis.verdict.Cause.goto`. What is not there leaves the cursor alone.
        """

    def _heading(self) -> Content:
        where = "   [simulated cluster]" if self.session.demo else ""
        return plain(self.heading, "bold") + plain(where, "$text-warning")

    def body(self) -> ComposeResult:
        """Yield the step's own widgets."""
        return ()

    def buttons(self) -> ComposeResult:
        """Yield buttons between Back and Next."""
        return ()

    def drain(self) -> None:
        """Show what changed. The app calls this on its one timer, and once on entry."""

    def reconnected(self) -> None:
        """Nodes that were out of reach can be asked now: a step that waits for them asks again."""

    def say(self, text: str, kind: str = "") -> None:
        """Write the message line; ``kind`` is a status, "" for a plain word."""
        colour = {"fail": "$text-error", "warn": "$text-warning", "pass": "$text-success"}
        message = self.query_one("#message", Static)
        message.set_class(not text, "-empty")
        message.update(plain(text, colour.get(kind, MUTED)))

    def copy(self, text: str, name: str) -> None:
        """Copy by OSC 52, and to a file, because a terminal may ignore the first."""
        self.say(*copy_text(self.app, text, name))

    def failed(self, error: WizardError) -> None:
        """Show an error of the engine on the message line."""
        self.say(str(error), "fail")

    # -- keys

    @property
    def quiet(self) -> frozenset[str]:
        """Actions that lead nowhere just now: their keys answer, but have no place in the line."""
        return frozenset()

    def action_back(self) -> None:
        """Go whence one was led here, else one step back; START has none before it."""
        if self.back_to is not None:
            self.post_message(Goto(self.back_to))
        elif self.step is not Step.START:
            self.post_message(Goto(Step(self.step - 1)))

    def action_next(self) -> None:
        """Go one step on, if this one is answered."""
        if self.may_leave() and self.step is not Step.CHAT:
            self.post_message(Goto(Step(self.step + 1)))

    def may_leave(self) -> bool:
        """Whether the answers allow the next step; if not, show the first problem."""
        return True

    def action_help(self) -> None:
        """Show what this step is for and which keys it knows."""
        text = plain(f"{self.heading}\n\n", "bold") + plain(
            " ".join(self.help_text.split()) + "\n\nKeys\n"
        )
        lines = []
        seen: set[str] = set()
        for active in self.active_bindings.values():
            binding = active.binding
            if not binding.id or binding.description in seen:  # Textual's own have no id
                continue
            seen.add(binding.description)
            keys = self.app.get_key_display(binding)
            lines.append(plain(f"  {keys:<12}", "bold") + plain(binding.description))
        self.app.push_screen(Notice(text + plain("\n").join(lines)))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The first step has nothing before it, the last nothing after it."""
        if (action, self.step) in (("back", Step.START), ("next", Step.CHAT)):
            return False
        return super().check_action(action, parameters)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Back and Next; a step handles its own buttons in :meth:`pressed`."""
        event.stop()
        name = event.button.id or ""
        if name == "back":
            self.action_back()
        elif name == "next":
            self.action_next()
        else:
            self.pressed(name)

    def pressed(self, name: str) -> None:
        """Handle a button of the step's own."""

    def on_key(self, event: events.Key) -> None:
        """Let the arrow keys move along the buttons."""
        if isinstance(self.focused, Button) and event.key in ("left", "right", "up"):
            event.stop()
            if event.key == "right":
                self.focus_next()
            else:
                self.focus_previous()
