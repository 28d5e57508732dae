"""The comparisons of a preset's scripts: with the guide, the saved preset, each other, the nodes.

Pure. Edits that do not fit are told in the notes; the comparison itself is without them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from wizard import recipes, scripts
from wizard.edits import EditedScript
from wizard.presetmodel import NodeSpec, Preset
from wizard.scripts import LaunchLabels
from wizard.textdiff import FileDiff, compare

OURS = "now"


class Against(StrEnum):
    """What the scripts are compared with."""

    GUIDE = "guide"
    SAVED = "saved"
    NODES = "nodes"
    DEPLOYED = "deployed"


def without_nodes(against: Against, preset: Preset, saved: Preset | None = None) -> list[FileDiff]:
    """Compare with whatever needs no node to be asked; ``saved`` is the preset as it was saved."""
    if against is Against.GUIDE:
        return with_guide(preset)
    if against is Against.SAVED and saved is not None:
        return with_saved(preset, saved)
    return between_nodes(preset)


def with_guide(preset: Preset) -> list[FileDiff]:
    """Compare with what the guide runs; the reasons are the notes.

    Where the guide has no such scenario, the recipe's own documentation takes its place.
    """
    plain = scripts.as_documented(preset)
    reasons = scripts.deviations(preset)
    general = [preset.scenario.note] if preset.scenario.note else []
    if plain.recipe != preset.recipe:
        title = recipes.load(preset.recipe).title
        general.append(f"recipe {preset.recipe}: {title}; its arguments belong to its image")
    found = []
    for theirs, ours in zip(scripts.edited(plain), scripts.edited(preset), strict=True):
        where = (ours.name, f"node {ours.rank} {ours.name}")
        notes = [
            f"{d.ours or 'left out'} (guide: {d.guide or 'nothing'}): {d.why}"
            for d in reasons
            if d.where in where
        ]
        sides = ((plain.recipe, theirs.text), (OURS, ours.text))
        found.append(compare(ours.key, *sides, [*general, *_unfit(ours), *notes]))
    return found


def with_saved(preset: Preset, saved: Preset) -> list[FileDiff]:
    """Compare with the scripts of the preset as it was saved."""
    before = {s.key: s for s in scripts.edited(with_addresses(saved, preset))}
    after = {s.key: s for s in scripts.edited(preset)}
    found = []
    for key in {**before, **after}:
        old, new = (side[key].text if key in side else "" for side in (before, after))
        notes = _unfit(after[key]) if key in after else ["the saved preset has one node more"]
        notes += [] if key in before else ["the saved preset has no such node"]
        found.append(compare(key, ("saved", old), (OURS, new), notes))
    return found


def with_addresses(preset: Preset, known: Preset) -> Preset:
    """Return a preset with addresses and interfaces that another one knows of the same hosts."""
    by_host = {node.host: node for node in known.nodes}

    def fill(node: NodeSpec) -> NodeSpec:
        other = by_host.get(node.host, node)
        keys = {"local_ip": node.local_ip or other.local_ip, "nic": node.nic or other.nic}
        return node.model_copy(update=keys)

    return preset.model_copy(update={"nodes": [fill(node) for node in preset.nodes]})


def between_nodes(preset: Preset) -> list[FileDiff]:
    """Compare every node's scripts with node 0's."""
    every = scripts.edited(preset)
    head = {s.name: s for s in every if s.rank == 0}
    return [
        compare(s.name, ("node0", head[s.name].text), (f"node{s.rank}", s.text), _unfit(s))
        for s in every
        if s.rank > 0
    ]


def with_deployed(
    preset: Preset, rank: int, launch: LaunchLabels, files: Mapping[str, str]
) -> list[FileDiff]:
    """Compare one node's scripts with those that lie on it from a launch.

    Ours are rendered with that launch's labels and directory, so that these are no differences.
    """
    found = []
    for ours in scripts.edited(preset, launch=launch):
        if ours.rank != rank:
            continue
        notes = _unfit(ours)
        if ours.name not in files:
            notes.append(f"launch {launch.launch_id} has no {ours.name} on node {rank}")
        name = f"launch {launch.launch_id}"
        sides = ((name, files.get(ours.name, "")), (OURS, ours.text))
        found.append(compare(ours.key, *sides, notes))
    return found


def _unfit(script: EditedScript) -> list[str]:
    return [f"left out, because it does not fit: {conflict}" for conflict in script.conflicts]


def differing(diffs: Sequence[FileDiff]) -> list[FileDiff]:
    """Return those that have something to show."""
    return [diff for diff in diffs if diff.rows or diff.notes]
