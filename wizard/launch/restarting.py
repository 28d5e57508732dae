"""Launching anew in place of what runs: whatever can be told before is made sure of before.

A model that serves others must not be stopped for a launch that a missing image forbids. Only what
the running launch holds itself, its ports and NPUs, is looked at when it is gone.
"""

from __future__ import annotations

from collections.abc import Sequence

from wizard.errors import WizardError
from wizard.launch import readiness
from wizard.launch.fence import Fence
from wizard.launch.gang import claims
from wizard.launch.node import LaunchNode
from wizard.launch.proofread import proofread
from wizard.presets import Preset
from wizard.scripts import render

STOPPED = "What was there before is stopped."


async def make_sure(
    nodes: Sequence[LaunchNode], preset: Preset, fence: Fence, *, fetch_image: bool
) -> None:
    """Make sure, while it runs, that nothing else stands in the way of the preset's next launch.

    Raises:
        UsageError: the scripts have errors.
        Taken, LaunchError, RemoteError: something on a node does, or it cannot be asked.
    """
    scripts = render(preset)
    await proofread(preset, scripts)
    for node in nodes:
        node.put("starting", "", "looking at the node; what runs is not stopped yet")
    wanted = claims(preset, scripts, fence)
    await readiness.require(nodes, wanted, preset, fetch_image=fetch_image, held=True)


def untouched(preset: Preset) -> str:
    """Say that what runs was not stopped."""
    return f"What is there of {preset.name} was left as it is."


def told(error: WizardError, more: str) -> WizardError:
    """Return an error that says one thing more."""
    return error.told_of(f"{error.message.rstrip()} {more}", error.node)
