"""Step 7: launch on all nodes, follow it, stop it. The engine runs it; this only shows."""

from __future__ import annotations

import os
import time
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Static

from screens.base import Goto, StepScreen
from screens.launchplan import doubt_of_scripts, nothing_yet, plan_text
from screens.widgets.causepanel import CausePanel
from screens.widgets.dialog import Answer, Confirm
from screens.widgets.glyphs import glyph, known
from screens.widgets.logview import LogView
from screens.widgets.palette import COLOURS, plain, status_text
from screens.widgets.tabline import TabLine
from wizard.diagnosis.report import goto_text
from wizard.diagnosis.verdict import Cause
from wizard.errors import WizardError
from wizard.rooms import LaunchLike, RankLike
from wizard.session import Step

LOG_LINES = 8  # a log with fewer lines than this tells nothing
OTHER_LINES = 6  # stepper, heading, state, message, buttons, keys
CAUSE_LINES = 8


class LogPane(Vertical):
    """One node's log under its name."""

    def __init__(self, rank: RankLike) -> None:
        super().__init__()
        self.rank = rank
        self.view = LogView(rank.log)

    def compose(self) -> ComposeResult:
        """Name above log."""
        yield Static(f"node {self.rank.rank} {self.rank.host}", classes="title", markup=False)
        yield self.view


