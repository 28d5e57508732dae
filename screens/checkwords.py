"""What the checks' screens say of a run: how far it is, how much is wrong, what changed."""

from __future__ import annotations

import math
import os

from textual.content import Content

from screens.widgets.glyphs import glyph
from screens.widgets.palette import COLOURS, MUTED, plain
from wizard.checks.changes import FIXED, Since, told
from wizard.checks.model import CellKey, Status
from wizard.session import Session

BAD = (Status.FAIL, Status.ERROR)
_COUNTED = (
    (Status.FAIL, "failed", "bold $text-error"),
    (Status.ERROR, "unknown", "bold $text-accent"),
    (Status.WARN, "warned", "$text-warning"),
)


def counts(session: Session) -> Content:
    """Return what is wrong, counted: ``, 2 failed, 1 ignored``; empty when nothing is."""
    text = plain("")
    for status, word, style in _COUNTED:
        if count := session.wrong(status):
            text += plain(", ") + plain(f"{count} {word}", style)
    if session.book is not None and (count := len(session.book.settled(every_s=1.0).ignored)):
        text += plain(f", {count} ignored", COLOURS["ignored"])
    return text


def progress(session: Session) -> Content:
    """Return how far the checks are, or what came of them, in one line."""
    run = session.checks
    assert run is not None
    done, total = run.progress
    if session.checks_running:
        filled = 20 * done // max(total, 1)
        bar = "#" * filled + "-" * (20 - filled)
        return plain(f"[{bar}] {done} of {total}") + counts(session) + plain(_left(session))
    if session.checks_error:
        return plain(f"The checks stopped: {session.checks_error}", "$text-error")
    wrong = counts(session)
    if is_stopped(session):
        assert session.book is not None
        text = f"Stopped: {total - session.book.unanswered} of {total} answered"
        return plain(text, "$text-warning") + wrong + plain(". s goes on.", "$text-warning")
    took = f"{done} of {total} checks done in {run.duration_s:.0f} s"
    if any(session.wrong(status) for status in BAD):
        return plain(took) + wrong + plain(". Next explains.")
    if wrong.plain:
        return plain(f"{glyph('pass')} None of {total} checks failed", "$text-success") + wrong
    skipped = run.board.count(Status.SKIPPED)
    text = f"All {total} checks passed"
    if skipped:
        text = f"All {total - skipped} checks passed, {skipped} do not apply"
    return plain(f"{glyph('pass')} {text}", "$text-success")


def is_stopped(session: Session) -> bool:
    """Whether the checks were stopped before all had an answer."""
    return session.book is not None and not session.checks_running and session.book.unanswered > 0


def _left(session: Session) -> str:
    """Return how long it has taken and will take; without a clock over SSH.

    A clock would cost a write to a slow terminal every second.
    """
    run = session.checks
    assert run is not None
    done, total = run.progress
    spent = run.duration_s
    over_ssh = "SSH_CONNECTION" in os.environ
    words = "" if over_ssh else f", {spent:.0f} s"
    if spent < 2 or done * 20 < total:
        return words
    step = 10 if over_ssh else 5
    left = math.ceil(spent * (total - done) / done / step) * step
    return f"{words}, about {duration(left)} left"


def duration(seconds: float) -> str:
    """Return a time for people: ``40 s``, ``3 min``."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{math.ceil(seconds / 60)} min"


def tab(session: Session, node: int) -> Content:
    """Return a node's label: its name, and how it stands."""
    run = session.checks
    assert run is not None
    failed, unknown = (session.wrong(status, node) for status in BAD)
    going = run.board.count(Status.PENDING, node) + run.board.count(Status.RUNNING, node)
    warned = session.wrong(Status.WARN, node)
    ladder = (("fail", failed), ("error", unknown), ("running", going), ("warn", warned))
    name, number = next(((name, n) for name, n in ladder if n), ("pass", 0))
    count = f" {number}" if number and name != "running" else ""
    return plain(f"node {node} ") + plain(f"{glyph(name)}{count}", COLOURS[name])


def network(session: Session) -> Content:
    """Return how the NPUs are joined and what changed since the last run; empty when unknown."""
    book = session.book
    if book is None or session.checks_running:
        return plain("")
    parts = []  # what changed first: a narrow screen cuts the end
    if book.since is not None:
        better = all(change.kind == FIXED for change in book.since.changes)
        style = MUTED if not book.since.changes else "$text-warning"
        style = "$text-success" if book.since.changes and better else style
        parts.append(plain(book.since.title, style))
    if book.problem:
        parts.append(plain(book.problem, "$text-warning"))
    parts += [plain(f"Network: {line}", MUTED) for line in book.network]
    return plain("  ").join(parts)


def changes(since: Since | None) -> Content:
    """Return what changed since the last run, for a note."""
    if since is None:
        return plain("There is no earlier run of these checks on these nodes.")
    text = plain(since.title, "bold")
    for kind, line in told(since.changes):
        style = "$text-success" if kind == FIXED else "$text-warning"
        word = "now fixed" if kind == FIXED else kind
        text += plain(f"\n{word}: ", style) + plain(line)
    return text


def about(session: Session, key: CellKey) -> Content:
    """Return what the book says of one cell: that it is ignored, what it was in the last run."""
    book = session.book
    text = plain("")
    if book is None:
        return text
    applied = book.settled(every_s=1.0).ignored.get(key)
    if applied is not None:
        text += plain(f"{glyph('ignored')} IGNORED ", COLOURS["ignored"])
        text += plain(f"{applied.because}\n", COLOURS["ignored"])
    for change in book.since.changes if book.since is not None else ():
        if change.key == key:
            arrow = f"{change.before} → {change.after}" if change.before else change.after
            text += plain(f"Since the last run: {arrow}\n", "$text-warning")
    return text
