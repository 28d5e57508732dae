"""The answers of one run of the wizard, and the step it is at; autosaved, resumable."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any

from wizard import tuning
from wizard.autosave import Autosave, Saved
from wizard.cluster import Precision, Series
from wizard.draft import Draft, DraftNode
from wizard.errors import PresetError, UsageError, WizardError
from wizard.rooms import Rooms

if TYPE_CHECKING:
    from wizard.presets import Preset


class Step(IntEnum):
    """The steps, in order."""

    START = 0
    HARDWARE = 1
    NODES = 2
    CHECKS = 3
    TROUBLESHOOTING = 4
    PREVIEW = 5
    LAUNCH = 6
    CHAT = 7


class Answers:
    """What the user has said so far; the steps that rest on a changed answer need review."""

    def __init__(self, rooms: Rooms, *, demo: bool) -> None:
        self.rooms = rooms
        self.demo = demo
        self.draft = Draft()
        self.loaded = ""  # name of the preset that the answers came from
        self._kept: dict[str, Any] | None = None  # the answers as a preset holds them, if one does
        self.step = Step.START
        self.visited: set[Step] = {Step.START}
        self.needs_review: set[Step] = set()
        self.autosave = Autosave(rooms.autosave, rooms.autosave_delay_s)

    def load(self, preset: Preset) -> None:
        """Take all answers from a preset."""
        self.draft = Draft.from_preset(preset.model_dump(mode="json", exclude_defaults=True))
        self.loaded = preset.name
        self._kept = self.draft.to_preset()
        self._changed(Step.HARDWARE)

    def take_ignores(self, ignores: list[dict[str, Any]]) -> None:
        """Note which faults are ignored, as a preset has them; nothing rests on that answer."""
        self.draft.extra.pop("ignores", None)
        if ignores:
            self.draft.extra["ignores"] = ignores
        if not self.demo:
            self.autosave.put(self.draft, self.step.name)

    def begin_new(self) -> None:
        """Start over with no answers."""
        self.draft, self.loaded, self._kept = Draft(), "", None
        self._changed(Step.HARDWARE)

    def saved(self) -> Saved | None:
        """Return what an earlier run left, or None."""
        return self.autosave.load()

    def resume(self, saved: Saved) -> None:
        """Go on with what an earlier run left, at its step as far as its answers allow."""
        self.autosave.continue_saved()
        self.draft, self.loaded, self._kept = saved.draft, "", None
        wanted = Step[saved.step] if saved.step in Step.__members__ else Step.HARDWARE
        furthest = Step.NODES if self.draft.series and self.draft.precision else Step.HARDWARE
        if furthest is Step.NODES and not self.node_problems():
            furthest = Step.CHECKS  # later steps rest on engine objects that are not there yet
        step = min(wanted, furthest)
        self.visited |= {earlier for earlier in Step if earlier < step}
        self.go(step)

    def set_hardware(self, series: Series, precision: Precision) -> None:
        """Answer which servers and which weights; the list of nodes is grown to the number."""
        if (series, precision) != (self.draft.series, self.draft.precision):
            self.draft.series, self.draft.precision = series, precision
            self._changed(Step.NODES)
        while len(self.draft.nodes) < (self.nodes_needed() or 0):
            self.draft.nodes.append(DraftNode())

    def set_recipe(self, recipe: str) -> None:
        """Answer which version of vLLM-Ascend the scripts are for."""
        if recipe != self.draft.recipe:
            self.draft.recipe = recipe
            self._changed(Step.NODES)

    def set_image_os(self, os: str) -> None:
        """Answer which operating system the image has; ``ubuntu`` is the default."""
        container = {k: v for k, v in self.draft.extra.get("container", {}).items() if k != "os"}
        if os != "ubuntu":
            container["os"] = os
        if container != self.draft.extra.get("container", {}):
            self.draft.extra["container"] = container
            self._changed(Step.CHECKS)

    @property
    def image_os(self) -> str:
        """The operating system of the image, as answered."""
        return str(self.draft.extra.get("container", {}).get("os", "ubuntu"))

    def set_nodes(self, nodes: list[DraftNode]) -> None:
        """Answer which nodes, in rank order."""
        if nodes != self.draft.nodes:
            self.draft.nodes = nodes
            self._changed(Step.CHECKS)

    def go(self, step: Step) -> None:
        """Move to a step."""
        self.step = step
        self.visited.add(step)
        self.needs_review.discard(step)
        self.keep()

    def keep(self) -> None:
        """Have the answers written to the autosave, as they are now."""
        if not self.demo and self.step is not Step.START:
            self.autosave.put(self.draft, self.step.name)

    def _changed(self, first: Step) -> None:
        self.needs_review |= {step for step in self.visited if step >= first and step != self.step}
        self.keep()

    def tuned(self) -> None:
        """Say that parameters or edits of the scripts were changed in the draft."""
        self._changed(Step.LAUNCH)

    @property
    def unsaved(self) -> bool:
        """Whether no preset holds the answers: since it was loaded or saved, or at all.

        Answers that were never saved count once something beyond hardware and nodes was chosen;
        those of a simulated cluster go with it.
        """
        if self.demo:
            return False
        if self._kept is None:
            return bool(self.draft.extra or self.draft.typed)
        return bool(self.draft.typed) or self._kept != self.draft.to_preset()

    # -- what the answers amount to

    def nodes_needed(self) -> int | None:
        """How many nodes the chosen hardware needs; None while it is not chosen or unknown."""
        for choice in self.rooms.choices(self.draft.recipe):
            if (choice.series, choice.precision) == (self.draft.series, self.draft.precision):
                return choice.nodes
        return None

    def node_problems(self) -> dict[int | None, str]:
        """What is wrong with the nodes, by rank; None stands for the list as a whole."""
        nodes = self.draft.nodes
        problems: dict[int | None, str] = {r: n.problem for r, n in enumerate(nodes) if n.problem}
        seen: dict[tuple[str, str, str], int] = {}
        for rank, node in enumerate(nodes):
            first = seen.setdefault((*node.parts[1:], node.jump), rank)
            if first != rank and rank not in problems:
                problems[rank] = f"This is node {first} again: every node stands in the list once."
        needed = self.nodes_needed()
        if needed is not None and self.draft.precision and len(nodes) < needed:
            problems[None] = (  # more may be right: the recipe decides, in `preset`
                f"{self.draft.precision.label} on {self.draft.series} needs {needed} "
                f"{'node' if needed == 1 else 'nodes'}; the list has {len(nodes)}."
            )
        return problems

    def preset(self) -> Preset:
        """Return the answers as a valid preset.

        Raises:
            UsageError: an answer is missing or wrong; PresetError carries the key's path.
        """
        if self.draft.series is None or self.draft.precision is None:
            raise UsageError("The hardware is not chosen yet.", hint="Choose series and precision.")
        for rank, problem in self.node_problems().items():
            raise PresetError(problem, path="nodes" if rank is None else f"nodes[{rank}]")
        tuning.refuse_problems(self.draft)
        return self.rooms.build(self.draft.to_preset())

    def save_preset(self, name: str) -> Preset:
        """Save the answers as a preset under ``name``, and use that name from now on."""
        before, self.draft.name = self.draft.name, name
        try:
            preset = self.preset()
            self.rooms.store().save(preset)
        except WizardError:
            self.draft.name = before
            raise
        self._kept = self.draft.to_preset()
        return preset
