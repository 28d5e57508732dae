"""A node's clock, told over connections that are slow now and then."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from wizard.errors import ConnectionLost
from wizard.launch import clocks
from wizard.launch.state import RankState
from wizard.remote.api import Completed

AHEAD_S = 5.0


class Slow:
    """A node whose answers take so long; its clock, like ours, stands still meanwhile."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, *took: float, ahead: float = AHEAD_S
    ) -> None:
        self.state = RankState(1, "n")
        self.now, self.asked, self._ahead = 1000.0, 0, ahead
        self._took: Iterator[float] = iter(took)
        ours = SimpleNamespace(time=lambda: self.now, monotonic=lambda: self.now)
        monkeypatch.setattr(clocks, "time", ours)

    def touch(self) -> None:
        pass

    async def run(self, command: str, limit_s: float) -> Completed:
        self.asked += 1
        took = next(self._took, None)
        if took is None:
            raise ConnectionLost("gone")
        self.now += took / 2
        said = f"{self.now + self._ahead:.6f}\n".encode()
        self.now += took / 2
        return Completed(command, 0, said, b"", took)

    async def ask(self) -> RankState:
        await clocks.ask_clock(cast(Any, self))
        return self.state


async def test_a_good_answer_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Slow(monkeypatch, 3.0, 0.1, 0.1)
    assert (await node.ask()).clock_offset_s == pytest.approx(AHEAD_S)
    assert node.asked == 2


async def test_the_best_of_slow_answers_is_taken_with_its_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state = await Slow(monkeypatch, 6.0, 4.0, 3.0, 5.0).ask()
    assert state.clock_offset_s == pytest.approx(AHEAD_S)
    assert state.clock_bound_s == 1.5


async def test_a_difference_within_a_large_error_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    state = await Slow(monkeypatch, 4.0, 4.0, 4.0, 4.0, ahead=1.9).ask()
    assert (state.clock_offset_s, state.clock_bound_s) == (0.0, 2.0)


async def test_what_was_known_better_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Slow(monkeypatch, 0.1, 0.1, 8.0, 8.0, 8.0, 8.0)
    await node.ask()
    node._ahead = 99.0
    assert (await node.ask()).clock_offset_s == pytest.approx(AHEAD_S)


async def test_a_connection_that_breaks_keeps_what_was_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert (await Slow(monkeypatch, 0.3).ask()).clock_bound_s == pytest.approx(0.15)
