"""Editing a script's text; what is saved becomes edits of the preset."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Static, TextArea

from screens.widgets.dialog import Answer, Confirm
from screens.widgets.keyline import KeyLine
from screens.widgets.palette import MUTED, plain
from screens.widgets.remarklist import Line, RemarkList
from screens.widgets.scriptarea import ScriptArea
from wizard.errors import WizardError
from wizard.review import Review

PAUSE_S = 0.3  # after the last keystroke, before the linter is asked


class ScriptEditor(Screen[bool]):
    """The text above what is wrong with it. Gives back whether anything was saved or dropped."""

    CSS_PATH = "scripteditor.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "save", "Save", id="editor.save"),
        Binding("escape", "leave", "Leave", id="editor.leave"),
        Binding("f8", "remark", "Next remark", id="editor.remark"),
        Binding("f9", "drop", "Drop my edits", id="editor.drop"),
    ]

    def __init__(self, review: Review, key: str, line: int = 0) -> None:
        super().__init__()
        self._review, self._key, self._line = review, key, line
        script = review.script(key)
        kept = review.typing[1] if review.typing and review.typing[0] == key else script.text
        self._before, self._text = script.text, kept
        self._conflicts = list(review.conflicts.get(key, ()))
        self._mine = script.lines
        self._pause: Timer | None = None
        self._fresh = True  # no remark was gone to yet

    def compose(self) -> ComposeResult:
        """Lay out title, text, remarks."""
        title = plain(f" Editing {self._key}", "bold")
        note = "   saving keeps your changes as edits in the preset"
        yield Static(title + plain(note, MUTED), id="title", markup=False)
        yield ScriptArea(self._text, read_only=False, id="text")
        yield RemarkList(id="remarks")
        yield Static("", id="message", markup=False)
        yield KeyLine()

    def on_mount(self) -> None:
        """Begin at the line that the user came for."""
        area = self.query_one("#text", ScriptArea)
        area.focus()
        if self._line:
            area.show_line(self._line)
        self._show([])
        self._ask()

    @property
    def _changed(self) -> bool:
        return self.query_one("#text", ScriptArea).text != self._before

    # -- remarks

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """Keep the text, and ask the linter once the user pauses."""
        event.stop()
        self._review.typing = (self._key, event.text_area.text) if self._changed else None
        if self._pause is not None:
            self._pause.stop()
        self._pause = self.set_timer(PAUSE_S, self._ask)

    def _ask(self) -> None:
        self.run_worker(self._lint(), exclusive=True, group="lint", exit_on_error=False)

    async def _lint(self) -> None:
        area = self.query_one("#text", ScriptArea)
        try:
            found = await self._review.remarks_on(self._key, area.text)
        except WizardError as error:
            self._say(str(error), "$text-error")
            return
        status = {"error": "fail"}
        lines = [Line(status.get(r.severity, "warn"), r.line, r.text, r.right) for r in found]
        self._show(sorted(lines, key=lambda line: line.status))  # errors first

    def _show(self, lines: list[Line]) -> None:
        unfit = [Line("fail", 0, f"{text}.", "Saving drops it.") for text in self._conflicts]
        self.query_one(RemarkList).show([*unfit, *lines])
        words = {"fail": "error", "warn": "warning"}
        marks = {line.number - 1: words[line.status] for line in reversed(lines) if line.number}
        mine = () if self._changed else self._mine
        self.query_one("#text", ScriptArea).mark(marks, mine)

    def on_remark_list_chosen(self, event: RemarkList.Chosen) -> None:
        """Go to the line."""
        event.stop()
        area = self.query_one("#text", ScriptArea)
        if event.number:
            area.show_line(event.number)
        area.focus()

    def action_remark(self) -> None:
        """Go to the next remark's line, around the end."""
        remarks = self.query_one(RemarkList)
        if remarks.display and remarks.option_count:
            at = -1 if self._fresh or remarks.highlighted is None else remarks.highlighted
            remarks.highlighted = (at + 1) % remarks.option_count
            self._fresh = False
            remarks.action_select()

    # -- saving, dropping, leaving

    def _say(self, text: str, style: str = MUTED) -> None:
        self.query_one("#message", Static).update(plain(text, style))

    def action_save(self) -> None:
        """Keep the text as edits."""
        self.run_worker(self._save(), exclusive=True, group="save", exit_on_error=False)

    async def _save(self) -> bool:
        if self._conflicts:
            count = len(self._conflicts)
            question = (
                f"{count} of your earlier edits {'does' if count == 1 else 'do'} not fit this "
                f"script any more:\n\n{self._conflicts[0]}\n\n"
                "Saving keeps what you see, and drops what does not fit."
            )
            answers: tuple[Answer, ...] = (
                ("cancel", "Cancel", "default"),
                ("save", "Save and drop", "warning"),
            )
            if await self.app.push_screen_wait(Confirm(question, answers)) != "save":
                return False
        try:
            self._review.keep(self._key, self.query_one("#text", ScriptArea).text)
        except WizardError as error:
            self._say(str(error), "$text-error")
            return False
        self.dismiss(True)
        return True

    def action_drop(self) -> None:
        """Ask, then go back to the generated text."""
        self.run_worker(self._drop(), exclusive=True, group="save", exit_on_error=False)

    async def _drop(self) -> None:
        question = f"Drop all your edits of {self._key} and go back to the generated script?"
        answers: tuple[Answer, ...] = (
            ("cancel", "Cancel", "default"),
            ("drop", "Drop my edits", "error"),
        )
        if await self.app.push_screen_wait(Confirm(question, answers)) == "drop":
            self._review.typing = None
            self._review.drop(self._key)
            self.dismiss(True)

    def action_leave(self) -> None:
        """Leave; ask first when something was changed."""
        self.run_worker(self._leave(), exclusive=True, group="save", exit_on_error=False)

    async def _leave(self) -> None:
        if not self._changed:
            self._review.typing = None
            self.dismiss(False)
            return
        answers: tuple[Answer, ...] = (
            ("edit", "Keep editing", "default"),
            ("save", "Save", "primary"),
            ("drop", "Throw away", "error"),
        )
        question = f"{self._key} was changed and is not saved."
        answer = await self.app.push_screen_wait(Confirm(question, answers))
        if answer == "save":
            await self._save()
        elif answer == "drop":
            self._review.typing = None
            self.dismiss(False)
