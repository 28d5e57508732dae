"""``v32-wizard lint``: what is wrong in the scripts, without a screen."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from wizard.commands.render import completed
from wizard.lint import Remark, errors, lint_all
from wizard.presets import load_preset
from wizard.scripts import render

SCHEMA = "v32-wizard/lint/1"


async def lint(arguments: argparse.Namespace) -> int:
    """Print the remarks: 0 no errors (warnings allowed), 1 errors."""
    preset = await completed(load_preset(arguments.preset), arguments)
    remarks = await lint_all(preset, render(preset))
    wrong = errors(remarks)
    if arguments.format == "json":
        body = {
            "schema": SCHEMA,
            "preset": preset.name,
            "recipe": preset.recipe,
            "summary": {"error": len(wrong), "warning": len(remarks) - len(wrong)},
            "remarks": [asdict(remark) for remark in remarks],
        }
        print(json.dumps(body, indent=2, ensure_ascii=False))
    else:
        sys.stdout.write(as_text(remarks))
    return 1 if wrong else 0


def as_text(remarks: Sequence[Remark]) -> str:
    """Return a line per remark, as compilers write it, and the count."""
    wrong = len(errors(remarks))
    lines = [str(remark) for remark in remarks]
    lines.append(f"{_count(wrong, 'error')}, {_count(len(remarks) - wrong, 'warning')}")
    return "\n".join(lines) + "\n"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
