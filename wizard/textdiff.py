"""Two texts line by line, as rows that can be drawn side by side or unified. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile

# the first word; of an assignment the name, of a comment three words
_SUBJECT = re.compile(r"\s*(?:export\s+|exec\s+)?(#(?:\s*\S+){1,3}|[^\s=#]+)")

CONTEXT = 3  # unchanged lines shown around a change
PIECE = 60  # characters of a long value that are shown where it differs from another


class Kind(StrEnum):
    """What a row is."""

    SAME = "same"
    CHANGED = "changed"
    REMOVED = "removed"  # on the left alone
    ADDED = "added"  # on the right alone
    SKIPPED = "skipped"  # ``count`` unchanged lines that are not shown


@dataclass(frozen=True, slots=True)
class Row:
    """One line, or one on each side. Numbers are 1-based; None where a side has no line."""

    kind: Kind
    left: str = ""
    right: str = ""
    left_number: int | None = None
    right_number: int | None = None
    count: int = 0


@dataclass(frozen=True, slots=True)
class FileDiff:
    """How one text differs from another.

    Attributes:
        title: what is compared, as in ``node0/serve.sh``.
        left, right: what the two sides are.
        rows: the lines; empty when the texts are the same.
        notes: sentences that belong to it, such as the reasons for the differences.
    """

    title: str
    left: str
    right: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    @property
    def changes(self) -> list[int]:
        """The index of the first row of every change."""
        plain = (Kind.SAME, Kind.SKIPPED)
        found, before = [], True
        for index, row in enumerate(self.rows):
            if before and row.kind not in plain:
                found.append(index)
            before = row.kind in plain
        return found


def compare(
    title: str, left: tuple[str, str], right: tuple[str, str], notes: Sequence[str] = ()
) -> FileDiff:
    """Compare two texts, each given with the name of its side."""
    rows = tuple(_rows(left[1].split("\n"), right[1].split("\n")))
    return FileDiff(title, left[0], right[0], rows if left[1] != right[1] else (), tuple(notes))


def _rows(left: list[str], right: list[str]) -> Iterator[Row]:
    for old in (left, right):
        if old[-1] == "":
            old.pop()
    codes = difflib.SequenceMatcher(None, left, right, False).get_opcodes()
    for tag, i1, i2, j1, j2 in codes:
        if tag == "equal":
            yield from _same(left, i1, j1, i2 - i1, first=not i1 and not j1, last=i2 == len(left))
            continue
        pairs = _pairs(left[i1:i2], right[j1:j2])
        for a, b in pairs:
            kind = Kind.REMOVED if b is None else Kind.ADDED if a is None else Kind.CHANGED
            yield Row(
                kind,
                "" if a is None else left[i1 + a],
                "" if b is None else right[j1 + b],
                None if a is None else i1 + a + 1,
                None if b is None else j1 + b + 1,
            )


def _same(left: list[str], i: int, j: int, count: int, *, first: bool, last: bool) -> Iterator[Row]:
    head, tail = 0 if first else CONTEXT, 0 if last else CONTEXT
    for n in range(count):
        if head + 1 < count - tail and n == head:
            yield Row(Kind.SKIPPED, count=count - head - tail)
        if n < head or n >= count - tail or head + 1 >= count - tail:
            yield Row(Kind.SAME, left[i + n], left[i + n], i + n + 1, j + n + 1)


def _pairs(left: Sequence[str], right: Sequence[str]) -> list[tuple[int | None, int | None]]:
    """Put the lines beside each other that are versions of each other; the order stays."""
    if len(left) == len(right):
        return [(n, n) for n in range(len(left))]
    found: list[tuple[int | None, int | None]] = []
    subjects = [_subject(line) for line in right]
    at = 0
    for a, line in enumerate(left):
        subject = _subject(line)
        if not subject or subject not in subjects[at:]:
            found.append((a, None))
            continue
        b = subjects.index(subject, at)
        found += [(None, n) for n in range(at, b)]
        found.append((a, b))
        at = b + 1
    return found + [(None, n) for n in range(at, len(right))]


def _subject(line: str) -> str:
    """Return what a line of a script is about: its option or variable; "" for none."""
    match = _SUBJECT.match(line)
    return match[1].lower() if match else ""


def changed_spans(old: str, new: str) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return which characters of two versions of a line differ, as ranges of each."""
    left, right = [], []
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, old, new, False).get_opcodes():
        if tag != "equal":
            left += [(i1, i2)] * (i2 > i1)
            right += [(j1, j2)] * (j2 > j1)
    return left, right


def unified(diff: FileDiff) -> list[str]:
    """Return the lines of a unified diff, with its notes; nothing when there is nothing to say."""
    lines = []
    if diff.rows:
        lines += [f"--- {diff.left}/{diff.title}", f"+++ {diff.right}/{diff.title}"]
    for start, block in _blocks(diff.rows):
        lines += _hunk(start, block)
    return [*lines, *(f"# {diff.title}: {note}" for note in diff.notes)]


def _blocks(rows: Sequence[Row]) -> Iterator[tuple[tuple[int, int], list[Row]]]:
    """Cut rows at what is skipped; with the numbers of the lines that each block begins at."""
    start, at, block = (1, 1), (1, 1), list[Row]()
    for row in rows:
        if row.kind is Kind.SKIPPED:
            if block:
                yield start, block
            start = at = (at[0] + row.count, at[1] + row.count)
            block = []
            continue
        at = (at[0] + (row.left_number is not None), at[1] + (row.right_number is not None))
        block.append(row)
    if block:
        yield start, block


def _hunk(start: tuple[int, int], rows: Sequence[Row]) -> list[str]:
    lines, removed, added = [], list[str](), list[str]()
    old = sum(row.left_number is not None for row in rows)
    new = sum(row.right_number is not None for row in rows)
    head = [
        f"{first - (count == 0)},{count}" for first, count in zip(start, (old, new), strict=True)
    ]
    lines.append(f"@@ -{head[0]} +{head[1]} @@")
    for row in [*rows, Row(Kind.SKIPPED)]:
        if row.kind in (Kind.SAME, Kind.SKIPPED):
            lines += removed + added
            removed, added = [], []
        if row.kind is Kind.SAME:
            lines.append(f" {row.left}")
        removed += [f"-{row.left}"] if row.kind in (Kind.REMOVED, Kind.CHANGED) else []
        added += [f"+{row.right}"] if row.kind in (Kind.ADDED, Kind.CHANGED) else []
    return lines


def differing(one: str, other: str, limit: int = PIECE) -> tuple[str, str]:
    """Return two values as they are, or of longer ones the pieces in which they differ."""
    if max(len(one), len(other)) <= limit:
        return one, other
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
    start = max(0, same - limit // 3)

    def piece(text: str) -> str:
        end = start + limit
        return f"{'…' * (start > 0)}{text[start:end]}{'…' * (len(text) > end)}"

    return piece(one), piece(other)
