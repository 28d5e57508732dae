"""Two nodes with a container engine for each test; skipped where this computer cannot have them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.enginelab import ENGINES, EngineLab, engine_lab
from tests.engines.machines import CannotRun


@pytest.fixture(scope="module")
def kind() -> type[EngineLab]:
    """What the nodes run; a module that wants another has a fixture of this name."""
    return ENGINES[os.environ.get("V32_WIZARD_TEST_ENGINE", "podman")]


@pytest.fixture(scope="module")
def _can_run(kind: type[EngineLab], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Find out once; whatever goes wrong later is a failure."""
    try:
        kind.require()
        with engine_lab(tmp_path_factory.mktemp("probe"), kind):
            pass
    except CannotRun as why:
        pytest.skip(f"cannot run here: {why}")


@pytest.fixture
def lab(
    _can_run: None, kind: type[EngineLab], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[EngineLab]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("V32_WIZARD_HOME", str(tmp_path / "wizard"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with engine_lab(tmp_path, kind) as found:
        yield found
