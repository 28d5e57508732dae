"""``v32-wizard render --diff …``: how a preset's scripts differ, as text."""

from __future__ import annotations

from collections.abc import Sequence

from wizard import scriptdiffs
from wizard.errors import RemoteError
from wizard.launch import deployed
from wizard.presets import Preset, PresetStore
from wizard.remote.api import Fleet
from wizard.scripts import render_guide_diff
from wizard.textdiff import FileDiff, unified


def as_text(diffs: Sequence[FileDiff]) -> str:
    """Return comparisons as a unified diff."""
    lines = [line for diff in diffs for line in unified(diff)]
    return "".join(f"{line}\n" for line in lines or ["# nothing differs"])


def offline(preset: Preset, against: scriptdiffs.Against) -> str:
    """Return a comparison that needs no node.

    Raises:
        UsageError: a script cannot be rendered, or no preset of that name is saved.
    """
    if against is scriptdiffs.Against.GUIDE:
        return render_guide_diff(preset)
    if against is scriptdiffs.Against.SAVED:
        saved = PresetStore().load(preset.name)
        return as_text(scriptdiffs.with_saved(preset, saved))
    return as_text(scriptdiffs.between_nodes(preset))


async def with_nodes(preset: Preset, fleet: Fleet) -> tuple[str, list[RemoteError]]:
    """Compare with what the last launch left on the nodes; and the nodes that were not reached."""
    parts, errors = [], []
    for found in await deployed.find(fleet.remotes, preset.name):
        if found.error is not None:
            errors.append(found.error)
        elif not found.launch_id:
            parts.append(f"# {deployed.nothing(found, preset)}\n")
        else:
            diffs = deployed.compare_one(preset, found)
            parts.append(f"# node {found.rank}: launch {found.launch_id}\n{as_text(diffs)}")
    return "".join(parts), errors
