"""Verdicts on whole nodes: against what the preset needs, and against the other nodes. Pure.

As in :mod:`wizard.checks.verdicts`, each rule returns the cells whose verdict it changes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import replace
from statistics import median
from typing import Any, TypeVar

from wizard.checks.expectations import FILES, Expectations
from wizard.checks.model import CellKey, Result, Status
from wizard.checks.problems import Problem
from wizard.cluster import Cluster, Node, Precision, Series

Results = Mapping[CellKey, Result]
Changed = dict[CellKey, Result]
K = TypeVar("K")
V = TypeVar("V", bound=Hashable)

SKEW_WARN_S, SKEW_FAIL_S = 5.0, 60.0
_OF_USE = (Problem.PORT_TAKEN, Problem.NPU_OCCUPIED)
_COMPARED = (".safetensors", ".json", ".py", ".model", ".txt")


def judge_nodes(answers: Results, cluster: Cluster, expect: Expectations) -> Changed:
    """Return the cells of whole nodes, and the ``tls`` cells, whose verdict changes."""
    changed: Changed = {}
    for key, result in answers.items():
        rule = _SINGLE.get(key.check)
        if rule is None or result.status not in (Status.PASS, Status.WARN):
            continue
        node = next(n for n in cluster.nodes if n.rank == key.node)
        found = rule(result, node, cluster, expect)
        if found is not None:
            changed[key] = found
    now = {**answers, **changed}
    for several in (_own_launch, _tls, _drivers, _weights_alike, _clocks):
        changed |= several(now)
    return changed


def outsiders(values: Mapping[K, V]) -> tuple[V | None, list[K]]:
    """Return the value of the majority, and who has another; without a majority all are named."""
    counts = Counter(values.values()).most_common(2)
    if len(counts) < 2:
        return None, []
    if counts[0][1] == counts[1][1]:
        return None, list(values)
    return counts[0][0], [key for key, value in values.items() if value != counts[0][0]]


def _fail(result: Result, problem: Problem, text: str, **value: Any) -> Result:
    new = {**result.value, **value, "problem": problem.value}
    return replace(result, status=Status.FAIL, summary=text, value=new)


# -- one node, against what it must be


def _devices(result: Result, _n: Node, cluster: Cluster, _e: Expectations) -> Result | None:
    have, need = set(result.value["devices"]), set(range(cluster.series.devices))
    if have == need:
        return None
    return _fail(result, Problem.NPU_MISSING, _lacking(have, need, cluster.series))


def _npus(result: Result, _n: Node, cluster: Cluster, _e: Expectations) -> Result | None:
    have = {int(name) for name in result.value["health"]}
    need = set(range(cluster.series.devices))
    if have == need:
        return None
    text = _lacking(have, need, cluster.series)
    return _fail(result, Problem.NPU_MISSING, f"npu-smi: {text}")


def _lacking(have: set[int], need: set[int], series: Series) -> str:
    lost = sorted(need - have)
    text = f"the node has {len(have)} NPUs, an {series.value} has {len(need)}"
    if lost and len(lost) < len(need) / 2:
        text += f": missing {', '.join(map(str, lost))}"
    return text


def _nic(result: Result, node: Node, _c: Cluster, _e: Expectations) -> Result | None:
    held: Mapping[str, str] = result.value["addresses"]
    own = node.local_ip or (node.host if node.host in held else None)
    if own is None:
        return replace(
            result,
            status=Status.SKIPPED,
            summary="the node's local_ip is not known yet",
            value={**result.value, "problem": Problem.NIC_WRONG.value},
        )
    holder = held.get(own)
    if holder is None:
        return _fail(result, Problem.NIC_WRONG, f"no interface of the node holds {own}")
    if node.nic and holder != node.nic:
        text = f"{own} is on {holder}, not on {node.nic} as the preset says"
        return _fail(result, Problem.NIC_WRONG, text)
    if own not in result.value["usable"]:
        text = f"{own} is on {holder}, by which no other node comes in"
        return _fail(result, Problem.NIC_WRONG, text)
    return replace(result, summary=f"{own} is on {holder}", value={**result.value, "nic": holder})


def _ports(result: Result, node: Node, _c: Cluster, expect: Expectations) -> Result | None:
    needed = expect.ports.get(node.rank, {})
    taken: Mapping[str, list[str]] = result.value["listening"]
    found = [f"{port} ({use})" for port, use in needed.items() if str(port) in taken]
    if found:
        return _fail(result, Problem.PORT_TAKEN, f"taken: {', '.join(found)}")
    names = ", ".join(map(str, needed)) or "no port is needed"
    return replace(result, summary=f"free: {names}" if needed else names)


def _mounts(result: Result, _n: Node, _c: Cluster, expect: Expectations) -> Result | None:
    kinds: Mapping[str, str] = result.value["kinds"]
    unread = [source for source in expect.mounts if source not in kinds]
    if unread:
        text = f"nothing was said of {', '.join(unread)}"
        value = {**result.value, "problem": Problem.NOT_UNDERSTOOD.value}
        return replace(result, status=Status.ERROR, summary=text, value=value)
    folders = [s for s in expect.mounts if s in FILES and kinds[s] == "directory"]
    if folders:
        text = f"a folder where a file must be: {', '.join(folders)}"
        return _fail(result, Problem.MOUNT_IS_DIRECTORY, text)
    return None


def _weights(result: Result, _n: Node, _c: Cluster, expect: Expectations) -> Result | None:
    if not expect.mounted:
        text = f"no mount of the container brings {expect.model} in"
        return _fail(result, Problem.WEIGHTS_NOT_MOUNTED, text)
    quantized = result.value["quantized"]
    if expect.precision is not None and quantized != (expect.precision is Precision.W8A8):
        have = Precision.W8A8 if quantized else Precision.BF16
        text = f"the weights are {have.label}, the preset says {expect.precision.label}"
        return _fail(result, Problem.WEIGHTS_PRECISION, text)
    return None


_SINGLE = {
    "devices": _devices,
    "npu_health": _npus,
    "nic": _nic,
    "ports": _ports,
    "mounts": _mounts,
    "weights": _weights,
}

# -- all together


def _good(answers: Results, check: str) -> Iterable[tuple[CellKey, Result]]:
    return ((k, r) for k, r in answers.items() if k.check == check and r.status is Status.PASS)


def _own_launch(answers: Results) -> Changed:
    """What our own launch uses is no fault to chase, though nothing else can start there now.

    Not a pass either: what something else may use beside it does not show.
    """
    changed: Changed = {}
    for key, runtime in _good(answers, "runtime"):
        if not runtime.value.get("ours"):
            continue
        for check in ("ports", "npu_idle"):
            used = answers.get(key._replace(check=check))
            if used is None or used.value.get("problem") not in _OF_USE:
                continue
            names = ", ".join(runtime.value["ours"])
            text = f"our own launch of this preset runs here ({names}): {used.summary}"
            value = {k: v for k, v in used.value.items() if k != "problems"}
            value["problem"] = Problem.OWN_LAUNCH.value
            changed[used.key] = replace(used, status=Status.WARN, summary=text, value=value)
    return changed


def _tls(answers: Results) -> Changed:
    """The switch must be equal on every device of every node."""
    states = {key: bool(r.value["tls"]) for key, r in _good(answers, "tls")}
    _, odd = outsiders(states)
    changed: Changed = {}
    for key in odd:
        alike = sum(state == states[key] for state in states.values())
        word, other = ("on", "off") if states[key] else ("off", "on")
        text = f"TLS is {word} here, and {other} on {len(states) - alike} of {len(states)} NPUs"
        changed[key] = _fail(answers[key], Problem.TLS_MIXED, text)
    return changed


def _drivers(answers: Results) -> Changed:
    versions = {key: str(r.value["driver"]) for key, r in _good(answers, "driver")}
    usual, odd = outsiders(versions)
    changed: Changed = {}
    for key in odd:
        others = usual or ", ".join(sorted(set(versions.values()) - {versions[key]}))
        text = f"driver {versions[key]}, the other nodes have {others}"
        changed[key] = _fail(answers[key], Problem.DRIVER_MIXED, text)
    return changed


def _weights_alike(answers: Results) -> Changed:
    """Equal by name and size on all nodes; what is not part of the model is not compared."""
    listed = {
        key: frozenset(
            (name, size)
            for name, size in r.value["files"].items()
            if name.endswith(_COMPARED) and not name.startswith(".")
        )
        for key, r in _good(answers, "weights")
    }
    usual, odd = outsiders(listed)
    changed: Changed = {}
    for key in odd:
        other = usual if usual is not None else next(f for f in listed.values() if f != listed[key])
        names = sorted({name for name, _ in listed[key] ^ other})
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        text = f"not as on the other nodes: {', '.join(names[:3])}{more}"
        changed[key] = _fail(answers[key], Problem.WEIGHTS_DIFFER, text)
    return changed


def _clocks(answers: Results) -> Changed:
    """Compare the nodes' clocks with each other; ours counts as one more, to find who is off."""
    offsets = {
        key: float(r.value["epoch"]) - float(r.value["seen_at"])
        for key, r in _good(answers, "clock")
        if "seen_at" in r.value
    }
    if not offsets:
        return {}
    middle = median([*offsets.values(), 0.0]) if len(offsets) > 1 else 0.0
    changed: Changed = {}
    for key, offset in offsets.items():
        off = offset - middle
        value = {**answers[key].value, "offset_s": round(offset, 3)}
        text = f"{abs(off):.1f} s {'ahead of' if off > 0 else 'behind'} the others"
        if len(offsets) < 2:
            summary = f"{offset:+.1f} s from our clock; no other node to agree with"
            changed[key] = replace(answers[key], summary=summary, value=value)
        elif abs(off) > SKEW_WARN_S:
            status = Status.FAIL if abs(off) > SKEW_FAIL_S else Status.WARN
            value["problem"] = Problem.CLOCK_SKEW.value
            changed[key] = replace(answers[key], status=status, summary=text, value=value)
        else:
            changed[key] = replace(answers[key], summary="agrees with the other nodes", value=value)
    return changed
