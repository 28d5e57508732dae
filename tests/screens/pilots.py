"""What the tests of the screens share: waiting, reading the screen."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from textual.pilot import Pilot

from wizard.session import Session, Step

Opened = AbstractAsyncContextManager[Pilot[int]]


class Open(Protocol):
    def __call__(self, session: Session, *, size: tuple[int, int] = (80, 24)) -> Opened: ...


async def until(pilot: Pilot[int], true: Callable[[], object], rounds: int = 200) -> None:
    """Wait until a condition holds; each round lets the app work off what it has to do.

    What was true on a half drawn screen is drawn wholly before this returns.
    """
    for _ in range(rounds):
        if true():
            await pilot.pause()
            return
        await pilot.pause(0.02)
    raise AssertionError(f"never came true; the screen shows\n{shown(pilot)}")


def shown(pilot: Pilot[int]) -> str:
    """The screen as plain text, as a user reads it."""
    strips = pilot.app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips)


async def at(pilot: Pilot[int], step: Step) -> None:
    await until(pilot, lambda: getattr(pilot.app.screen, "step", None) is step)
    await pilot.pause()


def words(pilot: Pilot[int]) -> str:
    """The screen as one line, for sentences that may be wrapped."""
    return " ".join(shown(pilot).split())
