"""Answers that no rule knows hold a launch up, and it is said how to go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wizard.commands.check import require_passed
from wizard.errors import LaunchError, RemoteError
from wizard.presets import parse_preset

PRESET = "version: 1\nname: n\nseries: A2\nprecision: w8a8\nnodes: [{host: a}, {host: b}]\n"
NEW_WORDS = ("optical state nominal\n", "", 0)


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("V32_WIZARD_HOME", str(tmp_path))


async def test_a_launch_says_which_answers_it_did_not_understand(fleet: Any) -> None:
    fleet.nodes[0].override["-i 3 -optical -g"] = [NEW_WORDS]
    fleet.nodes[1].override["-i 5 -link_stat -g"] = [NEW_WORDS]
    with pytest.raises(RemoteError, match="answered to link_stat,optical was not") as caught:
        await require_passed(parse_preset(PRESET), fleet.check())
    assert "--only link_stat,optical" in str(caught.value.hint)
    assert "--skip-checks" in str(caught.value.hint)


async def test_a_fault_beside_it_comes_first(fleet: Any) -> None:
    fleet.nodes[0].override["-i 3 -optical -g"] = [NEW_WORDS]
    fleet.nodes[0].override["-i 2 -link -g"] = [("link status: DOWN\n", "", 0)]
    with pytest.raises((RemoteError, LaunchError), match="not everything could be checked"):
        await require_passed(parse_preset(PRESET), fleet.check())
