"""A check's result in words, for the detail panes, dialogs and the clipboard."""

from __future__ import annotations

from textual.content import Content

from screens.widgets.palette import MUTED, plain, status_text
from wizard.checks.model import CellKey, Result, Status

SHOWN_LINES = 400  # a pane is for reading; the copy holds everything


def place_name(key: CellKey) -> str:
    """Return where a cell is: ``node 0, device 3, link`` or ``..., ping to node 1 device 3``."""
    words = f"node {key.node}"
    if key.device is not None:
        words += f", device {key.device}"
    words += f", {key.check}"
    if key.peer_node is not None:
        words += f" to node {key.peer_node} device {key.peer_device}"
    return words


def result_content(result: Result, note: Content | None = None) -> Content:
    """Return the result for a pane, ``note`` under its summary; everything remote is plain."""
    text = plain(f"{place_name(result.key)}  ", "bold") + status_text(result.status)
    if result.host:
        text += plain(f"  {result.host}", MUTED)
    if result.summary:
        text += plain(f"\n{result.summary}")
    if note is not None and note.plain:
        text += plain("\n") + note.rstrip()
    if result.status is Status.PENDING:
        return text + plain("\nNot asked yet.", MUTED)
    if result.status is Status.RUNNING:
        return text + plain("\nBeing asked now.", MUTED)
    if result.command:
        text += plain(f"\n$ {result.command}", "bold")
        text += plain(f"\n{ending(result)}", MUTED)
    lines = result.output.rstrip("\n").split("\n")
    if len(lines) > SHOWN_LINES:
        lines = [*lines[:SHOWN_LINES], f"({len(lines) - SHOWN_LINES} more lines; y copies all)"]
    if result.output.strip():
        text += plain("\n" + "\n".join(lines))
    elif result.command:
        text += plain("\n(no output)", MUTED)
    return text


def ending(result: Result) -> str:
    """Return how the command ended and how long it took."""
    code = "did not end" if result.exit_code is None else f"exit code {result.exit_code}"
    return f"{code}, {result.duration_s:.1f} s"


def result_text(result: Result) -> str:
    """Return the result as text to be passed on, with everything that the node said."""
    head = f"{place_name(result.key)} ({result.host}): {result.status.upper()}\n{result.summary}\n"
    return f"{head}$ {result.command}\n{ending(result)}\n{result.output}"
