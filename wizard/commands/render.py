"""``v32-wizard render``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from wizard.commands.fleet import connected
from wizard.discovery import complete, is_complete
from wizard.errors import UsageError
from wizard.presets import Preset, load_preset
from wizard.scripts import NodeScripts, render_guide_diff
from wizard.scripts import render as render_scripts


async def render(arguments: argparse.Namespace) -> int:
    """Write the generated scripts to a folder or to stdout, or how they differ from the guide."""
    preset = load_preset(arguments.preset)
    if not is_complete(preset):
        preset = await _ask_the_nodes(preset, arguments)
    if arguments.diff:
        sys.stdout.write(render_guide_diff(preset))
        return 0
    scripts = render_scripts(preset)
    if arguments.output:
        _write(Path(arguments.output), scripts)
    else:
        for node in scripts:
            for name, text in node.files.items():
                print(f"# ==== node{node.rank}/{name} ====")
                print(text)
    return 0


async def _ask_the_nodes(preset: Preset, arguments: argparse.Namespace) -> Preset:
    if arguments.offline:
        rank = next(i for i, n in enumerate(preset.nodes) if not (n.local_ip and n.nic))
        raise UsageError(
            f"nodes[{rank}]: local_ip and nic are needed to render offline.",
            hint="Set both, or leave --offline out to ask the nodes.",
        )
    async with connected(preset, arguments) as fleet:
        return await complete(preset, fleet)


def _write(folder: Path, scripts: list[NodeScripts]) -> None:
    for node in scripts:
        target = folder / f"node{node.rank}"
        target.mkdir(parents=True, exist_ok=True)
        for name, text in node.files.items():
            path = target / name
            path.write_text(text, encoding="utf-8")
            path.chmod(0o755)
            print(path)
