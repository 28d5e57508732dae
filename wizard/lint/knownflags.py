"""What ``vllm serve`` of a recipe's version takes: data from vLLM's own parser, never from memory.

The files in ``flags/`` are written by tests/vllm/dump_flags.py (``make lint-flags``).
"""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

from wizard.lint.model import Place

_LIKE = {"guide": "v0.11.0"}  # the guide's image is a release candidate of it


@dataclass(frozen=True, slots=True)
class Flag:
    """One spelling of an option.

    Attributes:
        name: as it is written, ``-tp``.
        dest: what it sets, ``tensor_parallel_size``; the same for every spelling.
        arity: values that follow: 0, 1, ``?``, ``*`` or ``+``.
        type: how a value is read: text, int, human (``16k``), float, port, json, list.
        choices: the values that there are; empty: any.
        sets: False for ``--no-…``.
    """

    name: str
    dest: str
    arity: int | str
    type: str = "text"
    choices: tuple[str, ...] = ()
    sets: bool = True


@dataclass(frozen=True, slots=True)
class Known:
    """One version of vLLM and vLLM-Ascend: options and variables."""

    version: str
    flags: dict[str, Flag]
    env: frozenset[str]

    def find(self, name: str) -> list[Flag]:
        """Return the option of that name, or those that it abbreviates (argparse allows it)."""
        if name in self.flags:
            return [self.flags[name]]
        if not name.startswith("--"):
            return []
        by_dest = {f.dest: f for n, f in self.flags.items() if n.startswith(name)}
        return list(by_dest.values())


def normal(name: str) -> str:
    """Return a long option with dashes, as vLLM's parser reads it: underscores count as dashes."""
    if not name.startswith("--"):
        return name
    return re.sub(r"(?<=--)[^.]*", lambda match: match[0].replace("_", "-"), name, count=1)


@cache
def known(recipe: str) -> Known:
    """Return what the recipe's version takes."""
    version = _LIKE.get(recipe, recipe)
    text = resources.files(__package__).joinpath(f"flags/{version}.json").read_text("utf-8")
    data = json.loads(text)
    flags = {
        name: Flag(name, **{**entry, "choices": tuple(entry.get("choices", ()))})
        for name, entry in data["flags"].items()
    }
    return Known(data["vllm"], flags, frozenset(data["env"]))


def unknown(name: str, several: list[str], line: int, known: Known, place: Place) -> None:
    """Say that vLLM of this version does not know an option, and which one may be meant."""
    if several:
        text = f"{name} may be short for {' or '.join(sorted(several))}."
        place.error(line, "unknown-flag", text, "Write the option in full.")
        return
    near = difflib.get_close_matches(name, known.flags, n=1, cutoff=0.7)
    right = f"Did you mean {near[0]}?" if near else "Leave it out, or see vllm serve --help."
    place.error(line, "unknown-flag", f"vLLM {known.version} does not know {name}.", right)
