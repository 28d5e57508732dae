"""The wizard under a pilot, at 80x24, on stand-ins for the engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from screens.app import WizardApp
from tests.screens.fakes import World
from tests.screens.pilots import Open
from wizard.session import Session


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("V32_WIZARD_HOME", str(tmp_path))
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    return World(tmp_path)


@pytest.fixture
def open_wizard() -> Open:
    @asynccontextmanager
    async def opened(
        session: Session, *, size: tuple[int, int] = (80, 24)
    ) -> AsyncIterator[Pilot[int]]:
        async with WizardApp(session).run_test(size=size, notifications=True) as pilot:
            await pilot.pause()
            try:
                yield pilot
            finally:
                await session.aclose()

    return opened
