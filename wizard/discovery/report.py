"""What all nodes said, as text and as JSON (pure)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from wizard.discovery import words
from wizard.discovery.addresses import Own, own
from wizard.discovery.disagreement import Disagreement
from wizard.discovery.facts import NodeFacts

if TYPE_CHECKING:
    from wizard.presets import Preset

SCHEMA = "v32-wizard/discovery/1"
_TITLES = ("node", "host", "host name", "NPUs", "arch", "driver", "address, NIC", "runtime", "free",
           "clock", "weights")  # fmt: skip


def owns(facts: Mapping[int, NodeFacts], preset: Preset) -> dict[int, Own]:
    """Return every node's own address and interface, with what the preset says of them."""
    head = preset.nodes[0].host
    return {
        rank: own(
            f,
            None if rank == 0 else head,
            local_ip=preset.nodes[rank].local_ip,
            nic=preset.nodes[rank].nic,
        )
        for rank, f in facts.items()
    }


def to_text(
    facts: Mapping[int, NodeFacts],
    errors: Mapping[int, str],
    items: Sequence[Disagreement],
    preset: Preset,
) -> str:
    """Return a table of the nodes, why some did not answer, and what does not fit."""
    mine = owns(facts, preset)
    rows = [list(_TITLES)]
    for rank, spec in enumerate(preset.nodes):
        f = facts.get(rank)
        row = [str(rank), spec.host]
        if f is not None:
            row += [
                words.known(f.hostname),
                words.npus(f),
                words.known(f.arch),
                words.known(f.driver or f.npu_smi),
                words.address(mine[rank], " "),
                words.best_runtime(f),
                words.room(f),
                words.clock(f),
                words.weights(f, preset.precision),
            ]
        else:
            row += ["NOT ANSWERED"] + [""] * (len(_TITLES) - 3)
        rows.append(row)
    widths = [max(len(row[n]) for row in rows) for n in range(len(_TITLES))]
    lines = [
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    lines += [f"ERROR   {text}" for _, text in sorted(errors.items())]
    lines += [f"{i.severity.upper():<8}{i.text} {i.right}" for i in items]
    return "\n".join(lines) + "\n"


def to_json(
    facts: Mapping[int, NodeFacts],
    errors: Mapping[int, str],
    items: Sequence[Disagreement],
    preset: Preset,
) -> str:
    """Return the same for programs; ``null`` is what is not known."""
    mine = owns(facts, preset)
    nodes: list[dict[str, Any]] = []
    for rank, spec in enumerate(preset.nodes):
        node: dict[str, Any] = {"node": rank, "host": spec.host, "error": errors.get(rank)}
        if (f := facts.get(rank)) is not None:
            node |= {"series": f.series, "local_ip": mine[rank].local_ip, "nic": mine[rank].nic}
            node["facts"] = asdict(f)
        nodes.append(node)
    report = {
        "schema": SCHEMA,
        "preset": preset.name,
        "nodes": nodes,
        "disagreements": [asdict(item) for item in items],
    }
    return json.dumps(report, indent=2, ensure_ascii=False) + "\n"
