"""Lines out of a streamed log: cut anywhere, redrawn, resumed."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from wizard.launch.lines import Line, LineReader


def stamped(second: int, text: str, nanos: int = 0) -> bytes:
    return f"2026-11-20T10:00:{second:02d}.{nanos:09d}Z {text}\n".encode()


def texts(lines: list[Line]) -> list[str]:
    return [line.text.decode() for line in lines]


LOG = stamped(1, "one") + stamped(1, "two") + stamped(2, "drei – ü") + b"no stamp\n\n" + b"rest"


@given(st.lists(st.integers(0, len(LOG)), max_size=8))
def test_the_same_lines_however_the_bytes_are_cut(cuts: list[int]) -> None:
    reader = LineReader()
    found: list[Line] = []
    for a, b in pairwise([0, *sorted(cuts), len(LOG)]):
        found += reader.feed(LOG[a:b])
    found += reader.flush()
    assert texts(found) == ["one", "two", "drei – ü", "no stamp", "", "rest"]
    assert reader.count == 6


def test_asked_again_from_a_little_before_the_last_stamp() -> None:
    reader = LineReader()
    assert reader.since == ""
    reader.feed(stamped(5, "one", 123_456_789))
    assert reader.since == "2026-11-20T10:00:04Z"


def test_a_zone_is_kept() -> None:
    reader = LineReader()
    reader.feed(b"2026-11-20T10:00:05.5+08:00 one\n")
    assert reader.since == "2026-11-20T10:00:04+08:00"


def test_resuming_leaves_out_what_was_seen() -> None:
    reader = LineReader()
    reader.feed(stamped(1, "one") + stamped(2, "same") + stamped(2, "same") + b"2026-11-20T1")
    reader.resume()
    again = stamped(1, "one") + stamped(2, "same") + stamped(2, "same")
    # a third one of the same moment had not been written when the connection broke
    again += stamped(2, "same") + stamped(3, "new")
    assert texts(reader.feed(again)) == ["same", "new"]


def test_resuming_at_exactly_the_moment_after() -> None:
    reader = LineReader()
    reader.feed(stamped(2, "one", 5))
    reader.resume()
    assert texts(reader.feed(stamped(2, "two", 6))) == ["two"]


def test_resuming_before_anything_was_read() -> None:
    reader = LineReader()
    reader.resume()
    assert texts(reader.feed(stamped(1, "one"))) == ["one"]


def test_a_bar_overwrites_itself_and_nothing_else() -> None:
    reader = LineReader(stamps=False)
    bar = b" 50%% Completed | %d/163 [00:01<00:02, 1.0it/s]"
    lines = reader.feed(b"before\n" + bar % 1 + b"\r" + bar % 2 + b"\n" + bar % 3 + b"\nafter\n")
    assert [line.redraws for line in lines] == [False, False, True, False]
    assert b"2/163" in lines[1].text
    assert lines[3].text == b"after"


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    reader = LineReader(stamps=False)
    found = reader.feed(b"x" * 100_000)
    assert [len(line.text) for line in found] == [100_000]
    assert texts(reader.feed(b"y\n")) == ["y"]
