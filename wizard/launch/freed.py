"""What a container has held is free again once it is gone: the NPUs' memory, and node 0's ports.

Who still holds it is named, never ended: it is not ours to end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from wizard.checks.model import Status
from wizard.checks.npuparsers import parse_idle
from wizard.checks.problems import Problem
from wizard.errors import LaunchError, RemoteError
from wizard.launch.node import LaunchNode
from wizard.remote.text import clean

CLOSE_S = 15.0  # a closed listener can linger while its process is torn down
FREE_S = 30.0  # the driver gives memory back some seconds after its process
_POLL_S = 0.5
_ASK_S = 20.0  # less than FREE_S: no answer is not 'not free'


async def closed(node: LaunchNode, ports: Mapping[int, str]) -> list[str]:
    """Wait until nobody listens on the ports any more; return the problems.

    ``ports`` are those of node 0, with what each is for.
    """
    where, held = node.state.label, list(ports)
    try:
        async with asyncio.timeout(CLOSE_S):
            while True:
                held = await node.listening(ports)
                if not held:
                    return []
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        return [f"port {port} ({ports[port]}) is still in use on {where}." for port in held]
    except (RemoteError, LaunchError) as error:
        return [f"whether the ports are closed on {where} is not known: {error}"]


class NoTool(LaunchError):
    """The node has no npu-smi: nothing can be said of its NPUs."""


async def idle(node: LaunchNode, npus: frozenset[int] | None) -> list[str]:
    """Wait until the NPUs (None: all) hold neither process nor memory; return the problems.

    Raises:
        NoTool: the node has no npu-smi.
    """
    where, held = node.state.label, list[str]()
    try:
        async with asyncio.timeout(FREE_S):
            while True:
                held = await _held(node, npus)
                if not held:
                    return []
                await asyncio.sleep(_POLL_S)
    except NoTool:
        raise
    except TimeoutError:
        return [f"NPU memory is not free on {where}: {'; '.join(held)}."]
    except (RemoteError, LaunchError) as error:
        return [f"whether NPU memory is free on {where} is not known: {error}"]


async def _held(node: LaunchNode, npus: frozenset[int] | None) -> list[str]:
    """Return what holds the NPUs, one entry for each that is held.

    Raises:
        NoTool: there is no npu-smi.
        LaunchError: what it says is not understood.
    """
    # as the checks do: the driver answers few but root, and takes long while it gives memory back
    done = await node.remote.run("npu-smi info", timeout_s=_ASK_S, root="try")
    status = 1 if done.exit_status is None else done.exit_status
    found = parse_idle(clean(done.stdout), clean(done.stderr), status)
    if found.status is Status.PASS:
        return []
    if found.problem == Problem.COMMAND_MISSING.value:
        raise NoTool(
            f"whether NPU memory is free on {node.state.label} is not known: it has no npu-smi.",
            node=node.state.rank,
        )
    problems = found.value.get("problems") if found.status is Status.FAIL else None
    if problems is None:
        raise LaunchError(f"{found.summary}.")
    return [p["detail"] for p in problems if npus is None or p["device"] in npus]
