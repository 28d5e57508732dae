"""Step 2: which servers, which weights; and how many nodes that needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from screens.base import StepScreen
from screens.widgets.palette import plain
from wizard.session import Step

if TYPE_CHECKING:
    from wizard.recipes import Choice


class HardwareScreen(StepScreen):
    """One line per combination that the recipe knows."""

    step = Step.HARDWARE
    heading = "Which servers, and which weights?"
    help_text = (
        "Up and down choose, Enter takes the choice and goes on.\n"
        "BF16 is the full-size weights; W8A8 is quantised to 8 bits and needs half the servers.\n"
        "Fewer nodes than shown always run out of NPU memory: the weights take about 44 GB of\n"
        "each 64 GB NPU in every combination."
    )
    CSS_PATH = "hardware.tcss"

    def body(self) -> ComposeResult:
        """The combinations above what is known about the highlighted one."""
        self._choices = list(self.session.rooms.choices(self.session.draft.recipe))
        yield Static(
            f"  {'Series':<8}{'Weights':<9}{'Nodes':<9}Server", classes="hint", markup=False
        )
        options = [self._option(i, choice) for i, choice in enumerate(self._choices)]
        yield OptionList(*options, id="choices", markup=False, compact=True)
        yield Static("", id="note", markup=False)

    def on_mount(self) -> None:
        """Begin on the earlier answer."""
        draft = self.session.draft
        choices = self.query_one("#choices", OptionList)
        answered = [
            i
            for i, c in enumerate(self._choices)
            if (c.series, c.precision) == (draft.series, draft.precision)
        ]
        allowed = [i for i in range(len(self._choices)) if not self._refusal(self._choices[i])]
        choices.highlighted = next(iter(answered + allowed), None)
        choices.focus()

    def _refusal(self, choice: Choice) -> str:
        """Say why a combination cannot be had, or ""; only a simulated cluster is fixed."""
        if not choice.nodes:
            return choice.note
        have = len(self.session.draft.nodes)
        series = self.session.draft.series
        if not self.session.demo or not have or series is None:
            return ""
        if choice.series is not series or choice.nodes != have:
            need = f"{choice.nodes} {choice.series} {'node' if choice.nodes == 1 else 'nodes'}"
            return f"{choice.precision.label} needs {need}; this simulation has {have} {series}"
        return ""

    def _option(self, index: int, choice: Choice) -> Option:
        refusal = self._refusal(choice)
        count = f"{choice.nodes} {'node' if choice.nodes == 1 else 'nodes'}" if choice.nodes else ""
        head = f"{choice.series.value:<8}{choice.precision.label:<9}{count:<9}"
        origin = "derived, see below" if choice.derived else "as the guide says"
        tail = refusal or f"{choice.series.machine:<29}{origin}"
        return Option(
            plain(head) + plain(tail, "$text-muted"), id=str(index), disabled=bool(refusal)
        )

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Tell about the highlighted combination."""
        event.stop()
        choice = self._choices[event.option_index]
        text = plain(
            f"DeepSeek-V3.2-Exp {choice.precision.label} on {choice.nodes} × "
            f"{choice.series.machine}: {choice.nodes * choice.series.devices} NPUs.\n"
        )
        if choice.derived:
            text += plain(
                "Derived: the guide names this combination but publishes no script for it.\n",
                "$text-warning",
            )
        if choice.note:
            text += plain(choice.note)
        have = len([node for node in self.session.draft.nodes if node.address])
        if have and have != choice.nodes and not self.session.demo:
            text += plain(f"\nIt needs {choice.nodes}; you have named {have} so far.", "$text")
        self.query_one("#note", Static).update(text)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Take the choice and go on."""
        event.stop()
        self.action_next()

    def may_leave(self) -> bool:
        """Take the highlighted combination as the answer."""
        choices = self.query_one("#choices", OptionList)
        if choices.highlighted is None:
            self.say("Choose a combination first.", "fail")
            return False
        choice = self._choices[choices.highlighted]
        self.session.set_hardware(choice.series, choice.precision)
        return True
