"""``v32-wizard discover``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from wizard.commands.fleet import connected
from wizard.commands.terminal import end_progress, progress
from wizard.discovery import DiscoveryRun, disagreements, usual_places
from wizard.discovery.addresses import Own
from wizard.discovery.report import owns, to_json, to_text
from wizard.errors import RemoteError
from wizard.paths import write_private
from wizard.presets import Preset, PresetStore, dump_preset, load_preset


async def discover(arguments: argparse.Namespace) -> int:
    """Ask the nodes what they are; 0 they fit, 1 something blocks, 3 not every node answered."""
    preset = load_preset(arguments.preset)
    async with connected(preset, arguments) as fleet:
        run = DiscoveryRun(fleet, usual_places(preset))
        progress(f"asking {len(preset.nodes)} nodes what they are")
        try:
            await run.run()
        finally:
            end_progress()
    facts, errors = run.facts, {rank: str(error) for rank, error in run.errors.items()}
    items = disagreements(facts, preset.cluster, runtime=preset.container.runtime)
    text = {"text": to_text, "json": to_json}[arguments.format]
    sys.stdout.write(text(facts, errors, items, preset))
    if arguments.write:
        _write(arguments.preset, preset, owns(facts, preset))
    if errors:
        return RemoteError.exit_status
    return 1 if any(item.severity == "blocks" for item in items) else 0


def _write(source: str, preset: Preset, found: dict[int, Own]) -> None:
    """Put what was found into the preset, and say so; what the preset holds already stays."""
    nodes = list(preset.nodes)
    for rank, mine in found.items():
        if mine.problem or not (mine.local_ip and mine.nic):
            continue
        keys = {"local_ip": mine.local_ip, "nic": mine.nic}
        new = {name: value for name, value in keys.items() if not getattr(nodes[rank], name)}
        for name, value in new.items():
            print(f"nodes[{rank}].{name}: {value}", file=sys.stderr)
        nodes[rank] = nodes[rank].model_copy(update=new)
    changed = preset.model_copy(update={"nodes": nodes})
    if changed == preset:
        print("nothing to write: the preset holds all of it", file=sys.stderr)
        return
    path = Path(source).expanduser()
    if path.is_file():
        write_private(path, dump_preset(changed))
    else:
        path = PresetStore().save(changed)
    print(f"written to {path}", file=sys.stderr)
