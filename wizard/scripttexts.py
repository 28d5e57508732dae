"""The text of serve.sh, and the comments that both scripts have. Pure.

What the lines hold comes from servelines; container.sh is in containertext.
"""

from __future__ import annotations

import re

from wizard import __version__, scriptlines, servelines
from wizard.cluster import Node
from wizard.presetmodel import KEY_MOUNT, Preset
from wizard.recipes.model import Provenance
from wizard.scriptlines import KEY_FILE, SERVE, Option

EXEC = scriptlines.ours("exec", "", "vLLM itself gets the stop signal")
SET_EU = scriptlines.ours("set -eu", "", "an error stops it, instead of serving half configured")
_KEY = Option(
    "export VLLM_API_KEY",
    "",
    "serve.api_key of the preset; from a file that is removed once read, never an argument",
    Provenance.YOURS,
)

# what shell text is made of: comments, "...", one character after a backslash, and '...', the group
_QUOTED = re.compile(
    r"""(?:^|(?<=\s))#[^\n]*|"(?:\\.|[^"\\])*"|\\.|'([^']*)'""", re.DOTALL | re.MULTILINE
)
_EXPANDS = re.compile(r"[$`]")
_LITERAL = "# shellcheck disable=SC2016  # values in single quotes are passed as they stand"


def serve_extras(preset: Preset, rank: int = 0) -> list[Option]:
    """Return what stands in serve.sh beside model, environment and arguments."""
    found = [SET_EU] if preset.makes("set_eu") else []
    found += [_KEY] if preset.serve.api_key and rank == 0 else []
    return found + ([EXEC] if preset.makes("exec") else [])


def serve_text(preset: Preset, node: Node, first: Node) -> str:
    """Return serve.sh of one node; ``first`` is node 0."""
    model = servelines.model(preset)
    arguments = servelines.arguments(preset, node.rank)
    extras = serve_extras(preset, node.rank)
    exports = []
    for option in servelines.environment(preset):
        exports += [mark(option)] if option.differs and option.text else []
        exports += [option.text] if option.text else [difference(option)]
    words = [o.text for o in arguments if o.text]
    run = "exec vllm" if EXEC in extras else "vllm"
    call = " \\\n".join([f"{run} serve {model.text}", *words])
    notes = [difference(o) for o in (model, *arguments) if o.differs]
    notes += [mark(EXEC) + f" ({EXEC.text})"] if EXEC in extras else []
    bash = any(preset.makes(switch) for switch in ("set_eu", "exec", "command"))
    opening = ["#!/bin/bash" if bash else "#!/bin/sh", head(preset, node, SERVE)]
    opening += [mark(SET_EU), SET_EU.text] if SET_EU in extras else []
    blocks = [
        opening,
        servelines.facts(node, first, "\n".join([*exports, call])),
        exports,
        _key_lines() if _KEY in extras else [],
        [*notes, call],
    ]
    return literal("\n\n".join("\n".join(block) for block in blocks if block) + "\n")


def _key_lines() -> list[str]:
    return [
        mark(_KEY),
        f"key_file={KEY_MOUNT}/{KEY_FILE}",
        'if ! [ -r "$key_file" ]; then',
        f'  echo "{SERVE}: $key_file is gone: an earlier start used it up; launch again" >&2',
        "  exit 1",
        "fi",
        'VLLM_API_KEY=$(head -n 1 "$key_file")',
        'rm -f "$key_file"',
        _KEY.text,
    ]


def literal(text: str) -> str:
    """Return a script with a word to shellcheck, which takes a $ in single quotes for an oversight.

    It is none: a value arrives byte for byte. The word stands where it holds for the whole script.
    """
    if not any(_EXPANDS.search(quoted) for quoted in _QUOTED.findall(text)):
        return text
    first, rest = text.split("\n", 1)
    return f"{first}\n{_LITERAL}\n{rest}"


def mark(option: Option) -> str:
    """Return the comment above a line that differs from the guide."""
    guide = f" ({option.guide})" if option.guide else ""
    return comment(f"differs from the guide{guide}: {option.why}")


def difference(option: Option) -> str:
    """Return the comment for a difference that has no line of its own."""
    change = f"{option.text or 'left out'} (guide: {option.guide or 'nothing'})"
    return comment(f"differs from the guide: {change}: {option.why}")


def comment(text: str) -> str:
    """Return a comment of one line."""
    return "# " + text.replace("\n", " ")


def head(preset: Preset, node: Node, name: str) -> str:
    """Return what stands at the top of a script: what it is, for whom, from where."""
    scenario = preset.scenario
    count = f"{scenario.nodes} node{'' if scenario.nodes == 1 else 's'}"
    lines = [
        f"{name} of {node.label}: {preset.precision.label} on {preset.series.value}, {count}, "
        f"recipe {preset.recipe}.",
        f"Written by v32-wizard {__version__} from the preset {preset.name}.",
        *([scenario.note] if scenario.note else []),
    ]
    return "\n".join(comment(line) for line in lines)
