"""Fixtures of the bench."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.launch.bench import FakeFleet, preset, render
from tests.launch.killing import Nursery
from wizard.launch import gang, headstart, preflight

ANSWERED = frozenset({"ssh", "runtime", "image", "ports"})  # by the bench; it has no NPUs


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs and records of launches go into no user's folders."""
    monkeypatch.setenv("V32_WIZARD_HOME", str(tmp_path / "wizard"))


@pytest.fixture
def no_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gang, "render", render)
    monkeypatch.setattr(headstart, "_POLL_S", 0.02)
    monkeypatch.setattr(preflight, "CHECKS", ANSWERED)


@pytest.fixture
def fleet(tmp_path: Path) -> FakeFleet:
    return FakeFleet(preset(), tmp_path)


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    """Where a module's tests begin real wizards."""
    found = Nursery()
    yield found
    found.close()
