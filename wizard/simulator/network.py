"""``ip`` and ``getent`` of a simulated node: interfaces, addresses and routes by its traits.

All nodes share one /24 of loopback addresses, on which they really listen; a node of the network
``dummy`` or ``nat`` has an address of 10.66.0.0/24 on its NIC beside it, or instead of it.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from wizard.simulator.state import NIC, Output, SimNode, World

SECOND_NIC = "enp67s0f0"
_FLAGS = "<BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 state UP"


@dataclass(frozen=True, slots=True)
class Row:
    """One address of one interface; ``name`` as ``ip`` writes it, a VLAN with its parent."""

    index: int
    name: str
    address: str  # with the prefix length
    scope: str = "global"

    @property
    def device(self) -> str:
        """The interface's own name."""
        return self.name.partition("@")[0]

    @property
    def family(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.address else 4


def interfaces(node: SimNode) -> list[Row]:
    """Return every address of a node, in the order of ``ip addr``."""
    network, inner = node.traits.network, f"10.66.0.{11 + node.rank}/24"
    holder = {"bond": "bond0", "vlan": f"{NIC}.100@{NIC}", "dummy": "dummy0"}.get(network, NIC)
    rows = [Row(1, "lo", "127.0.0.1/8", "host"), Row(1, "lo", "::1/128", "host")]
    if network in ("dummy", "nat"):
        rows.append(Row(2, NIC, inner))
    if network != "nat":
        width = 32 if network == "dummy" else 24
        rows.append(Row(2 if holder == NIC else 6, holder, f"{node.address}/{width}"))
    if network == "two":
        rows.append(Row(2, NIC, f"10.66.0.{11 + node.rank}/24"))
        rows.append(Row(3, SECOND_NIC, f"192.168.50.{11 + node.rank}/24"))
    carrier = NIC if network in ("dummy", "nat") else holder
    rows.append(Row(rows[-1].index, carrier, f"fd66::{11 + node.rank:x}/64"))
    rows.append(Row(rows[-1].index, carrier, f"fe80::c218:3ff:fe00:{node.rank:x}/64", "link"))
    rows.append(Row(9, "docker0", "172.17.0.1/16"))
    return sorted(rows, key=lambda row: row.index)


def ip(world: World, node: SimNode, argv: list[str]) -> Output:
    """Answer ``ip [-o] [-4|-6] addr|route|link …``."""
    words = [a for a in argv if not a.startswith("-")]
    family = 4 if "-4" in argv else 6 if "-6" in argv else None
    if words and "address".startswith(words[0]):
        wanted = words[words.index("dev") + 1] if "dev" in words[:-1] else None
        return _addresses(node, wanted, family, oneline="-o" in argv or "-oneline" in argv)
    if words[:2] in (["route", "get"], ["r", "get"]) and len(words) > 2:
        return _route_get(world, node, words[2])
    if words and words[0] in ("route", "r"):
        return Output(_routes(node, 6 if family == 6 else 4))
    if words and words[0] == "link":
        names = dict.fromkeys((row.index, row.name) for row in interfaces(node) if row.index > 1)
        return Output("".join(f"{index}: {name}: {_FLAGS}\n" for index, name in names))
    return Output(stderr=f'Object "{" ".join(words)}" is unknown, try "ip help".\n', code=1)


def getent(world: World, _node: SimNode, argv: list[str]) -> Output:
    """Answer ``getent ahosts|hosts NAME``: the nodes know each other by their host names."""
    if len(argv) != 2 or argv[0] not in ("ahosts", "ahostsv4", "hosts"):
        return Output(stderr="getent: simulated only for ahosts, ahostsv4 and hosts\n", code=1)
    found = next((n.address for n in world.nodes if n.hostname == argv[1]), None)
    if found is None:
        return Output(code=2)
    if argv[0] == "hosts":
        return Output(f"{found:<15} {argv[1]}\n")
    kinds = ("STREAM", "DGRAM", "RAW")
    return Output("".join(f"{found:<15} {kind:<6} {argv[1]}\n" for kind in kinds))


def _addresses(node: SimNode, wanted: str | None, family: int | None, *, oneline: bool) -> Output:
    rows = [row for row in interfaces(node) if wanted in (None, row.device)]
    if not rows:
        return Output(stderr=f'Device "{wanted}" does not exist.\n', code=1)
    lines, seen = [], ""
    for row in rows:
        if family not in (None, row.family):
            continue
        forever = "       valid_lft forever preferred_lft forever"
        kind = "inet6" if row.family == 6 else "inet"
        tail = f"scope {row.scope}" + ("" if row.family == 6 else f" {row.device}")
        if row.family == 4 and row.scope == "global":
            network = ipaddress.ip_interface(row.address).network
            tail = f"brd {network.broadcast_address} {tail}"
        if oneline:
            lines.append(f"{row.index}: {row.device}    {kind} {row.address} {tail}\\{forever}\n")
            continue
        head = "" if row.name == seen else f"{row.index}: {row.name}: {_FLAGS}\n"
        seen = row.name
        lines.append(f"{head}    {kind} {row.address} {tail}\n{forever}\n")
    return Output("".join(lines))


def _source(node: SimNode, family: int) -> tuple[str, str]:
    """Return device and source address of what a node sends to the others."""
    rows = [row for row in interfaces(node) if row.scope == "global" and row.device != "docker0"]
    rows = [row for row in rows if row.family == family]
    device = next(row.device for row in rows if row.device != "dummy0")
    held = [row.address.partition("/")[0] for row in rows]
    return device, node.address if node.address in held else held[0]


def _routes(node: SimNode, family: int) -> str:
    device, source = _source(node, family)
    if family == 6:
        return f"fd66::/64 dev {device} proto kernel metric 256 pref medium\n"
    net = source.rsplit(".", 1)[0]
    return (
        f"default via {net}.1 dev {device} proto static\n"
        f"{net}.0/24 dev {device} proto kernel scope link src {source}\n"
        "172.17.0.0/16 dev docker0 proto kernel scope link src 172.17.0.1\n"
    )


def _route_get(world: World, node: SimNode, target: str) -> Output:
    if not re.fullmatch(r"\d+(\.\d+){3}|[0-9a-fA-F:]*:[0-9a-fA-F:]*", target):
        text = f'Error: any valid prefix is expected rather than "{target}".\n'
        return Output(stderr=text, code=1)
    if any(target == row.address.partition("/")[0] for row in interfaces(node)):
        return Output(f"local {target} dev lo src {target} uid 0 \n    cache <local> \n")
    peer = next((n for n in world.nodes if target in _names(n)), None)
    if peer is not None and peer.rank in node.traits.no_route_to:
        return Output(stderr="RTNETLINK answers: Network is unreachable\n", code=2)
    device, source = _source(node, 6 if ":" in target else 4)
    if peer is not None and node.traits.network not in ("dummy", "nat"):
        return Output(f"{target} dev {device} src {source} uid 0 \n    cache \n")
    if ":" in target and peer is None:
        return Output(stderr="RTNETLINK answers: Network is unreachable\n", code=2)
    router = f"{source.rsplit('.', 1)[0]}.1" if "." in source else "fd66::1"
    return Output(f"{target} via {router} dev {device} src {source} uid 0 \n    cache \n")


def _names(node: SimNode) -> set[str]:
    held = {row.address.partition("/")[0] for row in interfaces(node) if row.scope == "global"}
    return (held - {"172.17.0.1"}) | {node.address}
