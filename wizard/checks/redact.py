"""Masks what names a place or a person in a report: addresses, hosts, users, serial numbers. Pure.

A name gets the same stand-in wherever it occurs, in every format, so that "the same address twice"
can still be seen: ``host-1``, ``ip-2.7`` (seventh address of the second /24 network), ``mac-3``,
``user-1``, ``serial-4``. Masks, 127.0.* and 0.0.0.0 say nothing about a place and stay.

It works on the JSON form, which all other formats are made from. Names are found in two passes:
what the preset and labelled fields of any output name is masked everywhere, labelled or not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv6Address
from typing import Any

_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|0?\d?\d|0\d\d)"
_V4 = re.compile(rf"(?<![\d.]){_OCTET}(?:\.{_OCTET}){{3}}(?!\d|\.\d)")
_V6 = re.compile(r"[0-9A-Fa-f]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*")  # what may be one
_MAC = re.compile(
    r"(?<![\w:-])(?:[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}"
    r"|[0-9A-Fa-f]{4}([.-])[0-9A-Fa-f]{4}\2[0-9A-Fa-f]{4})(?![\w:-])"
)
# simulated nodes are at other addresses of 127/8, and are masked as real ones are
_KEEP_V4 = re.compile(r"255\.255\..*|0\.0\.0\.0|127\.0\..*")
# fields whose value is a name, in the words of hccn_tool, npu-smi, docker and ssh
_SERIAL = re.compile(
    r"(?im)\b(?:serial[ _-]*(?:number|num|no\.?)?"
    r"|(?:vendor|product|board|chassis)[ _-]*(?:sn|serial)|sn)\s*[:=]\s*([A-Za-z0-9][\w./-]{3,})"
)
_HOST = re.compile(
    r"(?im)(?:\b(?:host ?name|node ?name|system name|sysname)\s*[:=]\s*"
    r"|System Name TLV\s*\n\s*(?:System Name:\s*)?)([A-Za-z0-9][\w.-]*)"
)
_USER = re.compile(r"(?:/home/|/Users/|\b(?:user(?: ?name)?|owner)\s*[:=]\s*)([A-Za-z_][\w.-]*)")
_AT = re.compile(r"(?<![\w.@/-])([A-Za-z_][\w.-]*)@([A-Za-z0-9][\w.-]*)")
_NOBODY = frozenset({"root", "sha256", "unknown", "localhost", "none", "null"})
# these fields are ours: nothing remote stands in them
_OURS = frozenset(
    {"schema", "series", "precision", "started_at", "verdict", "status", "check", "kind", "at"}
    | {"severity", "risk", "id", "run", "problem", "duration_s"}
)


def redact(
    report: Mapping[str, Any], hosts: Iterable[str] = (), users: Iterable[str] = ()
) -> dict[str, Any]:
    """Return a copy of a report (its JSON form) with names masked.

    Args:
        report: as :func:`wizard.checks.report.to_json` makes it.
        hosts: more hosts to mask wherever they occur, such as a registry's or a jump host.
        users: likewise logins.
    """
    mask = _Mask()
    for host in [*(node["host"] for node in report["nodes"]), *hosts]:
        mask.add_host(host)
    for name in users:
        mask.add("user", name)
    if re.search(r"[\d_.-]", report["preset"]):  # else it may be a word that we use ourselves
        mask.add("preset", report["preset"])
    for text in _texts(report):
        mask.learn(text)
    for unused in report["ignores_unused"]:
        mask.add("user", unused["by"])
    for cell in report["results"]:
        mask.add("user", cell.get("ignored", {}).get("by", ""))
    found: dict[str, Any] = mask.apply(report)
    return {**found, "preset": "preset"}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _texts(inner)


class _Mask:
    """Stand-ins by name, given in the order in which names turn up."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}  # in lower case → stand-in
        self._counts: dict[str, int] = {}
        self._addresses: dict[str, str] = {}
        self._networks: dict[str, int] = {}
        self._pattern: re.Pattern[str] | None = None

    def add_host(self, host: str) -> None:
        """Mask a host; of a full name also the short one and the domain."""
        if _V4.fullmatch(host) or ":" in host:
            return  # an address, masked as such
        self.add("host", host)
        short, _, domain = host.partition(".")
        if "." in domain:
            self.add("domain", domain)
        if domain and host.lower() in self._names:
            self._names.setdefault(short.lower(), self._names[host.lower()])

    def add(self, kind: str, name: str) -> None:
        """Mask a name wherever it occurs as a whole word."""
        known = name.lower()
        if len(known) < 2 or known in _NOBODY or known in self._names:
            return
        if _V4.fullmatch(name) or _MAC.fullmatch(name) or (name.isdigit() and len(name) < 6):
            return
        self._names[known] = self._next(kind)

    def learn(self, text: str) -> None:
        """Take up the names that a text labels as such."""
        for match in _SERIAL.finditer(text):
            self.add("serial", match[1].rstrip("."))
        for match in _HOST.finditer(text):
            self.add_host(match[1].rstrip("."))
        for match in _USER.finditer(text):
            self.add("user", match[1].rstrip("."))
        for match in _AT.finditer(text):
            if match[2].lower() not in _NOBODY:
                self.add("user", match[1])
                self.add_host(match[2].rstrip("."))

    def _next(self, kind: str) -> str:
        self._counts[kind] = self._counts.get(kind, 0) + 1
        return f"{kind}-{self._counts[kind]}"

    # -- replacing

    def apply(self, value: Any, name: str = "", ours: frozenset[str] = _OURS) -> Any:
        """Return a copy of a JSON value with every text masked, the names of keys included.

        What stands under ``name`` is left alone when that is one of ``ours``.
        """
        if name in ours:
            return value
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Mapping):
            # a parser's value may use any name for what it read
            below = frozenset({"problem"}) if name == "value" else ours
            return {self._key(k): self.apply(v, k, below) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.apply(inner, ours=ours) for inner in value]
        return value

    def _key(self, key: Any) -> Any:
        # keys are our words, but for those that a parser took from an output (an address, a path)
        return self._text(key) if isinstance(key, str) and not key.isidentifier() else key

    def _text(self, text: str) -> str:
        text = _MAC.sub(lambda m: self._named("mac", m[0]), text)
        text = _V6.sub(self._v6, text)
        text = _V4.sub(self._v4, text)
        if self._pattern is None:
            words = sorted(self._names, key=len, reverse=True)
            self._pattern = re.compile(
                r"(?<![A-Za-z0-9])(?:" + "|".join(map(re.escape, words)) + r")(?![A-Za-z0-9])"
                if words
                else r"(?!)",
                re.IGNORECASE,
            )
        return self._pattern.sub(lambda m: self._names[m[0].lower()], text)

    def _named(self, kind: str, name: str) -> str:
        known = name.lower()
        if known not in self._addresses:
            self._addresses[known] = self._next(kind)
        return self._addresses[known]

    def _v4(self, match: re.Match[str]) -> str:
        address = match[0]
        if _KEEP_V4.fullmatch(address):
            return address
        if address not in self._addresses:
            network = address.rpartition(".")[0]
            number = self._networks.setdefault(network, len(self._networks) + 1)
            kind = f"ip-{number}"
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._addresses[address] = f"{kind}.{self._counts[kind]}"
        return self._addresses[address]

    def _v6(self, match: re.Match[str]) -> str:
        """Mask the longest address in a run of hex digits and colons (``name:fe80::1``)."""
        run = match[0]
        starts = [0, *(m.end() for m in re.finditer(":", run))]
        for start in starts:
            for text in (run[start:], run[start:].rstrip(":.")):
                try:
                    address = IPv6Address(text)
                except ValueError:
                    continue
                if address.is_unspecified or address.is_loopback:
                    return run
                return run[:start] + self._named("ip6", str(address)) + run[start + len(text) :]
        return run
