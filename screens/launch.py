"""Step 7: launch on all nodes, follow it, stop it. The engine runs it; this only shows."""

from __future__ import annotations

import time

from textual import events
from textual.app import ComposeResult
from textual.containers import Container, Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Static

from screens.base import Goto
from screens.launchasking import LaunchAsking
from screens.launchlogs import LaunchLogs
from screens.launchplan import nothing_yet, plan_text
from screens.launchstate import state_text, step_s
from screens.widgets.causepanel import CausePanel
from screens.widgets.glyphs import glyph
from screens.widgets.logpanel import LogPanel
from screens.widgets.palette import COLOURS, plain
from screens.widgets.ranktable import RankTable
from screens.widgets.stagepane import StagePane
from wizard.diagnosis.report import goto_text
from wizard.diagnosis.verdict import Cause
from wizard.errors import WizardError
from wizard.launch.progress import Phase
from wizard.launch.stages import look, phase_of
from wizard.leftover import stoppable
from wizard.parameters import parameter_of
from wizard.roomtypes import LaunchLike, RankLike
from wizard.session import Step

LOG_LINES = 8  # a log with fewer lines than this tells nothing
OTHER_LINES = 7  # stepper, heading, state, log bar, message, buttons, keys
CAUSE_LINES = 8
_SCROLLS = {
    **{"up": "scroll_up", "down": "scroll_down", "pageup": "page_up"},
    **{"home": "scroll_home", "end": "scroll_end"},
}
WIDE = 120  # columns from which on the stages stand beside the log


