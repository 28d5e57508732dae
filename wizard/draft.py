"""The answers of one wizard run, as typed: they may be incomplete or wrong, and are never lost.

A draft becomes a preset when it is asked for; until then it is kept exactly as the user left it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from wizard.cluster import Precision, Series
from wizard.hostlist import is_bracketed

_ADDRESS = re.compile(r"(?:(?P<user>[^@\s]+)@)?(?P<host>\[[^\]\s]+\]|[^@:\s]+)(?::(?P<port>\d+))?")
_NODE_KEY = re.compile(r"nodes\[(\d{1,4})\]\.(\w+)")


def node_key(key: str) -> tuple[int, str] | None:
    """Split a preset's key such as ``nodes[1].nic`` into rank and name; None if it is none."""
    match = _NODE_KEY.fullmatch(key)
    return (int(match[1]), match[2]) if match else None


@dataclass
class DraftNode:
    """One node as typed. ``address`` is ``host``, ``user@host`` or ``user@host:port``.

    An IPv6 address that is followed by a port stands in brackets. The other fields mean what the
    preset's keys of the same name mean; "" leaves a key out.

    ``found_ip`` and ``found_nic`` are what the node itself said; they stand in for what is not
    typed, and only for the way to the node that they were found by (``found_by``). They are no
    answers of the user, so two nodes that differ in them alone are equal.
    """

    address: str = ""
    identity_file: str = ""
    jump: str = ""
    known_hosts: str = ""
    local_ip: str = ""
    nic: str = ""
    found_ip: str = field(default="", compare=False)
    found_nic: str = field(default="", compare=False)
    found_by: str = field(default="", compare=False)

    @property
    def way(self) -> str:
        """What tells which machine it is: user, host, port and jump host."""
        return " ".join((*self.parts, self.jump.strip()))

    @property
    def found(self) -> tuple[str, str]:
        """Address and interface as the node said; ("", "") once the way to it was changed."""
        return (self.found_ip, self.found_nic) if self.found_by == self.way else ("", "")

    def note_found(self, local_ip: str | None, nic: str | None) -> None:
        """Keep what the node reached by the present way said."""
        self.found_ip, self.found_nic, self.found_by = local_ip or "", nic or "", self.way

    @property
    def parts(self) -> tuple[str, str, str]:
        """User, host and port as typed; ("", "", "") when the address cannot be read."""
        text = self.address.strip()
        if text.count(":") > 1 and "[" not in text and "@" not in text:
            return "", text, ""  # a bare IPv6 address
        match = _ADDRESS.fullmatch(text)
        if match is None:
            return "", "", ""
        host = match["host"]
        if is_bracketed(host):
            host = host[1:-1]
        return match["user"] or "", host, match["port"] or ""

    @property
    def problem(self) -> str:
        """What is wrong with the address in one sentence that says what would be right, or ""."""
        if not self.address.strip():
            return "This node has no address: type host, user@host or user@host:port."
        _, host, port = self.parts
        if not host:
            return "This address cannot be read: type host, user@host or user@host:port."
        if port and not 1 <= int(port) <= 65535:
            return f"Port {port} is out of range: type a port from 1 to 65535."
        return ""

    def to_preset(self) -> dict[str, Any]:
        """Return the node as a preset holds it, with only the keys that were answered."""
        user, host, port = self.parts
        keys: dict[str, Any] = {"host": host}
        if port:
            keys["port"] = int(port)
        if user:
            keys["user"] = user
        for name in ("identity_file", "jump", "known_hosts", "local_ip", "nic"):
            if value := getattr(self, name).strip():
                keys[name] = value
        for name, value in zip(("local_ip", "nic"), self.found, strict=True):
            if value:
                keys.setdefault(name, value)
        return keys

    @classmethod
    def from_preset(cls, keys: Mapping[str, Any]) -> DraftNode:
        """Return the draft of a preset's node."""
        host, user, port = str(keys.get("host") or ""), keys.get("user"), keys.get("port")
        if ":" in host and (user or port):
            host = f"[{host}]"
        address = f"{user}@{host}" if user else host
        node = cls(f"{address}:{port}" if port else address)
        for name in ("identity_file", "jump", "known_hosts", "local_ip", "nic"):
            setattr(node, name, str(keys.get(name) or ""))
        return node


@dataclass
class Draft:
    """All answers. What a loaded preset says beyond them is carried along in ``extra``."""

    name: str = ""
    series: Series | None = None
    precision: Precision | None = None
    recipe: str = "guide"
    nodes: list[DraftNode] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)  # serve, container, strict_guide, patches
    typed: dict[str, str] = field(default_factory=dict)  # parameter → text that is no value of it

    @property
    def preset_name(self) -> str:
        """The name given, or one made from the hardware, as in ``a3-bf16``."""
        if self.name:
            return self.name
        return f"{self.series or 'new'}-{self.precision or 'draft'}".lower()

    def to_preset(self) -> dict[str, Any]:
        """Return the answers as the keys of a preset (contract.md); they may be invalid."""
        return {
            "version": 1,
            "name": self.preset_name,
            "series": str(self.series or ""),
            "precision": str(self.precision or ""),
            "recipe": self.recipe,
            "nodes": [node.to_preset() for node in self.nodes],
            **self.extra,
        }

    @classmethod
    def from_preset(cls, keys: Mapping[str, Any]) -> Draft:
        """Return the draft of a preset's keys."""
        known = {"version", "name", "series", "precision", "recipe", "nodes"}
        return cls(
            name=str(keys.get("name") or ""),
            series=Series(keys["series"]),
            precision=Precision(keys["precision"]),
            recipe=str(keys.get("recipe") or "guide"),
            nodes=[DraftNode.from_preset(node) for node in keys.get("nodes") or ()],
            extra={k: v for k, v in keys.items() if k not in known and v not in ({}, False)},
        )

    def to_state(self) -> dict[str, Any]:
        """Return the answers as typed, in plain types, for the autosave."""
        return {
            "name": self.name,
            "series": str(self.series or ""),
            "precision": str(self.precision or ""),
            "recipe": self.recipe,
            "nodes": [asdict(node) for node in self.nodes],
            "extra": self.extra,
            "typed": self.typed,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Draft:
        """Return the draft of an autosave.

        Raises:
            ValueError, TypeError: the state was not written by :meth:`to_state`.
        """
        names = {f.name for f in fields(DraftNode)}
        nodes = [
            DraftNode(**{k: str(v) for k, v in n.items() if k in names}) for n in state["nodes"]
        ]
        return cls(
            name=str(state.get("name", "")),
            series=Series(state["series"]) if state.get("series") else None,
            precision=Precision(state["precision"]) if state.get("precision") else None,
            recipe=str(state.get("recipe", "guide")),
            nodes=nodes,
            extra=dict(state.get("extra") or {}),
            typed={str(k): str(v) for k, v in (state.get("typed") or {}).items()},
        )
