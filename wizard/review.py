"""What the preview shows: the scripts of the answers as they are now, and what is wrong with them.

State that can be read at any time; ``revision`` moves on every change. Everything is made anew in
the background a moment after the last answer, so that typing never waits for it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wizard import edits, scripts, tuning
from wizard.background import Background
from wizard.deviations import unsupervisable
from wizard.errors import PresetError, UsageError, WizardError
from wizard.parameters import BY_ID, Parameter, concerned
from wizard.scriptdiffs import Against

if TYPE_CHECKING:
    from wizard.answers import Answers
    from wizard.edits import EditedScript
    from wizard.lint import Remark
    from wizard.presets import Preset
    from wizard.recipevalues import RecipeValue
    from wizard.session import Session
    from wizard.textdiff import FileDiff

DELAY_S = 0.25  # after the last keystroke


@dataclass(frozen=True, slots=True)
class Problem:
    """What blocks the launch first: where to go, and what to say.

    Attributes:
        parameter: the field concerned, or None.
        script: the script's key, ``node0/serve.sh``, or "".
        line: 1-based line in it, 0 for the whole.
    """

    text: str
    parameter: Parameter | None = None
    script: str = ""
    line: int = 0


@dataclass(slots=True)
class Comparison:
    """The scripts against something else: what differs, or why that cannot be said."""

    against: Against
    diffs: list[FileDiff] = field(default_factory=list)
    message: str = ""
    busy: bool = False


class Review:
    """See the module. It starts nothing before it is asked."""

    def __init__(self, session: Session, *, delay_s: float = DELAY_S) -> None:
        self.revision = 0
        self.preset: Preset | None = None  # that the scripts are of, with all addresses
        self.scripts: list[EditedScript] = []
        self.remarks: list[Remark] = []
        self.conflicts: dict[str, list[str]] = {}  # script's key → edits that do not fit
        self.problems: dict[str, str] = {}  # parameter → what is wrong with its field
        self.values: dict[str, RecipeValue] = {}
        self.error = ""  # why there are no scripts of the answers as they are
        self.checked = False  # whether the remarks are about the scripts as they are
        self.comparison = Comparison(Against.GUIDE)
        self.typing: tuple[str, str] | None = None  # script's key and text that is being edited
        self._compared = False  # whether the comparison is of the scripts as they are
        self._session, self._delay_s = session, delay_s
        self._work = Background(self._tell)

    # -- making it anew

    def ask(self, delay_s: float = 0.0) -> None:
        """Look at the answers again, in place of any look that goes on."""
        self._work.cancel("look")
        self.checked = False
        self._work.start("look", self._look(delay_s))

    @property
    def busy(self) -> bool:
        """Whether scripts or remarks are still being made."""
        return self._work.busy("look")

    async def settled(self) -> None:
        """Wait until the scripts and the remarks are those of the answers."""
        while self.busy:
            await self._work.wait("look")

    async def _look(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        session, rooms = self._session, self._session.rooms
        try:
            session.preset()
            preset = await session.complete_preset()
            every = rooms.edited(preset)
        except WizardError as error:
            self._refused(error)
            return
        self.preset, self.scripts, self.error, self.problems = preset, every, "", {}
        self.values = rooms.recipe_values(preset)
        self.conflicts = {s.key: [str(c) for c in s.conflicts] for s in every if s.conflicts}
        for key, found in scripts.unfit_when_launched(preset, every).items():
            told = [f"{conflict}, because a launch has its own line there" for conflict in found]
            self.conflicts.setdefault(key, []).extend(told)
        self._compared = False
        self._touch()
        self.remarks = await rooms.lint(preset, scripts.by_node(every))
        self.checked = True
        self._touch()

    def _refused(self, error: WizardError) -> None:
        self.error, self.problems = str(error), tuning.problems(self._session.draft)
        refused: WizardError | None = error
        if self.problems:  # fields that hold no value at all; the others may be wrong as well
            refused = self._refusal()
        if isinstance(refused, PresetError):
            for path, text in refused.problems:
                if (parameter := concerned(path, text)) is not None:
                    self.problems.setdefault(parameter.id, text)
        if not self.values:
            self._values_without_answers()
        self._touch()

    def _refusal(self) -> WizardError | None:
        try:
            self._session.rooms.build(self._session.draft.to_preset())
        except WizardError as error:
            return error
        return None

    def _values_without_answers(self) -> None:
        """Tell the recipe's values even when a first answer is wrong."""
        keys = self._session.draft.to_preset()
        bare = {k: v for k, v in keys.items() if k not in ("serve", "container", "patches")}
        try:
            self.values = self._session.rooms.recipe_values(self._session.rooms.build(bare))
        except WizardError:
            self.values = {}

    def _tell(self, name: str, problem: str) -> None:
        if name == "look":
            self.error = problem
        else:
            self.comparison.message, self.comparison.busy = problem, False
        self._touch()

    def _touch(self) -> None:
        self.revision += 1

    # -- answers

    def text(self, name: str) -> str:
        """Return what stands in a parameter's field."""
        return tuning.text(self._session.draft, BY_ID[name])

    def put(self, name: str, typed: str) -> None:
        """Take what was typed in a parameter's field."""
        if tuning.put(self._session.draft, BY_ID[name], typed):
            self._answered(self._delay_s)

    def keep(self, key: str, text: str) -> None:
        """Keep a script's text as edits of the preset.

        Raises:
            PresetError: the text holds what no script may hold, or nothing at all.
        """
        patch = edits.patch_for(self.script(key).generated, text, key)
        found = {k: v for k, v in tuning.patches(self._session.draft).items() if k != key}
        tuning.set_patches(self._session.draft, found | ({key: patch} if patch else {}))
        self.typing = None
        self._answered()

    def drop(self, key: str) -> None:
        """Drop a script's edits."""
        script = self.script(key)
        if tuning.drop_edits(self._session.draft, script.rank, script.name):
            self._answered()

    def is_edited(self, key: str) -> bool:
        """Whether a script has edits, fitting or not."""
        return key in tuning.patches(self._session.draft)

    def script(self, key: str) -> EditedScript:
        """Return a script by its key.

        Raises:
            UsageError: there is none.
        """
        for script in self.scripts:
            if script.key == key:
                return script
        raise UsageError(f"There is no script {key}.")

    def _answered(self, delay_s: float = 0.0) -> None:
        answers: Answers = self._session
        answers.tuned()
        self.ask(delay_s)
        self._touch()

    # -- what is wrong

    async def remarks_on(self, key: str, text: str) -> list[Remark]:
        """Return what is wrong with a script if its text were this one."""
        if self.preset is None:
            return []
        script = self.script(key)
        nodes = scripts.by_node(self.scripts, {key: text})
        found = await self._session.rooms.lint(self.preset, nodes)
        return [r for r in found if (r.rank, r.file) == (script.rank, script.name)]

    def problem(self) -> Problem | None:
        """Return the first thing that blocks the launch, None when nothing does."""
        for name, text in self.problems.items():
            return Problem(f"{BY_ID[name].label}: {text}", parameter=BY_ID[name])
        if self.error or not self.scripts:
            return Problem(self.error or "The scripts are not there yet.")
        if self.preset and (why := unsupervisable(self.preset)) is not None:
            parameter = concerned(why.key, why.text)
            label = parameter.label if parameter else why.key
            return Problem(f"{label}: {why.text} {why.right}", parameter=parameter)
        for key, found in self.conflicts.items():
            return Problem(f"{key}: {found[0]}.", script=key)
        for remark in self.remarks:
            if remark.severity == "error":
                key = f"node{remark.rank}/{remark.file}"
                return Problem(f"{remark.where}: {remark.text}", script=key, line=remark.line)
        return None

    @property
    def warnings(self) -> list[str]:
        """What the linter says of the scripts that does not block the launch, with its place."""
        return [str(remark) for remark in self.remarks if remark.severity != "error"]

    # -- comparing

    def compare(self, against: Against, *, again: bool = False) -> None:
        """Show another comparison; what lies on the nodes is asked in the background."""
        if against is not self.comparison.against or again:
            self.comparison, self._compared = Comparison(against), False
            self._touch()

    def look_at_comparison(self) -> None:
        """Make the comparison that is chosen, if it is not made; for whoever shows it."""
        if self._compared or self.preset is None:
            return
        shown, self._compared = self.comparison, True
        if shown.against is Against.DEPLOYED:
            self._work.cancel("compare")
            shown.busy = True
            self._work.start("compare", self._compare_deployed(shown, self.preset))
            return
        try:
            shown.diffs = self._diffs(shown.against, self.preset)
            shown.message = ""
        except WizardError as error:
            shown.diffs, shown.message = [], str(error)

    def _diffs(self, against: Against, preset: Preset) -> list[FileDiff]:
        rooms = self._session.rooms
        if against is not Against.SAVED:
            return rooms.compare(against, preset)
        store = rooms.store()
        if preset.name not in store.list():
            text = f"No preset named {preset.name} is saved yet. Ctrl+S saves these answers."
            raise UsageError(text)
        return rooms.compare(against, preset, store.load(preset.name))

    async def _compare_deployed(self, shown: Comparison, preset: Preset) -> None:
        diffs, messages = await self._session.rooms.deployed(preset, self._session.fleet())
        shown.diffs, shown.message, shown.busy = diffs, " ".join(messages), False
        self._touch()

    async def aclose(self) -> None:
        """End what runs."""
        await self._work.end_all()
