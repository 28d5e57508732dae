"""``v32-wizard simulate``."""

from __future__ import annotations

import argparse

from wizard.simulator.__main__ import run_simulator


def simulate(arguments: argparse.Namespace) -> int:
    """Run the simulated cluster in the foreground until it is interrupted."""
    return run_simulator(
        series=arguments.series,
        precision=arguments.precision,
        nodes=arguments.nodes,
        scenario=arguments.scenario,
        speed=arguments.speed,
        preset_out=arguments.preset_out,
    )
