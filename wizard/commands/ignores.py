"""``v32-wizard ignores``: faults that a preset ignores, each with a reason."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from wizard.checks.changes import key_of
from wizard.checks.history import History
from wizard.checks.ignores import Ignore, endpoint, ignore_cell, merged, user
from wizard.checks.model import CellKey
from wizard.checks.outcome import place
from wizard.checks.report import from_json
from wizard.errors import UsageError
from wizard.presetedit import save_ignores
from wizard.presets import Preset, load_preset


def ignores(arguments: argparse.Namespace) -> int:
    """List, add or remove; the preset's file is changed in place."""
    preset = load_preset(arguments.preset)
    match arguments.action:
        case "list":
            for ignore in preset.ignores:
                print(f"{ignore.where}: {ignore.reason} ({ignore.by}, {ignore.at})")
        case "add":
            added = _new(preset, arguments)
            path = save_ignores(arguments.preset, merged(preset.ignores, added))
            for ignore in added:
                print(f"ignored in {path}: {ignore.where}")
        case "remove":
            kept = [i for i in preset.ignores if not _is_meant(i, preset, arguments)]
            gone = len(preset.ignores) - len(kept)
            if not gone:
                raise UsageError("nothing like that is ignored.", hint="See: ignores PRESET list.")
            save_ignores(arguments.preset, kept)
            print(f"{gone} removed; the next checks judge again")
    return 0


def _key(preset: Preset, arguments: argparse.Namespace) -> CellKey:
    last = len(preset.nodes) - 1
    for option in ("node", "peer_node"):
        rank = getattr(arguments, option)
        if rank is not None and not 0 <= rank <= last:
            name = option.replace("_", "-")
            raise UsageError(f"--{name} {rank}: the preset has nodes 0 to {last}.")
    return CellKey(
        arguments.node,
        arguments.device,
        arguments.check,
        arguments.peer_node,
        arguments.peer_device,
    )


def _new(preset: Preset, arguments: argparse.Namespace) -> list[Ignore]:
    """Return what to add: the problems that the last kept run saw there, or the one named."""
    key = _key(preset, arguments)
    if arguments.problem is None:
        return _seen(preset, key, arguments.reason)
    nodes = preset.cluster.nodes
    peer = None if key.peer_node is None else endpoint(nodes[key.peer_node])
    try:
        return [_one(preset, key, peer, arguments)]
    except ValidationError as error:
        detail: Any = error.errors(include_url=False)[0]
        text = str(detail["msg"]).removeprefix("Value error, ")
        raise UsageError(f"{'.'.join(map(str, detail['loc']))}: {text}.") from None


def _one(preset: Preset, key: CellKey, peer: str | None, arguments: argparse.Namespace) -> Ignore:
    return Ignore(
        check=key.check,
        host=endpoint(preset.cluster.nodes[key.node]),
        device=key.device,
        peer_host=peer,
        peer_device=key.peer_device,
        problem=arguments.problem,
        reason=arguments.reason,
        by=user(),
        at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def _seen(preset: Preset, key: CellKey, reason: str) -> list[Ignore]:
    last = History(preset.name, preset.cluster).last()
    cells = last[1]["results"] if last else []
    if last is None or not any(key_of(cell) == key for cell in cells):
        raise UsageError(
            "the last kept run of the checks has no such cell.",
            hint="Run check first, or name the problem with --problem.",
        )
    result = from_json(last[1]).board.get(key)
    assert result is not None
    try:
        return ignore_cell(result, preset.cluster, reason)
    except ValueError as error:
        raise UsageError(f"{place(key)}, {key.check}: {error}") from None


def _is_meant(ignore: Ignore, preset: Preset, arguments: argparse.Namespace) -> bool:
    key = _key(preset, arguments)
    nodes = preset.cluster.nodes
    peer = None if key.peer_node is None else endpoint(nodes[key.peer_node])
    cell = (key.check, endpoint(nodes[key.node]), key.device, peer, key.peer_device)
    return ignore.cell[:5] == cell and arguments.problem in (None, ignore.problem)
