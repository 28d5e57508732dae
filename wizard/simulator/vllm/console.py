"""What ``vllm`` writes: prefixes, colours and carriage returns as the real one."""

from __future__ import annotations

import os
import time


class Voice:
    """One process of vLLM; ``name`` is "" for one whose lines carry no prefix."""

    def __init__(self, name: str = "", pid: int | None = None) -> None:
        pid = pid or os.getpid()
        self.prefix = f"\x1b[1;36m({name} pid={pid})\x1b[0;0m " if name else ""

    def plain(self, text: str) -> None:
        """Write lines of stdout with nothing but the prefix."""
        for line in text.splitlines():
            _put(1, f"{self.prefix}{line}\n")

    def log(self, place: str, text: str, level: str = "INFO") -> None:
        """Write a line of vLLM's own log; ``place`` is ``file.py:line``."""
        now = time.strftime("%m-%d %H:%M:%S")
        for line in text.splitlines():
            _put(1, f"{self.prefix}{level} {now} [{place}] {line}\n")

    def bar(self, text: str, *, end: bool = False) -> None:
        """Redraw a progress bar (tqdm: stderr, carriage return first).

        The bar of vLLM's own loader ends with a newline each time.
        """
        _put(2, f"\r{self.prefix}{text}" + ("\n" if end else ""))

    def fail(self, place: str, title: str, error: str) -> None:
        """Write a failure as an engine core does: a title and a traceback at level ERROR."""
        frames = (
            'Traceback (most recent call last):\n  File "core.py", line 699, in run_engine_core'
        )
        self.log(place, f"{title}\n{frames}\n{error}", "ERROR")


def _put(stream: int, text: str) -> None:
    data = text.encode()
    while data:
        data = data[os.write(stream, data) :]
