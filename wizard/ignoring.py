"""Ignoring a fault from within the wizard: in the answers, and in their saved preset."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from wizard.checks.model import Result

if TYPE_CHECKING:
    from wizard.answers import Answers
    from wizard.checks.book import Book
    from wizard.checks.ignores import Ignore


def ignore(answers: Answers, book: Book, results: Iterable[Result], reason: str) -> str:
    """See :meth:`wizard.session.Session.ignore`."""
    from wizard.checks.ignores import ignore_cell, merged  # noqa: PLC0415 - loads the runbook

    new = [i for result in results for i in ignore_cell(result, book.run.cluster, reason)]
    return _store(answers, book, merged(book.ignores, new))


def judge_again(answers: Answers, book: Book, results: Iterable[Result]) -> bool:
    """See :meth:`wizard.session.Session.judge_again`."""
    from wizard.checks.ignores import cells_of  # noqa: PLC0415

    cells = {cell for result in results for cell in cells_of(result, book.run.cluster)}
    kept = [ignore for ignore in book.ignores if ignore.cell not in cells]
    if len(kept) == len(book.ignores):
        return False
    _store(answers, book, kept)
    return True


def _store(answers: Answers, book: Book, ignores: list[Ignore]) -> str:
    """Write the ignores to the answers, and to the saved preset; return what holds them now."""
    book.ignores = ignores
    answers.take_ignores([ignore.model_dump(exclude_defaults=True) for ignore in ignores])
    if answers.loaded and answers.loaded in answers.rooms.store().list():
        from wizard.presetedit import save_ignores  # noqa: PLC0415

        save_ignores(answers.loaded, ignores)
        return f"the preset {answers.loaded}"
    return "your answers; save them as a preset to pass it on"
