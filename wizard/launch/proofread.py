"""No launch with scripts that are wrong: the linter's errors stop it before a node is touched."""

from __future__ import annotations

from collections.abc import Sequence

from wizard.errors import PresetError, UsageError
from wizard.lint import errors, lint_all
from wizard.presets import Preset
from wizard.scripts import NodeScripts, edited, unfit_when_launched


async def proofread(preset: Preset, scripts: Sequence[NodeScripts]) -> None:
    """Let scripts pass that have no errors; warnings do not matter here.

    Raises:
        UsageError: the first error, with its node, and how many more there are.
        PresetError: an edit of the user does not fit the scripts of a launch.
    """
    require_fitting_edits(preset)
    wrong = errors(await lint_all(preset, scripts))
    if not wrong:
        return
    first, more = wrong[0], len(wrong) - 1
    rest = f" {more} more: see v32-wizard lint." if more else ""
    raise UsageError(
        f"{first.where}: {first.text}", node=first.rank, hint=f"{first.right}{rest}".strip()
    )


def require_fitting_edits(preset: Preset) -> None:
    """Let a preset pass whose edits fit the scripts of a launch.

    Raises:
        PresetError: the first that does not.
    """
    for key, conflicts in unfit_when_launched(preset, edited(preset)).items():
        text = f"{conflicts[0]}, because a launch has its own line there."
        raise PresetError(text, path=f"patches.{key}", hint="Take that edit back.")
