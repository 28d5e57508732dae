"""``v32-wizard check``."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Collection

from wizard.checks import report
from wizard.checks.book import Book
from wizard.checks.catalogue import CHECKS
from wizard.checks.engine import CheckRun
from wizard.checks.formats import FORMATS
from wizard.checks.model import Status
from wizard.checks.outcome import unread
from wizard.checks.problems import Problem
from wizard.checks.text import to_text
from wizard.commands.fleet import connected
from wizard.commands.reports import masked, write
from wizard.commands.terminal import end_progress, note, progress
from wizard.errors import LaunchError, RemoteError, UsageError
from wizard.presets import Preset, load_preset

_INTERVAL_S = 0.1


async def check(arguments: argparse.Namespace) -> int:
    """Run the checks and write the report; 0 passed, 1 something failed, 3 not checked."""
    preset = load_preset(arguments.preset)
    only = _only(arguments.only)
    async with connected(preset, arguments) as fleet:
        run = CheckRun.of(fleet, preset, only=only, full=arguments.full, width=arguments.width)
        book = Book(run, preset.name, preset.ignores)
        await book.begin()
        await follow(run)
        await book.keep()
    found = book.report()
    if arguments.redact:
        found = masked(found, preset)
    write(FORMATS[arguments.format](found), arguments.output)
    if book.problem:
        note(book.problem)
    return report.exit_status(found)


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
            failed, left = run.board.count(Status.FAIL), run.estimate()
            progress(f"checking: {done} of {total}, {failed} failed, about {left:.0f} s left")
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        end_progress()


async def require_passed(
    preset: Preset, run: CheckRun, *, mended: Collection[Problem] = ()
) -> None:
    """Run the checks before a launch; print the report when they do not pass.

    ``mended`` are problems that the launch itself sees to, so that they do not matter.

    Raises:
        LaunchError: a check failed that is not ignored.
        RemoteError: none failed, but a node could not be checked.
    """
    book = Book(run, preset.name, preset.ignores)
    await book.begin()
    await follow(run)
    await book.keep()
    found = book.report()
    status = report.exit_status(found)
    for why in dict.fromkeys(applied.because for applied in (found.ignored or {}).values()):
        note(f"ignored: {why}")
    if status == 0 or only_mended(found, mended):
        return
    sys.stderr.write(to_text(found))
    if names := ",".join(unread(found)):
        raise RemoteError(
            f"not launched: what the nodes answered to {names} was not understood.",
            hint=f"Read it (v32-wizard check PRESET --only {names} --format html -o FILE); "
            "if nothing is wrong there, launch with --skip-checks.",
        )
    hint = "Mend what they name, or use --skip-checks."
    if status == RemoteError.exit_status:
        raise RemoteError("not launched: not everything could be checked.", hint=hint)
    raise LaunchError("not launched: the checks did not pass.", hint=hint)


def only_mended(found: report.Report, mended: Collection[Problem]) -> bool:
    """Whether all that failed will be mended, and nothing else is open."""
    bad = [r for r in found.board if r.status in (Status.FAIL, Status.ERROR) or not r.status.final]
    return all(r.value.get("problem") in mended for r in bad)
