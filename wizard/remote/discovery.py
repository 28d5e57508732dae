"""Finding by which address, on which interface, the other nodes reach a node.

The most frequent mistakes in multi-node deployments are a wrong NIC name and a wrong address; a
node knows both itself.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wizard.errors import UsageError
from wizard.remote.api import Job, Remote

ADDRESSES = "ip -o -4 addr show"
# `2: eth0    inet 10.0.0.11/24 brd 10.0.0.255 scope global eth0\       valid_lft forever ...`
_ADDRESS = re.compile(r"^\d+:\s+(\S+)\s+inet\s+(\d+\.\d+\.\d+\.\d+)")
_SOURCE = re.compile(r"\bsrc\s+(\d+\.\d+\.\d+\.\d+)")


@dataclass(frozen=True, slots=True)
class Discovered:
    """Address by which the other nodes reach a node, and the interface that holds it."""

    local_ip: str
    nic: str


async def discover(remote: Remote, peers: Sequence[str] | None = None) -> Discovered:
    """Ask a node for the address and NIC that reach the other nodes.

    Args:
        remote: the node.
        peers: hosts of the other nodes; by default those of its fleet.

    Raises:
        UsageError: there is no such address, or more than one could be it.
        RemoteError: the node could not be asked.
    """
    if peers is None:
        peers = getattr(remote, "peers", ())
    jobs = [
        Job("addresses", ADDRESSES, 5.0, "addresses"),
        Job("session", 'echo "${SSH_CONNECTION:-}"', 5.0, "session"),
    ]
    for peer in peers:
        jobs.append(Job(f"route {peer}", route_command(peer), 5.0, "route"))
    answers = {r.id: r.stdout.decode("utf-8", "replace") async for r in remote.batch(jobs)}
    node = remote.node
    return choose(
        node.host,
        addresses(answers["addresses"]),
        routes=[answers[f"route {peer}"] for peer in peers],
        session=answers["session"],
        label=node.label,
        rank=node.rank,
    )


def route_command(peer: str) -> str:
    """Return the shell text that prints the route to a peer, whose name the node resolves."""
    quoted = shlex.quote(peer)
    if _is_address(peer):
        return f"ip -o route get {quoted}"
    return f'ip -o route get $(getent ahostsv4 {quoted} | {{ read -r a _; echo "$a"; }})'


def addresses(output: str) -> dict[str, str]:
    """Return interface by address, from ``ip -o -4 addr show`` (VLAN's ``@parent`` cut off)."""
    found: dict[str, str] = {}
    for line in output.split("\n"):
        if match := _ADDRESS.match(line):
            found[match[2]] = match[1].partition("@")[0]
    return found


def choose(
    host: str,
    held: Mapping[str, str],
    *,
    routes: Sequence[str],
    session: str,
    label: str,
    rank: int | None = None,
) -> Discovered:
    """Choose the address (pure).

    The preset's host when the node holds it; else the source address of its routes to the other
    nodes; else the address at which our own SSH connection arrived.

    Args:
        host: of the preset, an address or a name.
        held: interface by address.
        routes: outputs of ``ip route get``, one per other node.
        session: the node's ``SSH_CONNECTION`` (client address and port, server address and port).
        label: the node's, for the error.
        rank: the node's, for the error.
    """
    if host in held:
        return Discovered(host, held[host])
    sources = {m[1] for text in routes if (m := _SOURCE.search(text)) and m[1] in held}
    if len(sources) == 1:
        address = sources.pop()
        return Discovered(address, held[address])
    if not sources and len(parts := session.split()) == 4 and parts[2] in held:
        return Discovered(parts[2], held[parts[2]])
    hint = "Set local_ip and nic of this node in the preset."
    if sources:
        shown = ", ".join(f"{a} on {held[a]}" for a in sorted(sources))
        raise UsageError(
            f"{label} reaches the other nodes from more than one address: {shown}.",
            node=rank,
            hint=hint,
        )
    shown = ", ".join(f"{a} on {nic}" for a, nic in held.items()) or "none"
    raise UsageError(
        f"The address by which the other nodes reach {label} was not found (it has: {shown}).",
        node=rank,
        hint=hint,
    )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
