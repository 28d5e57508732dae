"""A launch whose preset was edited since: its nodes are not the preset's any more. Pure.

Containers name the nodes of their launch. Without a look at that, a node that never belonged to it
would count as one that failed, and a stop would leave a node behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wizard.errors import LaunchError
from wizard.launch.runtime import Container


def require_same_nodes(found: Sequence[Container | None], hosts: Sequence[str], name: str) -> None:
    """Let a launch pass that was made for these nodes; see :func:`other_nodes`.

    Raises:
        LaunchError: it was made for others, or in another order.
    """
    if text := other_nodes(found, hosts, name):
        raise LaunchError(
            f"{text} It is neither followed nor changed.",
            hint="Put the nodes back as they were to follow or stop it.",
        )


def other_nodes(found: Sequence[Container | None], hosts: Sequence[str], name: str) -> str:
    """Say that a launch was made for other nodes, or in another order; "" when it was not.

    Hosts that are merely spelled otherwise (an alias, an address) do not matter.

    Args:
        found: its containers by rank, None where a node has none.
        hosts: the preset's, by rank.
        name: of the preset.
    """
    made = next((c for c in found if c is not None and c.nodes), None)
    if made is None or not _differ(made.nodes, found, hosts):
        return ""
    return (
        f"{name} runs as launch {made.launch} on {', '.join(made.nodes)}, but its nodes are now "
        f"{', '.join(hosts)}."
    )


def _differ(made: Sequence[str], found: Sequence[Container | None], hosts: Sequence[str]) -> bool:
    if len(made) != len(hosts):
        return True
    both = zip(made, hosts, found, strict=True)
    return any(was != now and (was in hosts or there is None) for was, now, there in both)


def left_elsewhere(had: Iterable[Container], hosts: Sequence[str]) -> list[str]:
    """Say where else containers of the launches may be whose containers were found and stopped.

    Args:
        had: all containers of ours that were found on the nodes.
        hosts: of all nodes that were asked.
    """
    launches: dict[str, list[Container]] = {}
    for container in had:
        launches.setdefault(container.launch, []).append(container)
    found = []
    for launch, its in launches.items():
        others = [host for host in its[0].nodes if host not in hosts]
        if others and len(its) < len(its[0].nodes):
            found.append(
                f"launch {launch} was made for {', '.join(others)} too, which this preset does not "
                f"name any more: its container {its[0].name} may be left there, with its NPUs held."
            )
    return found
