"""What changed between two runs of the checks on the same nodes. Pure.

Compared are two reports (``v32-wizard/check-report/1``), cell by cell; a cell that only one of
them has says nothing. Answers of one status are compared too where the answer is a fact that
should stay: an address, a switch port, a version.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from wizard.checks.model import SEVERITY, CellKey, Status
from wizard.troubleshooting.findings import where_text

Report = Mapping[str, Any]

WORSE, FIXED, FLAPPED, CHANGED, LOST = "worse", "fixed", "flapped", "changed", "lost"
KINDS = (WORSE, FLAPPED, LOST, CHANGED, FIXED)  # in the order in which they are told
_WORDS = {
    WORSE: "worse",
    FLAPPED: "flapped",
    LOST: "not known any more",
    CHANGED: "changed",
    FIXED: "now fixed",
}
# check → names in ``value`` of the facts that should stay from run to run
_FACTS: Mapping[str, tuple[str, ...]] = {
    "link": ("link",),
    "net_health": ("net_health",),
    "lldp": ("port",),
    "ip": ("address",),
    "gateway": ("gateway",),
    "netdetect": ("netdetect",),
    "tls": ("tls", "switch", "enabled"),
    "driver": ("driver", "version"),
    "devices": ("devices", "count"),
    "image": ("image", "id"),
    "arch": ("arch", "machine"),
}
_BAD = (Status.WARN, Status.FAIL)


@dataclass(frozen=True, slots=True)
class Change:
    """One cell that is otherwise than in the run before.

    Attributes:
        key: the cell.
        kind: one of ``KINDS``.
        before, after: the answers in words (``UP``, ``DOWN``), or the statuses.
        summary: what the new run says of the cell.
        count: how many new DOWN records a flapping link has; 0 for other kinds.
    """

    key: CellKey
    kind: str
    before: str
    after: str
    summary: str = ""
    count: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the change as reports have it."""
        key: dict[str, Any] = {**self.key._asdict()}
        if self.key.peer_node is None:
            del key["peer_node"], key["peer_device"]
        more = {"new_down_records": self.count} if self.kind == FLAPPED else {}
        return {
            **key,
            "kind": self.kind,
            "before": self.before,
            "after": self.after,
            "summary": self.summary,
            **more,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Change:
        """Return the change that :meth:`to_json` wrote."""
        return cls(
            key_of(data),
            data["kind"],
            data["before"],
            data["after"],
            data["summary"],
            data.get("new_down_records", 0),
        )


@dataclass(frozen=True, slots=True)
class Since:
    """What changed since an earlier run, which is named by its id (UTC)."""

    run: str
    changes: tuple[Change, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as reports have it."""
        return {"run": self.run, "changes": [change.to_json() for change in self.changes]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Since:
        """Return what :meth:`to_json` wrote."""
        return cls(data["run"], tuple(Change.from_json(change) for change in data["changes"]))

    @property
    def title(self) -> str:
        """When that run was, and how much changed: ``Since 2026-01-31 12:00 UTC: 1 worse``."""
        when = f"{self.run[:4]}-{self.run[4:6]}-{self.run[6:8]} {self.run[9:11]}:{self.run[11:13]}"
        return f"Since {when} UTC: {headline(self.changes)}"


def key_of(cell: Mapping[str, Any]) -> CellKey:
    """Return the key of a cell as reports write it."""
    return CellKey(
        cell["node"], cell["device"], cell["check"], cell.get("peer_node"), cell.get("peer_device")
    )


def compare(old: Report, new: Report) -> list[Change]:
    """Return what is otherwise in ``new`` than in ``old``, in the order in which to tell it."""
    before = {key_of(cell): cell for cell in old["results"]}
    found = []
    for cell in new["results"]:
        key = key_of(cell)
        if key in before:
            found += _changes(key, before[key], cell)
    # a ping is more often a consequence than a cause
    found.sort(key=lambda c: (KINDS.index(c.kind), c.key.peer_node is not None))
    return found


def _changes(key: CellKey, old: Report, new: Report) -> list[Change]:
    found = []
    if (flaps := new_downs(old["value"], new["value"])) and key.check == "link_stat":
        text = f"{flaps} new DOWN record{'s' if flaps > 1 else ''}"
        found.append(Change(key, FLAPPED, "", text, new["summary"], flaps))
    kind = _kind(_status(old), _status(new))
    facts = _facts(key.check, old), _facts(key.check, new)
    known = all(facts) and facts[0] != facts[1]
    if kind or (known and not found):
        words = facts if known else (_status(old).value, _status(new).value)
        if not (kind == WORSE and found):  # that a link flapped is what made it worse
            found.append(Change(key, kind or CHANGED, *words, new["summary"]))
    return found


def _status(cell: Report) -> Status:
    """Return what the cell's status would be without ignores."""
    ignored = cell.get("ignored")
    return Status(ignored["status"] if ignored else cell["status"])


def _kind(old: Status, new: Status) -> str:
    if not (old.final and new.final) or Status.SKIPPED in (old, new):
        return ""
    if new is Status.ERROR or old is Status.ERROR:
        if new is old:
            return ""
        return LOST if new is Status.ERROR else WORSE if new is Status.FAIL else ""
    if SEVERITY.index(new) > SEVERITY.index(old):
        return WORSE
    if old in _BAD and new is Status.PASS:
        return FIXED
    return CHANGED if new is not old else ""


def _facts(check: str, cell: Report) -> str:
    value = cell["value"]
    for name in _FACTS.get(check, ()):
        if value.get(name) not in (None, "", [], {}):
            return str(value[name])
    return ""


def new_downs(old: Mapping[str, Any], new: Mapping[str, Any]) -> int:
    """Return how many times a link went down between two answers of ``link_stat``.

    The count starts anew when the NPU was reset: what it shows then is all new.
    """
    before, after = old.get("down"), new.get("down")
    if not isinstance(before, int) or not isinstance(after, int):
        return 0
    return after - before if after >= before else after


def told(changes: Iterable[Change]) -> list[tuple[str, str]]:
    """Return changes for people as (kind, line); equal ones of many devices are one line.

    A line reads ``node 2 device 5 link: UP → DOWN``.
    """
    groups: dict[tuple[str, str, str, str], list[CellKey]] = defaultdict(list)
    for change in changes:
        groups[change.kind, change.key.check, change.before, change.after].append(change.key)
    lines = []
    for (kind, check, before, after), keys in groups.items():
        arrow = f"{before} → {after}" if before else after
        lines.append((kind, f"{_where(keys)} {check}: {arrow}"))
    return lines


def _where(keys: list[CellKey]) -> str:
    text = where_text(dict.fromkeys((key.node, key.device) for key in keys))
    pairs = [key for key in keys if key.peer_node is not None]
    if len(pairs) == 1:
        text += f" → node {pairs[0].peer_node} device {pairs[0].peer_device}"
    elif pairs:
        text += f", {len(pairs)} pairs,"
    return text


def headline(changes: Iterable[Change]) -> str:
    """Return how much changed in a few words: ``1 worse, 2 now fixed``."""
    counts: dict[str, int] = defaultdict(int)
    for change in changes:
        counts[change.kind] += 1
    words = [f"{counts[kind]} {_WORDS[kind]}" for kind in KINDS if counts[kind]]
    return ", ".join(words) or "nothing changed"
