"""Work that goes on beside the wizard, by name, one of each kind at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from wizard.errors import WizardError


class Background:
    """Tasks by name. An error becomes a sentence for ``tell``, never vanishes with its task."""

    def __init__(self, tell: Callable[[str, str], None]) -> None:
        self._tell = tell
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def busy(self, name: str) -> bool:
        """Whether the work of this name goes on."""
        task = self._tasks.get(name)
        return task is not None and not task.done()

    def start(self, name: str, work: Coroutine[Any, Any, Any]) -> None:
        """Begin work under a name; what went on under it has been ended before."""
        task = asyncio.create_task(self._guard(name, work), name=f"session {name}")
        # a task that is cancelled before it began never touches its work
        task.add_done_callback(lambda _: work.close())
        self._tasks[name] = task

    async def _guard(self, name: str, work: Coroutine[Any, Any, Any]) -> None:
        try:
            await work
        except Exception as error:
            self._tell(name, sentence(error))

    def cancel(self, name: str) -> bool:
        """Ask the work to end; False when there is none."""
        return self.busy(name) and self._tasks[name].cancel()

    async def wait(self, name: str) -> None:
        """Wait for the work to end; who waits may be cancelled without ending it."""
        if name in self._tasks:
            await asyncio.shield(self._tasks[name])

    async def ended(self, name: str) -> None:
        """Wait until nothing goes on under this name, however it ends."""
        if name in self._tasks:
            await asyncio.wait([self._tasks[name]])

    async def end(self, name: str) -> None:
        """Cancel the work and wait until it has ended."""
        task = self._tasks.get(name)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def end_all(self) -> None:
        """Cancel everything, one after the other."""
        for name in list(self._tasks):
            await self.end(name)


def sentence(error: Exception) -> str:
    """Return an error as a user should read it."""
    return str(error) if isinstance(error, WizardError) else f"{type(error).__name__}: {error}"
