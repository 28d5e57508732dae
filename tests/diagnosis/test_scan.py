"""The scan of one log: prefixes, chunks, stamps, tracebacks, and what is hostile."""

from __future__ import annotations

import gzip
import io
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.diagnosis.compose import FRAMES, render, scripts
from wizard.diagnosis.loglines import LONGEST, parse
from wizard.diagnosis.marks import NodeLog
from wizard.diagnosis.reading import LogReader, read_lines, read_stream
from wizard.diagnosis.verdict import diagnose
from wizard.launch.progress import Phase

OOM = "ValueError: No available memory for the cache blocks."
SCRIPTS = {s["name"]: s for s in scripts()}


def scan(data: bytes) -> NodeLog:
    (log,) = read_stream(0, "x.log", io.BytesIO(data))
    return log


@pytest.mark.parametrize(
    ("line", "level", "process", "stamp", "text"),
    [
        ("(E pid=3) ERROR 11-20 10:12:33 [c.py:7] boom", "ERROR", "E", "11-20 10:12:33", "boom"),
        ("(E pid=1) (W3 pid=2) INFO 11-20 10:12:33 [a:1] x", "INFO", "W3", "11-20 10:12:33", "x"),
        ("2026-11-20T10:12:33Z (E pid=3)   File", "", "E", "2026-11-20T10:12:33Z", "  File"),
        ("[W1120 10:12:33.670 socket.cpp:200] [c10d] no", "WARNING", "", "1120 10:12:33", None),
        ("[ERROR] HCCL(1,p):2026-11-20-10:12:33.1.2 no", "ERROR", "", "2026-11-20-10:12:33", None),
        ("(APIServer pid=1) INFO:     Started", "INFO", "APIServer", "", "Started"),
        ("(a remark) in brackets", "", "a remark", "", "in brackets"),
        ("INFO 99-99 99:99:99 [a.py:1] x", "INFO", "", "99-99 99:99:99", "x"),
    ],
)  # fmt: skip
def test_lines_are_taken_apart(
    line: str, level: str, process: str, stamp: str, text: str | None
) -> None:
    found = parse(line)
    assert (found.level, found.process, found.stamp) == (level, process, stamp)
    assert text is None or found.text == text


def test_both_stamps_are_read() -> None:
    line = parse("2026-11-20T18:12:33.25+08:00 (E pid=3) INFO 11-20 18:12:33 [core.py:7] x")
    other = parse("2026-11-20T10:12:34Z x")
    assert line.engine_s is not None
    assert other.engine_s is not None
    assert other.engine_s - line.engine_s == 0.75
    assert line.clock_s is not None


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 700), min_size=1, max_size=12))
def test_chunks_cut_anywhere_change_nothing(sizes: list[int]) -> None:
    for name in ("an old job holds an NPU of node 1", "slow weights run into the time limit"):
        data = render(SCRIPTS[name])[1]
        whole, cut = scan(data), LogReader(0, "x.log")
        at = 0
        while at < len(data):
            for size in sizes:
                cut.feed(data[at : at + size])
                at += size
        (found,) = cut.close()
        assert {k: (h.mark, h.count) for k, h in found.hits.items()} == {
            k: (h.mark, h.count) for k, h in whole.hits.items()
        }
        assert (found.lines, found.last, found.stage) == (whole.lines, whole.last, whole.stage)


def test_the_line_number_counts_newlines_and_the_neighbours_are_kept() -> None:
    data = b"one\r\ntwo\rTWO\n\x1b[31mthree\x1b[0m\n" + OOM.encode() + b"\nfive\nsix"
    mark = scan(data).hits["no_kv_blocks"].mark
    assert mark.line == 4
    assert mark.around == ((1, "one"), (2, "TWO"), (3, "three"), (4, OOM), (5, "five"), (6, "six"))


def test_a_line_without_a_stamp_takes_the_last_one_before_it() -> None:
    early = "".join(f"INFO 11-20 10:12:{n % 60:02} [a.py:1] x\n" for n in range(5000))
    mark = scan(f"{early}{OOM}\n".encode()).hits["no_kv_blocks"].mark
    assert mark.stamp == "11-20 10:12:19"


def test_an_error_after_a_carriage_return_is_seen() -> None:
    bar = "\rLoading safetensors checkpoint shards: 10% Completed | 1/10 [00:01<00:09,  1.2it/s]"
    assert "no_kv_blocks" in scan(f"{bar * 20}\r{OOM}\n".encode()).hits


def test_the_innermost_exception_comes_first() -> None:
    text = (
        f"{FRAMES}FluxError: no flux\n\nDuring handling of the above exception, another exception "
        f"occurred:\n\n{FRAMES}RuntimeError: could not start\n"
    )
    assert [m.text for m in scan(text.encode()).errors] == [
        "FluxError: no flux",
        "RuntimeError: could not start",
    ]


