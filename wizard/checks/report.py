"""Reports of a check run: JSON (contract ``v32-wizard/check-report/1``), text, JUnit, HTML."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

from wizard.checks.engine import CheckRun
from wizard.checks.html import to_html
from wizard.checks.model import Result, Status
from wizard.checks.outcome import STATUSES, exit_status, place, verdict
from wizard.checks.problems import CONNECTION
from wizard.troubleshooting.findings import Finding, findings

__all__ = ["exit_status", "to_html", "to_json", "to_junit", "to_text", "verdict"]

SCHEMA = "v32-wizard/check-report/1"
_WORST_FIRST = (Status.ERROR, Status.FAIL, Status.WARN, Status.SKIPPED, Status.PASS)
# what XML 1.0 cannot carry, even escaped; TAB, LF and CR it can
_NOT_XML = dict.fromkeys(
    (*(c for c in range(32) if c not in (9, 10, 13)), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF),
    "\N{REPLACEMENT CHARACTER}",
)


def to_json(run: CheckRun, preset_name: str) -> dict[str, Any]:
    """Return the report as the contract has it, ready for ``json.dumps``."""
    counts = Counter(result.status for result in run.board)
    started = run.started_at or datetime.now(UTC)
    return {
        "schema": SCHEMA,
        "preset": preset_name,
        "series": run.cluster.series.value,
        "precision": run.cluster.precision.value,
        "started_at": started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "duration_s": round(run.duration_s, 3),
        "verdict": verdict(run).value,
        "summary": {status.value: counts[status] for status in STATUSES},
        "results": [_result(result) for result in run.board],
        "findings": [finding.to_json() for finding in findings(run.board, run.cluster)],
    }


def _result(result: Result) -> dict[str, Any]:
    key = result.key
    pair: dict[str, Any] = {}
    if key.peer_node is not None:
        pair = {
            "peer_node": key.peer_node,
            "peer_device": key.peer_device,
            "peer_address": result.peer_address,
        }
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
    }


def to_text(run: CheckRun, preset_name: str) -> str:
    """Return the report for people: what is bad first, then each node, findings, verdict."""
    series, precision = run.cluster.series, run.cluster.precision
    out = [
        f"Checks of {preset_name}: {len(run.cluster.nodes)} × {series.machine}, {precision.label}"
    ]
    bad = [r for r in run.board if r.status not in (Status.PASS, Status.SKIPPED)]
    bad.sort(key=lambda r: _WORST_FIRST.index(r.status) if r.status.final else 0)
    for title, rows in _groups(bad).items():
        out += ["", title, *rows]
    out += ["", "Nodes"]
    for node in run.cluster.nodes:
        counts = (f"{run.board.count(s, node.rank)} {s}" for s in STATUSES)
        said = ", ".join(text for text in counts if not text.startswith("0 "))
        out.append(f"  {node.label}: {said or 'nothing was checked'}")
    out += _findings_text(findings(run.board, run.cluster))
    done, total = run.progress
    out += ["", f"Verdict: {verdict(run).upper()} ({done} of {total} in {run.duration_s:.1f} s)"]
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
        where = ", ".join(places[:4]) + (f" and {len(places) - 4} more" if len(places) > 4 else "")
        line = f"{check}: {summary} ({where})" if check else f"{len(places)} not asked: {summary}"
        found.setdefault(status.value.upper(), []).append(f"  {line}")
    return found


def _findings_text(found: list[Finding]) -> list[str]:
    out = ["", "Findings"] if found else []
    for finding in found:
        out.append(f"  [{finding.severity}] {finding.title}")
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


def to_junit(run: CheckRun, preset_name: str) -> str:
    """Return the report as JUnit XML: a suite per node, a case per cell."""
    root = ElementTree.Element("testsuites", name=f"v32-wizard check {preset_name}")
    for node in run.cluster.nodes:
        cells = [r for r in run.board if r.key.node == node.rank]
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=_xml(node.label),
            tests=str(len(cells)),
            failures=str(sum(r.status is Status.FAIL for r in cells)),
            errors=str(sum(r.status is Status.ERROR or not r.status.final for r in cells)),
            skipped=str(sum(r.status is Status.SKIPPED for r in cells)),
            time=f"{sum(r.duration_s for r in cells):.3f}",
        )
        for result in cells:
            _case(suite, result)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ElementTree.Element, result: Result) -> None:
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=result.key.check,
        name=f"{result.key.check} {place(result.key)}",
        time=f"{result.duration_s:.3f}",
    )
    kinds = {Status.FAIL: "failure", Status.SKIPPED: "skipped", Status.PASS: "", Status.WARN: ""}
    kind = kinds.get(result.status, "error")
    if kind:
        ElementTree.SubElement(case, kind, message=_xml(result.summary)).text = _xml(result.output)
    elif result.status is Status.WARN:
        ElementTree.SubElement(case, "system-out").text = _xml(f"warning: {result.summary}")


def _xml(text: str) -> str:
    return text.translate(_NOT_XML)
