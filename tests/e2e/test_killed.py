"""The wizard in a real terminal, killed by SIGKILL while a launch loads, and started again."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from conftest import Simulator, Terminal

pytestmark = pytest.mark.e2e
LOADS_LONG = "timing: {stages: {load: 4000}}"  # longer than the test


def wizard_of(terminal: Terminal) -> int:
    """The process id of the wizard in a terminal: the only child of its shell."""
    shell = terminal.tmux("display-message", "-p", "#{pane_pid}").strip()
    (child,) = Path(f"/proc/{shell}/task/{shell}/children").read_text().split()
    return int(child)


def test_killed_while_loading_the_first_screen_leads_back(
    terminal: Terminal, tmp_path: Path
) -> None:
    scenario = tmp_path / "long.yaml"
    scenario.write_text(LOADS_LONG)
    words = ["--series", "A3", "--precision", "w8a8", "--scenario", str(scenario)]
    with Simulator(terminal.folder, *words) as cluster:
        terminal.start(str(cluster.preset))
        terminal.walk_to_checks()
        terminal.wait("All [0-9]+ checks passed", 60)
        terminal.press("F10")
        terminal.wait("Nothing blocks the launch")
        terminal.press("F10")
        terminal.wait("Nothing runs yet")
        terminal.press("l")
        terminal.wait("Launch on 1 node now")
        terminal.press("Tab", "Enter")
        terminal.wait("weights [0-9]+ of 163", 60)
        os.kill(wizard_of(terminal), signal.SIGKILL)
        terminal.wait("EXIT=137")
        terminal.stop()

        terminal.start()
        terminal.wait("Go to the launch of simulated-a3-w8a8 .*runs on 1 node")
        terminal.press("Home", "Enter")
        terminal.wait("weights [0-9]+ of 163")
        terminal.wait("Loading safetensors checkpoint shards")
        terminal.press("Home")  # of the log
        terminal.wait("Platform plugin ascend is activated")
        terminal.press("C-q")
        terminal.wait("It goes on without the wizard")
        terminal.press("Escape")
        terminal.stop()
        cluster.run("stop", str(cluster.preset), "--yes")