def test_two_processes_that_write_at_once_are_kept_apart() -> None:
    a, b = "(A pid=1) ", "(B pid=2) "
    lines = FRAMES.rstrip("\n").split("\n")
    mixed = "".join(f"{a}{line}\n{b}{line}\n" for line in lines)
    log = scan(f"{mixed}{b}FluxError: b\n{a}FluxError: a\n".encode())
    assert [(m.process, m.text) for m in log.errors] == [
        ("B", "FluxError: b"),
        ("A", "FluxError: a"),
    ]


def test_a_traceback_in_a_warning_is_none() -> None:
    text = "".join(f"WARNING 11-20 10:12:33 [a.py:1] {line}\n" for line in FRAMES.split("\n"))
    log = scan(f"{text}WARNING 11-20 10:12:33 [a.py:1] ImportError: x\n".encode())
    assert not log.failed


def test_of_damaged_gzip_what_stands_before_the_damage_is_read() -> None:
    noise = "".join(f"{word:x}\n" for word in range(60_000))
    packed = gzip.compress(f"{OOM}\n{noise}".encode())
    assert scan(packed).remark == ""
    damaged = bytearray(packed)
    damaged[-2000:-1000] = bytes(1000)
    for data in (packed[:-12], packed[: len(packed) // 2], bytes(damaged)):
        log = scan(data)
        assert "no_kv_blocks" in log.hits
        assert log.remark.startswith("is damaged gzip (")
    early = bytearray(packed)
    early[6000:] = b"\xff" * (len(packed) - 6000)  # little comes before it
    assert "no_kv_blocks" in scan(bytes(early)).hits
    with pytest.raises(OSError, match="damaged gzip"):
        scan(packed[:2] + b"no gzip at all")


def test_gzip_that_was_appended_to_is_read_whole() -> None:
    packed = [gzip.compress(text.encode()) for text in ("one\n", f"{OOM}\n")]
    for filling in (b"", bytes(1500)):
        log = scan(filling.join([*packed, b""]))
        assert (log.hits["no_kv_blocks"].mark.line, log.remark) == (2, "")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_what_windows_wrote_is_read(encoding: str) -> None:
    text = f"node1 | {OOM}\r\nnode0 | 内存不足\r\n".encode(encoding)
    found = {log.node: log for log in read_stream(0, "x.log", io.BytesIO(text))}
    assert "no_kv_blocks" in found[1].hits
    assert found[0].remark == ""


@pytest.mark.parametrize(
    ("data", "remark"),
    [
        (b"", "is empty"),
        (bytes(range(256)) * 9, "does not look like a text"),
        (bytes(9000) + OOM.encode(), ""),  # its file was cut while it was written
    ],
)
def test_what_is_no_log_is_told(data: bytes, remark: str) -> None:
    assert scan(data).remark == remark


def test_a_short_stream_is_read_though_its_pieces_are_small() -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(1)

    (log,) = read_stream(0, "x", Slow(f"{OOM}\n".encode()))
    assert "no_kv_blocks" in log.hits


@pytest.mark.parametrize("newlines", [False, True])
def test_binary_is_read_without_harm(newlines: bool) -> None:
    data = random.Random(1).randbytes(1 << 20)
    data = data if newlines else data.replace(b"\n", b"")
    log = scan(data)
    assert diagnose([log]).cause is None
    assert not any("\x1b" in text for m in [*log.errors, log.last] if m for _, text in m.around)


def test_a_huge_line_is_cut_and_the_next_is_read() -> None:
    for piece in (b"x", b"listen on ip[", b"(A pid=1) ", b"\x1b[31m", b"\r", b"EI0006 Getting "):
        log = scan(piece * ((4 << 20) // len(piece)) + f"\n{OOM}\n".encode())
        assert log.hits["no_kv_blocks"].mark.line == 2
        assert all(len(text) <= LONGEST for _, text in log.hits["no_kv_blocks"].mark.around)


def test_what_repeats_without_end_is_counted_not_kept() -> None:
    opened = [f"(W{n} pid={n}) Traceback (most recent call last):" for n in range(3000)]
    log = read_lines(0, "x", opened)[0]
    assert log.errors == []
    table = "|  29.11.1.35(19)  |  16666  |  29.11.0.43(3)  |  16666  |  client  |  x  |  ENABLE  |"
    hit = read_lines(0, "x", [table] * 3000)[0].hits["hccl_doc_link_error_table_EI0006"]
    assert hit.count == 3000
    assert len(hit.rows) <= 256


def test_the_stage_comes_with_the_scan() -> None:
    healthy = render(SCRIPTS["healthy, DP 2"])
    logs = [read_stream(n, str(n), io.BytesIO(d))[0] for n, d in enumerate(healthy)]
    assert [log.stage.phase for log in logs] == [Phase.READY, Phase.ENGINE]
    assert [(log.ranks, log.world) for log in logs] == [({0}, 32), ({16}, 32)]


def test_an_empty_log_is_no_cause() -> None:
    log = scan(b"")
    assert (log.lines, log.last) == (0, None)
    assert diagnose([log]).causes == ()
