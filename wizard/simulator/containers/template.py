"""The small part of Go templates that ``--format`` is used with.

``{{.A.B}}``, ``{{json .A}}``, ``{{index .A "key"}}``, ``{{.Label "key"}}``, and ``table``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_ACTION = re.compile(r"\{\{\s*(.*?)\s*\}\}")
_PATH = r"\.[\w.]*"


class TemplateError(Exception):
    """The template asks for what this subset, or the data, does not have."""


def render(template: str, data: Mapping[str, Any]) -> str:
    """Return the template filled in, without a newline at its end.

    Raises:
        TemplateError: with docker's kind of message.
    """
    template = template.removeprefix("table ").replace("\\t", "\t").replace("\\n", "\n")
    return _ACTION.sub(lambda match: _text(_evaluate(match[1], data)), template)


def _evaluate(action: str, data: Mapping[str, Any]) -> Any:
    if match := re.fullmatch(rf"json\s+({_PATH})", action):
        return json.dumps(_walk(match[1], data), separators=(",", ":"))
    if match := re.fullmatch(rf'index\s+({_PATH})\s+"([^"]*)"', action):
        found = _walk(match[1], data)
        return found.get(match[2], "") if isinstance(found, Mapping) else ""
    if match := re.fullmatch(r'\.Label\s+"([^"]*)"', action):
        return data.get("_labels", {}).get(match[1], "")
    if re.fullmatch(_PATH, action):
        return _walk(action, data)
    raise TemplateError(f'template parsing error: template: :1: unexpected "{action}" in command')


def _walk(path: str, data: Mapping[str, Any]) -> Any:
    found: Any = {k: v for k, v in data.items() if not k.startswith("_")}
    for name in path.split("."):
        if not name:
            continue
        if not isinstance(found, Mapping) or name not in found:
            raise TemplateError(
                f'template parsing error: template: :1:2: executing "" at <{path}>:'
                f' map has no entry for key "{name}"'
            )
        found = found[name]
    return found


def _text(value: Any) -> str:
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{k}:{_text(v)}" for k, v in sorted(value.items())) + "]"
    if isinstance(value, list):
        return "[" + " ".join(_text(v) for v in value) + "]"
    return str(value)
