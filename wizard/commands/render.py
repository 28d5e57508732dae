"""``v32-wizard render``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from wizard import export, exportdir, scriptimport
from wizard.commands import lws, scriptdiff
from wizard.commands.fleet import connected
from wizard.commands.terminal import confirm, write_exactly
from wizard.discovery import complete, is_complete
from wizard.errors import UsageError
from wizard.lint import lint_all
from wizard.paths import write_private
from wizard.presets import Preset, PresetStore, dump_preset, load_preset
from wizard.scriptdiffs import Against
from wizard.scripts import render as render_scripts


async def render(arguments: argparse.Namespace) -> int:
    """Write the generated scripts to a folder or to stdout, compare them, or take edits in."""
    lws.check(arguments)
    preset = given = load_preset(arguments.preset)
    if arguments.format == "lws":
        return await lws.render(preset, arguments)
    preset = await completed(preset, arguments)
    if arguments.diff:
        return await _diff(preset, arguments)
    if arguments.import_from:
        return await _import(arguments, given, preset)
    scripts = render_scripts(preset)
    for remark in await lint_all(preset, scripts):
        print(remark, file=sys.stderr)
    if arguments.output:
        folder, files = Path(arguments.output), export.bundle(preset)
        exportdir.write(folder, files, force=arguments.force)
        for path in files:
            print(folder / path)
        return 0
    write_exactly(
        "".join(
            f"# ==== node{node.rank}/{name} ====\n{text}\n"
            for node in scripts
            for name, text in node.files.items()
        )
    )
    return 0


async def completed(preset: Preset, arguments: argparse.Namespace) -> Preset:
    """Return the preset with every node's address and interface, asked for where it has none.

    Raises:
        UsageError: one is missing and ``--offline`` forbids to ask.
        RemoteError: a node could not be asked.
    """
    if is_complete(preset):
        return preset
    if arguments.offline:
        rank = next(i for i, n in enumerate(preset.nodes) if not (n.local_ip and n.nic))
        raise UsageError(
            f"nodes[{rank}]: local_ip and nic are needed to render offline.",
            hint="Set both, or leave --offline out to ask the nodes.",
        )
    async with connected(preset, arguments) as fleet:
        return await complete(preset, fleet)


async def _diff(preset: Preset, arguments: argparse.Namespace) -> int:
    against = Against(arguments.diff)
    if against is not Against.DEPLOYED:
        sys.stdout.write(scriptdiff.offline(preset, against))
        return 0
    if arguments.offline:
        raise UsageError("--diff deployed asks the nodes.", hint="Leave --offline out.")
    async with connected(preset, arguments) as fleet:
        text, errors = await scriptdiff.with_nodes(preset, fleet)
    sys.stdout.write(text)
    if errors:
        raise errors[0]
    return 0


async def _import(arguments: argparse.Namespace, given: Preset, preset: Preset) -> int:
    """Take in a folder's edits: show them, ask, save the preset where it came from."""
    found = scriptimport.take_in(preset, exportdir.read(Path(arguments.import_from)))
    for remark in found.remarks:
        print(f"v32-wizard: {remark}.", file=sys.stderr)
    if not found.diffs:
        print("no script was edited; nothing to take in")
        return 0
    sys.stdout.write(scriptdiff.as_text(found.diffs))
    path = _file_of(arguments.preset)
    where = f"{path}, which is written anew" if path else f"the preset {preset.name}"
    if not await confirm(f"Take these edits into {where}?", yes=arguments.yes):
        return 1
    # the addresses that were asked from the nodes stay out of the preset, as its owner left them
    new = given.model_copy(update={"patches": found.preset.patches})
    if path:
        write_private(path, dump_preset(new))
    else:
        PresetStore().save(new)
    print(f"{len(found.diffs)} edited script(s) taken in")
    return 0


def _file_of(preset: str) -> Path | None:
    """Return the file that a PRESET on the command line is, None when it is a saved name."""
    path = Path(preset).expanduser()
    return path if path.is_file() else None
