"""Edits as patches: exact on what they were made from, kept or told on what was rendered anew."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wizard.scriptpatch import apply, make, parse

BASE = """\
#!/bin/bash
set -eu

export OMP_NUM_THREADS=100
export HCCL_BUFFSIZE=1024

exec vllm serve /data/model \\
--host 0.0.0.0 \\
--port 8000 \\
--max-num-seqs 16 \\
--max-model-len 17450 \\
--seed 1024
"""

# few different lines, so that repeated blocks and empty lines are the rule
_LINES = st.lists(
    st.sampled_from(["", "a", "b", "  c", "-d", "+e", "@@ f", "fi \\", "fi", "\u2028g"])
)
_TEXTS = _LINES.map(lambda lines: "".join(f"{line}\n" for line in lines))


def edited(*changes: tuple[str, str], base: str = BASE) -> str:
    for old, new in changes:
        assert base.count(old) == 1
        base = base.replace(old, new)
    return base


def unended(line: str) -> str:
    return line.removesuffix(" \\")


@given(_TEXTS, _TEXTS)
def test_a_patch_turns_the_one_text_into_the_other(old: str, new: str) -> None:
    patch = make(old, new)
    done = apply(patch, old)
    assert (done.text, done.conflicts) == (new, ())
    assert (patch == "") == (old == new)
    assert [new.split("\n")[n] for n in sorted(done.lines)] == [
        line for hunk in parse(patch) for line in hunk.added
    ]


@given(_TEXTS, _TEXTS, _TEXTS)
def test_whatever_the_text_has_become_no_edit_is_lost_without_a_word(
    old: str, new: str, other: str
) -> None:
    patch = make(old, new)
    done = apply(patch, other)
    hunks = parse(patch)
    kept = [hunk for hunk in hunks if hunk not in [c.hunk for c in done.conflicts]]
    lines = done.text.split("\n")
    put_in = [unended(lines[n]) for n in sorted(done.lines)]
    assert put_in == [unended(line) for h in kept for line in h.added]
    rest = [line for n, line in enumerate(lines[:-1]) if n not in done.lines]
    taken = sum(len(h.removed) for h in kept)
    assert len(rest) == len(other.split("\n")) - 1 - taken


@given(
    st.integers(0, 10),
    st.integers(0, 10),
    st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8),
)
def test_a_change_of_another_line_keeps_the_edit(mine: int, theirs: int, word: str) -> None:
    lines = [f"--option-{n} {n} \\" for n in range(11)]

    def text(*changed: int) -> str:
        return "".join(
            f"{line}\n" if n not in changed else f"--option-{n} {n}{word} \\\n"
            for n, line in enumerate(lines)
        )

    patch = make(text(), text(mine))
    done = apply(patch, text(theirs))
    if mine == theirs:
        assert len(done.conflicts) == 1
        assert done.text == text(theirs)
    else:
        assert (done.text, done.conflicts) == (text(mine, theirs), ())


def test_neighbouring_lines_may_change_and_lines_may_come_and_go() -> None:
    patch = make(BASE, edited(("--max-num-seqs 16", "--max-num-seqs 8")))
    anew = edited(
        ("--port 8000", "--port 9000"),
        ("--max-model-len 17450", "--max-model-len 4096"),
        ("export HCCL_BUFFSIZE=1024\n", "export HCCL_BUFFSIZE=1024\nexport A=1\nexport B=2\n"),
    )
    done = apply(patch, anew)
    assert done.conflicts == ()
    assert done.text == anew.replace("--max-num-seqs 16", "--max-num-seqs 8")


def test_a_line_put_in_stays_behind_its_line_when_others_come_there_too() -> None:
    buffer = "export HCCL_BUFFSIZE=1024\n"
    patch = make(BASE, edited((buffer, f"{buffer}export MINE=1\n")))
    done = apply(patch, edited((buffer, f"{buffer}# why\nexport THEIRS=1\n")))
    assert done.conflicts == ()
    assert f"{buffer}export MINE=1\n# why\nexport THEIRS=1\n" in done.text


def test_the_same_line_changed_by_both_is_a_conflict_and_the_others_go_on() -> None:
    patch = make(
        BASE, edited(("--max-num-seqs 16", "--max-num-seqs 8"), ("--seed 1024", "--seed 7"))
    )
    done = apply(patch, edited(("--max-num-seqs 16", "--max-num-seqs 32")))
    (conflict,) = done.conflicts
    assert str(conflict) == (
        "an edit that makes '--max-num-seqs 16 \\\\' into '--max-num-seqs 8 \\\\' finds those "
        "lines changed or gone"
    )
    assert "--max-num-seqs 32 \\\n" in done.text
    assert "--seed 7\n" in done.text


@pytest.mark.parametrize(
    ("mine", "theirs", "both"),
    [
        # the last line edited, then an argument comes behind it
        (
            ("--seed 1024\n", "--seed 7\n"),
            ("--seed 1024\n", "--seed 1024 \\\n--new 5\n"),
            "--seed 7 \\\n--new 5\n",
        ),
        # an argument put in behind the last, then another
        (
            ("--seed 1024\n", "--seed 1024 \\\n--mine 1\n"),
            ("--seed 1024\n", "--seed 1024 \\\n--new 5\n"),
            "--seed 1024 \\\n--mine 1 \\\n--new 5\n",
        ),
        # the last line taken out, then an argument comes behind it
        (
            ("17450 \\\n--seed 1024\n", "17450\n"),
            ("--seed 1024\n", "--seed 1024 \\\n--new 5\n"),
            "17450 \\\n--new 5\n",
        ),
        # a line edited that becomes the last
        (
            ("17450 \\\n", "99 \\\n"),
            (" \\\n--seed 1024\n", "\n"),
            "--max-model-len 99\n",
        ),
    ],
    ids=["changed", "put in behind", "taken out", "becomes the last"],
)
def test_an_edit_of_the_last_line_goes_on_when_the_call_does(
    mine: tuple[str, str], theirs: tuple[str, str], both: str
) -> None:
    done = apply(make(BASE, edited(mine)), edited(theirs))
    assert done.conflicts == ()
    assert done.text.endswith(both)
    assert subprocess.run(["bash", "-n"], input=done.text, text=True, check=False).returncode == 0


def test_an_edit_that_ends_the_call_itself_is_no_word_on_a_line_that_ends_otherwise() -> None:
    patch = make(BASE, edited(("--max-model-len 17450 \\\n", "--max-model-len 17450\n")))
    done = apply(patch, edited((" \\\n--seed 1024\n", "\n")))
    assert len(done.conflicts) == 1


def test_an_edit_that_would_fit_in_two_places_is_not_guessed() -> None:
    old = "a\nif x\n  one\nfi\nb\n"
    patch = make(old, old.replace("  one", "  two"))
    done = apply(patch, "q\nif x\n  one\nfi\nr\nif x\n  one\nfi\ns\n")
    assert [c.why for c in done.conflicts] == ["fits in 2 places now"]
    assert "two" not in done.text


def test_diff_u_is_read_as_well(tmp_path: Path) -> None:
    new = edited(("--port 8000", "--port 9000"), ("--max-model-len 17450", "--max-model-len 99"))
    for name, text in (("old", BASE), ("new", new)):
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        ["diff", "-u", "old", "new"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    patch = done.stdout.split("\n", 2)[2]
    assert len(parse(patch)) == 2
    assert apply(patch, BASE).text == new


@pytest.mark.parametrize(
    ("patch", "why"),
    [
        ("hello\n", "line 1 is not the head of a change"),
        ("@@ -1,1 +1,1 @@\n a\n", "change nothing"),
        ("@@ -1,2 +1,1 @@\n a\n", "line 3 must begin with"),
        ("@@ -1,1 +1,1 @@\n-a\n*b\n", "line 3 must begin with"),
        ("@@ -1,2 +1,1 @@\n-a\n+b\n+c\n-d\n", "has other lines than it says"),
        ("@@ -9,1 +9,1 @@\n-a\n+b\n@@ -1,1 +1,1 @@\n-c\n+d\n", "not in the order"),
    ],
)
def test_what_is_no_patch_is_refused_with_its_line(patch: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse(patch)
