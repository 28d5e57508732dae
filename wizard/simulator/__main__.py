"""``python -m wizard.simulator``: the simulated cluster in the foreground."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

from wizard.cluster import Precision, Series
from wizard.errors import WizardError
from wizard.simulator.cluster import SimulatedCluster


def run_simulator(
    *,
    series: Series,
    precision: Precision,
    nodes: int | None = None,
    scenario: str | Path = "healthy",
    speed: float = 1.0,
    preset_out: Path | None = None,
    until_eof: bool = False,
) -> int:
    """Run a simulated cluster until SIGINT or SIGTERM, and return 0.

    Prints ``ready FILE`` (the preset) on one line when it can be used. With ``until_eof`` it also
    ends when stdin does, which is how it learns that its parent has died.

    Raises:
        WizardError: the arguments or the scenario are refused, or it cannot start.
    """
    cluster = SimulatedCluster(
        series=series,
        precision=precision,
        nodes=nodes,
        scenario=scenario,
        speed=speed,
        preset_out=preset_out,
    )
    asyncio.run(_serve(cluster, preset_out, until_eof))
    return 0


async def _serve(cluster: SimulatedCluster, preset_out: Path | None, until_eof: bool) -> None:
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, over.set)
    if until_eof:
        loop.add_reader(0, lambda: _check_eof(loop, over))
    try:
        async with cluster:
            print(f"ready {preset_out or cluster.preset_path}", flush=True)
            await over.wait()
    finally:
        if until_eof:
            loop.remove_reader(0)


def _check_eof(loop: asyncio.AbstractEventLoop, over: asyncio.Event) -> None:
    if not os.read(0, 4096):
        loop.remove_reader(0)
        over.set()


def main(argv: list[str] | None = None) -> int:
    """Read the options and run; errors go to stderr as one sentence."""
    parser = argparse.ArgumentParser(prog="python -m wizard.simulator", description=__doc__)
    parser.add_argument("--series", type=Series, choices=list(Series), default=Series.A3)
    parser.add_argument(
        "--precision", type=Precision, choices=list(Precision), default=Precision.BF16
    )
    parser.add_argument("--nodes", type=int, default=None, help="default: what the guide needs")
    parser.add_argument("--scenario", default="healthy", help="a shipped one, or a YAML file")
    parser.add_argument("--speed", type=float, default=1.0, help="divides every duration")
    parser.add_argument("--preset-out", type=Path, default=None, metavar="FILE")
    parser.add_argument("--until-eof", action="store_true", help="end when stdin does")
    try:
        return run_simulator(**vars(parser.parse_args(argv)))
    except WizardError as error:
        print(error, file=sys.stderr)
        return error.exit_status


if __name__ == "__main__":
    sys.exit(main())
