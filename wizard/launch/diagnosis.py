"""Why a launch of ours failed: the diagnosis of what its ranks have logged, and it in sentences."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from wizard.checks.history import History
from wizard.diagnosis.loglines import parse
from wizard.launch.logfile import parts
from wizard.launch.state import RankState
from wizard.presets import Preset

if TYPE_CHECKING:
    from wizard.diagnosis.known import Known
    from wizard.diagnosis.marks import NodeLog
    from wizard.diagnosis.verdict import Cause, Diagnosis

_LIMIT = 300  # characters of a log's line in a sentence; a failed config dump runs to thousands


async def diagnose_ranks(
    ranks: Sequence[RankState],
    preset: Preset,
    *,
    dead: Collection[int] = (),
    plogs: Mapping[int, Sequence[Path]] | None = None,
) -> Diagnosis:
    """Return the diagnosis of the ranks' logs, made beside the event loop.

    The whole logs are read, from the files that are kept of them here; where there are none, what
    is in memory.

    Args:
        ranks: the nodes of the launch, with their logs.
        preset: whose launch it is; its last checks say which NPU has which address.
        dead: ranks whose container ended by itself.
        plogs: CANN's own logs that were fetched, by rank; one that cannot be read is left out.
    """
    # its catalogue is read only once something failed; and it knows the stages, which are ours
    from wizard.diagnosis.reading import read_file  # noqa: PLC0415
    from wizard.diagnosis.verdict import diagnose  # noqa: PLC0415

    tails = [rank.log.tail(len(rank.log)) for rank in ranks]
    offsets = {rank.rank: rank.clock_offset_s for rank in ranks if rank.clock_offset_s}

    def work() -> Diagnosis:
        logs = [log for rank, tail in zip(ranks, tails, strict=True) for log in _read(rank, tail)]
        for node, paths in (plogs or {}).items():
            for path in paths:
                with suppress(OSError):
                    logs += read_file(node, path)
        known = known_of(preset, dead=dead)
        return diagnose(logs, replace(known, offsets={**known.offsets, **offsets}))

    return await asyncio.to_thread(work)


def _read(rank: RankState, tail: Sequence[str]) -> list[NodeLog]:
    from wizard.diagnosis.reading import read_lines, read_parts  # noqa: PLC0415

    files = parts(rank.log_path) if rank.log_path is not None and not rank.log_problem else []
    if files:
        with suppress(OSError):
            return read_parts(rank.rank, rank.label, files)
    return read_lines(rank.rank, rank.label, tail)


def known_of(preset: Preset, *, dead: Collection[int] = ()) -> Known:
    """Return what a preset and its last checks say that helps to read logs. Reads the disk."""
    from wizard.diagnosis.known import Known  # noqa: PLC0415

    last = History(preset.name, preset.cluster).last()
    report = last[1] if last is not None else None
    known = Known.of_report(report, npus_per_node=preset.series.devices, dead=dead)
    hosts = {name: n.rank for n in preset.cluster.nodes for name in (n.host, n.local_ip) if name}
    return replace(known, hosts=hosts)


def why(diagnosis: Diagnosis, rank: int) -> str:
    """Return what the logs say about a failure of node ``rank``, to follow "… failed: how".

    Begins with the mark that continues the sentence; "." when the logs say nothing.
    """
    if diagnosis.causes and diagnosis.causes[0].confidence == "cause":
        return f". {cause_sentence(diagnosis.causes[0])}"
    if diagnosis.causes:
        cause = diagnosis.causes[0]
        whose = "its log" if cause.node == rank else f"the log of node {cause.node}"
        return f"; {whose} says: {cause.mark.text[:_LIMIT]}"
    last = last_words(diagnosis, rank)
    return f"; its log says: {last}" if last else "."


def cause_sentence(cause: Cause) -> str:
    """Return a cause with its node, what its log says, and what to do about it."""
    own = cause.file.startswith(f"node {cause.node} ")  # ranks that are missing are named by others
    whose = "its log" if own else f"the log of {cause.file}"
    said = f"{cause.meaning()} Line {cause.mark.line} of {whose}: {cause.mark.text[:_LIMIT]}"
    return f"Cause, on node {cause.node}: {said.rstrip('.')}. To do: {cause.fix()}"


def last_words(diagnosis: Diagnosis, rank: int) -> str:
    """Return the last line of a node's log without prefixes: a killed process just stops."""
    last = next((log.last for log in diagnosis.logs if log.node == rank), None)
    return parse(last.text).text.strip()[:_LIMIT] if last is not None else ""
