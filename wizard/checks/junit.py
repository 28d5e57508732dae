"""The report as JUnit XML: a suite per node, a case per cell."""

from __future__ import annotations

from xml.etree import ElementTree

from wizard.checks.model import Result, Status
from wizard.checks.outcome import place
from wizard.checks.report import Report

# what XML 1.0 cannot carry, even escaped; TAB, LF and CR it can
_NOT_XML = dict.fromkeys(
    (*(c for c in range(32) if c not in (9, 10, 13)), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF),
    "\N{REPLACEMENT CHARACTER}",
)
_KINDS = {Status.FAIL: "failure", Status.SKIPPED: "skipped", Status.PASS: "", Status.WARN: ""}


def to_junit(report: Report) -> str:
    """Return the report as an XML document; what XML cannot carry becomes U+FFFD."""
    root = ElementTree.Element("testsuites", name=_xml(f"v32-wizard check {report.preset}"))
    for node in report.cluster.nodes:
        cells = [r for r in report.board if r.key.node == node.rank]
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=_xml(node.label),
            timestamp=report.started_at.strftime("%Y-%m-%dT%H:%M:%S"),
            tests=str(len(cells)),
            failures=str(sum(r.status is Status.FAIL for r in cells)),
            errors=str(sum(r.status is Status.ERROR or not r.status.final for r in cells)),
            skipped=str(sum(r.status is Status.SKIPPED for r in cells)),
            time=f"{sum(r.duration_s for r in cells):.3f}",
        )
        for result in cells:
            _case(suite, result, report.why_ignored(result.key))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ElementTree.Element, result: Result, ignored: str) -> None:
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=result.key.check,
        name=f"{result.key.check} {place(result.key)}",
        time=f"{result.duration_s:.3f}",
    )
    kind = _KINDS.get(result.status, "error")
    if kind:
        ElementTree.SubElement(case, kind, message=_xml(result.summary)).text = _xml(result.output)
    elif result.status is Status.WARN:
        word = f"ignored: {ignored}; " if ignored else "warning: "
        ElementTree.SubElement(case, "system-out").text = _xml(f"{word}{result.summary}")


def _xml(text: str) -> str:
    return text.translate(_NOT_XML)
