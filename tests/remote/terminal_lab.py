"""Commands of the wizard in a terminal of their own: what is asked there, and what is typed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import re
import subprocess
import sys
import termios
from pathlib import Path

import yaml

from wizard.cluster import Node


class Typist:
    """A command whose stdin and stderr are a terminal; ``out`` is what it prints on stdout."""

    def __init__(self, *words: str, env: dict[str, str] | None = None) -> None:
        self._master, self._terminal = pty.openpty()
        self.seen = ""
        self.out = b""
        self.process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", sys.executable, "-m", "wizard.cli", *words],
            stdin=self._terminal,
            stdout=subprocess.PIPE,
            stderr=self._terminal,
            env={**os.environ, **(env or {})},
        )
        os.set_blocking(self._master, False)

    @property
    def echoes(self) -> bool:
        """Whether the terminal shows what is typed."""
        return bool(termios.tcgetattr(self._terminal)[3] & termios.ECHO)

    def _look(self) -> str:
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self._master, 1 << 14):
                self.seen += piece.decode(errors="replace")
        return self.seen

    async def wait(self, pattern: str, seconds: float = 60) -> None:
        """Wait until the terminal has shown a pattern since the last wait."""
        start = len(self.seen)
        end = asyncio.get_running_loop().time() + seconds
        while not re.search(pattern, self._look()[start:]):
            assert self.process.poll() is None, f"it ended, saying\n{self._look()}"
            assert asyncio.get_running_loop().time() < end, f"never saw {pattern}:\n{self.seen}"
            await asyncio.sleep(0.02)

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._master, text.encode())

    async def ended(self, seconds: float = 60) -> int:
        """Wait for the end; return the exit status."""
        self.out, _ = await asyncio.to_thread(self.process.communicate, timeout=seconds)
        self._look()
        return self.process.returncode

    def close(self) -> None:
        """End what still runs, and the terminal."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        os.close(self._master)
        os.close(self._terminal)


def write_preset(path: Path, *nodes: Node, **extra: object) -> str:
    """Write a preset of these nodes; return its path."""
    names = ("host", "port", "user", "identity_file", "jump", "known_hosts")
    body = {
        "version": 1,
        "name": "lab",
        "series": "A3",
        "precision": "w8a8" if len(nodes) == 1 else "bf16",
        "nodes": [{n: v for n in names if (v := getattr(node, n)) is not None} for node in nodes],
    }
    path.write_text(yaml.safe_dump(body | extra))
    return str(path)
