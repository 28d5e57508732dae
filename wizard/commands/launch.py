"""``v32-wizard launch``, ``status``, ``logs`` and ``stop``."""

from __future__ import annotations

import argparse
import asyncio
import json
import shlex
import shutil
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from wizard.checks.catalogue import CHECKS
from wizard.checks.engine import CheckRun
from wizard.checks.problems import Problem
from wizard.commands.check import require_passed
from wizard.commands.fleet import connected
from wizard.commands.running import left_running, replaced, settle, whose
from wizard.commands.terminal import confirm, note, progress, tell
from wizard.diagnosis.report import to_text
from wizard.discovery import complete
from wizard.errors import LaunchError, RemoteError, UsageError
from wizard.launch import Launch
from wizard.launch.planning import make_plan
from wizard.launch.preflight import HELD
from wizard.launch.proofread import proofread, require_fitting_edits
from wizard.launch.stages import clock, look
from wizard.launch.state import IMAGE_STAGE
from wizard.launch.together import together
from wizard.presets import Preset, load_preset
from wizard.remote.api import Fleet
from wizard.scripts import render

_INTERVAL_S = 0.2


async def launch(arguments: argparse.Namespace) -> int:
    """Check, show the plan, ask, launch on all nodes, follow until it serves."""
    if arguments.format != "text" and not arguments.dry_run:
        raise UsageError("--format json is for the plan:", hint="add --dry-run.")
    if arguments.attach and arguments.dry_run:
        raise UsageError("--attach starts nothing, so that there is no plan of it.")
    preset = load_preset(arguments.preset)
    async with connected(preset, arguments) as fleet:
        if arguments.dry_run:
            return await _dry_run(Launch(fleet, await complete(preset, fleet)), arguments)
        work = Launch(fleet, preset)
        choice = await settle(work, arguments)
        if choice == "attach":
            if not await work.attach():
                raise _ended(work, () if work.message else await work.others())
            return await _follow(work, arguments, begin=work.finish)
        old = whose(work) if choice == "restart" else ""
        with left_running(work, replaced=bool(old)):
            work = await _prepared(fleet, preset, arguments, replaces=old)
        question = f"Launch {preset.name}?"
        if old:
            question = f"Stop {old} on {len(preset.nodes)} node(s) and launch anew?"
        if not await confirm(question, yes=arguments.yes):
            return 1
        return await _follow(work, arguments, begin=work.restart if old else work.start)


async def _prepared(
    fleet: Fleet, preset: Preset, arguments: argparse.Namespace, *, replaces: str
) -> Launch:
    """Check what can be checked, show the plan, and return the launch, which was not begun.

    ``replaces``: a launch that runs, and is stopped for this one only after that.
    """
    if not arguments.skip_checks:
        mended = {Problem.IMAGE_MISSING} if arguments.pull else set[Problem]()
        only = frozenset(CHECKS) - HELD if replaces else None
        await require_passed(preset, CheckRun.of(fleet, preset, only=only), mended=mended)
    preset = await complete(preset, fleet)
    await proofread(preset, render(preset))  # now that the addresses are known, and before asking
    work = Launch(fleet, preset)
    work.fetch_image = arguments.pull
    plan = await make_plan(work, fetching=arguments.pull, replaces=replaces)
    for line in plan.to_lines():
        note(line)
    if (refusal := plan.refusal) is not None:
        raise refusal
    return work


async def _dry_run(work: Launch, arguments: argparse.Namespace) -> int:
    """Print the plan, with all that stands in the way; 0 when nothing does, 1, 3."""
    work.require_supervisable()
    require_fitting_edits(work.preset)
    old = await replaced(work) if arguments.restart else ""
    plan = await make_plan(work, fetching=arguments.pull, replaces=old)
    if arguments.format == "json":
        print(json.dumps(plan.to_json(), indent=2, ensure_ascii=False))
    else:
        sys.stdout.write(plan.to_text())
    return plan.exit_status


async def _follow(
    work: Launch,
    arguments: argparse.Namespace,
    *,
    begin: Callable[[], Awaitable[None]] | None = None,
) -> int:
    """Follow a launch until it serves, begun before if need be; return the exit status."""
    name = shlex.quote(arguments.preset)
    try:
        async with _stages(work):
            if begin is not None:
                await begin()
            if arguments.no_follow:
                print(f"started; follow it with: v32-wizard status {name}")
                return 0
            await work.follow(until_ready=True)
    except asyncio.CancelledError:
        if work.half_started:
            tell(
                "detached from a launch that is half started: not every node runs, and none goes "
                f"on alone. Finish it with: v32-wizard launch {name} --attach, or end it with: "
                f"v32-wizard stop {name}"
            )
        elif work.state in ("waiting", "ready"):
            tell(
                "detached; the launch goes on, on the nodes. Come back with: "
                f"v32-wizard launch {name} --attach (follows it), v32-wizard {name} (the screen), "
                f"or v32-wizard status {name}"
            )
        else:  # half a launch cannot go on alone: its workers were never started
            tell(work.message or "Cancelled; nothing was started.")
        raise
    if work.state != "ready":
        raise _ended(work)
    print(work.message or "ready")
    return 0


