"""By which address, on which interface, the other nodes reach a node (pure).

A wrong address or NIC is the most frequent mistake in multi-node deployments; the node knows both.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

from wizard.discovery.facts import Address, NodeFacts, Route

# `2: eth0    inet 10.0.0.11/24 brd 10.0.0.255 scope global eth0\       valid_lft forever ...`
_ROW = re.compile(r"^\d+:\s+(\S+)\s+inet6?\s+([0-9a-fA-F.:]+)(?:\s+peer\s+\S+?)?(?:/(\d+))?\s(.*)")
# Bridges and pairs of containers and virtual machines: other nodes have networks of the same name
_VIRTUAL = re.compile(
    r"lo|docker.*|br-[0-9a-f]{12}|virbr.*|veth.*|cni.*|flannel.*|cali.*|cilium.*|podman.*|lxc.*"
    r"|kube-.*|nerdctl.*|tunl.*|vxlan.*|vmnet.*"
)


@dataclass(frozen=True, slots=True)
class Own:
    """A node's own address and interface; what is not known, or not right, is in ``problem``."""

    local_ip: str | None = None
    nic: str | None = None
    problem: str = ""


def parse_addresses(text: str) -> tuple[Address, ...] | None:
    """Read ``ip -o addr show``; None when it holds no address at all."""
    found = []
    for line in text.split("\n"):
        match = _ROW.match(line)
        if not match or not (ip := canonical(match[2])):
            continue
        nic, rest = match[1].partition("@")[0], match[4].split("\\")[0].split()
        scope = rest[rest.index("scope") + 1] if "scope" in rest[:-1] else ""
        passing = {"temporary", "deprecated", "tentative", "dadfailed"} & set(rest)
        usable = scope == "global" and not passing and not _VIRTUAL.fullmatch(nic)
        width = int(match[3] or (128 if ":" in ip else 32))
        found.append(Address(nic, ip, width, usable))
    return tuple(found) or None


def parse_route(text: str, stderr: str) -> Route:
    """Read the answer of ``ip -o route get``, or why there is none."""
    match = re.match(r"\s*(?:(?:local|broadcast|multicast)\s+)?([0-9a-fA-F.:]+)\s(.*)", text)
    if match and (nic := re.search(r"\bdev\s+(\S+)", match[2])):
        source = re.search(r"\bsrc\s+([0-9a-fA-F.:]+)", match[2])
        return Route(match[1], nic[1].partition("@")[0], source[1] if source else "")
    if match := re.match(r"\s*(unreachable|prohibit|blackhole)\b", text):
        return Route(problem=f"its route is {match[1]}")
    lower = stderr.lower()
    if "unreachable" in lower or "no route" in lower:
        return Route(problem="there is no route")
    if "unresolved" in lower:
        return Route(problem="the name is not known there")
    return Route(problem="its answer was not understood")


def parse_gateway(text: str) -> str | None:
    """Return the interface of the first default route in ``ip route show default``."""
    match = re.search(r"^default\b.*?\bdev\s+(\S+)", text, re.M)
    return match[1] if match else None


def parse_arrival(text: str) -> str | None:
    """Return the server's address in ``SSH_CONNECTION``: client address, port, ours, port."""
    parts = text.split()
    return canonical(parts[2]) if len(parts) == 4 else None


def canonical(text: str) -> str | None:
    """Return an address as it is compared, None when it is none; IPv4 in IPv6 becomes IPv4."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def own(
    facts: NodeFacts, head: str | None, *, local_ip: str | None = None, nic: str | None = None
) -> Own:
    """Choose a node's own address and interface. What the user gave wins, and is looked at.

    Otherwise: the host that the preset names, when the node holds it; the source address of its
    route to node 0; that of its routes to all others, when it is one; the address at which our
    connection arrived; the only one that there is.

    Args:
        facts: the node's.
        head: node 0's host, None for node 0 itself.
        local_ip, nic: what the user set, each or none.
    """
    held = facts.addresses
    if held is None:
        return Own(local_ip, nic, "" if local_ip and nic else "its addresses could not be read")
    if local_ip:
        return _checked(held, local_ip, nic)
    usable = {a.ip: a for a in held if a.usable and nic in (None, a.nic)}
    if not usable:
        where = f"on {nic}" if nic else "on a network interface"
        return Own(None, nic, f"it has no address {where} that others could use; {_list(held)}")
    routes = [r.source for host, r in facts.routes.items() if host != facts.host]
    to_head = [facts.routes[head].source] if head and head in facts.routes else []
    arrival = [facts.arrival] if facts.arrival else []
    for wanted in ([canonical(facts.host)], to_head, routes, arrival):
        found = {ip for text in wanted if text and (ip := canonical(text)) in usable}
        if len(found) == 1:
            address = usable[found.pop()]
            return Own(address.ip, address.nic)
        if found:
            shown = _list([usable[ip] for ip in sorted(found)])
            return Own(None, nic, f"it reaches the others from more than one address; {shown}")
    if len(usable) == 1:
        ((ip, address),) = usable.items()
        return Own(ip, address.nic)
    return Own(None, nic, f"which of its addresses the others use is not clear; {_list(held)}")


def _checked(held: Sequence[Address], local_ip: str, nic: str | None) -> Own:
    """What the user gave, with what is wrong with it; the interface is filled in."""
    holders = [a.nic for a in held if a.ip == canonical(local_ip)]
    if not holders:
        return Own(local_ip, nic, f"it does not hold local_ip {local_ip}; {_list(held)}")
    if nic and nic not in holders:
        return Own(local_ip, nic, f"local_ip {local_ip} is on {holders[0]}, not on {nic}")
    return Own(local_ip, nic or holders[0])


def _list(addresses: Sequence[Address]) -> str:
    """Say which addresses there are, those that may be meant first and never loopback's."""
    shown = sorted((a for a in addresses if a.nic != "lo"), key=lambda a: not a.usable)
    lasting = [a for a in shown if not a.ip.startswith("fe80:")]
    words = [f"{a.ip} on {a.nic}" for a in lasting[:6]] + (["…"] if len(lasting) > 6 else [])
    return f"it has {', '.join(words)}" if words else "it has none"
