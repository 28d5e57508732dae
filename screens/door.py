"""Opens the wizard: environment first, then Textual, then the session and the app."""

from __future__ import annotations

import argparse
import asyncio
import os


def open_wizard(arguments: argparse.Namespace) -> int:
    """Open the wizard, on a preset or (``demo``) on a simulated cluster started for it."""
    _settle_environment()
    return asyncio.run(_run(arguments))


def _settle_environment() -> None:
    # Textual reads these at import. Over SSH every byte counts: no animations, 20 frames a second.
    if "SSH_CONNECTION" in os.environ:
        os.environ.setdefault("TEXTUAL_FPS", "20")
        os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")


async def _run(arguments: argparse.Namespace) -> int:
    from screens.app import WizardApp  # noqa: PLC0415 - after the environment is settled
    from wizard.presets import load_preset  # noqa: PLC0415
    from wizard.session import Session  # noqa: PLC0415

    session = Session()
    try:
        if arguments.command == "demo":
            await session.begin_demo(
                series=arguments.series,
                precision=arguments.precision,
                scenario=arguments.scenario,
                speed=arguments.speed,
            )
        elif arguments.preset is not None:
            session.load(load_preset(arguments.preset))
        app = WizardApp(session, ascii_only=arguments.ascii)
        await app.run_async(mouse=not arguments.no_mouse)
        return app.return_code or 0
    finally:
        await session.aclose()
