"""What a served model does: vLLM's own figures from ``/metrics``, per engine and in sum. Pure.

Counters only ever grow, so that speed is the difference of two looks; a counter that fell belongs
to a server that was started anew, and then no speed is known. The share of the KV cache in use was
called ``gpu_cache_usage_perc`` before it became ``kv_cache_usage_perc``; both are read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_LINE = re.compile(r"vllm:(\w+)(?:\{([^}]*)\})? ([0-9.eE+-]+|NaN|[+-]?Inf)(?:\s|$)", re.ASCII)
_ENGINE = re.compile(r'(?:^|,)engine="(\d{1,4})"', re.ASCII)
_FIELDS = {
    "num_requests_running": "running",
    "num_requests_waiting": "waiting",
    "kv_cache_usage_perc": "kv_use",
    "gpu_cache_usage_perc": "kv_use",
    "generation_tokens_total": "generated",
    "prompt_tokens_total": "prompted",
    "time_to_first_token_seconds_sum": "first_token_s",
    "time_to_first_token_seconds_count": "first_tokens",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One look: the figures of each engine by name, and when (monotonic seconds)."""

    at: float
    engines: Mapping[int, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class EngineLoad:
    """What one engine, or all together, does.

    Attributes:
        running, waiting: requests.
        kv_use: share of the KV cache in use, 0 to 1; of several engines the fullest one's.
        tokens_s, prompt_tokens_s: tokens generated and read per second since the look before;
            None when it is not known yet.
        first_token_s: mean wait for the first token since the look before, or None.
    """

    running: int = 0
    waiting: int = 0
    kv_use: float | None = None
    tokens_s: float | None = None
    prompt_tokens_s: float | None = None
    first_token_s: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it for scripts."""
        return {
            "running": self.running,
            "waiting": self.waiting,
            "kv_use": _round(self.kv_use),
            "tokens_s": _round(self.tokens_s),
            "prompt_tokens_s": _round(self.prompt_tokens_s),
            "first_token_s": _round(self.first_token_s),
        }

    def words(self) -> str:
        """Return it for people, the most important first."""
        parts = [f"{self.running} running", f"{self.waiting} waiting"]
        if self.kv_use is not None:
            parts.append(f"KV cache {100 * self.kv_use:.1f} %")
        if self.tokens_s is not None:
            parts.append(f"{self.tokens_s:.1f} tokens/s")
        if self.first_token_s is not None:
            parts.append(f"first token {self.first_token_s:.2f} s")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Load:
    """What the model does: in sum, and per engine (data-parallel rank)."""

    total: EngineLoad
    engines: Mapping[int, EngineLoad] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return it for scripts."""
        engines = [{"engine": n, **load.to_json()} for n, load in sorted(self.engines.items())]
        return {**self.total.to_json(), "engines": engines}


def parse(text: str, at: float) -> Sample:
    """Read an answer of ``/metrics`` that came at ``at``; lines of other things are left out."""
    engines: dict[int, dict[str, float]] = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        name = _FIELDS.get(match[1]) if match is not None else None
        if match is None or name is None:
            continue
        value = float(match[3])
        if not math.isfinite(value):
            continue
        label = _ENGINE.search(match[2] or "")
        values = engines.setdefault(int(label[1]) if label else 0, {})
        if name == "kv_use":
            values[name] = max(values.get(name, 0.0), value)
        else:  # the same engine may serve several names
            values[name] = values.get(name, 0.0) + value
    return Sample(at, engines)


def load(sample: Sample, before: Sample | None = None) -> Load | None:
    """Return what the model does by the last look and the one before it; None without figures."""
    if not sample.engines:
        return None
    engines = {}
    for engine, values in sample.engines.items():
        earlier = before.engines.get(engine) if before is not None else None
        seconds = sample.at - before.at if before is not None else 0.0
        engines[engine] = _engine(values, earlier, seconds)
    each = list(engines.values())
    uses = [load.kv_use for load in each if load.kv_use is not None]
    total = EngineLoad(
        sum(load.running for load in each),
        sum(load.waiting for load in each),
        max(uses, default=None),
        _sum([load.tokens_s for load in each]),
        _sum([load.prompt_tokens_s for load in each]),
        _first_token(sample, before),
    )
    return Load(total, engines)


def _engine(
    values: Mapping[str, float], earlier: Mapping[str, float] | None, seconds: float
) -> EngineLoad:
    return EngineLoad(
        int(values.get("running", 0)),
        int(values.get("waiting", 0)),
        values.get("kv_use"),
        _speed(values, earlier, "generated", seconds),
        _speed(values, earlier, "prompted", seconds),
        _mean(_grown(values, earlier, "first_token_s"), _grown(values, earlier, "first_tokens")),
    )


def _grown(
    values: Mapping[str, float], earlier: Mapping[str, float] | None, name: str
) -> float | None:
    if earlier is None or name not in values or name not in earlier:
        return None
    grown = values[name] - earlier[name]
    return grown if grown >= 0 else None


def _speed(
    values: Mapping[str, float], earlier: Mapping[str, float] | None, name: str, seconds: float
) -> float | None:
    grown = _grown(values, earlier, name)
    return grown / seconds if grown is not None and seconds > 0 else None


def _first_token(sample: Sample, before: Sample | None) -> float | None:
    """Return the mean over all engines, each counting as often as it began an answer."""
    total = count = 0.0
    for engine, values in sample.engines.items():
        earlier = before.engines.get(engine) if before is not None else None
        waited = _grown(values, earlier, "first_token_s")
        times = _grown(values, earlier, "first_tokens")
        if waited is not None and times is not None:
            total, count = total + waited, count + times
    return _mean(total, count)


def _mean(total: float | None, count: float | None) -> float | None:
    return total / count if total is not None and count else None


def _sum(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
