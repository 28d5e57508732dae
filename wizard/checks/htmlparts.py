"""Pieces of the HTML report: the style sheet, tables and cells. Every text is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from wizard.checks.model import CellKey, Status

STYLE = """
:root{--ink:#1c1c1c;--page:#fff;--line:#c4c4c4;--soft:#f2f2f2;
--pass:#dff3df;--warn:#fff0c2;--fail:#f8d0ce;--error:#e8d5f3;--skipped:#ececec}
@media(prefers-color-scheme:dark){:root{--ink:#e6e6e6;--page:#17181a;--line:#4a4a4a;--soft:#25272a;
--pass:#1f4023;--warn:#574511;--fail:#64211d;--error:#472a5c;--skipped:#303030}}
body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:75em;padding:0 1em;
color:var(--ink);background:var(--page)}
h1,h3{padding:.1em .4em;border-radius:.2em}h2{border-bottom:1px solid var(--line)}
table{border-collapse:collapse;margin:1em 0;display:block;overflow-x:auto}
td,th{border:1px solid var(--line);padding:.15em .55em;text-align:left}
th{background:var(--soft);font-weight:600}
pre,code{background:var(--soft);font:13px/1.4 ui-monospace,monospace}
pre{padding:.6em;white-space:pre-wrap;overflow-wrap:anywhere}code{overflow-wrap:anywhere}
td a{color:inherit;text-decoration:none}
.pass{background:var(--pass)}.warn{background:var(--warn)}.fail{background:var(--fail)}
.error{background:var(--error)}.skipped,.pending,.running{background:var(--skipped)}
.legend span{border:1px solid var(--line);padding:0 .4em;margin-left:1em}
summary{cursor:pointer;padding:0 .3em}details:target{outline:2px solid}
@media print{body{margin:0;max-width:none;font-size:11px}table,section h3{break-inside:avoid}
table{display:table}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""
_SIGNS = {
    Status.PASS: "✓",
    Status.WARN: "!",
    Status.FAIL: "✗",
    Status.ERROR: "?",
    Status.SKIPPED: "–",
}


def cell(status: Status, title: str, *, text: str = "", link: str = "", tag: str = "td") -> str:
    """Return a coloured cell with the status' sign (or ``text``), and its words on hovering."""
    shown = escape(text or _SIGNS.get(status, "·"))
    inner = f'<a href="#{escape(link)}">{shown}</a>' if link else shown
    words = escape(title)
    return f'<{tag} class="{status}" title="{words}" aria-label="{words}">{inner}</{tag}>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table. Cells of ``rows`` are HTML: ready ``<td>`` or ``<th>``, or escaped text."""
    top = "<tr>" + "".join(f"<th>{escape(name)}</th>" for name in head) + "</tr>" if head else ""
    body = "".join(
        "<tr>"
        + "".join(c if c.startswith(("<td", "<th")) else f"<td>{c}</td>" for c in row)
        + "</tr>"
        for row in rows
    )
    return f"<table>{top}{body}</table>"


def anchor(key: CellKey) -> str:
    """Return the name of a cell's raw output within the page."""
    return "-".join(["c", *("n" if part is None else str(part) for part in key)])