class LaunchScreen(StepScreen):
    """The plan before the launch; stages and logs from then on."""

    step = Step.LAUNCH
    heading = "Launch, and follow it until it serves"
    next_label = "Chat"
    help_text = (
        "l launches after a question; s stops it again, on every node. The launch runs on the "
        "nodes: leaving this screen or the wizard does not stop it. o shows another node's log; "
        "arrow and Page keys scroll it, at its end it follows. On a narrow screen the lines' "
        "prefixes are shortened; y copies them whole. When it has failed, the cause is shown; g "
        "goes where it can be mended, or to the log that says it."
    )
    CSS_PATH = "launch.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("l", "launch", "Launch", id="launch.launch"),
        Binding("s", "stop", "Stop", id="launch.stop"),
        Binding("o", "node", "Other node", id="launch.node"),
        Binding("g", "cause", "Go to cause", id="launch.cause"),
        Binding("y", "copy", "Copy log", id="launch.copy"),
    ]

    def body(self) -> ComposeResult:
        """State, nodes, and the plan or the logs."""
        self._launch: LaunchLike | None = None  # the one that the panes are about
        self._told: object = None
        self._last_state = ""
        self._looking = False
        yield Static("", id="state", markup=False)
        yield CausePanel()
        yield Static("", id="ranks", markup=False)
        yield TabLine([], id="tabs")
        with VerticalScroll(id="plan"):
            yield Static("", markup=False)
        yield Container(id="logs")

    def buttons(self) -> ComposeResult:
        """What l and s do; only the one that makes sense is there."""
        yield Button("Launch", id="launch", variant="success", compact=True)
        yield Button("Stop", id="stop", variant="error", compact=True)

    async def on_mount(self) -> None:
        """Show the launch there is; look for one on the nodes when we know of none."""
        launch = self.session.launch
        if launch is None or launch.state == "pending":
            self._begin_look()
        else:
            await self._show_launch(launch)
        if not self.session.review.scripts:  # whoever comes here past the preview is warned as well
            self.session.review.ask()
        self.drain()

    def _begin_look(self) -> None:
        self._looking = True
        self.run_worker(self._look(), exclusive=True, exit_on_error=False)

    def reconnected(self) -> None:
        """Look again on nodes that were out of reach."""
        launch = self.session.launch
        if not self._looking and (launch is None or launch.state == "pending"):
            self.say("")
            self._begin_look()

    async def _look(self) -> None:
        try:
            found = await self.session.attach()
        except WizardError as error:
            self.failed(error)
            found = False
        self._looking = False
        launch = self.session.launch
        if launch is None:
            return
        if found:
            self.say("A launch of this preset runs already; it is followed here.", "pass")
        await self._show_launch(launch)
        if not found:
            self.query_one("#launch").focus()

    async def _show_launch(self, launch: LaunchLike) -> None:
        self._launch, self._told = launch, None
        logs = self.query_one("#logs")
        await logs.remove_children()
        await logs.mount_all(LogPane(rank) for rank in launch.ranks)
        self.drain()

    # -- draining

    def drain(self) -> None:
        """Take up what the engine wrote since the last time."""
        session, launch = self.session, self._launch
        begun = launch is not None and (launch.state != "pending" or session.launch_active)
        waited = self._waited()
        now = (
            launch and (launch.revision, launch.state, launch.message),
            (session.launch_error, session.stop_error, session.stopping, session.launch_active),
            (self._looking, waited, begun, session.review.revision),
        )
        if launch is not None and launch.state != self._last_state:
            if self._last_state in ("starting", "waiting"):
                self.say("")  # what was said of the start no longer holds
            self._last_state = launch.state
            if (cause := self._cause()) is not None:
                self._turn_to(cause.node)
        if now != self._told:
            self._told = now
            self.query_one("#state", Static).update(self._state(waited))
            self.query_one("#launch", Button).display = launch is not None and not (
                session.launch_active or session.stopping
            )
            again = "Launch again" if begun else "Launch"
            self.query_one("#launch", Button).label = again
            self.query_one("#stop", Button).display = session.launch_active
            self.query_one(CausePanel).show(self._cause(), "g")
            self.query_one("#plan").display = launch is not None and not begun
            self.query_one("#logs").display = self.query_one("#ranks").display = begun
            if launch is not None and not begun:
                self.query_one("#plan Static", Static).update(plan_text(launch, session.review))
            if launch is not None and begun:
                self.query_one("#ranks", Static).update(self._ranks(launch))
                self.query_one(TabLine).set_labels([_tab(rank) for rank in launch.ranks])
            self._arrange(begun)
            self.refresh_bindings()
        if begun:
            for pane in self.query(LogPane):
                if pane.display and pane.view.is_mounted:
                    pane.view.drain()

    def _waited(self) -> str:
        """How long the launch has taken; coarse over SSH, where every repaint costs."""
        launch, session = self._launch, self.session
        if (
            launch is None
            or launch.state not in ("starting", "waiting")
            or not session.launch_since
        ):
            return ""
        seconds = int(time.monotonic() - session.launch_since)
        seconds -= seconds % (10 if "SSH_CONNECTION" in os.environ else 1)
        return f"{seconds // 60}:{seconds % 60:02}"

    def _state(self, waited: str) -> Content:
        session, launch = self.session, self._launch
        if launch is None:
            return plain("Looking for a launch on the nodes ..." if self._looking else "")
        if session.stopping:
            return status_text("waiting", "Stopping on every node ...")
        if session.stop_error:
            return status_text("failed", f"Not all is stopped: {session.stop_error}")
        if launch.brief and self._cause() is not None:  # the panel says the rest
            return status_text("failed", launch.brief)
        if session.launch_error:
            return status_text("failed", f"The launch failed: {session.launch_error}")
        if launch.state == "pending":
            return plain(f"{nothing_yet(session.review)} This is what Launch does:")
        words = f"{launch.state}: {launch.message}" if launch.message else launch.state
        return status_text(launch.state, words + (f" ({waited})" if waited else ""))

    def _cause(self) -> Cause | None:
        """Why the launch failed, as far as its logs tell."""
        launch = self._launch
        if launch is None or launch.state != "failed" or launch.diagnosis is None:
            return None
        return next(iter(launch.diagnosis.causes), None)

    def _ranks(self, launch: LaunchLike) -> Content:
        order = {"failed": 0, "unreachable": 1, "aborted": 2}
        ranks = sorted(launch.ranks, key=lambda r: (order.get(r.state, 3), r.rank))
        width = max(len(rank.host) for rank in ranks)
        lines = []
        for rank in ranks:
            sign = glyph(rank.state) if known(rank.state) else " "
            head = plain(f"node {rank.rank:<2} {rank.host:<{width}}  ")
            state = plain(f"{sign} {rank.state:<11}", f"bold {COLOURS.get(rank.state, '$text')}")
            more = "  ".join(
                part for part in (rank.stage, rank.detail) if part not in ("", rank.state)
            )
            lines.append(head + state + plain(f" {more}"))
        return Content("\n").join(lines)

    def _arrange(self, begun: bool) -> None:
        """All logs one above the other where there is room, else the current one.

        Not side by side: the lines are long, and what they say stands at their end.
        """
        panes = list(self.query(LogPane))
        tabs = self.query_one(TabLine)
        room = self.size.height - OTHER_LINES - 2 * len(panes)  # a state and a title each
        room -= CAUSE_LINES if self._cause() is not None else 0
        all_of_them = room >= LOG_LINES * len(panes)
        tabs.display = begun and not all_of_them and len(panes) > 1
        self.query_one("#logs").set_class(not all_of_them, "-alone")
        for index, pane in enumerate(panes):
            pane.display = all_of_them or index == tabs.current

    def on_resize(self, event: events.Resize) -> None:
        """Panes come and go with the room."""
        self._told = None

    def on_tab_line_changed(self, event: TabLine.Changed) -> None:
        """Show another node's log."""
        event.stop()
        self._told = None
        self.drain()

    # -- keys

    def action_node(self) -> None:
        """Go to the next node's log."""
        panes = list(self.query(LogPane))
        if panes and self.query_one("#logs").display:
            tabs = self.query_one(TabLine)
            tabs.current = (tabs.current + 1) % len(panes)
            self._told = None
            self.drain()
            panes[tabs.current].view.focus()

    def action_cause(self) -> None:
        """Go where the fix of the cause leads: another step, or the log that says it."""
        cause = self._cause()
        if cause is None:
            return
        step = Step[str(cause.goto.get("step", "launch")).upper()]
        if step is self.step:
            self._turn_to(cause.node)
            list(self.query(LogPane))[self.query_one(TabLine).current].view.focus()
            return
        self.app.notify(f"Look at: {goto_text(cause)}. {cause.fix()}", markup=False, timeout=20)
        self.post_message(Goto(step, cause.goto))

    def _turn_to(self, rank: int) -> None:
        """Make the log of a node the shown one."""
        ranks = [pane.rank.rank for pane in self.query(LogPane)]
        if rank in ranks:
            self.query_one(TabLine).current = ranks.index(rank)
            self._told = None

    def action_launch(self) -> None:
        """Ask, then launch."""
        session = self.session
        if self._launch is not None and not (session.launch_active or session.stopping):
            self.run_worker(self._ask_launch(self._launch), exclusive=True, exit_on_error=False)

    async def _ask_launch(self, launch: LaunchLike) -> None:
        count = len(launch.ranks)
        question = f"Launch on {'1 node' if count == 1 else f'{count} nodes'} now?"
        for doubt in filter(None, (self._doubt(), doubt_of_scripts(self.session.review))):
            question += f"\n\n{doubt}"
        answers: tuple[Answer, ...] = (("cancel", "Cancel", "default"), ("go", "Launch", "success"))
        if await self.app.push_screen_wait(Confirm(question, answers)) != "go":
            return
        self.say("")
        try:
            if launch.state != "pending":  # the answers may have changed since it was made
                await self.session.plan_launch()
        except WizardError as error:
            self.failed(error)
            return
        self.session.start_launch()
        if self.session.launch is not None:
            await self._show_launch(self.session.launch)
        self.query(LogPane).first().view.focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what can be done now."""
        if action in ("launch", "stop"):
            return self.session.launch_active is (action == "stop")
        if action == "cause":
            return self._cause() is not None
        return super().check_action(action, parameters)

    def _doubt(self) -> str:
        """What speaks against a launch, or ""."""
        session = self.session
        if session.checks is None:
            return "The checks have not been run."
        if session.checks_are_of_other_nodes:
            return "The checks are about other nodes than these: run them again first."
        if session.checks_running:
            return "The checks are still running."
        bad = [f for f in session.findings() if f.severity != "warn"]
        if not bad:
            return ""
        return f"The checks found {len(bad)} {'problem' if len(bad) == 1 else 'problems'}. " + (
            f"The first: {bad[0].title}. The launch will probably fail."
        )

    def action_stop(self) -> None:
        """Ask, then stop on every node."""
        if self.session.launch_active and not self.session.stopping:
            self.run_worker(self._ask_stop(), exclusive=True, exit_on_error=False)

    async def _ask_stop(self) -> None:
        answers: tuple[Answer, ...] = (
            ("cancel", "Let it run", "default"),
            ("stop", "Stop", "error"),
        )
        question = "Stop the launch on every node? Whoever uses the model loses it."
        if await self.app.push_screen_wait(Confirm(question, answers)) == "stop":
            self.say("")
            self.session.begin_stop()

    def action_copy(self) -> None:
        """Copy the tail of the log that is shown."""
        panes = list(self.query(LogPane))
        if panes:
            focused = [pane for pane in panes if pane.has_focus_within]
            pane = (focused or [panes[self.query_one(TabLine).current]])[0]
            log = pane.rank.log
            self.copy("\n".join(log.tail(len(log))) + "\n", f"log of node {pane.rank.rank}")

    def pressed(self, name: str) -> None:
        """Launch and Stop, as buttons."""
        self.action_launch() if name == "launch" else self.action_stop()

    def may_leave(self) -> bool:
        """Chat needs a model that is served."""
        if not self.session.serving:
            self.say("The chat opens once the model is served.", "warn")
        return self.session.serving


def _tab(rank: RankLike) -> Content:
    sign = glyph(rank.state) if known(rank.state) else ""
    return plain(f"log of node {rank.rank} ") + plain(sign, COLOURS.get(rank.state, "$text"))
