"""The runbook: what each problem means and what to do, read from ``runbook.yaml``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from wizard.yamldata import load_data

RISKS = ("safe", "low", "disruptive", "destructive")


@dataclass(frozen=True, slots=True)
class Fix:
    """A command that may mend a problem, and what else it may do (contract: risk)."""

    command: str
    risk: str
    why: str


@dataclass(frozen=True, slots=True)
class Step:
    """A command to look further with, and why."""

    command: str
    why: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What the runbook knows of one problem.

    Attributes:
        title: for a finding; ``{where}`` names the devices or nodes.
        explain: one sentence for a single cell; ``{place}`` and ``{summary}`` are filled in.
        causes: likely reasons, most likely first.
        next, fixes: commands with ``{device}``, ``{address}``, ``{gateway}``, ``{netmask}`` and
            ``{target}`` (what netdetect should watch) filled in where these are known.
    """

    title: str
    explain: str
    causes: tuple[str, ...]
    next: tuple[Step, ...] = ()
    fixes: tuple[Fix, ...] = ()


@cache
def runbook() -> dict[str, Entry]:
    """Return the entries by problem id."""
    text = files("wizard.troubleshooting").joinpath("runbook.yaml").read_text(encoding="utf-8")
    return {name: _entry(data) for name, data in load_data(text).items()}


def _entry(data: dict[str, Any]) -> Entry:
    return Entry(
        title=data["title"],
        explain=data["explain"],
        causes=tuple(data["causes"]),
        next=tuple(Step(**step) for step in data.get("next", ())),
        fixes=tuple(Fix(**fix) for fix in data.get("fixes", ())),
    )
