"""Saving the answers as a preset, from wherever it is asked for."""

from __future__ import annotations

from textual.app import App

from screens.widgets.dialog import Answer, Ask, Confirm
from wizard.errors import WizardError
from wizard.session import Session


async def save_as_preset(app: App[int], session: Session) -> bool:
    """Ask for a name and save; return whether it was done. Only inside a worker.

    Raises:
        WizardError: an answer is wrong, or the file cannot be written.
    """
    name = await app.push_screen_wait(
        Ask("Save these answers as a preset named:", session.draft.preset_name)
    )
    if not name:
        return False
    try:
        taken = name in session.rooms.store().list() and name != session.loaded
    except OSError as error:
        raise WizardError(f"The presets cannot be read: {error.strerror}.") from error
    if taken:
        answers: tuple[Answer, ...] = (
            ("cancel", "Cancel", "default"),
            ("replace", "Replace it", "warning"),
        )
        question = f"Another preset named {name} is saved already."
        if await app.push_screen_wait(Confirm(question, answers)) != "replace":
            return False
    session.save_preset(name)
    session.loaded = name
    app.notify(f"Saved as the preset {name}.", markup=False)
    return True
