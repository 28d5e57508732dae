"""Facts of a node in a few words, for a table's cells (pure)."""

from __future__ import annotations

from wizard.cluster import Precision
from wizard.discovery.addresses import Own
from wizard.discovery.facts import NodeFacts, Runtime
from wizard.discovery.quantities import size, span
from wizard.discovery.spread import best_weights


def known(value: str | None) -> str:
    """A value, or ``?`` for what is not known."""
    return value or "?"


def npus(f: NodeFacts) -> str:
    """Series and number of NPUs: ``A3 x16``."""
    if f.devices is None:
        return "?"
    return f"{f.series or f.named_series or '?'} x{f.devices}"


def best_runtime(f: NodeFacts) -> str:
    """Docker where the node has it, in whatever state; else the engine that is most of use."""
    order = {"up": 0, "denied": 1, "down": 2}
    best = sorted(f.runtimes, key=lambda r: (r.name != "docker", order.get(r.state or "", 3)))
    return runtime(best[0]) if best else "none"


def runtime(engine: Runtime) -> str:
    """An engine in words: ``docker 24.0.7``, ``docker DOWN``."""
    words = {"down": "DOWN", "denied": "DENIED", None: "?"}
    return f"{engine.name} {words.get(engine.state, engine.version or '?')}"


def clock(f: NodeFacts) -> str:
    """How far its clock is ahead of ours."""
    if f.clock is None:
        return "?"
    ahead = f.clock.offset
    if abs(ahead) < 100:
        return f"{ahead:+.1f} s"
    return f"{'+' if ahead > 0 else '-'}{span(abs(ahead))}"


def weights(f: NodeFacts, precision: Precision) -> str:
    """The best weights found: ``BF16 whole``, ``BF16 161/163``, ``none``."""
    found = best_weights(f, precision)
    if found is None:
        return "?" if f.hidden else "none"
    kind = found.precision.label if found.precision else found.method.upper() or "?"
    if found.complete:
        return f"{kind} whole"
    return f"{kind} {found.shards}/{found.expected or '?'}"


def room(f: NodeFacts) -> str:
    """Free space where images are kept, or on the system's disk."""
    space = f.runtime_space or f.root_space
    return size(space.free) if space else "?"


def address(own: Own | None, between: str) -> str:
    """Address and interface."""
    if own is None or not (own.local_ip or own.nic):
        return "?"
    return f"{known(own.local_ip)}{between}{known(own.nic)}"
