"""Step 5: what the bad cells amount to, what to do about each, and asking again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Button, OptionList, Static
from textual.widgets.option_list import Option

from screens.base import StepScreen
from screens.ignoring import ask_reason
from screens.results import place_name, result_content, result_text
from screens.widgets.dialog import Notice
from screens.widgets.glyphs import glyph
from screens.widgets.palette import COLOURS, MUTED, plain, status_text
from wizard.checks.model import CellKey, Result, Status
from wizard.roomtypes import FindingLike
from wizard.session import Step
from wizard.troubleshooting.findings import problems_of

BAD = (Status.FAIL, Status.ERROR, Status.WARN)
EVERY_S = 1.0  # findings look at the whole board: not more often than this while checks run
SHOWN_NEXT = 8  # a problem of many devices has the same next step for each


class TroubleshootingScreen(StepScreen):
    """Findings, root causes first; the highlighted one is explained below."""

    step = Step.TROUBLESHOOTING
    heading = "What is wrong, and what to do next"
    help_text = (
        "Up and Down choose a problem; what follows from it is counted, not listed again.\n"
        "The wizard changes nothing: run the commands on the node, then press r to ask again.\n"
        "Enter shows the raw answer of the first cell. i ignores what you know and accept, with\n"
        "a reason. You may go on with problems left; the launch then warns."
    )
    CSS_PATH = "troubleshooting.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "rerun", "Re-run", id="problems.rerun"),
        Binding("a", "all", "Re-run all", id="problems.all"),
        Binding("i", "ignore", "Ignore", id="problems.ignore"),
        Binding("y", "copy", "Copy", id="problems.copy"),
        Binding("pageup", "scroll(-1)", "Scroll up", show=False, id="problems.up"),
        Binding("pagedown", "scroll(1)", "Scroll down", show=False, id="problems.down"),
    ]

    def body(self) -> ComposeResult:
        """How many, which, and what to do."""
        self._findings: list[FindingLike] = []
        self._seen = (-1, False)
        self._read_at = 0.0
        self._chosen = ""
        self._asking = False  # r or a was pressed, and what came of it was not told yet
        yield Static("", id="state", markup=False)
        yield OptionList(id="problems", markup=False, compact=True)
        with VerticalScroll(id="what", can_focus=False):
            yield Static("", markup=False)

    def buttons(self) -> ComposeResult:
        """What r does."""
        yield Button("Re-run this", id="rerun", compact=True)

    def on_mount(self) -> None:
        """Show what there is."""
        self.drain()
        self.query_one("#problems" if self._findings else "#next").focus()

    # -- draining

    def drain(self) -> None:
        """Read the findings anew when the board has changed."""
        run, running = self.session.checks, self.session.checks_running
        if run is None:
            self._tell("The checks have not run yet. Go back and run them.")
            return
        now = (run.board.revision, running)
        if now == self._seen or (running and time.monotonic() - self._read_at < EVERY_S):
            return
        self._seen, self._read_at = now, time.monotonic()
        old = {_name(f): f for f in self._findings}
        # what is ignored comes last: nothing is to be done about it
        self._findings = sorted(self.session.findings(), key=lambda f: bool(f.ignored))
        gone = [f.title for name, f in old.items() if name not in map(_name, self._findings)]
        if gone and not running:
            self.say("Now fixed: " + "; ".join(gone), "pass")
        elif self._asking and not running:
            self.say("Asked again: still wrong.", "fail")
        self._asking = self._asking and running
        self._show_state(running)
        self._show_list()

    def lead(self, place: Mapping[str, Any]) -> None:
        """Go to the first problem at an NPU, or at its node."""
        at = {(place.get("node"), place.get("device")), (place.get("node"), None)}
        peer = (place.get("peer_node"), place.get("peer_device"))
        for index, finding in enumerate(self._findings):
            if (at | {peer}) & {(p["node"], p["device"]) for p in finding.where}:
                self.query_one("#problems", OptionList).highlighted = index
                return
        text = "The checks, made before the launch, knew no problem there: a runs them again."
        if self._findings:
            self.say(text, "warn")
        else:  # in place of "Nothing is wrong", until they were run again
            self._tell(text, "$text-warning")

    def _show_state(self, running: bool) -> None:
        run = self.session.checks
        assert run is not None
        count = sum(not finding.ignored for finding in self._findings)
        ignored = len(self._findings) - count
        done, total = run.progress
        bad = sum(self.session.wrong(status) for status in BAD)
        if running:
            text = f"Checks are running, {done} of {total} done. "
            text += f"{count} found so far." if count else "Nothing found so far."
            self._tell(text)
        elif count:
            words = "1 problem explains" if count == 1 else f"{count} problems explain"
            more = " Start with the first." if count > 1 else ""
            cells = "1 bad answer" if bad == 1 else f"{bad} bad answers"
            self._tell(f"{words} {cells} of {total}.{more}", "$text-warning")
        elif ignored and done == total:
            word = "problem is" if ignored == 1 else "problems are"
            text = f"{glyph('pass')} Nothing else is wrong; {ignored} {word} ignored."
            self._tell(text, "$text-success")
        elif done < total:
            self._tell(f"Only {done} of {total} checks have an answer.", "$text-warning")
        else:
            self._tell(
                f"{glyph('pass')} Nothing is wrong. Next shows the scripts.", "$text-success"
            )

    def _tell(self, text: str, style: str = "$text") -> None:
        self.query_one("#state", Static).update(plain(text, style))

    def _show_list(self) -> None:
        problems = self.query_one("#problems", OptionList)
        problems.clear_options()
        problems.add_options(Option(_line(f)) for f in self._findings)
        names = [_name(f) for f in self._findings]
        problems.display = bool(names)
        if names:
            problems.highlighted = names.index(self._chosen) if self._chosen in names else 0
        self._show_what()

    # -- the highlighted problem

    @property
    def _finding(self) -> FindingLike | None:
        index = self.query_one("#problems", OptionList).highlighted
        return self._findings[index] if index is not None and self._findings else None

    def _cells(self, finding: FindingLike) -> list[Result]:
        """The bad answers at the places of a finding, those of its own kind first."""
        assert self.session.checks is not None
        places = {(place["node"], place["device"]) for place in finding.where}
        found = [
            r
            for r in self.session.checks.board
            if r.status in BAD
            and (
                (r.key.node, r.key.device) in places
                or (r.key.node, None) in places
                or any(id_ == finding.id and (r.key.node, d) in places for id_, d in problems_of(r))
            )
        ]
        return sorted(found, key=lambda r: r.value.get("problem") != finding.id)

    def _own(self, finding: FindingLike) -> list[Result]:
        """The answers that are the problem itself, not what follows from it."""
        found = [r for r in self._cells(finding) if finding.id in (p for p, _ in problems_of(r))]
        if found or not finding.id.startswith("ping-"):
            return found
        # read from many pings together: all of them, from there and to there
        assert self.session.checks is not None
        places = {(place["node"], place["device"]) for place in finding.where}
        return [
            r
            for r in self.session.checks.board
            if r.status in BAD and r.key.peer_node is not None and _touches(r.key, places)
        ]

    def _show_what(self) -> None:
        finding = self._finding
        text = Content("") if finding is None else self._about(finding)
        self.query_one("#what Static", Static).update(text)

    def _about(self, finding: FindingLike) -> Content:
        cells = self._cells(finding)
        text = plain(finding.title, "bold")
        if cells:
            text += plain(f"\n{self.session.rooms.explain(cells[0])}")
        for why in finding.ignored:
            text += plain(f"\nIgnored: {why}", COLOURS["ignored"])
        if finding.because:
            counts = finding.consequences
            text += plain(f"\nWhat follows from it: {counts}.", MUTED)
        if finding.causes:
            text += plain("\nPossible causes, most likely first", "bold")
            text += plain("".join(f"\n  - {cause}" for cause in finding.causes))
        for title, steps in (("Look", finding.next), ("Mend", finding.fixes)):
            if steps:
                text += plain(f"\n{title}", "bold")
            for step in steps[:SHOWN_NEXT]:
                text += _step(step)
            if len(steps) > SHOWN_NEXT:
                text += plain(f"\n  ({len(steps) - SHOWN_NEXT} more; y copies all)", MUTED)
        return text

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Explain the highlighted problem."""
        event.stop()
        if event.option_index < len(self._findings):
            self._chosen = _name(self._findings[event.option_index])
        self.query_one("#what").scroll_home(animate=False)
        self._show_what()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Show the raw answer behind it."""
        event.stop()
        if self._finding is None:
            return
        if cells := self._cells(self._finding):
            self.app.push_screen(Notice(result_content(cells[0])))
        else:
            self.say("It is being asked again just now.")

    # -- keys

    def action_scroll(self, by: int) -> None:
        """Scroll the explanation without leaving the list."""
        what = self.query_one("#what")
        what.scroll_relative(y=by * max(1, what.size.height - 1), animate=False)

    def action_rerun(self) -> None:
        """Ask again what the highlighted problem is about, and what follows from it."""
        if self._finding is None:
            self.say("There is nothing to run again.", "pass")
            return
        keys = [r.key for r in self._cells(self._finding)]
        # a cell of the node as a whole has no device in the finding
        keys += [CellKey(**{"device": None, **cell}) for cell in self._finding.because]
        self._asked(self.session.rerun(dict.fromkeys(keys)), f"Asking {len(set(keys))} again.")

    def action_all(self) -> None:
        """Ask everything bad again."""
        self._asked(self.session.rerun_failed(), "Asking everything bad again.")

    def _asked(self, done: bool, words: str) -> None:
        self._asking = self._asking or done
        self._read_at = 0.0
        self.say(words if done else "Checks are running already, or nothing is wrong.")

    @work
    async def action_ignore(self) -> None:
        """Ignore the highlighted problem, with a reason; or judge it again."""
        finding = self._finding
        if finding is None:
            self.say("There is nothing to ignore.", "pass")
            return
        own = self._own(finding)
        if not own:
            self.say("This cannot be ignored as a whole; ignore its cells on the checks.", "warn")
            return
        said = await ask_reason(self.app, self.session, own, finding.title)
        if said:
            self.say(*said)
            self._seen = (-1, False)
            self.drain()

    def action_copy(self) -> None:
        """Copy the problem, its steps and the raw answers."""
        finding = self._finding
        if finding is None:
            return
        cells = self._cells(finding)
        steps = [f"$ {s['command']}\n  {s.get('why', '')}" for s in [*finding.next, *finding.fixes]]
        answers = [result_text(result) for result in cells]
        name = place_name(cells[0].key) if cells else ""
        self.copy(
            "\n".join([finding.title, *finding.causes, *steps, *answers]), f"{finding.id} {name}"
        )

    def pressed(self, name: str) -> None:
        """Re-run, as a button."""
        self.action_rerun()


def _touches(key: CellKey, places: set[tuple[int, int | None]]) -> bool:
    ends = ((key.node, key.device), (key.peer_node, key.peer_device))
    return any((node, device) in places or (node, None) in places for node, device in ends)


def _line(finding: FindingLike) -> Content:
    """Return a problem for the list: how bad, what, and how much follows from it."""
    ignored = bool(finding.ignored)
    text = status_text("ignored" if ignored else finding.severity)
    text += plain(f"  {finding.title}", MUTED if ignored else "")
    if count := len(finding.because):
        text += plain(f"  (+{count} that follow)", MUTED)
    return text


def _name(finding: FindingLike) -> str:
    # not its severity: what is ignored has become milder, it is not gone
    return f"{finding.id} {finding.where}"


def _step(step: dict[str, object]) -> Content:
    where = ""
    if "node" in step:
        where = f"  on node {step['node']}"
        where += f", risk {step['risk']}" if step.get("risk") else ""
    text = plain(f"\n  $ {step['command']}") + plain(where, "$text-warning")
    return text + (plain(f"\n    {step['why']}", MUTED) if step.get("why") else plain(""))
