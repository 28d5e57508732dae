"""An event loop whose clock jumps to the next timer, so that seconds cost nothing and can be told
exactly. For code that waits for nothing but timers and other tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class FastClock(asyncio.SelectorEventLoop):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self._at = 0.0

    def time(self) -> float:
        return self._at

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self._at = max(self._at, self._scheduled[0].when())  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; what would wait for ever ends with TimeoutError, after an hour there."""

    async def limited() -> T:
        async with asyncio.timeout(3600):
            return await work

    with asyncio.Runner(loop_factory=FastClock) as runner:
        return runner.run(limited())
