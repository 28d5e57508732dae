"""Doing one thing on many nodes side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def together(steps: Iterable[Awaitable[T]]) -> list[T]:
    """Await all steps side by side, each to its end; then raise the first error, if any.

    No step is left running behind an error; cancelling cancels all of them.
    """
    results = await asyncio.gather(*steps, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


async def to_the_end(step: Coroutine[Any, Any, T]) -> T:
    """Await a clean-up to its end even while this task is being cancelled.

    A cancellation that comes meanwhile is kept and raised once the clean-up is done; the step
    itself must be bounded in time.
    """
    task = asyncio.ensure_future(step)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.cancelled():
                raise
            cancelled = error
        except Exception:
            break
    if cancelled is not None:
        raise cancelled
    return task.result()
