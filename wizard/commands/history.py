"""``v32-wizard history``."""

from __future__ import annotations

import argparse

from wizard.checks.formats import FORMATS
from wizard.checks.history import History, listing
from wizard.checks.report import from_json
from wizard.commands.reports import masked, write
from wizard.errors import UsageError
from wizard.presets import load_preset


def history(arguments: argparse.Namespace) -> int:
    """List the kept runs of the checks, or write the report of one."""
    preset = load_preset(arguments.preset)
    kept = History(preset.name, preset.cluster)
    if arguments.run is None:
        write(listing(kept.runs()), arguments.output)
        return 0
    name = arguments.run
    if name == "last":
        found = kept.runs()
        if not found:
            raise UsageError("no run of these checks was kept yet.")
        name = found[0].id
    report = from_json(kept.load(name))
    if arguments.redact:
        report = masked(report, preset)
    write(FORMATS[arguments.format](report), arguments.output)
    return 0
