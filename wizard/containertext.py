"""The text of container.sh. Pure; what the lines hold comes from scriptlines."""

from __future__ import annotations

import shlex

from wizard import scriptlines
from wizard.cluster import Node
from wizard.deviations import CONTAINER_SWITCHES, NEEDED
from wizard.presetmodel import Preset
from wizard.scriptlines import (
    CONTAINER,
    DETACHED,
    HCCN_CONF,
    HCCN_MOUNT,
    KEY_DIRECTORY,
    KEY_FILE,
    PLOG,
    SERVE,
    LaunchLabels,
    Option,
)
from wizard.scripttexts import comment, difference, head, literal, mark


def options(preset: Preset, launch: LaunchLabels | None, rank: int = 0) -> list[Option]:
    """Return the options of ``docker``, between its verb and the image."""
    if _is_the_guides(preset):
        return scriptlines.guide_options(preset)
    labels = (launch or LaunchLabels(preset.name, "manual", "")).labels
    key = preset.serve.api_key and rank == 0
    return scriptlines.container_options(preset, labels, '"$launch_dir"', key=key)


def container_text(preset: Preset, node: Node, launch: LaunchLabels | None) -> str:
    """Return container.sh of one node."""
    if _is_the_guides(preset):
        return _guide_container(preset, node)
    every = options(preset, launch, node.rank)
    blocks = [
        _opening(preset, node),
        _settings(preset, every, launch),
        ["# The guide's options. What it does not have is marked.", *_array("options", every)],
        _sources(preset),
        _detached(preset, node) if preset.makes("detached") else _attached(preset, node),
    ]
    return literal("\n\n".join("\n".join(block) for block in blocks if block) + "\n")


def _is_the_guides(preset: Preset) -> bool:
    """Whether nothing of ours is left in it."""
    return not preset.serve.api_key and not any(map(preset.makes, CONTAINER_SWITCHES))


def _opening(preset: Preset, node: Node) -> list[str]:
    lines = ["#!/bin/bash", head(preset, node, CONTAINER), "#"]
    off = [name for name in CONTAINER_SWITCHES if not preset.makes(name)]
    if off:
        lines.append(comment(f"Switched off by the preset: {', '.join(off)}."))
    if set(off) & set(NEEDED):
        lines.append("# The wizard does not launch this: it could not supervise it.")
    usage = "bash container.sh"
    if preset.makes("detached"):
        usage += " [create | start]; without a word it does both, and prints the id"
    lines += [
        f"# Usage: {usage}.",
        "# Nothing else on this node is stopped, removed or overwritten.",
    ]
    return [*lines, "set -eu"]


def _settings(preset: Preset, every: list[Option], launch: LaunchLabels | None) -> list[str]:
    image = scriptlines.image_option(preset)
    lines = [f"runtime={preset.container.runtime}"]
    lines += [mark(image)] if image.differs else []
    lines.append(f"image={image.text}")
    if preset.makes("detached"):
        lines.append(f"name={shlex.quote(preset.container.name)}")
    if any('"$launch_dir"' in option.text for option in every):
        lines.append(f"launch_dir={_directory(launch)}")
    return lines


def _array(name: str, every: list[Option]) -> list[str]:
    lines = [f"{name}=("]
    for option in every:
        lines += [f"  {mark(option)}"] if option.differs else []
        lines += [f"  {option.text}"] if option.text else []
    return [*lines, ")"]


def _sources(preset: Preset) -> list[str]:
    if not preset.makes("test_mounts"):
        return []
    mounted = (shlex.split(o.text)[1].partition(":")[0] for o in scriptlines.mounts(preset))
    every = [*scriptlines.devices(preset), *mounted]
    why = (
        "# The container runtime makes an empty directory for a mount's missing source: test first."
    )
    return [why, "sources=(", *(f"  {shlex.quote(source)}" for source in every), ")"]


def _before(preset: Preset, node: Node) -> list[str]:
    """What is done before the container is made."""
    lines: list[str] = []
    if preset.makes("test_mounts"):
        serve = f' "$launch_dir/{SERVE}"' if preset.makes("command") else ""
        lines += [
            f'for source in "${{sources[@]}}"{serve}; do',
            '  if ! [ -e "$source" ]; then',
            f'    echo "{CONTAINER}: $source is missing on this node, or hidden from this user"'
            " >&2",
            "    exit 1",
            "  fi",
            "done",
        ]
    if preset.serve.api_key and node.rank == 0:
        file = f"$launch_dir/{KEY_DIRECTORY}/{KEY_FILE}"
        lines += [
            f'if ! [ -s "{file}" ]; then',
            f'  echo "{CONTAINER}: put the API key into {file} (0600) first" >&2',
            "  exit 1",
            "fi",
        ]
    if preset.makes("hccn_conf"):
        lines += [
            mark(HCCN_MOUNT),
            f"if [ -e {HCCN_CONF} ]; then",
            f"  options+=({HCCN_MOUNT.text})",
            "fi",
        ]
    if preset.makes("plog"):
        lines.append(f'mkdir -p "$launch_dir/{PLOG}"')
    return lines


def _detached(preset: Preset, node: Node) -> list[str]:
    command = scriptlines.command(preset)
    body = [
        *_before(preset, node),
        mark(DETACHED),
        *([mark(command)] if command.differs else []),
        f'"$runtime" create "${{options[@]}}" "$image" {command.text}',
    ]
    return [
        "create() {",
        *(f"  {line}" for line in body),
        "}",
        "",
        'case "${1:-both}" in',
        "  create) create ;;",
        '  start) "$runtime" start "$name" ;;',
        "  both)",
        "    create",
        '    "$runtime" start "$name" >/dev/null',
        "    ;;",
        "  *)",
        f'    echo "{CONTAINER}: $1 is neither create nor start" >&2',
        "    exit 2",
        "    ;;",
        "esac",
    ]


def _attached(preset: Preset, node: Node) -> list[str]:
    command = scriptlines.command(preset)
    return [
        *_before(preset, node),
        *([mark(command)] if command.differs else []),
        f'"$runtime" run --rm "${{options[@]}}" -it "$image" {command.text}',
    ]


def _directory(launch: LaunchLabels | None) -> str:
    if launch is None:  # run by hand: the directory that the script lies in
        return '"$(cd -- "$(dirname -- "$0")" && pwd)"'
    if launch.directory.startswith("~/"):
        return '"$HOME"/' + shlex.quote(launch.directory[2:])
    return shlex.quote(launch.directory)


def _guide_container(preset: Preset, node: Node) -> str:
    every = scriptlines.guide_options(preset)
    rm, *rest = [o.text for o in every if o.text]
    notes = [difference(o) for o in (*every, *scriptlines.frame(preset)) if o.differs]
    command = " \\\n".join([f"{preset.container.runtime} run {rm}", *rest])
    lines = [
        "#!/bin/bash",
        head(preset, node, CONTAINER),
        "# Exactly the guide's command. It needs a terminal; run serve.sh inside.",
        "",
        f"IMAGE={scriptlines.image_option(preset).text}",
        "",
        *notes,
        f'{command} "$IMAGE" bash',
    ]
    return literal("\n".join(lines) + "\n")
