r"""Log files out of compact scripts: ``tests/data/diagnosis``.

A line that begins with a time is ``HH:MM:SS WHO HOW text``: WHO is A (API server), E (engine core),
W3 (worker 3) or - (no prefix); HOW is I, W, E, D (a line of vLLM's own log), - (the prefix
alone), T (a traceback in vLLM's log that ends in the text) or R (a traceback on stderr). Any other
line stands as it is. ``\r`` is a carriage return. A log's ``style`` names what is done to it:
``colour``, ``docker`` (logs -t), ``doubled`` (prefixes). A set may be ``merged`` (one file, with
``node1 | `` before each line).
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from wizard.yamldata import load_data

DATA = Path(__file__).parent.parent / "data" / "diagnosis"
STAGES = ("python", "handshake", "ranks", "weights", "loaded", "graph", "engine", "ready")
LEVELS = {"I": "INFO", "W": "WARNING", "E": "ERROR", "D": "DEBUG"}
FRAMES = """\
Traceback (most recent call last):
  File "/usr/local/python3.11/site-packages/vllm/v1/engine/core.py", line 699, in run_engine_core
    engine_core = DPEngineCoreProc(*args, **kwargs)
                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/vllm-workspace/vllm-ascend/vllm_ascend/worker/worker_v1.py", line 113, in init_device
    self._init_worker_distributed_environment()
"""
_TIMED = re.compile(r"(\d\d:\d\d:\d\d) (A|E|-|W\d+) ([IWEDTR-]) (.*)", re.DOTALL)
_NOISE: dict[str, Any] = load_data((DATA / "noise.yaml").read_text())


@cache
def scripts() -> list[dict[str, Any]]:
    """Every composed set, in all files but the noise."""
    found = []
    for path in sorted(DATA.glob("*.yaml")):
        if path.name != "noise.yaml":
            found += load_data(path.read_text())
    return found


def render(script: dict[str, Any]) -> list[bytes]:
    """The files of a set, one per node (or one in all, when it is merged)."""
    nodes = script["nodes"]
    logs = [_log(dp, len(nodes), spec or {}) for dp, spec in enumerate(nodes)]
    if script.get("merged"):
        lines = [
            b"node%d | %s" % (dp, line) for dp, log in enumerate(logs) for line in log.splitlines()
        ]
        return [b"\n".join(lines) + b"\n"]
    return logs


def _log(dp: int, nodes: int, spec: dict[str, Any]) -> bytes:
    style = spec.get("style", "")
    lines = _noise(dp, nodes, spec["start"]) if "start" in spec else []
    lines += (spec.get("lines") or "").rstrip("\n").split("\n") if spec.get("lines") else []
    out: list[str] = []
    stamp = "10:12:00"
    for line in lines:
        timed = _TIMED.match(line)
        stamp = timed[1] if timed else stamp
        new = [_bar(part, dp, style) for part in line.split("\\r")]
        for text in "\r".join(new).split("\n"):
            if "docker" in style:
                out.append(f"2026-11-20T{stamp}.{len(out) % 1000:09d}Z {text}")
            else:
                out.append(text)
    return ("\n".join(out) + "\n").encode() if out else b""


def _bar(line: str, dp: int, style: str) -> str:
    timed = _TIMED.match(line)
    return _timed(timed, dp, style) if timed else line


def _timed(match: re.Match[str], dp: int, style: str) -> str:
    clock, who, how, text = match.groups()
    name = {"A": "APIServer", "E": f"EngineCore_DP{dp}"}.get(who, f"Worker_DP{dp}_TP{who[1:]}")
    prefix = "" if who == "-" else f"({name} pid={300 + dp}) "
    if "colour" in style and prefix:
        prefix = f"\x1b[1;36m{prefix.rstrip()}\x1b[0;0m "
    if "doubled" in style and who.startswith("W"):
        prefix = f"(EngineCore_DP{dp} pid={200 + dp}) {prefix}"
    body = (FRAMES + text if how in "TR" else text).split("\n")
    if how in "-R":
        return "\n".join(prefix + one for one in body)
    level = LEVELS.get(how, "ERROR")
    place = "" if re.match(r"\[\w+\.py:\d+\]", text) and how != "T" else "[core.py:708] "
    return "\n".join(f"{prefix}{level} 11-20 {clock} {place}{one}" for one in body)


def _noise(dp: int, nodes: int, stage: str) -> list[str]:
    parts = []
    for name in STAGES[: STAGES.index(stage) + 1]:
        own = _NOISE["head" if dp == 0 else "worker"].get(name)
        part = own or _NOISE["all"].get(name) or (_NOISE["ready"] if dp == 0 else "")
        parts.append(part.format(dp=dp, rank=16 * dp, world=16 * nodes))
    return "".join(parts).rstrip("\n").split("\n")
