"""The formats that a report can be written in, by the name that ``--format`` takes."""

from __future__ import annotations

import json
from collections.abc import Callable

from wizard.checks.html import to_html
from wizard.checks.junit import to_junit
from wizard.checks.report import Report, to_json
from wizard.checks.text import to_text


def _json(report: Report) -> str:
    return json.dumps(to_json(report), indent=2, ensure_ascii=False) + "\n"


FORMATS: dict[str, Callable[[Report], str]] = {
    "text": to_text,
    "json": _json,
    "junit": to_junit,
    "html": to_html,
}
