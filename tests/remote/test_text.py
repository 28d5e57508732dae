"""Text from nodes: nothing in it may act on a terminal, however it is cut."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wizard.remote.text import LineCleaner, clean

SEQUENCES = ["\x1b[31m", "\x1b]0;t\x07", "\x1b]8;;u\x1b\\", "\x1bP+q\x1b\\", "\x9b2J", "\x1b(B"]
PIECES = st.sampled_from([*SEQUENCES, "\r\n", *"\x1b\r\n\t\x00\x07\u202e\u2028aé漢 ["])
TEXTS = st.lists(PIECES | st.text(max_size=3), max_size=12).map("".join)
DANGEROUS = re.compile(
    r"[\ud800-\udfff\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)


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
        ("half a pair \ud83d, a pair \U0001f600", "half a pair \ufffd, a pair \U0001f600"),
        (b"\xed\xa0\xbd", "\ufffd\ufffd\ufffd"),
    ],
)
def test_clean(raw: bytes | str, shown: str) -> None:
    assert clean(raw) == shown


@settings(deadline=None)
@given(TEXTS)
def test_nothing_dangerous_is_left_and_cleaning_again_changes_nothing(text: str) -> None:
    shown = clean(text)
    assert not DANGEROUS.search(shown)
    assert clean(shown) == shown


BYTES = st.lists(
    st.sampled_from(
        [
            *(x.encode() for x in SEQUENCES),
            *(bytes([n]) for n in range(32)),
            b"\r\n",
            b"\xff",
            b"ab",
            "\u202e".encode(),
            "漢".encode(),
            b"\xe2\x80",
            b"\xc2",
            b"\x9b",
            b"\x1b]0;",
            b"\x1b[",
        ]
    )
    | st.binary(max_size=4),
    max_size=14,
).map(b"".join)


def _lines(chunks: list[bytes], limit: int = 8192) -> list[str]:
    """What a log would show in the end."""
    cleaner, lines = LineCleaner(limit), list[str]()
    for found in (*(cleaner.feed(chunk) for chunk in chunks), cleaner.flush()):
        for line, replaces in found:
            if replaces:
                lines.pop()
            lines.append(line)
    return lines


def _cut(data: bytes, sizes: list[int]) -> list[bytes]:
    chunks = []
    for size in sizes:
        chunks.append(data[:size])
        data = data[size:]
    return [*chunks, data]


@settings(deadline=None)
@given(TEXTS, st.lists(st.integers(1, 5), max_size=30))
def test_lines_are_the_same_however_the_bytes_are_cut(text: str, sizes: list[int]) -> None:
    data = text.encode("utf-8", "replace")
    assert "\n".join(_lines(_cut(data, sizes))).rstrip("\n") == clean(data).rstrip("\n")


@settings(deadline=None)
@given(BYTES, st.lists(st.integers(1, 3), max_size=40), st.sampled_from([3, 8192]))
def test_no_bytes_however_cut_leave_anything_dangerous(
    data: bytes, sizes: list[int], limit: int
) -> None:
    lines = _lines(_cut(data, sizes), limit)
    assert lines == _lines([data], limit)
    for line in [*lines, *clean(data).split("\n")]:
        assert not DANGEROUS.search(line)
        assert "\n" not in line
        line.encode()  # a terminal takes it


def test_a_line_without_end_is_bounded() -> None:
    cleaner = LineCleaner(limit=10)
    found = [*cleaner.feed(b"x" * 100_000), *cleaner.feed(b"y\nnext\n")]
    assert found == [("x" * 10, False), ("next", False)]
