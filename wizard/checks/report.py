"""A run of the checks as a report: a snapshot that is written as JSON, text, JUnit or HTML.

The JSON form is the contract's ``v32-wizard/check-report/1`` with added keys; it is also what the
history keeps, and what is masked by :mod:`wizard.checks.redact`, so that no format can leak what
another one masks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from wizard.checks.board import Board
from wizard.checks.changes import Since, key_of
from wizard.checks.ignores import Applied, Ignore, Settled, settle
from wizard.checks.model import CellKey, Result, Status
from wizard.checks.outcome import STATUSES, exit_status, verdict
from wizard.cluster import Cluster, Node, Precision, Series
from wizard.troubleshooting.findings import Finding, findings, problems_of

__all__ = ["Report", "exit_status", "from_json", "make_report", "to_json", "verdict"]

SCHEMA = "v32-wizard/check-report/1"
_WIRING = ("lldp", "spod")  # checks that tell how the NPUs are joined
_TIME = "%Y-%m-%dT%H:%M:%SZ"


class Run(Protocol):
    """What a report needs of a run of the checks."""

    board: Board
    cluster: Cluster
    started_at: datetime | None

    @property
    def duration_s(self) -> float:
        """Seconds that it took."""
        ...


@dataclass(frozen=True)
class Report:
    """See the module.

    Attributes:
        board: every answer; an ignored failure is a warning here, and stands in ``ignored``.
        unused: ignores that match nothing any more: ``where``, ``reason``, ``by``, ``at``, ``why``.
        since: what changed since the run before; None when there is none.
        topology: how the NPUs are joined, in sentences.
        mesh: what the pings amount to, in sentences.
    """

    preset: str
    cluster: Cluster
    board: Board
    started_at: datetime
    duration_s: float
    findings: tuple[Finding, ...] = ()
    ignored: Mapping[CellKey, Applied] | None = None
    unused: tuple[Mapping[str, str], ...] = ()
    since: Since | None = None
    topology: tuple[str, ...] = ()
    mesh: tuple[str, ...] = ()

    @property
    def progress(self) -> tuple[int, int]:
        """How many cells have an answer, of how many."""
        done = sum(self.board.count(status) for status in STATUSES)
        return done, len(self.board)

    def why_ignored(self, key: CellKey) -> str:
        """Return why a cell is ignored, by whom and since when; "" when it is not."""
        applied = (self.ignored or {}).get(key)
        return applied.because if applied else ""


def make_report(
    run: Run, preset_name: str, *, ignores: Iterable[Ignore] = (), since: Since | None = None
) -> Report:
    """Return what a run amounts to now, in the light of the preset's ignores."""
    settled = settle(run.board, run.cluster, ignores)
    board = Board()
    for result in settled.board:  # the run goes on writing to its own
        board.put(result)
    return Report(
        preset=preset_name,
        cluster=run.cluster,
        board=board,
        started_at=run.started_at or datetime.now(UTC),
        duration_s=run.duration_s,
        findings=tuple(findings_of(settled, run.cluster)),
        ignored=settled.ignored,
        unused=tuple(_unused(ignore, why) for ignore, why in settled.unused),
        since=since,
        topology=topology_of(run),
        mesh=readings_of(run),
    )


def findings_of(settled: Settled, cluster: Cluster) -> list[Finding]:
    """Return what is wrong, worst first; a finding that is ignored says why."""
    failures = {key for key, a in settled.ignored.items() if a.status is Status.FAIL}
    found = findings(settled.board, cluster, failures)
    for key, applied in settled.ignored.items():
        _note(found, settled.board.get(key), applied)
    return found


def _note(found: list[Finding], result: Result | None, applied: Applied) -> None:
    """Write at the finding of an ignored cell why it is ignored."""
    if result is None or applied.follows:
        return
    for finding in found:
        if finding.severity != Status.WARN or applied.because in finding.ignored:
            continue
        places = {(w["node"], w["device"]) for w in finding.where}
        if _is_of(result, finding.id, places):
            finding.ignored.append(applied.because)


