"""Step 1: begin anew, go on with what there is, or load a preset."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from screens.base import Goto, StepScreen
from screens.widgets.palette import plain
from wizard.draft import Draft
from wizard.errors import WizardError
from wizard.session import Step
from wizard.wording import ago

INTRO = (
    "Puts DeepSeek-V3.2-Exp into service on Huawei Ascend servers: choose the hardware, name "
    "the nodes, check the network, look at the scripts, launch, chat. Nothing on a node is "
    "changed before the launch, and the launch asks first."
)
DEMO_NOTE = "The nodes are simulated on this machine; nothing here touches a real server."


class StartScreen(StepScreen):
    """A list of ways to begin; Enter takes the highlighted one."""

    step = Step.START
    heading = "Welcome to v32-wizard"
    next_label = ""
    help_text = (
        "Choose how to begin with the up and down keys, then press Enter.\n"
        "A preset holds all answers of an earlier run. Answers are saved as you go."
    )
    CSS_PATH = "start.tcss"

    def body(self) -> ComposeResult:
        """The introduction above the list."""
        yield Static(INTRO, id="intro", markup=False)
        yield OptionList(*self._options(), id="choices", markup=False, compact=True)
        if self.session.demo:
            yield Static(DEMO_NOTE, classes="hint", markup=False)

    def on_mount(self) -> None:
        """Begin on the first way."""
        choices = self.query_one("#choices", OptionList)
        choices.highlighted = 0
        choices.focus()

    def _options(self) -> list[Option]:
        session = self.session
        self._saved = None if session.demo else session.saved()
        options = []
        if session.draft.series is not None:
            words = f"Continue with {session.draft.preset_name}"
            options.append(_option("continue", words, describe(session.draft)))
        elif self._saved is not None:
            note = f"{describe(self._saved.draft)}, {ago(self._saved.age_s)}"
            options.append(_option("resume", "Resume the last run", note))
        options.append(_option("new", "New deployment", "answer the questions from the beginning"))
        if not session.demo and session.launch is None:
            options.append(_option("demo", "Demo", "two simulated A3 nodes on this machine"))
        store = session.rooms.store()
        try:
            saved = list(store.list())
            shipped = [name for name in store.shipped() if name not in saved]
        except (WizardError, OSError):
            saved, shipped = [], []
        options += [_option(f"preset:{n}", f"Load preset {n}", "saved") for n in saved]
        options += [_option(f"preset:{n}", f"Load preset {n}", "shipped example") for n in shipped]
        return options

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Begin in the chosen way."""
        event.stop()
        self._begin(event.option_id or "")

    def action_next(self) -> None:
        """Begin in the highlighted way."""
        option = self.query_one("#choices", OptionList).highlighted_option
        if option is not None:
            self._begin(option.id or "")

    def _begin(self, name: str) -> None:
        session, step = self.session, Step.HARDWARE
        self.workers.cancel_group(self, "demo")  # another choice takes its place
        if name == "demo":
            self.say("Starting the simulated nodes ...")
            self.run_worker(self._demo(), group="demo", exit_on_error=False)
            return
        if name == "resume" and self._saved is not None:
            session.resume(self._saved)
            step = session.step
        elif name == "new":
            session.begin_new()
        elif name.startswith("preset:"):
            try:
                session.load(session.rooms.store().load(name.removeprefix("preset:")))
            except WizardError as error:
                self.failed(error)
                return
        self.post_message(Goto(step))

    async def _demo(self) -> None:
        try:
            await self.session.begin_demo()
        except WizardError as error:
            self.failed(error)
            return
        self.post_message(Goto(Step.HARDWARE))


def _option(name: str, words: str, note: str) -> Option:
    return Option(plain(f"{words}  ") + plain(note, "$text-muted"), id=name)


def describe(draft: Draft) -> str:
    """Return the answers in a few words: ``A3 BF16, 2 nodes``."""
    count = len(draft.nodes)
    hardware = (
        f"{draft.series} {draft.precision.label}" if draft.precision else "hardware not chosen"
    )
    return f"{hardware}, {count} {'node' if count == 1 else 'nodes'}"
