"""What is made sure of before anything is made: nobody in the way, nodes that fit, the image.

Changes nothing on the nodes but for the image, and that only where it was allowed.
"""

from __future__ import annotations

from collections.abc import Sequence

from wizard import apikey
from wizard.launch import preflight
from wizard.launch.conflict import Claim
from wizard.launch.fetch import fetch
from wizard.launch.node import LaunchNode
from wizard.launch.preflight import PreFlight
from wizard.launch.together import together
from wizard.presets import Preset
from wizard.wording import spans


async def require(
    nodes: Sequence[LaunchNode],
    claims: Sequence[Claim],
    preset: Preset,
    *,
    fetch_image: bool,
    held: bool = False,
) -> None:
    """Make sure that the launch can start now; with ``fetch_image``, bring it where it lacks.

    With ``held`` a launch of the same preset still runs, and is to be stopped first: all is made
    sure of but what that one holds.

    Raises:
        Taken: somebody holds what the launch needs.
        LaunchError, RemoteError: something else stands in the way; names the node.
    """
    await together(
        node.refuse_others(c, but_own_preset=held) for node, c in zip(nodes, claims, strict=True)
    )
    found = await _ready(nodes, preset, fetching=fetch_image, held=held)
    if lacking := found.without_image:
        for node in nodes:
            node.put("starting", "", f"waits for the image on node {spans(lacking)}")
        await together(fetch(nodes[rank], preset) for rank in lacking)
        for node in nodes:
            node.put("starting", "container", "looking at the node once more")
        await _ready(nodes, preset, held=held)
    # that it can be kept must be sure before anything is stopped; a launch refused needs none
    apikey.for_launch(preset)


async def _ready(
    nodes: Sequence[LaunchNode], preset: Preset, *, fetching: bool = False, held: bool = False
) -> PreFlight:
    found = await preflight.look([node.remote for node in nodes], preset, held=held)
    if (refusal := found.refusal(fetching=fetching)) is not None:
        for rank, (state, why) in found.blamed(fetching=fetching).items():
            nodes[rank].put(state, "", why)
        raise refusal
    return found
