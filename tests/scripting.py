"""Running generated scripts by a real bash, with stand-ins that write down what they got."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from wizard import recipes
from wizard.cluster import Precision, Series
from wizard.presets import Preset, parse_preset
from wizard.scripts import LaunchLabels

FOUR = [(s, p) for s in ("A2", "A3") for p in ("bf16", "w8a8")]

LABELS = LaunchLabels("lab", "20261124-1", "~/.v32-wizard/launches/20261124-1")

NASTY = """/da ta/it's "q" $(touch pwned) `touch pwned` \\ ; & | > pwned # * ? ~ ! {a,b} $HOME é"""

RECORD = """#!/bin/bash
printf '%s\\0' "$@" >"$RECORD_ARGV"
env -0 >"$RECORD_ENV"
"""


def preset(series: str, precision: str, *, nodes: int = 0, **extra: Any) -> Preset:
    recipe = extra.get("recipe", "guide")
    count = nodes or recipes.nodes_for(recipe, Series(series), Precision(precision))
    rows = [
        {"host": f"10.0.0.{11 + i}", "local_ip": f"10.0.0.{11 + i}", "nic": f"eth{i}"}
        for i in range(count)
    ]
    body = {"version": 1, "name": "lab", "series": series, "precision": precision, "nodes": rows}
    return parse_preset(yaml.safe_dump(body | extra))


def run(
    text: str, tools: Path, folder: Path, *words: str, shell: str = "bash"
) -> tuple[list[str], dict[str, str]]:
    """Run a script; return the arguments and the new variables of the tool that it called."""
    script = folder / "script.sh"
    script.write_text(text, encoding="utf-8")
    given = {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "RECORD_ARGV": str(folder / "argv"),
        "RECORD_ENV": str(folder / "env"),
    }
    subprocess.run([shell, script, *words], check=True, env=given, cwd=folder, timeout=30)
    argv = (folder / "argv").read_bytes().decode().split("\0")[:-1]
    lines = (folder / "env").read_bytes().decode().split("\0")[:-1]
    env = dict(line.split("=", 1) for line in lines)
    return argv, {k: v for k, v in env.items() if k not in {*given, "PWD", "SHLVL", "_", "OLDPWD"}}


def everywhere(text: str) -> str:
    """container.sh for a machine that has no NPUs: every mount's source counts as there."""
    assert text.count('[ -e "$source" ]') == 1
    return text.replace('[ -e "$source" ]', "true")


def make_tools(folder: Path) -> Path:
    """Put vllm, docker and podman into a folder; return it."""
    for name in ("vllm", "docker", "podman"):
        (folder / name).write_text(RECORD)
        (folder / name).chmod(0o755)
    return folder
