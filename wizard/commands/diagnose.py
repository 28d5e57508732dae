"""``v32-wizard diagnose``: the cause of a failed launch from saved logs."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from wizard.diagnosis.marks import NodeLog
from wizard.diagnosis.reading import read_file, read_folder, read_parts, read_stream
from wizard.diagnosis.report import to_json, to_text
from wizard.diagnosis.verdict import diagnose as judge
from wizard.errors import UsageError
from wizard.launch.diagnosis import known_of
from wizard.launch.logfile import parts
from wizard.presets import load_preset

_NODE_LOG = re.compile(r"node(\d{1,4})\.log(?:\.gz)?")
_SHOWN_STARTS = 4  # beside the last


def diagnose(arguments: argparse.Namespace) -> int:
    """Name the cause: 0 when one was found, 1 when none was, 2 for a file that cannot be read."""
    if arguments.files.count("-") > 1:
        raise UsageError("-: stdin can be given once only.")
    known = known_of(load_preset(arguments.preset)) if arguments.preset else None
    logs: list[NodeLog] = []
    for node, name in zip(_nodes(arguments.files), arguments.files, strict=True):
        logs += _read(node, name, alone=len(arguments.files) == 1)
    for remark in dict.fromkeys(f"{log.name} {log.remark}." for log in logs if log.remark):
        print(f"v32-wizard: {remark}", file=sys.stderr)
    for log in (log for log in logs if len(log.starts) > 1):
        print(f"v32-wizard: {log.name} {_several(log.starts)}", file=sys.stderr)
    diagnosis = judge(logs, known)
    if arguments.format == "json":
        print(json.dumps(to_json(diagnosis, arguments.lang), indent=2, ensure_ascii=False))
    else:
        sys.stdout.write(to_text(diagnosis, arguments.lang))
    return 0 if diagnosis.cause is not None else 1


def _several(starts: Sequence[int]) -> str:
    """Say that a log holds several starts of vLLM, by the lines in which they begin."""
    shown = [*map(str, starts[:-1])][:_SHOWN_STARTS]
    shown += ["…"] * (len(starts) - 1 > len(shown))
    lines = f"{', '.join(shown)} and {starts[-1]}"
    return (
        f"holds {len(starts)} starts of vLLM, at lines {lines}: what the earlier ones said counts "
        "too. Give the lines of one start to know its cause alone."
    )


def _nodes(names: Sequence[str]) -> Sequence[int]:
    """Return whose log each file is: as its name says, where all names do (as we name them).

    Some count from 1; several names without a node 0 tell nothing.
    """
    told = [match for name in names if (match := _NODE_LOG.fullmatch(Path(name).name))]
    nodes = [int(match[1]) for match in told]
    sure = len(set(nodes)) == len(names) and (0 in nodes or len(nodes) == 1)
    return nodes if sure else range(len(names))


def _read(node: int, name: str, *, alone: bool) -> list[NodeLog]:
    try:
        if name == "-":
            return read_stream(node, "-", sys.stdin.buffer)
        path = Path(name)
        if not path.is_dir():
            return read_file(node, path)
        return (_read_launch(path) if alone else []) or read_folder(node, path)
    except OSError as error:
        why = error.strerror or str(error)
        raise UsageError(
            f"{name}: cannot be read: {why}.",
            hint="Give a log file or a folder of logs per node, node 0 first, or - for stdin.",
        ) from error


def _read_launch(folder: Path) -> list[NodeLog]:
    """Return the logs of all nodes in the folder that the wizard keeps of a launch, else none."""
    logs: list[NodeLog] = []
    for path in folder.iterdir():
        if path.suffix == ".gz" or (match := _NODE_LOG.fullmatch(path.name)) is None:
            continue
        node = int(match[1])
        logs += read_parts(node, str(path), parts(path))
        for plog in sorted(path.with_suffix("").rglob("plog-*.log")):
            logs += read_file(node, plog)
    return sorted(logs, key=lambda log: log.node)
