"""Writes wizard/lint/flags/ anew, from the parsers of the installed releases (make lint-flags)."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.vllm.environment import VERSIONS, python_of

HERE = Path(__file__).parent
FLAGS = HERE.parent.parent / "wizard/lint/flags"


def main() -> None:
    """Ask every version's parser."""
    for recipe, versions in VERSIONS.items():
        if recipe == "guide":  # reads v0.11.0's
            continue
        done = subprocess.run(
            [python_of(*versions), "-W", "ignore", HERE / "dump_flags.py"],
            env={"PYTHONPATH": str(HERE), "PATH": os.environ["PATH"]},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        text = done.stdout[done.stdout.index('{"vllm"') :]
        (FLAGS / f"{recipe}.json").write_text(text)
        print(FLAGS / f"{recipe}.json")


if __name__ == "__main__":
    main()
