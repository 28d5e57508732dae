"""Step 1: begin anew, go on with what there is, or load a preset."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from screens.base import Goto, StepScreen
from screens.widgets.palette import MUTED, plain
from wizard.draft import Draft
from wizard.errors import WizardError
from wizard.runninglaunches import MOST
from wizard.session import Session, Step
from wizard.wording import ago

if TYPE_CHECKING:
    from textual.content import Content

    from wizard.launch.finding import RunningLaunch
    from wizard.launch.pending import Pending
    from wizard.presets import Preset
    from wizard.runninglaunches import RunningLaunches

INTRO = (
    "Puts DeepSeek-V3.2-Exp into service on Huawei Ascend servers: choose the hardware, name "
    "the nodes, check the network, look at the scripts, launch, chat. Nothing on a node is "
    "changed before the launch, and the launch asks first."
)
TOLD = 2  # stops that are not done: the lines of every node have no room above the choices
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
        self._told = -1
        if stops := self.session.rooms.pending_stops():
            told = pending(stops, known_presets(self.session))
            yield Static(told, id="pending", classes="hint", markup=False)
        yield OptionList(*self._options(), id="choices", markup=False, compact=True)
        yield Static("", id="running", classes="hint", markup=False)
        if self.session.demo:
            yield Static(DEMO_NOTE, classes="hint", markup=False)

    def on_mount(self) -> None:
        """Begin on the first way."""
        choices = self.query_one("#choices", OptionList)
        choices.highlighted = 0
        choices.focus()
        if not self.session.demo and self.session.launch is None:
            self.session.running.look(known_presets(self.session))
        self.drain()

    def drain(self) -> None:
        """Offer the launches that were found to run; what is highlighted stays so."""
        running = self.session.running
        if running.revision == self._told:
            return
        self._told = running.revision
        self.query_one("#running", Static).update(plain(looking(running)))
        choices = self.query_one("#choices", OptionList)
        offered = {o.id for o in choices.options if (o.id or "").startswith("running:")}
        if {f"running:{one.preset.name}" for one in running.found} == offered:
            return
        before = choices.highlighted_option
        choices.clear_options()
        choices.add_options(self._options())
        ids = [option.id for option in choices.options]
        choices.highlighted = ids.index(before.id) if before and before.id in ids else 0

    def _options(self) -> list[Option]:
        session = self.session
        self._saved = None if session.demo else session.saved()
        options = [
            _option(f"running:{one.preset.name}", f"Go to the launch of {one.preset.name}", of(one))
            for one in session.running.found
            if session.launch is None and not session.demo
        ]
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
        elif name.startswith("running:"):
            self._go_to_launch(name.removeprefix("running:"))
            return
        elif name == "new":
            session.begin_new()
        elif name.startswith("preset:"):
            try:
                session.load(session.rooms.store().load(name.removeprefix("preset:")))
            except WizardError as error:
                self.failed(error)
                return
        self.post_message(Goto(step))

    def _go_to_launch(self, name: str) -> None:
        session = self.session
        one = next((one for one in session.running.found if one.preset.name == name), None)
        if one is None:
            return
        session.load(one.preset)
        session.visited |= {step for step in Step if step < Step.LAUNCH}
        self.post_message(Goto(Step.LAUNCH))

    async def _demo(self) -> None:
        try:
            await self.session.begin_demo()
        except WizardError as error:
            self.failed(error)
            return
        self.post_message(Goto(Step.HARDWARE))


def _option(name: str, words: str, note: str) -> Option:
    return Option(plain(f"{words}  ") + plain(note, MUTED), id=name)


def known_presets(session: Session) -> list[Preset]:
    """Return the presets that may be launched: the answers, the last run's, the saved ones.

    One that cannot be read is nothing to go by here; it says so when it is loaded.
    """
    found: dict[str, Preset] = {}
    with suppress(WizardError):
        preset = session.preset()
        found[preset.name] = preset
    with suppress(WizardError, OSError):
        saved = session.saved()
        if saved is not None:
            preset = session.rooms.build(saved.draft.to_preset())
            found.setdefault(preset.name, preset)
    with suppress(WizardError, OSError):
        store = session.rooms.store()
        for name in islice(store.list(), MOST):
            with suppress(WizardError):
                found.setdefault(name, store.load(name))
    return list(found.values())


def of(one: RunningLaunch) -> str:
    """Return what is known of a launch: ``runs on 2 nodes, since 12:03, 5 hours ago``."""
    every = len(one.preset.nodes)
    part = f"{one.nodes} of " if one.nodes < every else ""
    words = f"runs on {part}{every} {'node' if every == 1 else 'nodes'}"
    words += f", not started on {one.waiting}" if one.waiting else ""
    words += f", launched by {one.owner}" if one.owner else ""
    if one.since is None:
        return words
    clock = time.strftime("%H:%M", time.localtime(one.since))
    return f"{words}, since {clock}, {ago(time.time() - one.since)}"


def looking(running: RunningLaunches) -> str:
    """Return whose nodes are being asked for running launches, and whose could not be."""
    if running.asking:
        return f"Looking for running launches of {_names(running.asking)} ..."
    if running.away:
        return f"Whether {_names(running.away)} runs is not known: no node of it could be asked."
    return ""


def _names(names: Sequence[str]) -> str:
    if len(names) <= 3:
        return ", ".join(names)
    return f"{', '.join(names[:2])} and {len(names) - 2} more"


def pending(stops: Sequence[Pending], known: Sequence[Preset]) -> Content:
    """Return the stops of earlier runs that are not done, and what finishes the first of them.

    Of a preset that is not among those known here, what the stop was asked of is held for its own.
    """
    hosts = {preset.name: [node.host for node in preset.nodes] for preset in known}
    lines = [f"! {s.preset}: {s.sentence(hosts.get(s.preset, [s.host]))}" for s in stops[:TOLD]]
    if (more := len(stops) - TOLD) > 0:
        lines.append(f"  and {more} more: v32-wizard status PRESET tells them")
    return plain("\n".join(lines), "$text-warning")


def describe(draft: Draft) -> str:
    """Return the answers in a few words: ``A3 BF16, 2 nodes``."""
    count = len(draft.nodes)
    hardware = (
        f"{draft.series} {draft.precision.label}" if draft.precision else "hardware not chosen"
    )
    return f"{hardware}, {count} {'node' if count == 1 else 'nodes'}"
