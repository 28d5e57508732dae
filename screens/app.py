"""The wizard as a Textual app: one screen per step, one timer, one session that outlives them."""

from __future__ import annotations

import gc
import os
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.events import Event, Key, Paste, Resize
from textual.screen import ModalScreen, Screen
from textual.scrollbar import ScrollBar, ScrollBarRender
from textual.widgets import Input, TextArea

from screens.audit import AuditScreen
from screens.base import STEP_NAMES, Goto, StepScreen
from screens.chat import ChatScreen
from screens.checks import ChecksScreen
from screens.hardware import HardwareScreen
from screens.hostkeys import HostKeyScreen
from screens.launch import LaunchScreen
from screens.mesh import MeshScreen
from screens.nodes import NodesScreen
from screens.preview import PreviewScreen
from screens.saving import save_as_preset
from screens.secrets import SecretScreen
from screens.start import StartScreen
from screens.troubleshooting import TroubleshootingScreen
from screens.widgets.dialog import Answer, Confirm, TooSmall
from screens.widgets.glyphs import use_ascii
from wizard.checks.model import Status
from wizard.errors import WizardError
from wizard.leftover import left_over
from wizard.paths import state_dir
from wizard.session import Session, Step

SMALLEST = (80, 24)
SCREENS: dict[Step, type[StepScreen]] = {
    Step.START: StartScreen,
    Step.HARDWARE: HardwareScreen,
    Step.NODES: NodesScreen,
    Step.CHECKS: ChecksScreen,
    Step.TROUBLESHOOTING: TroubleshootingScreen,
    Step.PREVIEW: PreviewScreen,
    Step.LAUNCH: LaunchScreen,
    Step.CHAT: ChatScreen,
}

PAUSE_S = 1.0  # without a key before a question comes up over a field that is being typed into
_FUNCTION_KEY = re.compile(r"f\d{1,2}")
_DRAINED = (StepScreen, HostKeyScreen, MeshScreen, SecretScreen)


class _PlainScrollBar(ScrollBarRender):
    """Scroll bars without the fractions of blocks that not every font has."""

    VERTICAL_BARS: ClassVar[list[str]] = [" "] * 8
    HORIZONTAL_BARS: ClassVar[list[str]] = [" "] * 8


