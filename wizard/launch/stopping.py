"""Stopping: the API node first, then the workers, each verified. Safe to repeat."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

from wizard.errors import LaunchError, RemoteError
from wizard.launch.node import LaunchNode
from wizard.launch.runtime import STOP_S, Container
from wizard.launch.together import together

CLOSE_S = 15.0  # a closed listener can linger while its process is torn down
_CLOSE_POLL_S = 0.5
Choose = Callable[[Container], bool]


async def remove_all(
    nodes: Sequence[LaunchNode], choose: Choose, *, grace_s: int = STOP_S
) -> dict[int, list[str]]:
    """Stop and remove our containers that ``choose`` takes: rank 0 first, then the others.

    Returns the problems by rank, empty for a node that is verified clean.
    """
    if not nodes:
        return {}
    head, workers = nodes[0], nodes[1:]
    problems = {head.state.rank: await remove_on(head, choose, grace_s=grace_s)}
    found = await together(remove_on(node, choose, grace_s=grace_s) for node in workers)
    problems |= {node.state.rank: list_ for node, list_ in zip(workers, found, strict=True)}
    return {rank: list_ for rank, list_ in problems.items() if list_}


async def remove_on(node: LaunchNode, choose: Choose, *, grace_s: int = STOP_S) -> list[str]:
    """Stop and remove our containers on one node and look again; return the problems.

    A node out of reach is a problem, never a success: something may be left there.
    """
    try:
        problems: list[str] = []
        for container in filter(choose, (await node.listing()).containers):
            problems += await node.remove(container, grace_s=grace_s)
        left = [c for c in (await node.listing()).containers if choose(c)]
    except (RemoteError, LaunchError) as error:
        if isinstance(error, RemoteError):
            node.put("unreachable")
        return [f"a container of {node.preset} may be left on {node.state.label}: {error}"]
    problems += [f"{c.name} is still on {node.state.label}, {c.status}." for c in left]
    # what complained on the way does not matter once the container is verifiably gone
    return problems if left else []


async def closed(node: LaunchNode, ports: Mapping[int, str]) -> list[str]:
    """Wait until nobody listens on the ports any more; return the problems."""
    try:
        open_ports: Iterable[int] = ports
        async with asyncio.timeout(CLOSE_S):
            while True:
                open_ports = await node.listening(ports)
                if not open_ports:
                    return []
                await asyncio.sleep(_CLOSE_POLL_S)
    except TimeoutError:
        return [
            f"port {port} ({ports[port]}) is still in use on {node.state.label}."
            for port in open_ports
        ]
    except (RemoteError, LaunchError) as error:
        return [f"whether the ports are closed on {node.state.label} is not known: {error}"]
