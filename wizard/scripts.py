"""A node's two scripts, container.sh and serve.sh, from a preset. Pure: text in, text out.

Where a line is not the guide's, the script says so in a comment beginning "differs from the
guide", and ``deviations`` returns the same as data. ``strict_guide`` in the preset switches every
deviation of ours off.
"""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from wizard import containertext, edits, recipes, scriptlines, scripttexts, servelines
from wizard.cluster import Node
from wizard.edits import EditedScript
from wizard.errors import UsageError
from wizard.presetmodel import ContainerSpec, Preset, ServeSpec
from wizard.recipes.model import PORT, Os
from wizard.scriptlines import CONTAINER, SERVE, LaunchLabels, Option, image
from wizard.scriptpatch import Conflict

__all__ = [
    "Deviation",
    "LaunchLabels",
    "NodeScripts",
    "api_port",
    "by_node",
    "deviations",
    "edited",
    "image",
    "render",
    "render_guide_diff",
    "rpc_port",
    "served_model",
    "unfit_when_launched",
]

_ANY_LAUNCH = LaunchLabels("any", "20260101-000000-abcdef", "~/any", "any", "any@any")


@dataclass(frozen=True, slots=True)
class NodeScripts:
    """The texts of one node's scripts."""

    rank: int
    container: str
    serve: str

    @property
    def files(self) -> dict[str, str]:
        """The texts by file name."""
        return {CONTAINER: self.container, SERVE: self.serve}


@dataclass(frozen=True, slots=True)
class Deviation:
    """One difference between a generated script and the guide.

    Attributes:
        where: the script, and the node when it concerns one alone: ``node 0 serve.sh``.
        guide, ours: shell words that one has in place of the other; "" where it has nothing.
        why: the reason.
    """

    where: str
    guide: str
    ours: str
    why: str


def render(preset: Preset, *, launch: LaunchLabels | None = None) -> list[NodeScripts]:
    """Return every node's scripts, in rank order, with the preset's edits.

    Args:
        preset: what to render.
        launch: labels and directory; None: scripts to be run by hand, from the directory that
            they lie in, under the launch id ``manual``.

    Raises:
        UsageError: a node's local_ip or nic is needed and not known; names the node.
        PresetError: an edit of the preset does not fit the scripts any more.
    """
    scripts = edited(preset, launch=launch)
    edits.refuse_conflicts(scripts)
    return by_node(scripts)


def by_node(
    scripts: Sequence[EditedScript], texts: Mapping[str, str] | None = None
) -> list[NodeScripts]:
    """Return scripts node by node; ``texts`` (key → text) replaces the texts of some."""
    found: dict[int, dict[str, str]] = {}
    for script in scripts:
        text = (texts or {}).get(script.key, script.text)
        found.setdefault(script.rank, {})[script.name] = text
    return [NodeScripts(rank, files[CONTAINER], files[SERVE]) for rank, files in found.items()]


def unfit_when_launched(
    preset: Preset, scripts: Sequence[EditedScript]
) -> dict[str, tuple[Conflict, ...]]:
    """Return, by key, the edits that fit these scripts and would not fit those of a launch.

    A launch has labels and a directory of its own; who edits those cannot launch.
    """
    known = {script.key: script.conflicts for script in scripts}
    found = {s.key: s.conflicts for s in edited(preset, launch=_ANY_LAUNCH)}
    more = {key: tuple(c for c in new if c not in known[key]) for key, new in found.items()}
    return {key: conflicts for key, conflicts in more.items() if conflicts}


def edited(preset: Preset, *, launch: LaunchLabels | None = None) -> list[EditedScript]:
    """Return every script, node by node, with the edits that fit and those that do not.

    Raises:
        UsageError: a node's local_ip or nic is needed and not known; names the node.
    """
    nodes = preset.cluster.nodes
    for node in nodes:
        _require_address(preset, node)
    found = []
    for node in nodes:
        container = containertext.container_text(preset, node, launch)
        serve = scripttexts.serve_text(preset, node, nodes[0])
        found.append(edits.apply(preset, node.rank, CONTAINER, container))
        found.append(edits.apply(preset, node.rank, SERVE, serve))
    return found


