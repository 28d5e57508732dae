"""Comparing two texts: rows for drawing, and the unified text that patch understands."""

from __future__ import annotations

import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from wizard.textdiff import Kind, changed_spans, compare, differing, unified

_LINES = st.lists(st.sampled_from(["", "a", "b c", "b d", "--x 1 \\", "--x 2 \\"]), max_size=14)
_TEXTS = _LINES.map(lambda lines: "".join(f"{line}\n" for line in lines))


@given(_TEXTS, _TEXTS)
def test_each_side_reads_as_its_text_and_numbers_its_lines(left: str, right: str) -> None:
    diff = compare("t", ("old", left), ("new", right))
    assert bool(diff.rows) == (left != right)
    for text, side, number in ((left, "left", "left_number"), (right, "right", "right_number")):
        lines = text.split("\n")[:-1]
        shown, skipped, at = 0, 0, 0
        for row in diff.rows:
            if row.kind is Kind.SKIPPED:
                skipped += row.count
                at += row.count
            elif (n := getattr(row, number)) is not None:
                at += 1
                assert n == at
                assert lines[n - 1] == getattr(row, side)
                shown += 1
        assert not diff.rows or shown + skipped == len(lines)


@given(_TEXTS, _TEXTS)
def test_rows_say_what_they_are(left: str, right: str) -> None:
    for row in compare("t", ("old", left), ("new", right)).rows:
        there = (row.left_number is not None, row.right_number is not None)
        match row.kind:
            case Kind.SAME:
                assert there == (True, True)
                assert row.left == row.right
            case Kind.CHANGED:
                assert there == (True, True)
                assert row.left != row.right
            case Kind.REMOVED | Kind.ADDED:
                assert there == (row.kind is Kind.REMOVED, row.kind is Kind.ADDED)
            case Kind.SKIPPED:
                assert row.count > 1


def test_patch_takes_the_unified_text(tmp_path: Path) -> None:
    old = "".join(f"line {n}\n" for n in range(40))
    new = old.replace("line 3\n", "line 3\nmore\n").replace("line 20\n", "line twenty\n")
    new = new.replace("line 38\n", "")
    diff = compare("file", ("a", old), ("b", new))
    assert len(diff.changes) == 3
    (tmp_path / "file").write_text(old)
    text = "".join(f"{line}\n" for line in unified(diff))
    subprocess.run(
        ["git", "apply", "-p1", "-"], input=text, text=True, cwd=tmp_path, check=True, timeout=20
    )
    assert (tmp_path / "file").read_text() == new


def test_versions_of_a_line_stand_beside_each_other() -> None:
    left = "--max-num-seqs 16 \\\n--seed 1024\n"
    right = "export NEW=1\n--max-num-seqs 32 \\\n--seed 7\n"
    rows = compare("t", ("old", left), ("new", right)).rows
    assert [(row.kind, row.left[:10], row.right[:10]) for row in rows] == [
        (Kind.ADDED, "", "export NEW"),
        (Kind.CHANGED, "--max-num-", "--max-num-"),
        (Kind.CHANGED, "--seed 102", "--seed 7"),
    ]
    assert changed_spans("--seed 1024", "--seed 7") == ([(7, 11)], [(7, 8)])


def test_of_long_values_the_pieces_that_differ_are_told() -> None:
    assert differing("a", "b") == ("a", "b")
    one, other = f"{'x' * 300}[16]{'y' * 300}", f"{'x' * 300}[32]{'y' * 300}"
    here, there = differing(one, other)
    assert here == f"…{'x' * 19}[16]{'y' * 37}…"
    assert there == here.replace("16", "32")
    assert differing("z" * 61, "not given") == ("z" * 60 + "…", "not given")
