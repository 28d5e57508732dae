"""Edits of a generated text as a patch: made from two texts, applied to a later rendering. Pure.

A patch is unified-diff hunks without file names. It is put onto a text that may have been rendered
anew meanwhile: a hunk goes where all of its context stands; else, because a neighbouring line may
have changed, with less of it, but only where what is left stands in one single place; else, with
the backslash at its end or without, for a call's last line gains one when an argument comes behind
it. A hunk that finds no such place is a conflict, told to the user and never applied by guess.

Lines end in ``\\n`` alone; a text that lacks the last one is given it, as every script has it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

from wizard.textdiff import differing

CONTEXT = 3  # lines around a change, as diff -u has them
_CONTINUED = " \\"  # the end of a line whose command goes on
_PIECE = 40  # characters of a long line that a sentence shows
_GONE = "finds those lines changed or gone"
_HEAD = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


@dataclass(frozen=True, slots=True)
class Hunk:
    """One change: lines before it, lines taken out, lines put in, lines behind it.

    Attributes:
        at: index of the first line taken out, or else of the line that the new ones go before, in
            the text that the patch was made from.
    """

    at: int
    before: tuple[str, ...]
    removed: tuple[str, ...]
    added: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def title(self) -> str:
        """The change in a few words."""
        if not self.removed:
            return f"adds {_words(self.added)}"
        if not self.added:
            return f"takes out {_words(self.removed)}"
        if len(self.removed) == len(self.added) == 1:
            old, new = differing(self.removed[0].strip(), self.added[0].strip(), _PIECE)
            return f"makes {old!r} into {new!r}"
        return f"makes {_words(self.removed)} into {_words(self.added)}"


@dataclass(frozen=True, slots=True)
class Conflict:
    """A hunk that does not fit the text any more, and why."""

    hunk: Hunk
    why: str

    def __str__(self) -> str:
        return f"an edit that {self.hunk.title} {self.why}"


@dataclass(frozen=True, slots=True)
class Applied:
    """A text with a patch on it. ``lines`` are the 0-based numbers of lines that an edit put in."""

    text: str
    conflicts: tuple[Conflict, ...]
    lines: frozenset[int]


def split(text: str) -> list[str]:
    r"""Return the lines of a text, cut at ``\n`` and nowhere else."""
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def joined(lines: Sequence[str]) -> str:
    """Return the text of lines, each with its end."""
    return "".join(f"{line}\n" for line in lines)


def make(generated: str, edited: str) -> str:
    """Return the patch that turns ``generated`` into ``edited``; "" when they are the same.

    Every change is a hunk of its own, even beside another whose lines are in its context: so one
    of them may become a conflict without the other.
    """
    old, new = split(generated), split(edited)
    found = []
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, old, new, False).get_opcodes():
        if i2 - i1 == j2 - j1:  # line for line
            spans = [(i1 + n, i1 + n + 1, j1 + n, j1 + n + 1) for n in range(i2 - i1)]
        else:
            spans = [(i1, i2, j1, j2)]
        if tag != "equal":
            found += [_format(_around(old, a, b, tuple(new[c:d])), c) for a, b, c, d in spans]
    return "".join(found)


def _around(old: Sequence[str], start: int, end: int, added: tuple[str, ...]) -> Hunk:
    before, after = old[max(0, start - CONTEXT) : start], old[end : end + CONTEXT]
    return Hunk(start, tuple(before), tuple(old[start:end]), added, tuple(after))


def _format(hunk: Hunk, new_at: int) -> str:
    context = len(hunk.before) + len(hunk.after)
    old, new = context + len(hunk.removed), context + len(hunk.added)
    # of an empty range, diff names the line before it; the second number is for people alone
    first, second = (max(0, at - len(hunk.before)) for at in (hunk.at, new_at))
    lines = [f"@@ -{first + (old > 0)},{old} +{second + (new > 0)},{new} @@"]
    # an empty line of the context stands without its blank, as GNU patch also reads it: YAML
    # writes a text readably only when no line ends in one
    lines += [f" {line}" if line else "" for line in hunk.before]
    lines += [f"-{line}" for line in hunk.removed]
    lines += [f"+{line}" for line in hunk.added]
    lines += [f" {line}" if line else "" for line in hunk.after]
    return joined(lines)


def parse(patch: str) -> list[Hunk]:
    """Read a patch, also one that people wrote or ``diff -u`` (without the names of its files).

    Raises:
        ValueError: it is not one; names the line.
    """
    lines, found, at = split(patch), list[Hunk](), 0
    while at < len(lines):
        head = _HEAD.fullmatch(lines[at])
        if head is None:
            raise ValueError(f"line {at + 1} is not the head of a change, as @@ -1,3 +1,4 @@ is")
        old, new = (1 if head[n] is None else int(head[n]) for n in (2, 4))
        body = _body(lines, at + 1, old, new)
        at += 1 + len(body)
        changes = list(_changes(body, int(head[1]) - (old > 0)))
        if not changes:
            raise ValueError(f"the lines above line {at + 1} change nothing")
        found += changes
    if any(b.at < a.at + len(a.removed) for a, b in pairwise(found)):
        raise ValueError("its changes overlap, or are not in the order of the lines")
    return found


def _body(lines: list[str], at: int, old: int, new: int) -> list[str]:
    body: list[str] = []
    while old > 0 or new > 0:
        line = lines[at + len(body)] if at + len(body) < len(lines) else "@"
        sign = line[:1] or " "
        if sign not in " +-":
            raise ValueError(f"line {at + len(body) + 1} must begin with a blank, + or -")
        old -= sign != "+"
        new -= sign != "-"
        body.append(f"{sign}{line[1:]}")
    if old or new:
        raise ValueError(f"the change above line {at + len(body) + 1} has other lines than it says")
    return body


def _changes(body: list[str], first: int) -> Iterator[Hunk]:
    """Cut the lines of a hunk into its changes, each with its context."""
    old = [line[1:] for line in body if line[0] != "+"]
    at = 0
    for unchanged, run in groupby(body, key=lambda line: line[0] == " "):
        lines = list(run)
        if unchanged:
            at += len(lines)
            continue
        added = tuple(line[1:] for line in lines if line[0] == "+")
        removed = len(lines) - len(added)
        yield replace(_around(old, at, at + removed, added), at=first + at)
        at += removed


def apply(patch: str, text: str) -> Applied:
    """Put a patch onto a text; what does not fit any more comes back as conflicts.

    Raises:
        ValueError: it is not a patch (see :func:`parse`).
    """
    lines, new = split(text), list[str]()
    conflicts, mine = [], set[int]()
    done, drift = 0, 0  # the lines before ``done`` are written; how far the text has moved
    for hunk in parse(patch):
        added = hunk.added
        at, why = _find(hunk, lines, done, hunk.at + drift)
        if at is None and why == _GONE and (other := _otherwise_ended(hunk)) is not None:
            at, _ = _find(other, lines, done, hunk.at + drift)
            added = other.added
        if at is None:
            conflicts.append(Conflict(hunk, why))
            continue
        new += lines[done:at]
        mine |= set(range(len(new), len(new) + len(added)))
        new += added
        done, drift = at + len(hunk.removed), at - hunk.at
    return Applied(joined(new + lines[done:]), tuple(conflicts), frozenset(mine))


def _otherwise_ended(hunk: Hunk) -> Hunk | None:
    """Return the hunk for a text whose command goes on behind it, or ends there now.

    None where the edit itself changes that: then it says nothing of a line that ends otherwise.
    """
    if not (hunk.removed and hunk.added):
        return None
    old, new = hunk.removed[-1], hunk.added[-1]
    if old.endswith(_CONTINUED) != new.endswith(_CONTINUED):
        return None
    ends = [
        line.removesuffix(_CONTINUED) if old.endswith(_CONTINUED) else f"{line}{_CONTINUED}"
        for line in (old, new)
    ]
    return replace(hunk, removed=(*hunk.removed[:-1], ends[0]), added=(*hunk.added[:-1], ends[1]))


def _find(hunk: Hunk, lines: list[str], done: int, expected: int) -> tuple[int | None, str]:
    """Return where the hunk goes, or None and why it goes nowhere."""
    if not (hunk.before or hunk.removed or hunk.after):
        return (None, "was made from an empty text") if lines else (0, "")
    before, after = len(hunk.before), len(hunk.after)
    if expected >= done and _stands(_held(hunk, before, after), lines, expected - before):
        return expected, ""
    for total in range(before + after, -1, -1):
        splits = [(b, total - b) for b in range(before + 1) if 0 <= total - b <= after]
        places = {at for b, a in splits for at in _places(hunk, lines, b, a)}
        if not hunk.removed and len(places) == 2 and before and after:
            places = _opened(hunk, lines, places)
        if len(places) > 1:
            return None, f"fits in {len(places)} places now"
        if places and min(places) < done:
            return None, "would come before an edit that it came behind"
        if places:
            return places.pop(), ""
    if hunk.removed:
        return None, _GONE
    return None, "finds the lines around it changed"


def _opened(hunk: Hunk, lines: list[str], places: set[int]) -> set[int]:
    """New lines between the two sides of an insertion: it stays behind what it was put behind."""
    first, last = sorted(places)
    whole = (len(hunk.before), 0), (0, len(hunk.after))
    behind, ahead = (_places(hunk, lines, *amounts) for amounts in whole)
    return {first} if (behind, ahead) == ([first], [last]) else places


def _places(hunk: Hunk, lines: list[str], before: int, after: int) -> list[int]:
    """Return every place where the removed lines stand, with so much context around them."""
    held = _held(hunk, before, after)
    if not any(line.strip() for line in held):
        return []  # empty lines alone are no place to hold on to
    starts = range(len(lines) - len(held) + 1)
    return [start + before for start in starts if _stands(held, lines, start)]


def _held(hunk: Hunk, before: int, after: int) -> list[str]:
    return [*hunk.before[len(hunk.before) - before :], *hunk.removed, *hunk.after[:after]]


def _stands(held: list[str], lines: list[str], start: int) -> bool:
    return start >= 0 and lines[start : start + len(held)] == held


def _words(lines: Sequence[str]) -> str:
    text = next((line.strip() for line in lines if line.strip()), "an empty line")
    text = text if len(text) <= 50 else f"{text[:47]}..."
    more = len(lines) - 1
    return f"{text!r}" + (f" and {more} more line{'s' if more > 1 else ''}" if more else "")
