"""Asking why a fault is to be ignored; shared by the checks and the problems."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from textual.app import App

from screens.widgets.dialog import Ask, Confirm
from wizard.checks.model import Result
from wizard.errors import WizardError
from wizard.session import Session


async def ask_reason(
    app: App[Any], session: Session, results: Sequence[Result], where: str
) -> tuple[str, str] | None:
    """Ask for a reason, or whether to judge again what is ignored. Call it in a worker.

    Returns:
        What to say and its status; None when the user thought better of it.
    """
    from wizard.checks.ignores import refusal  # noqa: PLC0415 - loads the runbook

    book = session.book
    if book is None or not results:
        return None
    applied = [book.settled().ignored.get(result.key) for result in results]
    if all(applied):
        return await _judge_again(app, session, results, str(applied[0] and applied[0].because))
    if why := next((why for result in results if (why := refusal(result))), ""):
        return f"{where}: {why}", "warn"
    reason = await app.push_screen_wait(
        Ask(
            f"Why may this be ignored? ({where})\n"
            "Every report shows the reason, and who gave it. Enter ignores, Esc does not.",
            "",
        )
    )
    if not reason:
        return None
    try:
        holder = session.ignore(results, reason)
    except (ValueError, WizardError) as error:
        return str(error), "fail"
    return f"Ignored; the reason stands in {holder}.", "pass"


async def _judge_again(
    app: App[Any], session: Session, results: Sequence[Result], because: str
) -> tuple[str, str] | None:
    answer = await app.push_screen_wait(
        Confirm(
            f"This is ignored: {because}",
            (("keep", "Keep ignoring", "default"), ("again", "Judge it again", "primary")),
        )
    )
    if answer != "again":
        return None
    try:
        if session.judge_again(results):
            return "It is judged again.", "pass"
    except WizardError as error:
        return str(error), "fail"
    return "It follows from something that is ignored; judge that again.", "warn"
