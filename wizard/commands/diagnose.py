"""``v32-wizard diagnose``: the cause of a failed launch from saved logs."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from wizard.diagnosis.marks import NodeLog
from wizard.diagnosis.reading import read_file, read_folder, read_stream
from wizard.diagnosis.report import to_json, to_text
from wizard.diagnosis.verdict import diagnose as judge
from wizard.errors import UsageError
from wizard.launch.diagnosis import known_of
from wizard.presets import load_preset


def diagnose(arguments: argparse.Namespace) -> int:
    """Name the cause: 0 when one was found, 1 when none was, 2 for a file that cannot be read."""
    if arguments.files.count("-") > 1:
        raise UsageError("-: stdin can be given once only.")
    known = known_of(load_preset(arguments.preset)) if arguments.preset else None
    logs: list[NodeLog] = []
    for node, name in enumerate(arguments.files):
        logs += _read(node, name)
    diagnosis = judge(logs, known)
    if arguments.format == "json":
        print(json.dumps(to_json(diagnosis, arguments.lang), indent=2, ensure_ascii=False))
    else:
        sys.stdout.write(to_text(diagnosis, arguments.lang))
    return 0 if diagnosis.cause is not None else 1


def _read(node: int, name: str) -> list[NodeLog]:
    try:
        if name == "-":
            return read_stream(node, "-", sys.stdin.buffer)
        path = Path(name)
        return read_folder(node, path) if path.is_dir() else read_file(node, path)
    except (OSError, EOFError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(
            f"{name}: cannot be read: {why}.",
            hint="Give a log file or a folder of logs per node, node 0 first, or - for stdin.",
        ) from error
