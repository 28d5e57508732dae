"""What commands printed and what it must mean: the data of the parsers' and the runbook's tests."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from wizard.checks.catalogue import CHECKS
from wizard.yamldata import load_data

DATA = Path(__file__).parent.parent / "data" / "checks"
COMMANDS = [name for name in CHECKS if name != "ssh"]


@cache
def read(name: str) -> list[dict[str, Any]]:
    """The cases of one file."""
    return list(load_data((DATA / f"{name}.yaml").read_text("utf-8")))


def shared(check: str) -> list[dict[str, Any]]:
    """What every command of the tool, or every plain command, may say instead of an answer."""
    tool = CHECKS[check].uses_hccn_tool or check == "hccn_conf"
    return read("any" if tool else "anyhost")


def cases() -> list[tuple[str, dict[str, Any]]]:
    """Every check with every case that its parser must understand."""
    return [(name, case) for name in COMMANDS for case in (*read(name), *shared(name))]
