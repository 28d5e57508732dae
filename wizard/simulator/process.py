"""The simulated cluster as a child process: for the demo, and for whoever must not share a loop."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from wizard.cluster import Precision, Series
from wizard.errors import WizardError
from wizard.remote import local

_START_LIMIT_S = 30.0
_STOP_LIMIT_S = 10.0


@asynccontextmanager
async def spawn(
    *,
    series: Series,
    precision: Precision,
    nodes: int | None = None,
    scenario: str | Path = "healthy",
    speed: float = 1.0,
    start_limit_s: float = _START_LIMIT_S,
) -> AsyncIterator[Path]:
    """Run a simulated cluster beside us, and yield the path of its preset once it can be used.

    It ends with the context, and also when this process ends in any other way: it watches a pipe
    that we hold.

    Raises:
        WizardError: it did not start; the message is its own.
    """
    options = ["--series", series.value, "--precision", precision.value]
    options += ["--scenario", str(scenario), "--speed", str(speed), "--until-eof"]
    options += [] if nodes is None else ["--nodes", str(nodes)]
    process = await local.start(
        sys.executable,
        *("-m", "wizard.simulator", *options),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # in a session of its own: Ctrl-C in our terminal ends us; we end it
    try:
        yield await _ready(process, start_limit_s)
    finally:
        await _end(process)


async def _ready(process: asyncio.subprocess.Process, limit_s: float) -> Path:
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), limit_s)
    except TimeoutError:
        raise WizardError(f"The simulated cluster did not start within {limit_s:g} s.") from None
    word, _, path = line.decode().strip().partition(" ")
    if word != "ready":
        said = (await process.stderr.read()).decode(errors="replace").strip()
        raise WizardError(f"The simulated cluster did not start: {said or 'it ended at once'}")
    return Path(path)


async def _end(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        await asyncio.wait_for(asyncio.shield(process.wait()), _STOP_LIMIT_S)
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()  # its janitor clears up
        await process.wait()
