"""How far a vLLM-Ascend server has come, read from its log. Pure.

The signs and their order are those of vLLM 0.11 (and 0.12+ for graphs) with the vllm-ascend plugin;
they were compared with logs that vLLM 0.11.0 really wrote. Lines come with prefixes such as
``(EngineCore_DP0 pid=312) INFO 11-20 10:12:33 [core.py:77]``, sometimes doubled, sometimes on a
line of their own, with colours even in files: so every sign is searched for anywhere in the line.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from re import Match


class Phase(IntEnum):
    """A phase of the start, in order. ``title`` is the word that people see."""

    CONTAINER = 0  # the container runs, nothing is known of what is in it
    PYTHON = 1
    HANDSHAKE = 2
    RANKS = 3
    WEIGHTS = 4
    KV_CACHE = 5
    GRAPH = 6
    ENGINE = 7  # this node is done; the last mark of a worker
    READY = 8  # node 0 serves

    @property
    def title(self) -> str:
        """The name of the phase."""
        titles = {Phase.KV_CACHE: "KV cache", Phase.ENGINE: "engine up"}
        return titles.get(self, self.name.lower())


@dataclass(frozen=True, slots=True)
class Stage:
    """Where one node is.

    Attributes:
        phase: the phase.
        detail: what the log said about it, one short line.
        done, total: parts done of how many (weight shards, graph batch sizes), or None.
        eta: time left as the log gives it (``02:10``), or "" when it does not.
    """

    phase: Phase
    detail: str = ""
    done: int | None = None
    total: int | None = None
    eta: str = ""

    @property
    def title(self) -> str:
        """The phase with its count: ``weights 12 of 163``."""
        if self.done is None or self.total is None:
            return self.phase.title
        return f"{self.phase.title} {self.done} of {self.total}"


_Make = Callable[[Match[str]], Stage]
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-_])")


def _fixed(phase: Phase, detail: str) -> _Make:
    """Return a maker that fills the groups of the match into ``detail``."""
    return lambda match: Stage(phase, match.expand(detail) if "\\" in detail else detail)


def _shards(match: Match[str]) -> Stage:
    done, total, left = int(match[2]), int(match[3]), match[5]
    eta = "" if "?" in left else left
    return Stage(Phase.WEIGHTS, f"{match[1]}% of the weights loaded", done, total, eta)


def _graphs(match: Match[str]) -> Stage:
    done, total = int(match[2]), int(match[3])
    return Stage(Phase.GRAPH, f"batch size {match[1]} compiled", done, total)


# The table of the facts (launch.md, "Signs of progress"), in order; the first that matches counts.
_SIGNS: tuple[tuple[str, _Make], ...] = (
    (r"Platform plugin ascend is activated", _fixed(Phase.PYTHON, "Python is up")),
    (r"vLLM API server version (\S+)", _fixed(Phase.PYTHON, r"vLLM \1, API server starting")),
    (
        r"Launching (\d+) data parallel engine\(s\) in headless mode, "
        r"with head node address (\S+?)\.?(?:\s|$)",
        _fixed(Phase.PYTHON, r"headless, node 0 is \2"),
    ),
    (r"Started DP Coordinator process", _fixed(Phase.HANDSHAKE, "coordinator started")),
    (
        r"Waiting for init message from front-end",
        _fixed(Phase.HANDSHAKE, "waits for node 0's front-end"),
    ),
    (r"Initializing a V1 LLM engine", _fixed(Phase.HANDSHAKE, "engine configured")),
    (
        r"Adjusting world_size=(\d+) rank=(\d+) distributed_init_method=(\S+) for DP",
        _fixed(Phase.RANKS, r"rank \2 of \1 meets the others at \3"),
    ),
    (
        r"rank (\d+) in world size (\d+) is assigned as DP rank (\d+)",
        _fixed(Phase.RANKS, r"rank \1 of \2 is DP rank \3"),
    ),
    (r"Starting to load model (.+?)\.\.\.", _fixed(Phase.WEIGHTS, r"loading \1")),
    (
        r"(\d+)% Completed \| (\d+)/(\d+) \[([\d:]+)<([\d:?]+),\s+([\d.?]+)\s*(it/s|s/it)",
        _shards,
    ),
    (r"Loading model weights took ([\d.]+) GB", _fixed(Phase.WEIGHTS, r"\1 GB loaded per NPU")),
    (r"Loading weights took ([\d.]+) seconds", _fixed(Phase.WEIGHTS, r"loaded in \1 s")),
    (
        r"GPU KV cache size: ([\d,]+) tokens",
        _fixed(Phase.KV_CACHE, r"room for \1 tokens"),
    ),
    (
        r"Capturing torchair graph, this usually takes ([\d.]+)~([\d.]+) mins",
        _fixed(Phase.GRAPH, r"capturing, usually \1 to \2 min"),
    ),
    (r"Batchsize (\d+) is compiled successfully: (\d+)/(\d+)", _graphs),
    (r"Graph capturing finished in (\d+) secs", _fixed(Phase.GRAPH, r"captured in \1 s")),
    (r"Capturing ACL graphs.*?(\d+)%", _fixed(Phase.GRAPH, r"\1% captured")),
    (
        r"init engine \(profile, create kv cache, warmup model\) took ([\d.]+) seconds",
        _fixed(Phase.ENGINE, r"engine ready after \1 s"),
    ),
    (
        r"Waiting for READY message from DP Coordinator",
        _fixed(Phase.ENGINE, "this node is done, waits for the others"),
    ),
    (
        r"All engine subscriptions received by DP coordinator",
        _fixed(Phase.ENGINE, "every rank has reported to node 0"),
    ),
    (r"Application startup complete", _fixed(Phase.READY, "API server is up")),
)
_COMPILED = tuple((re.compile(pattern), make) for pattern, make in _SIGNS)
SIGNS = tuple(pattern for pattern, _ in _COMPILED)  # in order; for whoever looks for them quickly

# A text that every line of a sign contains, in the order of the signs: whether a batch of lines
# holds one costs a thousandth of searching each of its lines for each sign.
MARKS: tuple[bytes, ...] = (
    b"Platform plugin ascend",
    b"vLLM API server version",
    b"in headless mode",
    b"Started DP Coordinator",
    b"Waiting for init message",
    b"Initializing a V1 LLM engine",
    b"distributed_init_method=",
    b"is assigned as DP rank",
    b"Starting to load model",
    b"% Completed | ",
    b"Loading model weights took",
    b"Loading weights took",
    b"GPU KV cache size",
    b"Capturing torchair graph",
    b"is compiled successfully",
    b"Graph capturing finished",
    b"Capturing ACL graphs",
    b"init engine (profile",
    b"Waiting for READY message",
    b"All engine subscriptions",
    b"Application startup complete",
)


def marked(batch: bytes) -> list[bytes]:
    """Return the texts of signs that a batch of lines holds, mostly none."""
    return [mark for mark in MARKS if mark in batch]


def strip_ansi(text: str) -> str:
    """Return ``text`` without colours and other escape sequences."""
    return _ANSI.sub("", text)


def recognise(line: str) -> Stage | None:
    """Return the stage that one line stands for, or None when it is no sign of progress."""
    for pattern, make in _COMPILED:
        match = pattern.search(line)
        if match:
            return make(match)
    return None


class StageParser:
    """Follows one node through its log. Phases never go back: late lines of slower processes on
    the same node (16 workers write into one log) do not undo what a faster one has reached.
    """

    def __init__(self) -> None:
        self.stage = Stage(Phase.CONTAINER, "the container runs")

    def feed(self, line: str) -> Stage | None:
        """Read one line, with or without colours and ``\\r``; return the stage if it changed."""
        before = self.stage
        for part in strip_ansi(line).split("\r"):
            found = recognise(part)
            if found is not None:
                self._take(found)
        return self.stage if self.stage != before else None

    def _take(self, found: Stage) -> None:
        now = self.stage
        if found.phase < now.phase:
            return
        if found.phase == now.phase and now.total is not None:
            if found.total is None:
                # "loaded" after the bar: keep the count, it is what people look at
                found = Stage(found.phase, found.detail, now.done, now.total, "")
            elif (found.done or 0) < (now.done or 0) and found.total == now.total:
                return  # another worker of this node, further behind
        self.stage = found
