"""Host keys that are not known, over whatever step is shown: all of them, to accept or refuse.

Letters only mark. Recording takes F10 or a button, so that nobody who is typing when this page
comes up can accept a key by chance.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, OptionList, Static
from textual.widgets.option_list import Option

from screens.copying import copy_text
from screens.widgets.palette import MUTED, plain, status_text
from wizard.hostkeydesk import HostKeyDesk
from wizard.remote.shownkey import KeyState, ShownKey

_INDENT = "    "
_HOW = (
    "Compare each fingerprint with the one that the host itself tells\n"
    "(there: ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub), then mark it.\n"
    "What is marked will be recorded in "
)
_KEYS = "Space marks   a all   n none   y copies   F10 records   Esc refuses"


class HostKeyScreen(ModalScreen[None]):
    """Shows what the desk holds, and closes itself when nothing waits any more."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space,enter", "mark", "Mark or unmark", id="hostkeys.mark"),
        Binding("a", "mark_all(True)", "Mark all", id="hostkeys.all"),
        Binding("n", "mark_all(False)", "Mark none", id="hostkeys.none"),
        Binding("y", "copy", "Copy", id="hostkeys.copy"),
        Binding("f10,ctrl+n", "record", "Record the marked", id="hostkeys.record"),
        Binding("escape", "refuse", "Refuse", id="hostkeys.refuse"),
        Binding("left", "app.focus_previous", "Previous", show=False, id="hostkeys.previous"),
        Binding("right", "app.focus_next", "Next", show=False, id="hostkeys.next"),
    ]
    CSS_PATH = "hostkeys.tcss"
    VERTICAL_BREAKPOINTS = [(0, "-low"), (36, "-tall")]  # noqa: RUF012 - Textual's own way

    def __init__(self, desk: HostKeyDesk) -> None:
        super().__init__()
        self._desk = desk
        self._rows: list[ShownKey] = []
        self._marked: set[ShownKey] = set()
        self._said = ""
        self._told: object = None

    def compose(self) -> ComposeResult:
        """What to do, the keys, what happened, the two ways out."""
        with Vertical():
            yield Static("", id="title", markup=False)
            yield Static("", id="how", markup=False)
            yield OptionList(id="keys", markup=False)
            yield Static("", id="said", markup=False)
            with Horizontal(id="ways"):
                yield Button("Refuse all", id="refuse", compact=True)
                yield Button("Record", id="record", variant="primary", compact=True)
            yield Static(_KEYS, id="hint", markup=False)

    def on_mount(self) -> None:
        """Show what waits now."""
        self.drain()
        self.query_one(OptionList).focus()

    def drain(self) -> None:
        """Take up what changed; the app calls this on its one timer."""
        desk = self._desk
        now = (desk.revision, desk.busy, desk.problem)
        if now == self._told or not self.is_mounted:
            return
        self._told = now
        rows = desk.pending
        if not rows and not desk.problem:
            self.dismiss()
            return
        if rows != self._rows:
            # a key seen by one more node is still the same key: its mark stays
            marked = {_identity(key) for key in self._marked}
            self._marked = {key for key in rows if _identity(key) in marked}
            self._rows = rows
            keys = self.query_one(OptionList)
            at = keys.highlighted or 0
            keys.clear_options()
            keys.add_options(Option(self._row(key)) for key in rows)
            if rows:
                keys.highlighted = min(at, len(rows) - 1)
        self._show()

    # -- what is shown

    def _show(self) -> None:
        unknown = sum(1 for key in self._rows if key.state is KeyState.UNKNOWN)
        bad = len(self._rows) - unknown
        title = plain(f"{_count(unknown, 'host key is', 'host keys are')} not known", "bold")
        if bad:
            refused = f"{_count(bad, 'is', 'are')} refused"
            title = (title + plain(", ") if unknown else plain("Host keys: ", "bold")) + plain(
                refused, "bold $text-error"
            )
        self.query_one("#title", Static).update(title)
        how = self.query_one("#how", Static)
        how.display = unknown > 0
        files = (_short(key.file) for key in self._rows if key.state is KeyState.UNKNOWN)
        how.update(_HOW + " and ".join(dict.fromkeys(files)) + ".")
        record = self.query_one("#record", Button)
        record.display = unknown > 0
        record.disabled = not self._marked or self._desk.busy
        record.label = (
            f"Record {len(self._marked)} marked" if self._marked else "Record: none marked"
        )
        self.query_one("#refuse", Button).label = "Refuse all" if unknown else "Close"
        said, style = self._said, MUTED
        if self._desk.busy:
            said = "Recording, and connecting to those nodes ..."
        elif self._desk.problem:
            said, style = self._desk.problem, "$text-error"
        text = self.query_one("#said", Static)
        text.update(plain(said, style))
        text.display = bool(said)

    def _row(self, key: ShownKey) -> Content:
        nodes = f" (on the way to {_nodes(key)})" if key.who.startswith("jump host") else ""
        who = f"{key.who}{nodes}"
        if key.state is not KeyState.UNKNOWN:
            return self._refused_row(key, who)
        mark = "[x] " if key in self._marked else "[ ] "
        text = plain(mark, "bold $text-success" if key in self._marked else "") + plain(who, "bold")
        if key.name not in who:
            text += plain(f"  as {key.name}")
        text += plain(f"\n{_INDENT}{key.key_type}  {key.fingerprint}")
        if key.remark:
            text += plain(f"\n{_INDENT}{key.remark}", "$text-warning")
        return text

    @staticmethod
    def _refused_row(key: ShownKey, who: str) -> Content:
        word = "has CHANGED" if key.state is KeyState.CHANGED else "is REVOKED"
        text = status_text("fail", f"{who} {word}: refused")
        text += plain(f"\n{_INDENT}now shows  {key.fingerprint}")
        label = "recorded" if key.state is KeyState.CHANGED else "revoked"
        for entry in key.recorded:
            text += plain(f"\n{_INDENT}{label:<9}  {entry.fingerprint}")
            text += plain(f"\n{_INDENT}{'':9}  {_short(entry.file)}, line {entry.line}")
        if key.state is KeyState.CHANGED:
            text += plain(
                f"\n{_INDENT}Somebody may be in between. Only if it was really reinstalled:"
                f"\n{_INDENT}{key.forget_command}"
            )
        else:
            text += plain(f"\n{_INDENT}Ask who runs that host; give it a new key.")
        return text

    # -- keys

    @property
    def _current(self) -> ShownKey | None:
        at = self.query_one(OptionList).highlighted
        return self._rows[at] if at is not None and at < len(self._rows) else None

    def action_mark(self) -> None:
        """Mark the key under the cursor, or take its mark away; a button in focus is pressed."""
        if isinstance(self.focused, Button):
            self.focused.press()
            return
        key = self._current
        if key is None:
            return
        if key.state is not KeyState.UNKNOWN:
            self._say(f"A {key.state} key is never accepted.")
            return
        self._marked ^= {key}
        self._redraw()

    def action_mark_all(self, on: bool) -> None:
        """Mark every key that can be accepted, or none."""
        self._marked = {k for k in self._rows if on and k.state is KeyState.UNKNOWN}
        self._redraw()

    def action_copy(self) -> None:
        """Copy the key's fingerprint, or how to forget the recorded one when it has changed."""
        key = self._current
        if key is not None:
            changed = key.state is KeyState.CHANGED
            text = key.forget_command if changed else f"{key.who}: {key.shown}"
            self._say(copy_text(self.app, text + "\n", f"host key of {key.name}")[0])

    def action_record(self) -> None:
        """Record the marked keys; the desk connects to their nodes again."""
        marked = [key for key in self._rows if key in self._marked]
        if not marked:
            self._say("No key is marked: Space marks the one under the cursor, a all.")
        elif self._desk.accept(marked):
            self.app.notify(
                f"Recording {_count(len(marked), 'host key', 'host keys')}; those nodes are asked"
                " again.",
                markup=False,
            )
        self._told = None

    def action_refuse(self) -> None:
        """Refuse everything for now."""
        self._desk.dismiss()
        self.app.notify(
            "Refused: those nodes stay out of reach. Trying again asks again.", markup=False
        )
        self.dismiss()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter, or a click, on a row marks it."""
        event.stop()
        self.action_mark()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """The two ways out, as buttons."""
        event.stop()
        self.action_record() if event.button.id == "record" else self.action_refuse()

    def _say(self, text: str) -> None:
        self._said = text
        self._show()

    def _redraw(self) -> None:
        self._said = ""
        keys = self.query_one(OptionList)
        for index, key in enumerate(self._rows):
            keys.replace_option_prompt_at_index(index, self._row(key))
        self._show()


def _identity(key: ShownKey) -> tuple[str, str, str]:
    return key.name, key.public_key, key.file


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _nodes(key: ShownKey) -> str:
    return (
        _count(len(key.nodes), "node", "nodes")
        if len(key.nodes) > 8
        else (f"node{'' if len(key.nodes) == 1 else 's'} {', '.join(map(str, key.nodes))}")
    )


def _short(file: str) -> str:
    home = str(Path.home())
    return "~" + file[len(home) :] if file.startswith(home + "/") else file
