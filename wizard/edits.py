"""Edits that users made in the texts of the scripts, kept as patches in the preset. Pure.

What is edited is the script as it is run by hand; a launch renders it anew with its own labels and
directory, and the patch goes onto that. ``strict_guide`` switches deviations of ours off; edits
are the user's, as the values of the preset are, and stay.
"""

from __future__ import annotations

from dataclasses import dataclass

from wizard import patchkeys, scriptpatch
from wizard.errors import PresetError
from wizard.presetmodel import Preset
from wizard.scriptpatch import Conflict

MARK = "# Edited by hand: the changes are kept as patches in the preset, and are yours."
WHY = "yours: edited in the text of the script (patches of the preset)"
_MARKED_AFTER = "# Written by v32-wizard"


@dataclass(frozen=True, slots=True)
class EditedScript:
    """One script of one node.

    Attributes:
        generated: the text without any edit.
        text: with the edits that fit, and marked when there are edits.
        conflicts: the edits that do not fit.
        lines: 0-based numbers of the lines in ``text`` that an edit put in.
    """

    rank: int
    name: str
    generated: str
    text: str
    conflicts: tuple[Conflict, ...] = ()
    lines: frozenset[int] = frozenset()

    @property
    def key(self) -> str:
        """Its key in the preset: ``node0/serve.sh``."""
        return patchkeys.key(self.rank, self.name)


@dataclass(frozen=True, slots=True)
class Change:
    """One edit: what stands in the script in place of what."""

    rank: int
    name: str
    removed: tuple[str, ...]
    added: tuple[str, ...]


def apply(preset: Preset, rank: int, name: str, generated: str) -> EditedScript:
    """Put the preset's edits onto a script that was rendered."""
    patch = preset.patches.get(patchkeys.key(rank, name))
    if patch is None:
        return EditedScript(rank, name, generated, generated)
    done = scriptpatch.apply(patch, generated)
    at = _place_of_mark(done.text)
    lines = scriptpatch.split(done.text)
    text = scriptpatch.joined([*lines[:at], MARK, *lines[at:]])
    mine = frozenset(n + (n >= at) for n in done.lines)
    return EditedScript(rank, name, generated, text, done.conflicts, mine)


def _place_of_mark(text: str) -> int:
    lines = scriptpatch.split(text)
    for number, line in enumerate(lines):
        if line.startswith(_MARKED_AFTER):
            return number + 1
    return 1 if lines and lines[0].startswith("#!") else 0


def unmarked(text: str) -> str:
    """Return a script's text without our mark, its lines ended as Unix ends them."""
    lines = scriptpatch.split(text.replace("\r\n", "\n"))
    return scriptpatch.joined([line for line in lines if line != MARK])


def keep(preset: Preset, rank: int, name: str, generated: str, edited: str) -> Preset:
    """Return the preset with a script's edits as they are in ``edited``, in place of any others.

    Raises:
        PresetError: the text holds what no script may hold, or nothing at all.
    """
    key = patchkeys.key(rank, name)
    patches = {k: v for k, v in preset.patches.items() if k != key}
    if patch := patch_for(generated, edited, key):
        patches[key] = patch
    return preset.model_copy(update={"patches": patches})


def patch_for(generated: str, edited: str, key: str) -> str:
    """Return the patch for a script's edited text, "" when nothing was edited.

    Raises:
        PresetError: nothing is left, a line holds a control character or a secret, or the edits
            are too long.
    """
    text = unmarked(edited)
    if not text.strip():
        raise PresetError("nothing is left of the script", path=f"patches.{key}")
    patch = scriptpatch.make(generated, text)
    if not patch:
        return ""
    if len(patch) > patchkeys.MAX_LENGTH:
        why = f"the edits are longer than {patchkeys.MAX_LENGTH // 1024} KiB"
        raise PresetError(why, path=f"patches.{key}")
    for number, line in enumerate(text.split("\n"), 1):
        try:
            patchkeys.check_line(line)
        except ValueError as error:
            raise PresetError(f"line {number} {error}", path=f"patches.{key}") from None
    return patch


def changes(preset: Preset) -> list[Change]:
    """Return every edit of the preset."""
    found = []
    for key, patch in sorted(preset.patches.items()):
        rank, name = patchkeys.script_of(key)
        found += [Change(rank, name, h.removed, h.added) for h in scriptpatch.parse(patch)]
    return found


def refuse_conflicts(scripts: list[EditedScript]) -> None:
    """Refuse scripts that lack an edit of the user.

    Raises:
        PresetError: an edit does not fit; says which and why.
    """
    for script in scripts:
        for conflict in script.conflicts:
            raise PresetError(
                f"{conflict}.",
                path=f"patches.{script.key}",
                hint="Drop the edit or make it anew in the preview, or take it out of the preset.",
            )
