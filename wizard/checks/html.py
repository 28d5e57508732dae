"""The report as one self-contained HTML page: no script, no address of anything outside."""

from __future__ import annotations

from html import escape

from wizard.checks.catalogue import CHECKS
from wizard.checks.engine import CheckRun
from wizard.checks.model import CellKey, Result, Status, worst
from wizard.checks.outcome import STATUSES, place, verdict
from wizard.troubleshooting.findings import Finding, findings

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:70em;padding:0 1em;color:#222}
table{border-collapse:collapse;margin:1em 0}td,th{border:1px solid #ccc;padding:.2em .6em}
th{background:#f3f3f3;font-weight:600}pre{background:#f6f6f6;padding:.6em;overflow:auto}
.pass{background:#e3f5e3}.warn{background:#fff3cd}.fail{background:#f9d6d5}.error{background:#ecd9f5}
summary{cursor:pointer}
"""


def to_html(run: CheckRun, preset_name: str) -> str:
    """Return the report as one page: verdict, findings, a matrix per node, raw output."""
    title = f"Checks of {preset_name}: {verdict(run)}"
    body = [f"<h1>{escape(title)}</h1>", _summary(run)]
    found = findings(run.board, run.cluster)
    if found:
        body.append("<h2>Findings</h2>")
        body += [_finding(finding) for finding in found]
    for node in run.cluster.nodes:
        body.append(f"<h2>{escape(node.label)}</h2>")
        body.append(_matrix(run, node.rank))
    body.append("<h2>Raw output of everything that did not pass</h2>")
    body += [_raw(r) for r in run.board if r.status is not Status.PASS]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _summary(run: CheckRun) -> str:
    counts = ", ".join(f"{run.board.count(status)} {status}" for status in STATUSES)
    started = run.started_at.strftime("%Y-%m-%d %H:%M:%S UTC") if run.started_at else "not started"
    return f"<p>{escape(started)}, {run.duration_s:.1f} s: {counts}</p>"


def _finding(finding: Finding) -> str:
    parts = [f'<h3 class="{escape(finding.severity)}">{escape(finding.title)}</h3>', "<ul>"]
    parts += [f"<li>perhaps: {escape(cause)}</li>" for cause in finding.causes]
    for step in finding.next:
        parts.append(f"<li><code>{escape(step['command'])}</code> {escape(step['why'])}</li>")
    for fix in finding.fixes:
        text = f"fix ({fix['risk']}) on node {fix['node']}: "
        parts.append(f"<li>{escape(text)}<code>{escape(fix['command'])}</code></li>")
    return "".join([*parts, "</ul>"])


def _matrix(run: CheckRun, rank: int) -> str:
    names = [n for n, c in CHECKS.items() if c.scope == "device"]
    names = [n for n in names if run.board.get(CellKey(rank, 0, n)) is not None]
    rows = ["<tr><th>NPU</th>" + "".join(f"<th>{n}</th>" for n in names) + "<th>ping</th></tr>"]
    for device in range(run.cluster.series.devices):
        cells = [run.board.get(CellKey(rank, device, n)) for n in names]
        rows.append(
            f"<tr><th>{device}</th>"
            + "".join(_cell(c) for c in cells)
            + _pings(run, rank, device)
            + "</tr>"
        )
    whole = [r for r in run.board if r.key.node == rank and r.key.device is None]
    lines = "".join(
        f'<p class="{r.status}">{r.key.check}: {r.status}, {escape(r.summary)}</p>' for r in whole
    )
    return f"{lines}<table>{''.join(rows)}</table>"


def _cell(result: Result | None) -> str:
    if result is None:
        return "<td></td>"
    return f'<td class="{result.status}" title="{escape(result.summary)}">{result.status}</td>'


def _pings(run: CheckRun, rank: int, device: int) -> str:
    mine = [r for r in run.board if r.key.check == "ping" and r.key[:2] == (rank, device)]
    good = sum(r.status is Status.PASS for r in mine)
    style = worst([r.status if r.status.final else Status.ERROR for r in mine])
    return f'<td class="{style}">{good} of {len(mine)}</td>' if mine else "<td></td>"


def _raw(result: Result) -> str:
    exit_code = "" if result.exit_code is None else f"\n(exit code {result.exit_code})"
    text = f"$ {result.command}\n{result.output}{exit_code}" if result.command else "(no command)"
    head = f"{result.status} {result.key.check}, {place(result.key)}: {result.summary}"
    return f"<details><summary>{escape(head)}</summary><pre>{escape(text)}</pre></details>"
