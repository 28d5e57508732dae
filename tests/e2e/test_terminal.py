"""Whole runs in a real terminal of 80x24, with keys alone: issue 2, "Shown by"."""

from __future__ import annotations

import re

import pytest
from conftest import SPEED, Terminal, processes_with

pytestmark = pytest.mark.e2e


def test_from_the_start_screen_to_a_streamed_answer(terminal: Terminal) -> None:
    terminal.start("demo", "--speed", SPEED)
    terminal.walk_to_checks()
    terminal.wait("All 416 checks passed", 60)
    terminal.press("F10")
    terminal.wait("What will run on each node")
    terminal.press("Right")
    terminal.wait("vllm serve|serve.sh of node 0")
    terminal.press("F10")
    terminal.wait("Nothing runs yet")
    terminal.press("l")
    terminal.wait("Launch on 2 nodes now")
    terminal.press("Tab", "Enter")
    terminal.wait("deepseek_v3.2 is served", 60)
    terminal.press("F10")
    terminal.wait("Type a question and press Enter")
    terminal.type("What is a rank?")
    terminal.press("Enter")
    terminal.wait(r"You asked \(question 1\)", 30)
    terminal.wait("nothing here", 30)  # the end of the answer
    terminal.press("C-q")
    terminal.wait("A launch runs on the simulated nodes")
    terminal.press("Right", "Enter")  # stop it and quit
    terminal.wait("EXIT=0", 60)
    left = processes_with(f"V32_WIZARD_HOME={terminal.folder}")
    assert [line for line in left if "python" in line.split()[0]] == []


def test_a_dark_link_is_found_and_explained(terminal: Terminal) -> None:
    terminal.start("demo", "--scenario", "link-down", "--speed", SPEED)
    terminal.walk_to_checks()
    terminal.wait("416 of 416 .*4 failed, 1 warned", 60)
    for _ in range(5):  # x goes through the bad answers, on whichever node they are
        screen = terminal.wait("^ node .* (?:FAIL|WARN)")
        if "link is DOWN" in screen:
            break
        shown = re.search("^ node .* (?:FAIL|WARN)", screen, re.M)
        assert shown
        terminal.press("x")
        terminal.wait_gone(shown[0])
    assert "node 1, device 3, link" in screen
    assert "$ hccn_tool -i 3 -link -g" in screen
    terminal.press("Enter")  # all about the cell
    terminal.wait("link status: DOWN")
    terminal.press("Escape")
    terminal.wait_gone("link status: DOWN")
    terminal.press("F10")
    screen = terminal.wait("What is wrong, and what to do next")
    assert "The network link is down: node 1 device 3" in screen
    terminal.press("C-q")
    terminal.wait("EXIT=0")
