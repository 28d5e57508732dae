"""``v32-wizard presets new``: a preset from a list of nodes."""

from __future__ import annotations

import argparse
import sys

import yaml

from wizard.errors import UsageError
from wizard.nodelist import parse_nodes
from wizard.nodelistfile import read_list
from wizard.presets import PresetStore, dump_preset, parse_preset


def new(store: PresetStore, arguments: argparse.Namespace) -> None:
    """Save a preset of the nodes named on the command line and in a file, in that order.

    Raises:
        UsageError: a line cannot be read (all such lines are named), or the preset is refused.
    """
    if arguments.name in store.list() and not arguments.force:
        raise UsageError(
            f"a preset named {arguments.name} is saved already.", hint="Use --force to replace it."
        )
    text = "\n".join(arguments.nodes or [])
    if arguments.nodes_file:
        try:
            in_file = (
                sys.stdin.read() if arguments.nodes_file == "-" else read_list(arguments.nodes_file)
            )
        except ValueError as error:
            raise UsageError(f"--nodes-file: {error}") from None
        text = f"{text}\n{in_file}" if text else in_file
    found = parse_nodes(text)
    if found.problems:
        raise UsageError("the list of nodes: " + " ".join(str(p) for p in found.problems))
    if not found.nodes:
        raise UsageError(
            "no node is named.", hint="Use --nodes 'node[01-02]' or --nodes-file FILE."
        )
    keys = {
        "version": 1,
        "name": arguments.name,
        "series": arguments.series.value,
        "precision": arguments.precision.value,
        "recipe": arguments.recipe,
        "nodes": [node.to_preset() for node in found.nodes],
    }
    preset = parse_preset(yaml.safe_dump(keys, sort_keys=False), "the new preset")
    path = store.save(preset)
    sys.stdout.write(dump_preset(preset))
    print(f"written to {path}", file=sys.stderr)
