"""What the commands that write a report of the checks share: masking, and where it goes."""

from __future__ import annotations

import sys
from pathlib import Path

from wizard.checks.redact import redact
from wizard.checks.report import Report, from_json, to_json
from wizard.paths import write_private
from wizard.presets import Preset


def masked(report: Report, preset: Preset) -> Report:
    """Return the report with everything masked that names a place or a person."""
    nodes = preset.nodes
    jumps = [jump for node in nodes for jump in (node.jump or "").split(",") if jump]
    hosts = [jump.rpartition("@")[2].partition(":")[0] for jump in jumps]
    image = preset.container.image or preset.container.registry or ""
    hosts.append(image.partition("/")[0])
    users = [node.user for node in nodes if node.user]
    users += [jump.rpartition("@")[0] for jump in jumps if "@" in jump]
    public = {"quay.io", "docker.io"}
    return from_json(redact(to_json(report), [h for h in hosts if h not in public], users))


def write(text: str, path: str | None) -> None:
    """Write a report to a file, at once or not at all, or to stdout.

    Raises:
        OSError: the file cannot be written.
    """
    if path:
        write_private(Path(path), text)
    else:
        sys.stdout.write(text)
