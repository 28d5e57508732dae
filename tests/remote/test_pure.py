"""Frames, without a node."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wizard.remote.api import JobResult
from wizard.remote.frames import FrameReader
from wizard.remote.shell import JOB_LIMIT

NONCE = "00ff00ff"


def frame(kind: str, number: int, flag: int = 0, content: bytes = b"") -> bytes:
    return f"\x1e{NONCE} {kind} {number} {flag} {len(content)}\n".encode() + content + b"\n"


WHOLE = b"".join(
    [
        b"Welcome\x1e00ff\n",
        frame("H", 2),
        frame("o", 1, 1, b"a\n"),
        frame("e", 0, 0, b"\x1e00ff00ee x 1 0 3\n0 1\n"),
        frame("o", 1, 0, b"b"),
        b"\x1e00ff00ff o torn\n",
        frame("x", 1, 3, b"1.5 2.0"),
        frame("x", 0, 0, b"2 1"),
        frame("x", 0, 9, b"2 1"),
        frame("T", 2),
    ]
)


@given(st.lists(st.integers(1, 40), max_size=60))
def test_frames_are_read_however_they_are_cut(sizes: list[int]) -> None:
    reader, rest, results = FrameReader(NONCE, ["zero", "one"]), WHOLE, []
    for size in sizes:
        results += reader.feed(rest[:size])
        rest = rest[size:]
    results += reader.feed(rest)
    assert results == [
        JobResult("one", 3, b"a\n\0b", b"", 0.5),
        JobResult("zero", 0, b"", b"\x1e00ff00ee x 1 0 3\n0 1\n", 0.0),
    ]
    assert reader.complete
    assert reader.noise == b"Welcome\x1e00ff\n"


@pytest.mark.parametrize("left_out", [frame("H", 2), frame("x", 0, 0, b"2 1"), frame("T", 2)])
def test_without_header_answer_or_trailer_it_is_not_complete(left_out: bytes) -> None:
    reader = FrameReader(NONCE, ["zero", "one"])
    reader.feed(WHOLE.replace(left_out, b"").replace(frame("x", 0, 9, b"2 1"), b""))
    assert not reader.complete


def test_a_node_that_sends_without_end_fills_no_memory() -> None:
    reader = FrameReader(NONCE, ["zero"])
    endless = f"\x1e{NONCE} o 0 0 {1 << 40}\n".encode() + b"y" * 1000
    for _ in range(300):
        reader.feed(frame("o", 0, 1 << 40, b"y" * 3000) + endless)
    (result,) = reader.feed(frame("H", 1) + frame("x", 0, 0, b"1 2"))
    assert len(result.stdout) == JOB_LIMIT
    assert result.stdout.startswith(b"y" * 3000 + b"\0")
