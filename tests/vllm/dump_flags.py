"""Prints what ``vllm serve`` of the installed version takes, as JSON, from vLLM's own parser.

Run by ``make lint-flags`` in the environment that ``make test-vllm`` builds; the result is
wizard/lint/flags/VERSION.json. Nothing of ours is imported here.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib import import_module
from importlib.metadata import version
from typing import Any


def first(*places: str) -> Any:
    """Import a name from the first module that has it: they move between releases."""
    for place in places:
        module, _, name = place.partition(":")
        try:
            return getattr(import_module(module), name)
        except (ImportError, AttributeError):
            continue
    raise SystemExit(f"none of {places} exists in vLLM {version('vllm')}")


def parser() -> argparse.ArgumentParser:
    """Return the parser of ``vllm serve``."""
    flexible = first(
        "vllm.utils.argparse_utils:FlexibleArgumentParser", "vllm.utils:FlexibleArgumentParser"
    )
    make = first(
        "vllm.entrypoints.launchers.cli_args:make_arg_parser",
        "vllm.entrypoints.openai.cli_args:make_arg_parser",
    )
    made: argparse.ArgumentParser = make(flexible())
    return made


def kind(action: argparse.Action) -> str:
    """Return what a value is read as: int, float, json, port, text."""
    reader = action.type
    if not callable(reader):
        return "text"
    if "port" in getattr(reader, "__name__", ""):
        return "port"
    samples: tuple[tuple[str, str, type | tuple[type, ...]], ...] = (
        ("{}", "json", object),  # a dict, or one of vLLM's own configurations
        ('["a"]', "list", list),
        ("0.5", "float", float),
        ("16k", "human", int),
        ("16", "int", int),
    )
    if _reads(reader, "x"):
        return "text"  # text and perhaps objects too: nothing that could be wrong
    for sample, found, wanted in samples:
        try:
            value = reader(sample)
        except (argparse.ArgumentTypeError, TypeError, ValueError, AttributeError):
            continue
        if isinstance(value, wanted) and not isinstance(value, (bool, str)):
            return found
    return "text"


def _reads(reader: Any, sample: str) -> bool:
    try:
        return isinstance(reader(sample), str)
    except (argparse.ArgumentTypeError, TypeError, ValueError, AttributeError):
        return False


def environment() -> list[str]:
    """Return the variables that vLLM and vLLM-Ascend read."""
    found = {*import_module("vllm.envs").environment_variables}
    return sorted(found | {*import_module("vllm_ascend.envs").env_variables})


def describe(action: argparse.Action) -> dict[str, Any]:
    """Return one option: how many values it takes, of what kind, and which ones."""
    arity = 1 if action.nargs is None else action.nargs
    found: dict[str, Any] = {"dest": action.dest, "arity": arity}
    if arity != 0:
        found["type"] = kind(action)
    if action.choices:
        found["choices"] = [str(c) for c in action.choices]
    return found


def main() -> None:
    """Print every option string, sorted, with the option that it stands for."""
    flags = {}
    for action in parser()._actions:
        entry = describe(action)
        for name in action.option_strings:
            off = isinstance(action, argparse.BooleanOptionalAction) and name.startswith("--no-")
            flags[name] = {**entry, "sets": False} if off else entry
    lines = [f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in sorted(flags.items())]
    versions = {"vllm": version("vllm").partition("+")[0], "vllm_ascend": version("vllm-ascend")}
    head = json.dumps(versions)[1:-1]
    names = json.dumps(environment())
    flat = ",\n".join(lines)
    sys.stdout.write(f'{{{head},\n"env": {names},\n"flags": {{\n{flat}\n}}}}\n')


if __name__ == "__main__":
    main()
