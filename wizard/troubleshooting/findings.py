"""Findings: what the bad cells of a board amount to, root causes first. Pure.

A cell that follows from another problem of the same device (no ping over a link that is down) is
not a finding of its own: it is counted under its cause, as ``because``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from wizard.checks.board import Board
from wizard.checks.mesh import Device, Place, read_pings
from wizard.checks.model import SEVERITY, CellKey, Result, Status
from wizard.checks.problems import CONNECTION, Problem
from wizard.cluster import Cluster
from wizard.troubleshooting.context import Context
from wizard.troubleshooting.runbook import runbook
from wizard.wording import spans

# whole nodes: every cell of the node says the same, and the node is named once
_NODE_WIDE = CONNECTION | {
    Problem.CANCELLED,
    Problem.TOOL_MISSING,
    Problem.TOOL_BROKEN,
    Problem.PERMISSION,
    Problem.BUSY,
    Problem.COMMAND_MISSING,
}
# what is wrong with a device and explains bad answers elsewhere; the first that holds is its cause
_ROOTS = (
    Problem.NOT_RESPONDING,
    Problem.NO_DEVICE,
    Problem.OPTIC_MISSING,
    Problem.OPTIC_NO_LIGHT,
    Problem.LINK_DOWN,
    Problem.NO_IP,
    Problem.IP_DUPLICATE,
    Problem.GATEWAY_OUTSIDE,
    Problem.GATEWAY_MISSING,
    Problem.VNIC_DOWN,
)
_FOLLOWS = {
    Problem.NOT_RESPONDING: {"*"},
    Problem.NO_DEVICE: {"*"},
    Problem.OPTIC_MISSING: {"link", "lldp", "net_health", "ping"},
    Problem.OPTIC_NO_LIGHT: {"link", "lldp", "net_health", "ping"},
    Problem.LINK_DOWN: {"lldp", "net_health", "ping"},
    Problem.NO_IP: {"net_health", "netdetect", "gateway", "ping"},
    Problem.IP_DUPLICATE: {"net_health", "ping"},
    Problem.GATEWAY_OUTSIDE: {"net_health", "ping"},
    Problem.GATEWAY_MISSING: {"net_health", "ping"},
    Problem.VNIC_DOWN: {"hccs_ping"},
}
_PINGS = {p for p in Problem if p.value.startswith(("ping-", "hccs-ping-"))}


@dataclass(slots=True)
class Finding:
    """One finding (contract.md).

    ``because`` names cells that this one explains; ``ignored`` says why it is ignored, if it is;
    ``checks`` are those whose bad answers it rests on, and is not kept in reports.
    """

    id: str
    severity: str
    title: str
    where: list[dict[str, Any]]
    causes: list[str]
    next: list[dict[str, str]]
    fixes: list[dict[str, Any]]
    because: list[dict[str, Any]] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    checks: frozenset[str] = field(default=frozenset(), compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return the finding as the contract has it; ``explains`` counts by check."""
        explains = Counter(cell["check"] for cell in self.because)
        return {
            "id": self.id,
            "severity": self.severity,
            "title": self.title,
            "where": self.where,
            "causes": self.causes,
            "next": self.next,
            "fixes": self.fixes,
            "explains": dict(explains),
            "ignored": self.ignored,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Finding:
        """Return the finding that :meth:`to_json` wrote; of ``because`` it knows only checks."""
        because = [{"check": c} for c, count in data["explains"].items() for _ in range(count)]
        own = {name: value for name, value in data.items() if name != "explains"}
        return cls(**own, because=because)

    @property
    def consequences(self) -> str:
        """What it explains, counted: ``3 ping, 1 net_health``; "" when nothing follows."""
        counts = Counter(cell["check"] for cell in self.because)
        return ", ".join(f"{count} {check}" for check, count in counts.most_common())


@dataclass(slots=True)
class _Group:
    """What becomes one finding: a problem, where it occurs, by what, and what it explains."""

    severity: Status = Status.WARN
    places: dict[Place, None] = field(default_factory=dict)
    explained: list[Result] = field(default_factory=list)
    checks: set[str] = field(default_factory=set)

    def add(self, result: Result, *places: Place) -> None:
        self.severity = max(self.severity, result.status, key=SEVERITY.index)
        self.places.update(dict.fromkeys(places))
        self.checks.add(result.key.check)


def findings(
    board: Board, cluster: Cluster, softened: Collection[CellKey] = frozenset()
) -> list[Finding]:
    """Return what is wrong, worst first; equal problems of many devices are one finding.

    ``softened`` names failures that stand as warnings on the board, because they are ignored.
    """
    bad = [r for r in board if r.status in (Status.WARN, Status.FAIL, Status.ERROR)]
    context = Context(board, cluster)
    groups: dict[tuple[str, Status], _Group] = defaultdict(_Group)
    roots = _root_causes(bad, softened)
    unexplained: list[Result] = []
    for result in bad:
        root = _cause(result, roots, board)
        if root is not None:
            groups[_group_key(_problem(root), root.status)].explained.append(result)
        elif _problem(result) in _PINGS:
            unexplained.append(result)
        else:
            for problem, place in _symptoms(result):
                groups[_group_key(problem, result.status)].add(result, place)
    for reading in read_pings(board, unexplained, _suspects(groups)):
        group = groups[_group_key(reading.problem, Status.FAIL)]
        cells = [cell for key in reading.cells if (cell := board.get(key)) is not None]
        for cell in cells:
            group.add(cell)
        group.places.update(dict.fromkeys(reading.culprits))
        group.explained += [c for c in cells if (c.key.node, c.key.device) not in reading.culprits]
    found = [
        _finding(problem, group, context) for (problem, _), group in groups.items() if group.places
    ]
    order = list(Problem)
    found.sort(key=lambda f: (-SEVERITY.index(Status(f.severity)), order.index(Problem(f.id))))
    return found


def explain(result: Result) -> str:
    """Say in one sentence what a cell's answer means; for the cell's detail on a screen."""
    entry = runbook().get(str(result.value.get("problem", "")))
    place = f"node {result.key.node}"
    if result.key.device is not None:
        place += f" device {result.key.device}"
    if result.key.peer_node is not None:
        place += f" to node {result.key.peer_node} device {result.key.peer_device}"
    if entry is None:
        return f"{place}: {result.summary}." if result.summary else f"{place}: no answer yet."
    told = _fill(entry.explain, {"place": place, "summary": result.summary.rstrip(".")})
    return _upper(told.replace("?.", "?"))


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _fill(template: str, values: dict[str, str]) -> str:
    # not str.format: runbook commands may hold braces of their own
    for name, value in values.items():
        template = template.replace("{" + name + "}", value)
    return template


def _problem(result: Result) -> str:
    return str(result.value.get("problem") or Problem.NOT_UNDERSTOOD)


def _group_key(problem: str, status: Status) -> tuple[str, Status]:
    """Warnings are kept apart from failures of the same name; errors are not."""
    return problem, Status.WARN if status is Status.WARN else Status.FAIL


def consequences(board: Board, cluster: Cluster) -> dict[CellKey, CellKey]:
    """Return the bad cells that only follow from another one: by key, the key of that one."""
    bad = [r for r in board if r.status in (Status.WARN, Status.FAIL, Status.ERROR)]
    roots = _root_causes(bad)
    found = {}
    for result in bad:
        root = _cause(result, roots, board)
        if root is not None:
            found[result.key] = root.key
    return found


def _root_causes(
    bad: Iterable[Result], softened: Collection[CellKey] = frozenset()
) -> dict[Device, Result]:
    found: dict[Device, Result] = {}
    for result in bad:
        problem, device = _problem(result), result.key.device
        if device is None or result.key.peer_node is not None or problem not in _ROOTS:
            continue
        if result.status is Status.WARN and result.key not in softened:
            continue  # what only warns explains no failure
        new, place = Problem(problem), (result.key.node, device)
        if place not in found or _ROOTS.index(new) < _ROOTS.index(Problem(_problem(found[place]))):
            found[place] = result
    return found


def _cause(result: Result, roots: dict[Device, Result], board: Board) -> Result | None:
    """Return the cell of a device, or of a peer's node, that explains this cell, or None."""
    key = result.key
    if _problem(result) == Problem.PING_NO_ADDRESS:
        asked = "vnic" if key.check == "hccs_ping" else "ip"
        source = board.get(CellKey(key.peer_node or 0, key.peer_device, asked))
        if source is not None and source.value.get("problem"):
            return roots.get((source.key.node, source.key.device or 0), source)
    ends = [(key.node, key.device), (key.peer_node, key.peer_device)]
    for node, device in ends:
        if node is None or device is None or (node, device) not in roots:
            continue
        root = roots[node, device]
        problem = Problem(_problem(root))
        if _problem(result) == problem and key.peer_node is None:
            return None  # it is the root itself
        if key.check in _FOLLOWS[problem] or "*" in _FOLLOWS[problem]:
            return root
    return None


def problems_of(result: Result) -> list[tuple[str, int | None]]:
    """Return what a bad cell says is wrong, each with its NPU (None: the node as a whole)."""
    listed = result.value.get("problems")
    if listed:
        return [(entry["problem"], entry["device"]) for entry in listed]
    return [(_problem(result), result.key.device)]


def _symptoms(result: Result) -> list[tuple[str, Place]]:
    """Return what a cell says is wrong, and where; what is wrong with a whole node, only once."""
    return [
        (problem, (result.key.node, None if problem in _NODE_WIDE else device))
        for problem, device in problems_of(result)
    ]


def _suspects(groups: dict[tuple[str, Status], _Group]) -> set[Device]:
    """Return the devices that something else than a ping speaks against."""
    return {
        (node, device)
        for (_, status), group in groups.items()
        if status is Status.FAIL
        for node, device in group.places
        if device is not None
    }


def _finding(problem: str, group: _Group, context: Context) -> Finding:
    entry = runbook()[problem]
    places = sorted(group.places, key=lambda p: (p[0], -1 if p[1] is None else p[1]))
    steps: dict[str, str] = {}
    fixes: list[dict[str, Any]] = []
    for node, device in places:
        values = context.values(node, device)
        for step in entry.next:
            command = _fill(step.command, values)
            if "{" not in command:
                steps.setdefault(command, step.why)
        for fix in entry.fixes:
            command = _fill(fix.command, values)
            if "{" not in command:
                fixes.append(
                    {"command": command, "node": node, "device": device, "risk": fix.risk}
                    | {"why": fix.why}
                )
    return Finding(
        id=problem,
        severity=group.severity.value,
        title=_fill(entry.title, {"where": where_text(places)}),
        where=[{"node": node, "device": device} for node, device in places],
        causes=list(entry.causes),
        next=[{"command": command, "why": why} for command, why in steps.items()],
        fixes=fixes,
        because=[_cell(result.key) for result in group.explained],
        checks=frozenset(group.checks),
    )


def _cell(key: CellKey) -> dict[str, Any]:
    return {name: value for name, value in key._asdict().items() if value is not None}


def where_text(places: Iterable[Place]) -> str:
    """Name places for people, shortly: ``nodes 0-3; node 4 devices 1, 3-5``."""
    by_node: dict[int, list[int]] = {}
    for node, device in places:
        devices = by_node.setdefault(node, [])
        if device is not None:
            devices.append(device)
    whole = [node for node, devices in by_node.items() if not devices]
    named = [_plural("node", whole)] if whole else []
    named += [f"node {n} {_plural('device', d)}" for n, d in by_node.items() if d]
    return "; ".join(named)


def _plural(word: str, numbers: list[int]) -> str:
    return f"{word}{'s' if len(numbers) > 1 else ''} {spans(numbers)}"
