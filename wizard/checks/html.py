"""The report as one self-contained HTML page, for a ticket: no script, nothing from outside."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from wizard.checks.changes import FIXED, told
from wizard.checks.htmlmesh import mesh
from wizard.checks.htmlparts import STYLE, anchor, cell, table
from wizard.checks.model import CellKey, Result, Status
from wizard.checks.outcome import STATUSES, place, verdict
from wizard.checks.report import Report
from wizard.troubleshooting.findings import Finding

_RAW_PINGS = 2000  # above this, only pings that did not pass are shown raw: the page stays light


def to_html(report: Report) -> str:
    """Return the report as one page: verdict, changes, findings, mesh, matrices, raw output."""
    worst_word = verdict(report)
    title = f"Checks of {report.preset}: {worst_word}"
    body = [
        f'<h1 class="{worst_word}">{escape(title)}</h1>',
        _summary(report),
        *_section("What is wrong", map(_finding, [f for f in report.findings if not f.ignored])),
        *_section("Ignored", _ignored(report)),
        *_section(report.since.title if report.since else "", _changes(report)),
        *_section("Pings between the nodes", mesh(report)),
    ]
    for node in report.cluster.nodes:
        body += [f"<section><h2>{escape(node.label)}</h2>", *_node(report, node.rank), "</section>"]
    body += _section("Raw output", (_raw(r, report) for r in report.board if _is_raw(r, report)))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        '<meta name="color-scheme" content="light dark">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _section(title: str, parts: Iterable[str]) -> list[str]:
    found = list(parts)
    return [f"<section><h2>{escape(title)}</h2>", *found, "</section>"] if found else []


def _summary(report: Report) -> str:
    counts = ", ".join(f"{report.board.count(s)} {s}" for s in STATUSES if report.board.count(s))
    started = report.started_at.strftime("%Y-%m-%d %H:%M:%S UTC")
    cluster = report.cluster
    lines = [
        f"{len(cluster.nodes)} × {cluster.series.machine}, {cluster.precision.label}",
        f"{started}, {report.duration_s:.1f} s: {counts or 'nothing was checked'}",
        *(f"Network: {line}" for line in report.topology),
    ]
    legend = " ".join(cell(status, str(status), tag="span") + f" {status}" for status in STATUSES)
    return "<p>" + "<br>".join(map(escape, lines)) + f'</p>\n<p class="legend">{legend}</p>'


def _finding(finding: Finding) -> str:
    parts = [f'<h3 class="{escape(finding.severity)}">{escape(finding.title)}</h3>', "<ul>"]
    if finding.because:
        parts.append(f"<li>explains {escape(finding.consequences)}</li>")
    parts += [f"<li>perhaps: {escape(cause)}</li>" for cause in finding.causes]
    for step in finding.next:
        parts.append(f"<li><code>{escape(step['command'])}</code> {escape(step['why'])}</li>")
    for fix in finding.fixes:
        text = f"fix ({fix['risk']}) on node {fix['node']}: "
        parts.append(f"<li>{escape(text)}<code>{escape(fix['command'])}</code></li>")
    return "".join([*parts, "</ul>"])


def _ignored(report: Report) -> list[str]:
    rows = [
        [escape(place(key)), escape(key.check), str(applied.status), escape(applied.because)]
        for key, applied in (report.ignored or {}).items()
    ]
    found = [table(["where", "check", "status", "why, who, when"], rows)] if rows else []
    for unused in report.unused:
        text = f"Not needed any more, {unused['why']}: {unused['where']}"
        found.append(f"<p>{escape(text)} ({escape(unused['reason'])}, {escape(unused['by'])})</p>")
    return found


def _changes(report: Report) -> list[str]:
    if report.since is None:
        return []
    lines = [
        f'<li><b class="{"pass" if kind == FIXED else "warn"}">'
        f"{'now fixed' if kind == FIXED else escape(kind)}</b> {escape(line)}</li>"
        for kind, line in told(report.since.changes)
    ]
    return [f"<ul>{''.join(lines)}</ul>"] if lines else ["<p>Nothing.</p>"]


def _node(report: Report, rank: int) -> list[str]:
    """Return a node's own checks as a list and its devices' as a matrix."""
    mine = [r for r in report.board if r.key.node == rank]
    own = [r for r in mine if r.key.device is None]
    parts = []
    if own:
        rows = [[f"<th>{escape(r.key.check)}</th>", _linked(r), escape(r.summary)] for r in own]
        parts.append(table([], rows))
    of_devices = [r for r in mine if r.key.device is not None]
    devices = sorted({r.key.device for r in of_devices if r.key.device is not None})
    names = dict.fromkeys((r.key.check, r.key.peer_node) for r in of_devices)
    if devices:
        by_place: dict[tuple[str, int | None, int | None], list[Result]] = {}
        for result in of_devices:
            name = (result.key.check, result.key.peer_node, result.key.device)
            by_place.setdefault(name, []).append(result)
        rows = [
            [f"<th>{escape(check)}{'' if peer is None else f' node {peer}'}</th>"]
            + [_several(by_place.get((check, peer, device), [])) for device in devices]
            for check, peer in names
        ]
        parts.append(table(["NPU", *map(str, devices)], rows))
    return parts


def _linked(result: Result) -> str:
    return cell(result.status, f"{result.status}: {result.summary}", link=anchor(result.key))


def _several(results: list[Result]) -> str:
    """Return one cell for one answer, or for the pings of a device to all devices of a node."""
    if not results:
        return "<td></td>"
    worst = max(results, key=lambda r: _ORDER.index(r.status) if r.status in _ORDER else 9)
    return _linked(worst)


_ORDER = (Status.SKIPPED, Status.PASS, Status.WARN, Status.FAIL, Status.ERROR)


def _is_raw(result: Result, report: Report) -> bool:
    if result.key.peer_node is None or result.status is not Status.PASS:
        return True
    return len(report.board) <= _RAW_PINGS


def _raw(result: Result, report: Report) -> str:
    key: CellKey = result.key
    exit_code = "" if result.exit_code is None else f"\n(exit code {result.exit_code})"
    text = f"$ {result.command}\n{result.output}{exit_code}" if result.command else "(no command)"
    head = f"{result.status} {key.check}, {place(key)}: {result.summary}"
    why = report.why_ignored(key)
    text = f"ignored: {why}\n{text}" if why else text
    return (
        f'<details id="{anchor(key)}"><summary class="{result.status}">{escape(head)}</summary>'
        f"<pre>{escape(text)}</pre></details>"
    )
