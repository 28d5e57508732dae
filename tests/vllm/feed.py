"""Feeds command lines to vLLM's own parser and configuration, in the environment of that vLLM.

Run by test_vllm.py, never imported by it. Reads ``{name: {argv, env}}`` as JSON on stdin, with a
folder that holds a config.json of DeepSeek-V3.2's shape as the argument; prints on the last line
``{name: "" or what vLLM complains}``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from dump_flags import first, parser

VALIDATE = first(
    "vllm.entrypoints.launchers.cli_args:validate_parsed_serve_args",
    "vllm.entrypoints.openai.cli_args:validate_parsed_serve_args",
)
FORGET = first("vllm_ascend.ascend_config:clear_ascend_config")
ENGINE = first("vllm.engine.arg_utils:AsyncEngineArgs")


class Refused(Exception):
    """The parser's own way out is the end of the process; ours is an exception."""


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse ``serve MODEL …`` as the vllm command does."""
    made = parser()

    def refuse(message: str) -> Any:
        raise Refused(message)

    made.error = refuse  # type: ignore[method-assign]
    found = made.parse_args(argv[1:])
    VALIDATE(found)
    return found


def configure(found: argparse.Namespace, folder: str) -> None:
    """Build the engine's configuration; vLLM-Ascend's cross-checks are part of it."""
    found.model = found.model_tag = folder
    if hasattr(found, "swap_space"):
        found.swap_space = 0  # its check reads the memory of this machine
    arguments = ENGINE.from_cli_args(found)
    arguments.model = folder
    arguments.create_engine_config(headless=found.headless)


def judge(case: dict[str, Any], folder: str) -> str:
    """Return what vLLM says against one command line, or ""."""
    for name, value in case["env"].items():
        if name != "VLLM_USE_MODELSCOPE":  # it wants the package, even for a local folder
            os.environ[name] = value
    try:
        configure(parse(case["argv"]), folder)
    except (Exception, SystemExit) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        for name in case["env"]:
            os.environ.pop(name, None)
        FORGET()  # vLLM-Ascend keeps the first configuration of a process, and checks it alone
    return ""


def main() -> None:
    """Judge every case."""
    cases = json.load(sys.stdin)
    print()
    print(json.dumps({name: judge(case, sys.argv[1]) for name, case in cases.items()}))


if __name__ == "__main__":
    main()
