"""Step 2: which servers, which weights; and how many nodes that needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from screens.base import StepScreen
from screens.widgets.palette import MUTED, plain
from wizard import recipes
from wizard.session import Step

if TYPE_CHECKING:
    from wizard.cluster import Series
    from wizard.recipes import Choice, OsChoice


class HardwareScreen(StepScreen):
    """Recipe and image on a line each, above one line per combination that the recipe knows."""

    step = Step.HARDWARE
    heading = "Which servers, and which weights?"
    help_text = (
        "Up and down choose, Enter takes the choice and goes on.\n"
        "v goes to the next recipe: the version of vLLM-Ascend that the scripts are for.\n"
        "o goes to the image's other operating system. A recipe's arguments belong to its image.\n"
        "BF16 is the full-size weights; W8A8 is quantised to 8 bits and needs half the servers.\n"
        "Fewer nodes than shown always run out of NPU memory: the weights take about 44 GB of\n"
        "each 64 GB NPU in every combination."
    )
    CSS_PATH = "hardware.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "recipe", "Next recipe", id="hardware.recipe"),
        Binding("o", "image_os", "Image's OS", id="hardware.os"),
    ]

    def body(self) -> ComposeResult:
        """The combinations above what is known about the highlighted one."""
        self._choices = list(self.session.rooms.choices(self.session.draft.recipe))
        yield Static("", id="recipe", markup=False)
        yield Static("", id="image", markup=False)
        yield Static(f"{'Series':<8}{'Weights':<9}{'Nodes':<9}Server", classes="hint", markup=False)
        options = [self._option(i, choice) for i, choice in enumerate(self._choices)]
        yield OptionList(*options, id="choices", markup=False, compact=True)
        yield Static("", id="note", markup=False)

    def on_mount(self) -> None:
        """Begin on the earlier answer."""
        self._begin()
        self.query_one("#choices", OptionList).focus()

    def _begin(self) -> None:
        draft = self.session.draft
        choices = self.query_one("#choices", OptionList)
        answered = [
            i
            for i, c in enumerate(self._choices)
            if (c.series, c.precision) == (draft.series, draft.precision)
        ]
        allowed = [i for i in range(len(self._choices)) if not self._refusal(self._choices[i])]
        answered = [i for i in answered if i in allowed]
        choices.highlighted = next(iter(answered + allowed), None)
        self._show_versions()

    # -- recipe and image

    def action_recipe(self) -> None:
        """Go to the next recipe; a simulated cluster has the images of its own only."""
        if self.session.demo:
            self.say("A simulated cluster plays vLLM 0.11.0: its recipe cannot be changed.", "warn")
            return
        every = recipes.names()
        at = every.index(self.session.draft.recipe) if self.session.draft.recipe in every else -1
        self.session.set_recipe(every[(at + 1) % len(every)])
        choices = self.query_one("#choices", OptionList)
        self._choices = list(self.session.rooms.choices(self.session.draft.recipe))
        choices.clear_options()
        choices.add_options([self._option(i, choice) for i, choice in enumerate(self._choices)])
        self.say("")
        self._begin()

    def action_image_os(self) -> None:
        """Go to the image's other operating system, if there is an image of it."""
        others = [c for c in self._systems() if c.os.value != self.session.image_os]
        possible = [c for c in others if c.tag]
        if not possible:
            self.say(others[0].note, "warn")
            return
        self.session.set_image_os(possible[0].os.value)
        self.say("")
        self._show_versions()

    def _series(self) -> Series:
        choices = self.query_one("#choices", OptionList)
        return self._choices[choices.highlighted or 0].series

    def _systems(self) -> list[OsChoice]:
        return recipes.os_choices(self.session.draft.recipe, self._series())

    def _show_versions(self) -> None:
        chosen = self.session.draft.recipe
        names = [_tab(name, name == chosen) for name in recipes.names()]
        text = plain("Recipe  ") + plain("").join(names)
        text += plain(f"\n        {recipes.load(chosen).title}", MUTED)
        self.query_one("#recipe", Static).update(text)
        text = plain("Image   ")
        systems = self._systems()
        for system in systems:
            current = system.os.value == self.session.image_os
            text += _tab(system.os.value, current, possible=bool(system.tag))
        tags = [f"tag {s.tag}" for s in systems if s.os.value == self.session.image_os]
        reason = next((s.note for s in systems if s.note), tags[0])
        self.query_one("#image", Static).update(text + plain(f"\n        {reason}", MUTED))

    def _refusal(self, choice: Choice) -> str:
        """Say why a combination cannot be had, or ""; only a simulated cluster is fixed."""
        if not choice.nodes:
            return choice.note.partition(": ")[2] or choice.note
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
        if not choice.derived and self.session.draft.recipe != "guide":
            origin = f"as in {self.session.draft.recipe}"
        tail = refusal or f"{choice.series.machine:<29}{origin}"
        return Option(plain(head) + plain(tail, MUTED), id=str(index), disabled=bool(refusal))

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Tell about the highlighted combination."""
        event.stop()
        choice = self._choices[event.option_index]
        text = plain(
            f"DeepSeek-V3.2-Exp {choice.precision.label} on {choice.nodes} × "
            f"{choice.series.machine}: {choice.nodes * choice.series.devices} NPUs.\n"
        )
        if choice.note:
            style = "$text-warning" if choice.derived else ""
            text += plain(f"{choice.note[:1].upper()}{choice.note[1:]}\n", style)
        if choice.also:
            counts = " or ".join(map(str, choice.also))
            text += plain(f"The recipe also describes {counts} nodes: add them in the next step.")
        have = len([node for node in self.session.draft.nodes if node.address])
        if have and have != choice.nodes and not self.session.demo:
            text += plain(f"\nIt needs {choice.nodes}; you have named {have} so far.", "$text")
        self.query_one("#note", Static).update(text)
        self._show_versions()

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
        for system in self._systems():
            if system.os.value == self.session.image_os and not system.tag:
                self.say(f"{system.note} Press o for the other one.", "fail")
                return False
        self.session.set_hardware(choice.series, choice.precision)
        return True


def _tab(label: str, current: bool, *, possible: bool = True) -> Content:
    """A choice on a line; the current one is seen without colour too."""
    if current:
        return plain(f"[{label}] ", "bold" if possible else "$text-error")
    return plain(f" {label}  ", "" if possible else "$text-disabled strike")