class LaunchScreen(LaunchLogs, LaunchAsking):
    """The plan before the launch; stages and logs from then on."""

    step = Step.LAUNCH
    heading = "Launch, and follow it until it serves"
    next_label = "Chat"
    help_text = (
        "Page Up and Down scroll the plan. l launches after a question, r asks the nodes again "
        "how they are; where the image is missing, the question says how it is fetched first. "
        "s stops the launch again, on every node. It runs on the "
        "nodes: leaving this screen or the wizard does not stop it. Each node's stage stands with "
        "the time it takes and usually takes; one without progress for two minutes is called "
        "stalled, with what it waits for, and nothing is stopped on a guess.\n"
        "The logs are merged by time, put right by the nodes' clocks; o shows one node's alone. / "
        "finds text: only lines that hold it are shown, m shows all with it marked, n and p go "
        "from one to the next, Esc ends it. f shows warnings and errors, then errors alone. z, or "
        "scrolling up, makes the lines stand still; z again, or End, follows. On a narrow screen "
        "prefixes are shortened; y copies the lines whole. The whole log is in a file, here and "
        "on the node; w says where. When it has failed, the cause is shown; g goes where it can "
        "be mended, or to the log that says it."
    )
    CSS_PATH = "launch.tcss"

    def body(self) -> ComposeResult:
        """State, nodes, and the plan or the logs."""
        self._launch: LaunchLike | None = None  # the one that the panes are about
        self._told: object = None
        self._told_state: object = None
        self._told_load: object = None
        self._told_cause: Cause | None = None
        self._offered: object = None
        self._last_state = ""
        self._looking = False
        self._checked = False  # checks have run while this was shown
        yield Static("", id="state", markup=False)
        yield CausePanel()
        yield RankTable()
        yield Static("", id="load", markup=False)
        with VerticalScroll(id="plan"):
            yield Static("", markup=False)
        with Horizontal(id="lower"):
            yield Container(id="logs")
            yield StagePane()

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
            await self.show_launch(launch)
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
        await self.show_launch(launch)
        if not found:
            self.session.planning.ask()
            self.query_one("#launch").focus()

    async def show_launch(self, launch: LaunchLike) -> None:
        """Show a launch from now on."""
        self._launch, self._told = launch, None
        self.panel, panel = None, LogPanel(launch.ranks)
        logs = self.query_one("#logs")
        await logs.remove_children()
        await logs.mount(panel)
        self.panel = panel
        self.drain()
        if self.begun:
            panel.view.focus()

    @property
    def begun(self) -> bool:
        """Whether there is something to follow."""
        launch = self._launch
        return launch is not None and (launch.state != "pending" or self.session.launch_active)

    # -- draining

    def drain(self) -> None:
        """Take up what the engine wrote since the last time."""
        launch, begun = self._launch, self.begun
        if launch is not None and launch.state != self._last_state:
            if self._last_state in ("starting", "waiting"):
                self.say("")  # what was said of the start no longer holds
            self._last_state = launch.state
            if (cause := self._cause()) is not None and self.panel is not None:
                self.panel.show_node(cause.node)
        self.ask_conflict()
        self._take_up_checks()
        now = self._now()
        if (told := self._what(now)) != self._told:
            self._told = told
            self._show(now)
        panel = self.panel
        if begun and panel is not None:
            panel.drain()

    def _take_up_checks(self) -> None:
        """Make the plan anew when checks have ended: it tells how the last ones went."""
        session = self.session
        if session.checks_running:
            self._checked = True
        elif self._checked and not session.planning.busy:
            self._checked = False
            if self._launch is not None and not self.begun:
                self.action_look_again()

    @staticmethod
    def _now() -> float:
        """The time in steps that are worth a repaint."""
        return time.time() // step_s() * step_s()

    def _what(self, now: float) -> object:
        """Everything that the upper part depends on."""
        session, launch = self.session, self._launch
        runs = launch is not None and launch.state in ("starting", "waiting")
        return (
            launch and (launch.revision, launch.state, launch.message, launch.load),
            (session.launch_error, session.stop_error, session.stopping, session.launch_active),
            (self._looking, now if runs else 0.0, self.begun, session.review.revision),
            (session.planning.revision, session.checks_running),
            self.size,
        )

    def _show(self, now: float) -> None:
        session, launch, begun = self.session, self._launch, self.begun
        state = self._state(now)
        if (state.plain, state.spans) != self._told_state:  # logs alone move the revision as well
            self._told_state = (state.plain, state.spans)
            self.query_one("#state", Static).update(state)
        idle = launch is not None and not (session.launch_active or session.stopping)
        self.query_one("#launch", Button).display = idle
        self.query_one("#launch", Button).label = "Launch again" if begun else "Launch"
        self.query_one("#stop", Button).display = stoppable(session)
        self.query_one("#next", Button).display = session.serving
        if self._cause() != self._told_cause:
            self._told_cause = self._cause()
            self.query_one(CausePanel).show(self._told_cause, "g")
        self.query_one("#plan").display = launch is not None and not begun
        self.query_one("#lower").display = self.query_one(RankTable).display = begun
        if launch is not None and not begun:
            self.query_one("#plan Static", Static).update(
                plan_text(launch, session.review, session.planning, checking=session.checks_running)
            )
        self._show_ranks(launch if begun else None, now)
        offered = (
            (session.launch_active, stoppable(session), session.serving),
            (begun, self._cause() is not None, self.size, session.planning.revision),
        )
        if offered != self._offered:
            self._offered = offered
            self.call_after_refresh(self.refresh_bindings)  # the plan is laid out by then

    def _show_ranks(self, launch: LaunchLike | None, now: float) -> None:
        load, pane = self.query_one("#load", Static), self.query_one(StagePane)
        wide = self.size.width >= WIDE
        pane.display = launch is not None and wide
        load.display = launch is not None and launch.load is not None and not wide
        if launch is None:
            return
        width, height = self.size
        room = height - OTHER_LINES - LOG_LINES - (CAUSE_LINES if self._cause() else 0)
        if self.session.stop_error or launch.conflict is not None:
            room = 0  # the line above has it already
        self.query_one(RankTable).show(look(launch.ranks, now), width, room=room)
        if launch.load is not None and not wide and launch.load != self._told_load:
            self._told_load = launch.load
            load.update(plain(f"{glyph('ready')} {launch.load.total.words()}", COLOURS["ready"]))
        if wide:
            pane.show(self._rank_of_interest(launch), launch.load, now)

    def _rank_of_interest(self, launch: LaunchLike) -> RankLike:
        """The node whose log is shown; of all, the one that is furthest behind."""
        panel = self.panel
        if panel is not None and panel.node is not None:
            return launch.ranks[panel.node]
        return min(
            launch.ranks,
            key=lambda rank: (min(phase_of(rank), Phase.ENGINE), rank.rank),  # only node 0 serves
        )

    def _state(self, now: float) -> Content:
        session, launch = self.session, self._launch
        if launch is None:
            return plain("Looking for a launch on the nodes ..." if self._looking else "")
        told = session.launch_error or session.stop_error or session.stopping
        if launch.state == "pending" and not told:
            return plain(nothing_yet(session.review, session.planning.of(launch)))
        return state_text(session, launch, now, caused=self._cause() is not None)

    def _cause(self) -> Cause | None:
        """Why the launch failed, as far as its logs tell."""
        launch = self._launch
        if launch is None or launch.state != "failed" or launch.diagnosis is None:
            return None
        return next(iter(launch.diagnosis.causes), None)

    def on_resize(self, event: events.Resize) -> None:
        """Panes come and go with the room."""
        self._told = None

    def on_log_panel_node_chosen(self, event: LogPanel.NodeChosen) -> None:
        """The stages are those of the node whose log is shown."""
        event.stop()
        self._told = None

    # -- keys

    @property
    def quiet(self) -> frozenset[str]:
        """There is nothing to go on to while no model is served."""
        return frozenset() if self.session.serving else frozenset({"next"})

    def on_key(self, event: events.Key) -> None:
        """The plan scrolls while a button has the focus: that is where one begins."""
        plan = self.query_one("#plan", VerticalScroll)
        if event.key in _SCROLLS and plan.display and isinstance(self.focused, Button):
            event.stop()
            event.prevent_default()  # the step's own way with these keys
            getattr(plan, f"action_{_SCROLLS[event.key]}")()

    def action_more(self) -> None:
        """Show more of the plan."""
        self.query_one("#plan", VerticalScroll).action_page_down()

    def action_cause(self) -> None:
        """Go where the fix of the cause leads: another step, or the log that says it."""
        cause = self._cause()
        if cause is None:
            return
        step = Step[str(cause.goto.get("step", "launch")).upper()]
        if step is self.step:
            if self.panel is not None:
                self.panel.show_node(cause.node)
                self.panel.view.focus()
            return
        where = goto_text(cause)
        if (parameter := parameter_of(str(cause.goto.get("field", "")))) is not None:
            where = f"{parameter.label} ({where})"  # as the form names it
        look = f"Look at: {where}. {cause.fix()}" if where else cause.fix()
        if step is Step.CHECKS:
            look += " The checks are older than the failure: a runs them again."
        self.app.notify(f"{look} Esc leads back to the launch.", markup=False, timeout=20)
        self.post_message(Goto(step, cause.goto, back=self.step))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what can be done now."""
        if action == "launch":
            return not self.session.launch_active
        if action == "stop":
            return stoppable(self.session)
        if action == "look_again":
            return self._launch is not None and not self.begun
        if action == "cause":
            return self._cause() is not None
        if action == "more":
            plan = self.query_one("#plan")
            return bool(plan.display) and plan.max_scroll_y > 0
        return super().check_action(action, parameters)

    def pressed(self, name: str) -> None:
        """Launch and Stop, as buttons."""
        self.action_launch() if name == "launch" else self.action_stop()

    def may_leave(self) -> bool:
        """Chat needs a model that is served."""
        if not self.session.serving:
            self.say("The chat opens once the model is served.", "warn")
        return self.session.serving
