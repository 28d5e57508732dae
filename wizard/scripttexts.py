"""The texts of container.sh and serve.sh. Pure; what the lines hold comes from the two *lines."""

from __future__ import annotations

import re
import shlex

from wizard import __version__, scriptlines, servelines
from wizard.cluster import Node
from wizard.presetmodel import LAUNCH_MOUNT, Preset
from wizard.scriptlines import (
    COMMAND,
    CONTAINER,
    DETACHED,
    HCCN_CONF,
    HCCN_MOUNT,
    LABEL_LAUNCH,
    LABEL_PRESET,
    PLOG,
    SERVE,
    LaunchLabels,
    Option,
)

EXEC = scriptlines.ours("exec", "", "vLLM itself gets the stop signal")


def options(preset: Preset, launch: LaunchLabels | None) -> list[Option]:
    """Return the options of ``docker``, between its verb and the image."""
    if preset.strict_guide:
        return scriptlines.guide_options(preset)
    name, number = (launch.preset, launch.launch_id) if launch else (preset.name, "manual")
    labels = {LABEL_PRESET: name, LABEL_LAUNCH: number}
    return scriptlines.container_options(preset, labels, '"$launch_dir"')


def container_text(preset: Preset, node: Node, launch: LaunchLabels | None) -> str:
    """Return container.sh of one node."""
    if preset.strict_guide:
        return _guide_container(preset, node)
    lines = []
    for option in options(preset, launch):
        lines += [f"  {_mark(option)}"] if option.differs else []
        lines += [f"  {option.text}"] if option.text else []
    mounted = (shlex.split(o.text)[1].partition(":")[0] for o in scriptlines.mounts(preset))
    sources = [*scriptlines.devices(preset), *mounted]
    image = scriptlines.image_option(preset)
    values = {
        "HEAD": _head(preset, node, CONTAINER),
        "RUNTIME": preset.container.runtime,
        "IMAGE": f"{_mark(image)}\nimage={image.text}" if image.differs else f"image={image.text}",
        "NAME": shlex.quote(preset.container.name),
        "DIRECTORY": _directory(launch),
        "OPTIONS": "\n".join(lines),
        "SOURCES": "\n".join(f"  {shlex.quote(source)}" for source in sources),
    }
    # in one pass: a value that looks like one of the marks must stay as it is
    return re.sub(r"@([A-Z]+)@", lambda match: values[match[1]], _CONTAINER)


def serve_text(preset: Preset, node: Node, head: Node) -> str:
    """Return serve.sh of one node; ``head`` is node 0."""
    strict = preset.strict_guide
    model = servelines.model(preset)
    arguments = servelines.arguments(preset, node.rank)
    exports = []
    for option in servelines.environment(preset):
        exports += [_mark(option)] if option.differs and option.text else []
        exports += [option.text] if option.text else [_difference(option)]
    words = [o.text for o in arguments if o.text]
    call = " \\\n".join([f"{'' if strict else 'exec '}vllm serve {model.text}", *words])
    notes = [_difference(o) for o in (model, *arguments) if o.differs]
    notes += [] if strict else [_mark(EXEC) + f" ({EXEC.text})"]
    opening = ["#!/bin/sh" if strict else "#!/bin/bash", _head(preset, node, SERVE)]
    blocks = [
        [*opening, *([] if strict else ["set -eu"])],
        servelines.facts(node, head, "\n".join([*exports, call])),
        exports,
        [*notes, call],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _directory(launch: LaunchLabels | None) -> str:
    if launch is None:  # run by hand: the directory that the script lies in
        return '"$(cd -- "$(dirname -- "$0")" && pwd)"'
    if launch.directory.startswith("~/"):
        return '"$HOME"/' + shlex.quote(launch.directory[2:])
    return shlex.quote(launch.directory)


def _mark(option: Option) -> str:
    guide = f" ({option.guide})" if option.guide else ""
    return _comment(f"differs from the guide{guide}: {option.why}")


def _difference(option: Option) -> str:
    change = f"{option.text or 'left out'} (guide: {option.guide or 'nothing'})"
    return _comment(f"differs from the guide: {change}: {option.why}")


def _comment(text: str) -> str:
    return "# " + text.replace("\n", " ")


def _head(preset: Preset, node: Node, name: str) -> str:
    scenario = preset.scenario
    count = f"{scenario.nodes} node{'' if scenario.nodes == 1 else 's'}"
    lines = [
        f"{name} of {node.label}: {preset.precision.label} on {preset.series.value}, {count}, "
        f"recipe {preset.recipe}.",
        f"Written by v32-wizard {__version__} from the preset {preset.name}.",
        *([scenario.note] if scenario.note else []),
    ]
    return "\n".join(_comment(line) for line in lines)


def _guide_container(preset: Preset, node: Node) -> str:
    every = scriptlines.guide_options(preset)
    rm, *rest = [o.text for o in every if o.text]
    notes = [_difference(o) for o in (*every, *scriptlines.frame(preset)) if o.differs]
    command = " \\\n".join([f"{preset.container.runtime} run {rm}", *rest])
    lines = [
        "#!/bin/bash",
        _head(preset, node, CONTAINER),
        "# strict_guide: exactly the guide's command. It needs a terminal; run serve.sh inside.",
        "",
        f"IMAGE={scriptlines.image_option(preset).text}",
        "",
        *notes,
        f'{command} "$IMAGE" bash',
    ]
    return "\n".join(lines) + "\n"


_CONTAINER = f"""#!/bin/bash
@HEAD@
#
# Usage: bash container.sh [create | start]; without a word it does both, and prints the id.
# Nothing else on this node is stopped, removed or overwritten.
set -eu

runtime=@RUNTIME@
@IMAGE@
name=@NAME@
launch_dir=@DIRECTORY@

# The guide's options. What it does not have is marked.
options=(
@OPTIONS@
)

# The container runtime makes an empty directory for a mount's missing source: test them first.
sources=(
@SOURCES@
)

create() {{
  for source in "${{sources[@]}}" "$launch_dir/{SERVE}"; do
    if ! [ -e "$source" ]; then
      echo "{CONTAINER}: $source is missing on this node, or hidden from this user" >&2
      exit 1
    fi
  done
  {_mark(HCCN_MOUNT)}
  if [ -e {HCCN_CONF} ]; then
    options+=({HCCN_MOUNT.text})
  fi
  mkdir -p "$launch_dir/{PLOG}"
  {_mark(DETACHED)}
  {_mark(COMMAND)}
  "$runtime" create "${{options[@]}}" "$image" bash -l {LAUNCH_MOUNT}/{SERVE}
}}

case "${{1:-both}}" in
  create) create ;;
  start) "$runtime" start "$name" ;;
  both)
    create
    "$runtime" start "$name" >/dev/null
    ;;
  *)
    echo "{CONTAINER}: $1 is neither create nor start" >&2
    exit 2
    ;;
esac
"""