def deviations(preset: Preset, *, launch: LaunchLabels | None = None) -> list[Deviation]:
    """Return every difference from the guide as data: ours, upstream's and the preset's own."""
    found = _differing(CONTAINER, scriptlines.frame(preset))
    found += _differing(CONTAINER, containertext.options(preset, launch))
    found += _differing(SERVE, [servelines.model(preset), *servelines.environment(preset)])
    found += _differing(SERVE, scripttexts.serve_extras(preset))
    for rank in range(len(preset.nodes)):
        found += _differing(f"node {rank} {SERVE}", servelines.arguments(preset, rank))
    for c in edits.changes(preset):
        guide, ours = ("; ".join(line.strip() for line in lines) for lines in (c.removed, c.added))
        found.append(Deviation(f"node {c.rank} {c.name}", guide, ours, edits.WHY))
    return found


def _differing(where: str, options: Iterable[Option]) -> list[Deviation]:
    return [Deviation(where, o.guide, o.text, o.why) for o in options if o.differs]


def render_guide_diff(preset: Preset) -> str:
    """Return, per node, how the scripts differ from the guide's (unified), then the reasons.

    Where the guide has no such scenario, they are compared with their own recipe's documentation.
    """
    plain = as_documented(preset)
    lines: list[str] = []
    for guide, ours in zip(edited(plain), edited(preset), strict=True):
        names = (f"{plain.recipe}/{ours.key}", f"ours/{ours.key}")
        before, after = guide.text.split("\n"), ours.text.split("\n")
        lines += difflib.unified_diff(before[:-1], after[:-1], *names, lineterm="")
    reasons = [preset.scenario.note] if preset.scenario.note else []
    if plain.recipe != preset.recipe:
        title = recipes.load(preset.recipe).title
        reasons.append(f"recipe {preset.recipe}: {title}; its arguments belong to its image")
    reasons += [
        f"{d.where}: {d.ours or 'left out'} (guide: {d.guide or 'nothing'}): {d.why}"
        for d in deviations(preset)
    ]
    lines += ["", "Why:", *(f"- {reason}" for reason in reasons or ["nothing differs"])]
    return "\n".join(lines) + "\n"


def as_documented(preset: Preset) -> Preset:
    """Return the preset that renders what the guide has, or else what its recipe documents."""
    bare = {"strict_guide": True, "serve": ServeSpec(), "container": ContainerSpec(os=Os.UBUNTU)}
    bare |= {"patches": {}}
    try:
        recipes.find("guide", preset.series, preset.precision, len(preset.nodes))
    except UsageError:
        return preset.model_copy(update=bare)
    return preset.model_copy(update={**bare, "recipe": "guide"})


def served_model(preset: Preset) -> str:
    """Return the name under which vLLM serves the model."""
    name = "--served-model-name"
    documented = recipes.load(preset.recipe).arguments(preset.scenario, 0)
    value = {**documented, **preset.serve.args}.get(name)
    return str(value) if value else shlex.split(servelines.model(preset).text)[0]


def api_port(preset: Preset) -> int:
    """Return the TCP port of the API on node 0."""
    documented = recipes.load(preset.recipe).arguments(preset.scenario, 0)
    return preset.serve.port or int(str(documented[PORT]))


def rpc_port(preset: Preset) -> int | None:
    """Return the TCP port on node 0 that the workers connect to, None on a single node."""
    documented = preset.scenario.rpc_port
    return (preset.serve.rpc_port or documented) if documented else None


def _require_address(preset: Preset, node: Node) -> None:
    if preset.scenario.nodes == 1:
        return
    for key, value in (("local_ip", node.local_ip), ("nic", node.nic)):
        if not value:
            raise UsageError(
                f"{node.label} has no {key}, and its scripts need it.",
                node=node.rank,
                hint=f"Set nodes[{node.rank}].{key} in the preset, or let it be found over SSH.",
            )
