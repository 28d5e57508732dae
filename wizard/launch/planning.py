"""Making the plan: linter, kept checks and nodes are asked side by side. Changes nothing."""

from __future__ import annotations

import asyncio

from wizard.checks.history import History
from wizard.launch.launchplan import LastChecks, LaunchPlan
from wizard.launch.supervisor import Launch
from wizard.lint import lint_all
from wizard.presets import Preset
from wizard.scripts import render


async def make_plan(launch: Launch, *, fetching: bool = False, replaces: str = "") -> LaunchPlan:
    """Return the plan of a launch that was not begun.

    ``fetching``: the image may be fetched; ``replaces``: the launch that is stopped for it.

    Raises:
        UsageError: a node's address is not known, so that there are no scripts.
    """
    preset = launch.preset
    survey, remarks, checks = await asyncio.gather(
        launch.survey(held=bool(replaces)),
        lint_all(preset, render(preset)),
        asyncio.to_thread(last_checks, preset),
    )
    return LaunchPlan(preset, launch.launch_id, fetching, survey, tuple(remarks), checks, replaces)


def last_checks(preset: Preset) -> LastChecks | None:
    """Return the last kept run of the checks on these nodes. Blocks on the disk."""
    try:
        kept = History(preset.name, preset.cluster).last()
        return LastChecks.of(*kept) if kept is not None else None
    except (OSError, KeyError, ValueError):
        return None  # a history that cannot be read is none
