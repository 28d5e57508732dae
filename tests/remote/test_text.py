"""Text from nodes: nothing in it may act on a terminal, however it is cut."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wizard.remote.text import LineCleaner, clean

SEQUENCES = ["\x1b[31m", "\x1b]0;t\x07", "\x1b]8;;u\x1b\\", "\x1bP+q\x1b\\", "\x9b2J", "\x1b(B"]
PIECES = st.sampled_from([*SEQUENCES, "\r\n", *"\x1b\r\n\t\x00\x07\u202e\u2028aé漢 ["])
TEXTS = st.lists(PIECES | st.text(max_size=3), max_size=12).map("".join)
DANGEROUS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"plain \xe6\xbc\xa2\tx\n", "plain 漢\tx\n"),
        (b"\x1b[1;31mred\x1b[0m", "red"),
        (b"\x1b]0;owned\x07title\x1b]8;;http://x\x1b\\link", "titlelink"),
        (b"a\r\nb\r\n", "a\nb\n"),
        (b"10%\r50%\r100%\n", "100%\n"),
        (b"kept\r\x00\n", "kept\n"),
        (b"bad \xff byte", "bad \ufffd byte"),
        ("pass\u202efail", "passfail"),
        (b"cut \x1b[3", "cut "),
        (b"\x08\x08x\x7f", "x"),
    ],
)
def test_clean(raw: bytes | str, shown: str) -> None:
    assert clean(raw) == shown


@given(TEXTS)
def test_nothing_dangerous_is_left_and_cleaning_again_changes_nothing(text: str) -> None:
    shown = clean(text)
    assert not DANGEROUS.search(shown)
    assert clean(shown) == shown


@given(TEXTS, st.lists(st.integers(1, 5), max_size=30))
def test_lines_are_the_same_however_the_bytes_are_cut(text: str, sizes: list[int]) -> None:
    data, cleaner = text.encode("utf-8", "replace"), LineCleaner()
    lines: list[str] = []

    def take(found: list[tuple[str, bool]]) -> None:
        for line, replaces in found:
            if replaces:
                lines.pop()
            lines.append(line)

    for size in sizes:
        take(list(cleaner.feed(data[:size])))
        data = data[size:]
    take(list(cleaner.feed(data)))
    take(list(cleaner.flush()))
    assert "\n".join(lines).rstrip("\n") == clean(text.encode("utf-8", "replace")).rstrip("\n")


def test_a_line_without_end_is_bounded() -> None:
    cleaner = LineCleaner(limit=10)
    found = [*cleaner.feed(b"x" * 100_000), *cleaner.feed(b"y\nnext\n")]
    assert found == [("x" * 10, False), ("next", False)]
