"""``v32-wizard check``."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path

from wizard.checks import report
from wizard.checks.catalogue import CHECKS
from wizard.checks.engine import CheckRun
from wizard.checks.model import Status
from wizard.commands.fleet import connected
from wizard.commands.terminal import end_progress, progress
from wizard.errors import LaunchError, RemoteError, UsageError
from wizard.paths import write_private
from wizard.presets import load_preset

_INTERVAL_S = 0.1


def _json(run: CheckRun, name: str) -> str:
    return json.dumps(report.to_json(run, name), indent=2, ensure_ascii=False) + "\n"


_FORMATS: dict[str, Callable[[CheckRun, str], str]] = {
    "json": _json,
    "text": report.to_text,
    "junit": report.to_junit,
    "html": report.to_html,
}


async def check(arguments: argparse.Namespace) -> int:
    """Run the checks and write the report; 0 passed, 1 something failed, 3 not checked."""
    preset = load_preset(arguments.preset)
    only = _only(arguments.only)
    async with connected(preset, arguments) as fleet:
        run = CheckRun(fleet, preset.cluster, only=only, full=arguments.full)
        await follow(run)
    text = _FORMATS[arguments.format](run, preset.name)
    if arguments.output:
        write_private(Path(arguments.output), text)
    else:
        sys.stdout.write(text)
    return report.exit_status(run)


def _only(text: str | None) -> frozenset[str] | None:
    if text is None:
        return None
    names = frozenset(name.strip() for name in text.split(",") if name.strip())
    unknown = sorted(names - set(CHECKS))
    if unknown or not names:
        raise UsageError(
            f"--only: {', '.join(unknown) or 'nothing'} is no check.",
            hint=f"The checks are {', '.join(CHECKS)}.",
        )
    return names


async def follow(run: CheckRun) -> None:
    """Run the checks with a progress line; used by ``launch`` too."""
    task = asyncio.ensure_future(run.run())
    try:
        while not task.done():
            await asyncio.wait([task], timeout=_INTERVAL_S)
            done, total = run.progress
            progress(f"checking: {done} of {total}, {run.board.count(Status.FAIL)} failed")
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        end_progress()


async def require_passed(name: str, run: CheckRun) -> None:
    """Run the checks before a launch; print the report when they do not pass.

    Raises:
        LaunchError: a check failed.
        RemoteError: none failed, but a node could not be checked.
    """
    await follow(run)
    status = report.exit_status(run)
    if status == 0:
        return
    sys.stderr.write(report.to_text(run, name))
    hint = "Mend what they name, or use --skip-checks."
    if status == RemoteError.exit_status:
        raise RemoteError("not launched: not everything could be checked.", hint=hint)
    raise LaunchError("not launched: the checks did not pass.", hint=hint)
