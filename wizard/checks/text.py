"""The report for people at a terminal: what is bad first, then what to do about it."""

from __future__ import annotations

from collections import Counter

from wizard.checks.changes import FIXED, told
from wizard.checks.model import Result, Status
from wizard.checks.outcome import STATUSES, place, verdict
from wizard.checks.problems import CONNECTION
from wizard.checks.report import Report
from wizard.troubleshooting.findings import Finding

_WORST_FIRST = (Status.ERROR, Status.FAIL, Status.WARN, Status.SKIPPED, Status.PASS)
_SHOWN_CHANGES = 20


def to_text(report: Report) -> str:
    """Return the report as plain text."""
    cluster = report.cluster
    out = [
        f"Checks of {report.preset}: {len(cluster.nodes)} × {cluster.series.machine}, "
        f"{cluster.precision.label}"
    ]
    out += [f"Network: {line}" for line in report.topology]
    open_ = [
        r
        for r in report.board
        if r.status not in (Status.PASS, Status.SKIPPED) and not report.why_ignored(r.key)
    ]
    open_.sort(key=lambda r: _WORST_FIRST.index(r.status) if r.status.final else 0)
    for title, rows in _groups(open_).items():
        out += ["", title, *rows]
    out += _ignored(report)
    out += ["", "Nodes"]
    for node in cluster.nodes:
        counts = (f"{report.board.count(s, node.rank)} {s}" for s in STATUSES)
        said = ", ".join(text for text in counts if not text.startswith("0 "))
        out.append(f"  {node.label}: {said or 'nothing was checked'}")
    if report.mesh:
        out += ["", "Pings", *(f"  {line}" for line in report.mesh)]
    out += _findings([f for f in report.findings if not f.ignored])
    out += _changes(report)
    done, total = report.progress
    word = verdict(report).upper()
    out += ["", f"Verdict: {word} ({done} of {total} in {report.duration_s:.1f} s)"]
    return "\n".join(out) + "\n"


def _groups(bad: list[Result]) -> dict[str, list[str]]:
    """Collect bad cells by status, check and reason, so that 16 alike are one line.

    What a connection costs is one line per node, whatever was to be asked.
    """
    groups: dict[tuple[Status, str, str], list[str]] = {}
    for result in bad:
        check = "" if result.value.get("problem") in CONNECTION else result.key.check
        groups.setdefault((result.status, check, result.summary), []).append(place(result.key))
    found: dict[str, list[str]] = {}
    for (status, check, summary), places in groups.items():
        line = f"{check}: {summary} ({_few(places)})" if check else ""
        line = line or f"{len(places)} not asked: {summary}"
        found.setdefault(status.value.upper(), []).append(f"  {line}")
    return found


def _few(places: list[str]) -> str:
    return ", ".join(places[:4]) + (f" and {len(places) - 4} more" if len(places) > 4 else "")


def _ignored(report: Report) -> list[str]:
    groups: dict[tuple[str, str], list[str]] = {}
    for key, applied in (report.ignored or {}).items():
        check = "what follows" if applied.follows else f"{key.check} {applied.status}"
        groups.setdefault((check, applied.because), []).append(place(key))
    out = ["", "IGNORED"] if groups else []
    out += [f"  {check} ({_few(p)}): {why}" for (check, why), p in groups.items()]
    if report.unused:
        out += ["", "Ignores that are not needed any more"]
        out += [
            f"  {u['where']}: {u['why']} (was: {u['reason']}, {u['by']})" for u in report.unused
        ]
    return out


def _changes(report: Report) -> list[str]:
    if report.since is None:
        return []
    lines = [
        f"  {'now fixed' if kind == FIXED else kind}: {line}"
        for kind, line in told(report.since.changes)
    ]
    more = len(lines) - _SHOWN_CHANGES
    rest = [f"  and {more} more"] if more > 0 else []
    return ["", report.since.title, *lines[:_SHOWN_CHANGES], *rest]


def _findings(found: list[Finding]) -> list[str]:
    out = ["", "Findings"] if found else []
    for finding in found:
        out.append(f"  [{finding.severity}] {finding.title}")
        if finding.because:
            out.append(f"      explains: {finding.consequences}")
        out += [f"      perhaps: {cause}" for cause in finding.causes]
        steps = Counter(step["why"] for step in finding.next)
        for why, count in steps.items():
            step = next(s for s in finding.next if s["why"] == why)
            out.append(f"      look: {step['command']}  ({why}){_alike(count)}")
        fixes = Counter((fix["risk"], fix["why"]) for fix in finding.fixes)
        for (risk, why), count in fixes.items():
            fix = next(f for f in finding.fixes if (f["risk"], f["why"]) == (risk, why))
            where = f"on node {fix['node']}: {fix['command']}"
            out.append(f"      fix ({risk}) {where}  ({why}){_alike(count)}")
    return out


def _alike(count: int) -> str:
    """Sixteen devices with one problem need the same command sixteen times: one line is enough."""
    return f", and {count - 1} more like it" if count > 1 else ""
