"""The arguments of ``vllm serve``, as far as the recipes of DeepSeek-V3.2 use them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path


def read(argv: list[str]) -> argparse.Namespace:
    """Parse ``vllm`` arguments; like the real one, exit with status 2 on one that is not known."""
    found, unknown = _parser().parse_known_args(argv)
    if unknown:
        found = _parser(whole=True).parse_args(argv)
    found.served_model_name = found.served_model_name or [found.model_tag]
    return found


def _parser(*, whole: bool = False) -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="vllm", allow_abbrev=False)
    top.add_argument("-v", "--version", action="version", version="0.11.0")
    serve = top.add_subparsers(dest="command", required=True).add_parser(
        "serve", allow_abbrev=False
    )
    serve.add_argument("model_tag")
    for name, kind, default in _VALUES:
        serve.add_argument(name, type=kind, default=default)
    for name in _SWITCHES:
        serve.add_argument(name, action="store_true")
    serve.add_argument("--served-model-name", nargs="+")
    if whole:
        _add_others(serve)
    return top


def _add_others(serve: argparse.ArgumentParser) -> None:
    """Take what the real one takes as well: other spellings, and options that change nothing here.

    They are the linter's lists, which come from the parsers of vLLM themselves; read as files and
    only when needed, because every simulated process would wait for them.
    """
    ours = {action.dest: action for action in serve._actions}
    for path in sorted(_FLAGS.glob("*.json")):
        for name, entry in json.loads(path.read_text("utf-8"))["flags"].items():
            if name in serve._option_string_actions:
                continue
            same = ours.get(entry["dest"])
            if entry["arity"] == 0:
                serve.add_argument(name, dest=f"ignored {name}", action="store_true")
            elif same is not None and same.nargs != 0:
                kind, nargs = same.type or str, same.nargs
                serve.add_argument(
                    name, dest=same.dest, nargs=nargs, type=kind, default=argparse.SUPPRESS
                )
            else:
                several = None if entry["arity"] == 1 else entry["arity"]
                serve.add_argument(name, dest=f"ignored {name}", nargs=several)


_FLAGS = Path(__file__).parents[2] / "lint/flags"
_VALUES: tuple[tuple[str, Callable[[str], object], object], ...] = (
    ("--host", str, ""),
    ("--port", int, 8000),
    ("--api-key", str, None),
    ("--data-parallel-size", int, 1),
    ("--data-parallel-size-local", int, None),
    ("--data-parallel-start-rank", int, None),
    ("--data-parallel-address", str, None),
    ("--data-parallel-rpc-port", int, 29550),
    ("--tensor-parallel-size", int, 1),
    ("--pipeline-parallel-size", int, 1),
    ("--seed", int, 0),
    ("--dtype", str, "auto"),
    ("--quantization", str, None),
    ("--tokenizer-mode", str, "auto"),
    ("--reasoning-parser", str, None),
    ("--tool-call-parser", str, None),
    ("--max-num-seqs", int, 256),
    ("--max-model-len", int, 163840),
    ("--max-num-batched-tokens", int, None),
    ("--gpu-memory-utilization", float, 0.9),
    ("--swap-space", float, 4),
    ("--block-size", int, None),
    ("--additional-config", json.loads, None),
    ("--compilation-config", json.loads, None),
    ("--speculative-config", json.loads, None),
)
_SWITCHES = (
    *("--headless", "--enable-expert-parallel", "--trust-remote-code", "--enforce-eager"),
    *("--enable-prefix-caching", "--no-enable-prefix-caching", "--enable-auto-tool-choice"),
    *("--async-scheduling", "--enable-chunked-prefill", "--no-enable-chunked-prefill"),
)
