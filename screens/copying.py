"""Copying text for use elsewhere: by OSC 52, and to a file, because a terminal may ignore that."""

from __future__ import annotations

import re
from typing import Any

from textual.app import App

from wizard.paths import state_dir, write_private


def copy_text(app: App[Any], text: str, name: str) -> tuple[str, str]:
    """Copy; return what to say of it, and its status ("pass" or "warn").

    Args:
        app: whose terminal's clipboard is set.
        text: what is copied.
        name: of the file, more or less.
    """
    app.copy_to_clipboard(text)
    safe = re.sub(r"[^A-Za-z0-9.-]+", "-", name).strip("-") or "copied"
    path = state_dir() / "copied" / f"{safe}.txt"
    try:
        write_private(path, text)
    except OSError as error:
        return f"Copied to the clipboard only; {path} could not be written: {error}", "warn"
    return f"Copied, and written to {path}", "pass"
