"""``v32-wizard audit``: what was run on the nodes."""

from __future__ import annotations

import argparse
import asyncio
import sys
from datetime import datetime

from wizard.audittrail import Record, Trail, Wanted, since
from wizard.paths import state_dir
from wizard.presets import load_preset

_INTERVAL_S = 0.3


async def audit(arguments: argparse.Namespace) -> int:
    """Print the audit log, or a part of it; ``-f`` goes on with what is added."""
    wanted = _wanted(arguments)
    write = _as_json if arguments.format == "json" else _as_text
    trail = Trail(state_dir() / "audit.jsonl")
    while True:
        for record in trail.news():
            if record in wanted:
                print(write(record))
        if not arguments.follow:
            return 0
        sys.stdout.flush()
        await asyncio.sleep(_INTERVAL_S)


def _wanted(arguments: argparse.Namespace) -> Wanted:
    places = None
    if arguments.preset:
        nodes = load_preset(arguments.preset).cluster.nodes
        places = frozenset((node.host, node.port) for node in nodes)
    moment = since(arguments.since, datetime.now().astimezone()) if arguments.since else None
    return Wanted(places=places, node=arguments.node, since=moment, failed=arguments.failed)


def _as_json(record: Record) -> str:
    return record.text


def _as_text(record: Record) -> str:
    time = record.time.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    where = f"node {record.node} {record.where}"
    return f"{time}  {where:<28} {record.outcome:<12} {record.duration_s:7.2f} s  {record.line}"