def _is_of(result: Result, problem: str, places: set[tuple[int, int | None]]) -> bool:
    """Whether a cell is the finding's problem itself, at one of its places."""
    key = result.key
    if problem.startswith("ping-") and key.peer_node is not None:  # read from many pings
        ends = ((key.node, key.device), (key.peer_node, key.peer_device))
        return any(places & {(node, device), (node, None)} for node, device in ends)
    return any(
        found == problem and places & {(key.node, device), (key.node, None)}
        for found, device in problems_of(result)
    )


def _unused(ignore: Ignore, why: str) -> dict[str, str]:
    return {
        "where": ignore.where,
        "reason": ignore.reason,
        "by": ignore.by,
        "at": ignore.at,
        "why": why,
    }


def topology_of(run: Run) -> tuple[str, ...]:
    """Return how the NPUs are joined, in sentences; nothing from a run that did not ask."""
    topology = getattr(run, "topology", None)
    asked = any(result.key.check in _WIRING for result in run.board)
    return (str(topology.text),) if topology is not None and asked else ()


def readings_of(run: Run) -> tuple[str, ...]:
    """Return what the pings say together, in sentences; nothing from a run that does not read."""
    readings = getattr(run, "readings", None)
    return tuple(str(reading.text) for reading in readings()) if readings is not None else ()


def to_json(report: Report) -> dict[str, Any]:
    """Return the report as the contract has it, ready for ``json.dumps``."""
    counts = Counter(result.status for result in report.board)
    cluster = report.cluster
    return {
        "schema": SCHEMA,
        "preset": report.preset,
        "series": cluster.series.value,
        "precision": cluster.precision.value,
        "started_at": report.started_at.astimezone(UTC).strftime(_TIME),
        "duration_s": round(report.duration_s, 3),
        "verdict": verdict(report).value,
        "summary": {status.value: counts[status] for status in STATUSES},
        "results": [_result(result, report) for result in report.board],
        "findings": [finding.to_json() for finding in report.findings],
        "nodes": [{"node": node.rank, "host": node.host} for node in cluster.nodes],
        "ignores_unused": [dict(unused) for unused in report.unused],
        "since_last_run": report.since.to_json() if report.since else None,
        "topology": list(report.topology),
        "mesh": list(report.mesh),
    }


def _result(result: Result, report: Report) -> dict[str, Any]:
    key = result.key
    pair: dict[str, Any] = {}
    if key.peer_node is not None:
        pair = {
            "peer_node": key.peer_node,
            "peer_device": key.peer_device,
            "peer_address": result.peer_address,
        }
    applied = (report.ignored or {}).get(key)
    return {
        "node": key.node,
        "host": result.host,
        "device": key.device,
        **pair,
        "check": key.check,
        "status": result.status.value,
        "summary": result.summary,
        "command": result.command,
        "exit_code": result.exit_code,
        "output": result.output,
        "duration_s": round(result.duration_s, 3),
        "value": result.value,
        **({"ignored": applied.to_json()} if applied else {}),
    }


def from_json(data: Mapping[str, Any]) -> Report:
    """Return the report that :func:`to_json` wrote."""
    nodes = tuple(Node(node["node"], node["host"]) for node in data["nodes"])
    board, ignored = Board(), {}
    for cell in data["results"]:
        key = key_of(cell)
        board.put(
            Result(
                key,
                Status(cell["status"]),
                cell["summary"],
                host=cell["host"],
                command=cell["command"],
                exit_code=cell["exit_code"],
                output=cell["output"],
                duration_s=cell["duration_s"],
                value=cell["value"],
                peer_address=cell.get("peer_address"),
            )
        )
        if "ignored" in cell:
            ignored[key] = Applied.from_json(cell["ignored"])
    since = data["since_last_run"]
    return Report(
        preset=data["preset"],
        cluster=Cluster(Series(data["series"]), Precision(data["precision"]), nodes),
        board=board,
        started_at=datetime.strptime(data["started_at"], _TIME).replace(tzinfo=UTC),
        duration_s=data["duration_s"],
        findings=tuple(Finding.from_json(finding) for finding in data["findings"]),
        ignored=ignored,
        unused=tuple(data["ignores_unused"]),
        since=Since.from_json(since) if since else None,
        topology=tuple(data["topology"]),
        mesh=tuple(data["mesh"]),
    )
