"""Exported scripts that were edited by hand, taken in as the preset's patches. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from wizard import __version__, edits, export, scripts
from wizard.errors import UsageError
from wizard.exportdir import Exported
from wizard.presetmodel import Preset
from wizard.textdiff import FileDiff, compare


@dataclass(frozen=True, slots=True)
class Imported:
    """What would come of an import.

    Attributes:
        preset: with the edits.
        diffs: what changes in the scripts, one per edited script.
        remarks: what else is to be said of the folder.
    """

    preset: Preset
    diffs: tuple[FileDiff, ...]
    remarks: tuple[str, ...]


def take_in(preset: Preset, folder: Exported) -> Imported:
    """Return the preset with the edits of the folder.

    Only scripts that are not as they were written are taken; in these, what the folder says
    replaces what the preset said.

    Raises:
        UsageError: the folder is not of this preset as it is now, or a script is missing.
        PresetError: an edited script holds what none may hold.
    """
    manifest = folder.manifest
    _require_same(preset, manifest)
    every = scripts.edited(preset)
    for script in every:
        if script.key in folder.missing or script.key not in manifest.files:
            raise UsageError(
                f"{script.key} is missing from the folder.",
                hint="Put it back, or export again into another folder.",
            )
        if export.digest(script.generated) != manifest.generated.get(script.key):
            version = manifest.facts.get("wizard")
            since = f" (version {version}; this is {__version__})" if version != __version__ else ""
            raise UsageError(
                f"{script.key} was exported when the preset or the wizard{since} rendered another "
                "script.",
                hint="Export again into another folder and carry your edits over.",
            )
    changed = set(folder.changed)
    found, diffs = preset, []
    for script in every:
        if script.key not in changed:
            continue
        text = folder.files[script.key]
        found = edits.keep(found, script.rank, script.name, script.generated, text)
        names = ("now", edits.unmarked(script.text)), ("folder", edits.unmarked(text))
        diffs.append(compare(script.key, *names))
    known = {script.key for script in every}
    remarks = [f"{path} was changed; it is not taken in" for path in sorted(changed - known)]
    remarks += [f"{path} is missing" for path in folder.missing]
    remarks += [f"{path} is not of the export; it is left alone" for path in folder.extra]
    return Imported(found, tuple(diff for diff in diffs if diff.rows), tuple(remarks))


def _require_same(preset: Preset, manifest: export.Manifest) -> None:
    for name, ours in export.facts(preset).items():
        theirs = manifest.facts.get(name)
        if theirs != ours:
            raise UsageError(
                f"the folder was exported with {name} {theirs!r}; the preset has {ours!r}.",
                hint="Name the preset that it came from, or export again into another folder.",
            )
