"""A real terminal (tmux) and the installed command, for whole runs."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "wizard.cli"]
SPEED = "20"


class Terminal:
    """A program in a tmux pane of its own server, driven by keys and read as a person would."""

    def __init__(self, folder: Path, columns: int, rows: int) -> None:
        self.folder, self.columns, self.rows = folder, columns, rows

    def tmux(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", str(self.folder / "tmux"), "-f", "/dev/null", *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=10,
        )
        return done.stdout

    def start(self, *words: str, **environment: str) -> None:
        variables = {"V32_WIZARD_HOME": str(self.folder / "home"), **environment}
        exports = [part for k, v in variables.items() for part in ("-e", f"{k}={v}")]
        size = ["-x", str(self.columns), "-y", str(self.rows)]
        command = shlex.join([*COMMAND, *words]) + "; echo EXIT=$?; cat"
        self.tmux("new-session", "-d", *size, *exports, command)
        self.tmux("set", "-g", "status", "off")

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p")

    def press(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    def type(self, text: str) -> None:
        self.tmux("send-keys", "-l", "--", text)

    def wait(self, pattern: str, seconds: float = 30) -> str:
        """Wait until the screen matches a regular expression; return the screen."""
        return self.until(lambda text: bool(re.search(pattern, text, re.M)), pattern, seconds)

    def wait_gone(self, words: str, seconds: float = 30) -> str:
        """Wait until the screen no longer holds these words; return the screen."""
        return self.until(lambda text: words not in text, f"not {words}", seconds)

    def until(self, seen: Callable[[str], bool], what: str, seconds: float) -> str:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            text = self.screen()
            if seen(text):
                return text
            time.sleep(0.05)
        pytest.fail(f"never saw {what!r}; the screen was:\n{self.screen()}")

    def walk_to_checks(self) -> None:
        """From the start screen to the screen of the checks."""
        self.wait("Welcome to v32-wizard")
        self.press("Enter")
        self.wait("Which servers, and which weights")
        self.press("F10")
        self.wait("Which nodes")
        self.press("F10")
        self.wait("Do all NPUs see")

    def stop(self) -> None:
        """End it all; return once the server is gone, for a new one is refused until then."""
        self.tmux("kill-server")
        end = time.monotonic() + 30
        while self._listens() and time.monotonic() < end:
            time.sleep(0.02)

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(str(self.folder / "tmux")) == 0


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    (tmp_path / "t").mkdir(mode=0o700)
    found = Terminal(tmp_path / "t", 80, 24)
    yield found
    found.stop()


class Simulator:
    """``v32-wizard simulate`` in a process of its own, and commands against its preset."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder, self.options = folder, options
        self.preset = folder / "p.yaml"
        self.environment = {**os.environ, "V32_WIZARD_HOME": str(folder / "home")}

    def __enter__(self) -> Simulator:
        self.process = subprocess.Popen(
            [
                *COMMAND,
                "simulate",
                *self.options,
                "--speed",
                SPEED,
                "--preset-out",
                str(self.preset),
            ],
            stdout=subprocess.PIPE,
            text=True,
            env=self.environment,
        )
        assert self.process.stdout
        ready = self.process.stdout.readline()
        assert ready == f"ready {self.preset}\n", ready
        return self

    def run(self, *words: str, status: int = 0, stdin: str = "") -> str:
        done = subprocess.run(
            [*COMMAND, *words],
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == status, (done.returncode, done.stdout[-3000:], done.stderr)
        self.stderr = done.stderr
        return done.stdout

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        assert self.process.wait(20) == 0


def processes_with(text: str) -> list[str]:
    """Command lines of living processes whose environment or arguments hold ``text``."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if text.encode() in words:
                found.append((entry / "cmdline").read_text().replace("\0", " "))
    return found
