"""Logs merged by time, filtered, searched; levels."""

from __future__ import annotations

import random

import pytest

from wizard.logbuffer import LogBuffer
from wizard.logindex import LogIndex
from wizard.loglevels import Level, level_of


def lines(index: LogIndex) -> list[str]:
    return [index.text(index.entry(place)) for place in range(len(index))]


def taken(*logs: LogBuffer, offsets: list[float] | None = None) -> LogIndex:
    index = LogIndex(logs)
    index.take(offsets or [0.0] * len(logs))
    return index


def log(*entries: tuple[float, str], limit: int = 100) -> LogBuffer:
    found = LogBuffer(limit)
    found.extend([text for _, text in entries], [time for time, _ in entries])
    return found


def test_two_logs_by_time() -> None:
    index = taken(log((1, "a1"), (3, "a3")), log((2, "b2"), (4, "b4")))
    assert lines(index) == ["a1", "b2", "a3", "b4"]


def test_a_clock_that_is_ahead_is_put_right_also_later() -> None:
    index = taken(log((1, "a1"), (3, "a3")), log((102, "b2"), (104, "b4")))
    assert lines(index) == ["a1", "a3", "b2", "b4"]
    assert index.take([0.0, 100.0])
    assert lines(index) == ["a1", "b2", "a3", "b4"]


def test_a_late_line_goes_where_it_belongs() -> None:
    first, second = log((1, "a1"), (5, "a5")), log((2, "b2"))
    index = taken(first, second)
    second.extend(["b3"], [3.0])
    first.extend(["a6"], [6.0])
    assert index.take([0.0, 0.0])
    assert lines(index) == ["a1", "b2", "b3", "a5", "a6"]
    assert not index.take([0.0, 0.0])


def test_the_order_within_a_log_is_its_own_whatever_its_stamps() -> None:
    index = taken(log((5, "one"), (4, "two"), (0, "no stamp"), (6, "four")), log((4.5, "other")))
    assert lines(index) == ["other", "one", "two", "no stamp", "four"]


def test_one_log_alone_words_and_levels() -> None:
    index = taken(
        log((1, "INFO 11-20 10:00:01 [a.py:1] Loading"), (3, "WARNING 11-20 10:00:03 [a.py:1] hm")),
        log((2, "ERROR 11-20 10:00:02 [b.py:1] Broken")),
    )
    index.select(only=1, words="", least=Level.DEBUG)
    assert len(index) == 1
    index.select(only=None, words="", least=Level.WARNING)
    assert [index.entry(place).level for place in range(2)] == [Level.ERROR, Level.WARNING]
    index.select(only=None, words="lOAD", least=Level.DEBUG)
    assert lines(index) == ["INFO 11-20 10:00:01 [a.py:1] Loading"]
    assert (index.filtered, index.total) == (True, 3)
    index.select(only=None, words="", least=Level.DEBUG)
    assert len(index) == 3


def test_what_is_new_is_filtered_as_well() -> None:
    source = log((1, "keep me"), (2, "not this"))
    index = taken(source)
    index.select(only=None, words="keep", least=Level.DEBUG)
    source.extend(["nor this", "keep this"], [3.0, 4.0])
    index.take([0.0])
    assert lines(index) == ["keep me", "keep this"]


def test_a_redrawn_bar_changes_the_list() -> None:
    source = log((1, "10%"))
    index = taken(source)
    source.replace_last("20%")
    assert index.take([0.0])
    assert lines(index) == ["20%"]


def test_search_goes_round_in_both_directions() -> None:
    index = taken(log(*((n, f"line {n} {'hit' if n % 4 == 1 else ''}") for n in range(10))))
    assert [index.find("HIT", start, 1) for start in (0, 2, 6)] == [1, 5, 9]
    assert index.find("hit", 0, -1) == 9
    assert index.find("absent", 0, 1) is None
    assert LogIndex([LogBuffer()]).find("x", 0, 1) is None


def test_bounded_as_the_logs_are_and_the_same_as_merged_anew() -> None:
    draw = random.Random(7)
    logs = [LogBuffer(50), LogBuffer(80), LogBuffer(2000)]
    index = LogIndex(logs)
    index.select(only=None, words="7", least=Level.DEBUG)
    now = 0.0
    for _ in range(60):
        for which, source in enumerate(logs):
            count = draw.randrange(40)
            times = [now + draw.random() * 5 for _ in range(count)]
            source.extend([f"{which} {time:.3f}" for time in times], times)
        now += 1
        index.take([0.0] * 3)
    expected = LogIndex(logs)
    expected.select(only=None, words="7", least=Level.DEBUG)
    expected.take([0.0] * 3)
    held = [line for line in lines(index) if line]
    assert sorted(held) == sorted(lines(expected))
    assert len(index) - len(held) < 1000
    assert index.total <= 50 + 80 + 2000 + 1000


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("(EngineCore_DP0 pid=3) ERROR 11-20 10:12:33 [core.py:708] boom", Level.ERROR),
        ("(APIServer pid=7) (Worker pid=9) WARNING 11-20 10:12:33 [x.py:1] hm", Level.WARNING),
        ("(APIServer pid=7) INFO:     Started server process [7]", Level.INFO),
        ("DEBUG 11-20 10:12:33 [x.py:1] detail", Level.DEBUG),
        ("[W1120 10:12:33.123 socket.cpp:200] retry", Level.WARNING),
        ("[ERROR] HCCL(1,python):2026-11-20-10:12:33.1 bad", Level.ERROR),
        ("RuntimeError: NPU out of memory", Level.ERROR),
        ("Traceback (most recent call last):", Level.ERROR),
        ("INFO 11-20 10:12:33 [x.py:1] an Error: that was handled", Level.INFO),
        ("errors='ignore' was set", Level.INFO),
        ("plain text", Level.INFO),
    ],
)
def test_levels(line: str, level: Level) -> None:
    assert level_of(line) is level


def test_the_lines_of_a_traceback_are_as_bad_as_it() -> None:
    assert level_of('  File "core.py", line 699', Level.ERROR) is Level.ERROR
    assert level_of("(EngineCore_DP0 pid=3)   File x", Level.ERROR) is Level.ERROR
    assert level_of("next message", Level.ERROR) is Level.INFO
