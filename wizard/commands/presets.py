"""``v32-wizard presets …``."""

from __future__ import annotations

import argparse
from pathlib import Path

from wizard.commands.newpreset import new
from wizard.commands.terminal import write_exactly
from wizard.errors import UsageError
from wizard.paths import write_private
from wizard.presets import PresetStore, dump_preset, load_preset


def presets(arguments: argparse.Namespace) -> int:
    """Manage presets: list, show, validate, new, import, export, delete."""
    store = PresetStore()
    match arguments.action:
        case "list":
            for name in store.list():
                print(name)
            for name in store.shipped():
                print(f"{name}\t(shipped)")
        case "show":
            write_exactly(dump_preset(load_preset(arguments.preset)))
        case "validate":
            found = load_preset(arguments.preset)
            print(
                f"{found.name}: valid ({found.series.value}, {found.precision.label}, "
                f"{len(found.nodes)} node{'s' if len(found.nodes) != 1 else ''})"
            )
        case "delete":
            store.delete(arguments.preset)
        case "new":
            new(store, arguments)
        case "import":
            _import(store, arguments)
        case "export":
            target = Path(arguments.file)
            if target.exists() and not arguments.force:
                raise UsageError(f"{target} exists.", hint="Use --force to replace it.")
            write_private(target, dump_preset(load_preset(arguments.preset)))
    return 0


def _import(store: PresetStore, arguments: argparse.Namespace) -> None:
    preset = load_preset(Path(arguments.file))
    if arguments.name:
        preset = preset.model_copy(update={"name": arguments.name})
    if preset.name in store.list() and not arguments.force:
        raise UsageError(
            f"a preset named {preset.name} is saved already.",
            hint="Use --name for another name or --force to replace it.",
        )
    store.save(preset)
    print(preset.name)
