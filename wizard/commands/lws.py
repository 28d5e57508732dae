"""``v32-wizard render --format lws``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from wizard.commands.terminal import write_exactly
from wizard.errors import UsageError
from wizard.lint import lint_all
from wizard.lws import NPU_RESOURCE, manifest
from wizard.paths import write_private
from wizard.presets import Preset
from wizard.scripts import render as render_scripts

FILE = "leaderworkerset.yaml"
_ONLY_LWS: Mapping[str, str] = {"npu_resource": "--npu-resource", "namespace": "--namespace"}
_ONLY_SCRIPTS: Mapping[str, str] = {"diff": "--diff", "import_from": "--import"}


def check(arguments: argparse.Namespace) -> None:
    """Refuse options that do not go with ``--format``.

    Raises:
        UsageError: names the option.
    """
    lws = arguments.format == "lws"
    for name, option in (_ONLY_SCRIPTS if lws else _ONLY_LWS).items():
        if getattr(arguments, name) is not None:
            right = "scripts" if lws else "lws"
            raise UsageError(f"{option} goes with --format {right} only.", hint="Leave one out.")


async def render(preset: Preset, arguments: argparse.Namespace) -> int:
    """Write the manifest to a file (``-o``: its name, or a folder for it) or to stdout.

    No node is asked, whether the preset knows the nodes' addresses or not: the pods have their own.
    """
    npu = arguments.npu_resource or NPU_RESOURCE
    text = manifest(preset, npu=npu, namespace=arguments.namespace)
    located = _located(preset)
    for remark in await lint_all(located, render_scripts(located)):
        print(remark, file=sys.stderr)
    if not arguments.output:
        write_exactly(text)
        return 0
    print(_write(Path(arguments.output), text, force=arguments.force))
    return 0


def _write(path: Path, text: str, *, force: bool) -> Path:
    path = path / FILE if path.is_dir() else path
    if path.is_file() and path.read_text(errors="replace") != text and not force:
        raise UsageError(f"{path} is there already.", hint="Name another file, or add --force.")
    write_private(path, text)
    return path


def _located(preset: Preset) -> Preset:
    """Return the preset for the linter, which reads scripts: with addresses where it has none."""
    nodes = [
        node.model_copy(
            update={"local_ip": node.local_ip or f"192.0.2.{rank + 1}", "nic": node.nic or "eth0"}
        )
        for rank, node in enumerate(preset.nodes)
    ]
    return preset.model_copy(update={"nodes": nodes})