def _ended(work: Launch, others: Sequence[str] = ()) -> LaunchError:
    """Return the error for a launch that does not run any more; tell its diagnosis in full.

    ``others``: what there is of other presets, which may be this one under another name.
    """
    if work.diagnosis is not None and work.diagnosis.causes:
        note(to_text(work.diagnosis))
    if work.message:
        return LaunchError(work.message)
    return LaunchError(
        " ".join(
            [f"{work.preset.name} runs on none of its nodes: there is nothing to follow.", *others]
        ),
        hint="Launch it without --attach.",
    )


@asynccontextmanager
async def _stages(work: Launch) -> AsyncIterator[None]:
    """Tell every change of a rank's stage on the terminal while the block runs.

    What changes every other second, the fetching of the image, has a line that is overwritten.
    """
    told: dict[int, str] = {}
    lost: set[str] = set()

    def tell_stages() -> None:
        fetched = []
        for one in look(work.ranks, time.time()):
            line = f"node {one.rank}: {one.state}" + f", {one.stage}" * bool(one.stage)
            if one.state == "ready" and one.elapsed_s is not None:
                line += f" {clock(one.elapsed_s)}"
            said = one.note or one.detail  # what one that is done waits for says more than that
            if one.stage == IMAGE_STAGE and one.state == "starting":
                fetched.append(f"node {one.rank}: {one.detail}")
                said = ""
            if told.get(one.rank) != line + said:
                told[one.rank] = line + said
                said = one.remark or said  # with a time, which alone is no news
                note(f"{line}: {said}" if said else line)
        for rank in work.ranks:
            if rank.log_lost and rank.log_problem not in lost:
                lost.add(rank.log_problem)
                note(f"node {rank.rank}: its log is not kept here any more: {rank.log_problem}")
        if fetched:
            progress("; ".join(fetched)[: shutil.get_terminal_size().columns - 1])

    async def keep_telling() -> None:
        while True:
            tell_stages()
            await asyncio.sleep(_INTERVAL_S)

    task = asyncio.ensure_future(keep_telling())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        tell_stages()


async def status(arguments: argparse.Namespace) -> int:
    """Say what runs where, and whether it serves: 0 serving, 1 not."""
    preset = load_preset(arguments.preset)
    async with connected(preset, arguments) as fleet:
        report = await Launch(fleet, preset).status()
    if arguments.format == "json":
        print(json.dumps(report.to_json(), indent=2, ensure_ascii=False))
    else:
        sys.stdout.write(report.to_text())
    return report.exit_status


async def stop(arguments: argparse.Namespace) -> int:
    """Show what runs, ask, stop what we launched for this preset everywhere, verify it is gone."""
    preset = load_preset(arguments.preset)
    question = f"Stop {preset.name} on {len(preset.nodes)} node(s)?"
    async with connected(preset, arguments) as fleet:
        work = Launch(fleet, preset)
        if not arguments.yes and sys.stdin.isatty():
            for line in await work.present():  # it may be a colleague's
                note(line)
        if not await confirm(question, yes=arguments.yes):
            return 1
        try:
            problems = await work.stop()
        except asyncio.CancelledError:
            tell(
                f"the stop of {preset.name} was cut off: what runs is not known. Go on with: "
                f"v32-wizard stop {shlex.quote(arguments.preset)}"
            )
            raise
    for line in (*problems, *work.notes):
        print(f"v32-wizard: {line}", file=sys.stderr)
    if not problems:
        what = "it" if work.notes else "ours"  # the notes may tell of other presets
        print(f"{preset.name}: nothing of {what} runs on any node")
    if any(rank.state == "unreachable" for rank in work.ranks):
        return RemoteError.exit_status
    return 1 if problems else 0


async def logs(arguments: argparse.Namespace) -> int:
    """Print the serve logs of one node or of all, each line with its node if there are several."""
    preset = load_preset(arguments.preset)
    ranks = range(len(preset.nodes))
    if arguments.node is not None:
        if arguments.node not in ranks:
            raise UsageError(f"--node {arguments.node}: the preset has nodes 0 to {ranks[-1]}.")
        ranks = range(arguments.node, arguments.node + 1)
    async with connected(preset, arguments) as fleet:
        work = Launch(fleet, preset)

        async def copy(rank: int) -> None:
            prefix = f"node{rank} | " if len(ranks) > 1 else ""
            try:
                async for line in work.logs(rank, follow=arguments.follow):
                    print(f"{prefix}{line}", flush=arguments.follow)
            except LaunchError as error:  # the engine there could not be asked: no answer, not a no
                raise RemoteError(error.message, node=rank, hint=error.hint) from error

        # a node that cannot be read must not keep the logs of the others from being seen
        await together(copy(rank) for rank in ranks)
    return 0