class WizardApp(App[int]):
    """Shows the session. It starts nothing itself: every action is a call to the session."""

    TITLE = "v32-wizard"
    CSS_PATH = "app.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "Quit", id="app.quit", priority=True, key_display="^q"),
        Binding("f9", "audit", "What was run", show=False, id="app.audit"),
    ]

    def __init__(self, session: Session, *, ascii_only: bool = False) -> None:
        super().__init__()
        self.session = session
        self._launch_state = ""
        self._let_in = 0
        self._audit_problem = ""
        self._checking = False
        self._keyed_at = -PAUSE_S  # by the monotonic clock
        use_ascii(ascii_only)
        if ascii_only:
            ScrollBar.renderer = _PlainScrollBar
        over_ssh = "SSH_CONNECTION" in os.environ
        self._interval_s = 0.25 if over_ssh else 0.1
        if over_ssh:
            self.animation_level = "none"

    def on_mount(self) -> None:
        """Show the session's step, and keep showing what changes."""
        self.push_screen(self._screen(self.session.step))
        self.set_interval(self._interval_s, self._drain)
        if not self.is_headless:
            self.call_after_refresh(_settle_garbage)

    def _screen(self, step: Step) -> StepScreen:
        return SCREENS[step](self.session)

    def _drain(self) -> None:
        if not self.is_running:  # on the way out the widgets go before the timer
            return
        screen = self.screen
        if isinstance(screen, _DRAINED) and screen.is_mounted:
            screen.drain()
        self._drain_host_keys()
        self._drain_secrets()
        self._drain_audit()
        self._tell_checks(screen)
        launch = self.session.launch
        state = launch.state if launch is not None else ""
        if state != self._launch_state:
            self._launch_state = state
            self._show_steps()
            # those two say it themselves, for as long as it holds
            if state in ("ready", "failed") and not isinstance(screen, (LaunchScreen, ChatScreen)):
                word = "serves: the model can be asked." if state == "ready" else "has failed."
                severity: Literal["information", "error"] = (
                    "information" if state == "ready" else "error"
                )
                self.notify(f"The launch {word}", severity=severity, markup=False)

    def _drain_audit(self) -> None:
        """Say it once when what is run on the nodes cannot be noted."""
        problem = self.session.audit_problem
        if problem != self._audit_problem:
            self._audit_problem = problem
            if problem:
                self.notify(problem, severity="warning", markup=False, timeout=30)

    async def on_event(self, event: Event) -> None:
        """Remember when a key was pressed."""
        if isinstance(event, (Key, Paste)):
            self._keyed_at = time.monotonic()
        await super().on_event(event)

    def _may_ask(self) -> bool:
        """Whether a question may come up: no other is open, and nobody is typing in a field.

        What is typed there would go to the question instead, a letter or an Enter too many.
        """
        in_a_field = isinstance(self.focused, (Input, TextArea))
        paused = time.monotonic() - self._keyed_at >= PAUSE_S
        return not isinstance(self.screen, ModalScreen) and (paused or not in_a_field)

    def _drain_host_keys(self) -> None:
        """Ask about host keys that are not known, as soon as a question may come up."""
        desk = self.session.host_keys
        if desk.pending and self._may_ask():
            self.push_screen(HostKeyScreen(desk))
        if desk.let_in != self._let_in:
            self._let_in = desk.let_in
            step = next((s for s in self.screen_stack if isinstance(s, StepScreen)), None)
            if step is not None:
                step.reconnected()

    def _tell_checks(self, screen: Screen[object]) -> None:
        """Say that the checks are done to whoever looks elsewhere."""
        session, running = self.session, self.session.checks_running
        if running == self._checking:
            return
        self._checking = running
        self._show_steps()
        if running or isinstance(screen, (ChecksScreen, MeshScreen, TroubleshootingScreen)):
            return
        failed, unknown = session.wrong(Status.FAIL), session.wrong(Status.ERROR)
        counts = [f"{failed} failed"] * bool(failed) + [f"{unknown} unknown"] * bool(unknown)
        self.notify(
            f"The checks are done: {', '.join(counts) or 'none failed'}.",
            severity="error" if counts else "information",
            markup=False,
        )

    def _show_steps(self) -> None:
        for below in self.screen_stack:
            if isinstance(below, StepScreen) and below.is_mounted:
                below.show_steps()

    def _drain_secrets(self) -> None:
        """Ask for a passphrase or password that nodes wait for, as soon as that may come up."""
        desk = self.session.secrets
        if desk.pending is not None and self._may_ask():
            self.push_screen(SecretScreen(desk, desk.pending))

    def get_key_display(self, binding: Binding) -> str:
        """Write F4 as on the key: ``f4`` would read as two keys, of which f is one."""
        shown = super().get_key_display(binding)
        return shown.upper() if _FUNCTION_KEY.fullmatch(shown) else shown

    def on_goto(self, message: Goto) -> None:
        """Show another step."""
        self.goto(message.step, message.place, message.back)

    def goto(
        self, step: Step, place: Mapping[str, Any] | None = None, back: Step | None = None
    ) -> None:
        """Leave the shown step for another; its answers are in the session."""
        self.session.go(step)
        screen = self._screen(step)
        screen.place, screen.back_to = place, back
        self.switch_screen(screen)

    def on_resize(self, event: Resize) -> None:
        """Say so while the terminal is too small, and go on."""
        small = event.size.width < SMALLEST[0] or event.size.height < SMALLEST[1]
        covered = isinstance(self.screen, TooSmall)
        if small and not covered:
            self.push_screen(TooSmall())
        elif covered and not small:
            self.pop_screen()

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Steps already seen, and what the app knows, in the command palette."""
        for step in sorted(self.session.visited):
            yield SystemCommand(
                f"Go to {STEP_NAMES[step]}",
                "A step that you have seen",
                lambda s=step: self.goto(s),
            )
        yield SystemCommand("What was run on the nodes", "The audit log (F9)", self.action_audit)
        yield SystemCommand("Theme", "Change the colours", self.action_change_theme)
        yield SystemCommand("Quit", "Leave the wizard", self.action_quit)

    def action_audit(self) -> None:
        """Show what was run on the nodes, over the step."""
        if isinstance(self.screen, StepScreen):
            self.push_screen(
                AuditScreen(state_dir() / "audit.jsonl", lambda: self.session.audit_problem)
            )

    async def action_quit(self) -> None:
        """Leave; ask first when something runs."""
        if not any(isinstance(screen, Confirm) for screen in self.screen_stack):
            self.run_worker(self._leave(), exit_on_error=False)

    def _about_launch(self) -> Confirm:
        """Ask what becomes of the launch; only what is true can be chosen."""
        # not "Cancel": that could as well be the launch
        cancel: Answer = ("cancel", "Stay here", "default")
        stop: Answer = ("stop", "Stop it and quit", "error")
        leave: Answer = ("leave", "Leave it running", "primary")
        if self.session.demo:
            return Confirm(
                "A launch runs on the simulated nodes. They end with this program.", (cancel, stop)
            )
        launch = self.session.launch
        if launch is not None and launch.state in ("pending", "starting"):
            return Confirm(
                "The launch is being started. It can be left only once all nodes run; quitting "
                "now undoes what was started.",
                (cancel, stop),
            )
        return Confirm(
            "A launch runs on the nodes. It goes on without the wizard, and is found again "
            "when you come back.",
            (leave, cancel, stop),
        )

    async def _about_answers(self) -> str:
        """Tell what no preset holds; saving it is one of the answers."""
        typing, unsaved = self.session.review.typing, self.session.unsaved
        said = []
        if typing is not None:
            said.append(f"Your changes of {typing[0]} are not saved and would be lost.")
        if unsaved:
            said.append(
                "Your answers are in no preset. They are kept, and can be resumed until the next "
                "deployment is begun."
            )
        cancel: Answer = ("cancel", "Cancel", "default")
        save: Answer = ("save", "Save as preset and quit", "primary")
        quit_all: Answer = ("leave", "Quit", "error" if typing else "default")
        answers = (cancel, save, quit_all) if unsaved and typing is None else (cancel, quit_all)
        answer = await self.push_screen_wait(Confirm("\n\n".join(said), answers))
        if answer != "save":
            return answer
        try:
            return "leave" if await save_as_preset(self, self.session) else ""
        except WizardError as error:
            self.notify(str(error), severity="error", markup=False, timeout=20)
            return ""

    async def _leave(self) -> None:
        session = self.session
        if session.launch_active:
            answer = await self.push_screen_wait(self._about_launch())
        elif left_over(session) and not session.demo:
            how = "is not stopped on every node:" if session.stop_error else "has failed, but"
            answer = await self.push_screen_wait(
                Confirm(
                    f"The launch {how} containers of it may still run and hold NPUs.",
                    (
                        ("cancel", "Stay here", "default"),
                        ("leave", "Leave them", "default"),
                        ("stop", "Stop them and quit", "primary"),
                    ),
                )
            )
        elif session.checks_running:
            answer = await self.push_screen_wait(
                Confirm(
                    "Checks are running. Quitting stops them; nothing on a node was changed.",
                    (("cancel", "Cancel", "default"), ("leave", "Stop them and quit", "primary")),
                )
            )
        elif session.review.typing is not None or session.unsaved:
            answer = await self._about_answers()
        else:
            answer = "leave"
        if answer == "stop":
            self.notify("Stopping the launch on every node", markup=False, timeout=60)
            if problem := await session.stop_launch():
                self.notify(problem, severity="error", markup=False, timeout=60)
                return
        if answer in ("leave", "stop"):
            self.exit(0)


def _settle_garbage() -> None:
    # What is loaded by now lives to the end: sweeping it again and again is what makes a
    # terminal program stutter (measured: stalls of 67 ms become 16).
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


async def run_async(session: Session, *, ascii_only: bool = False, mouse: bool = True) -> int:
    """Show the wizard until the user leaves; close the session; return the exit status."""
    app = WizardApp(session, ascii_only=ascii_only)
    try:
        await app.run_async(mouse=mouse)
    finally:
        await session.aclose()
    return app.return_code or 0
