"""The preview's form: one field per usual parameter, empty where the recipe's value holds."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.widgets import Input, Static, TextArea

from screens.widgets.glyphs import glyph
from screens.widgets.palette import MUTED, plain
from wizard.parameters import PARAMETERS, Parameter
from wizard.recipevalues import RecipeValue
from wizard.review import Review


class Entries(TextArea):
    """A field of several lines; the arrow keys leave it at its ends, as they leave every other."""

    def action_cursor_down(self, select: bool = False) -> None:
        """Go a line down, or from the last one to the next field."""
        if not select and self.cursor_at_last_line:
            raise SkipAction
        super().action_cursor_down(select)

    def action_cursor_up(self, select: bool = False) -> None:
        """Go a line up, or from the first one to the previous field."""
        if not select and self.cursor_at_first_line:
            raise SkipAction
        super().action_cursor_up(select)


class Field(Vertical):
    """A label, a field, and below it what is wrong or what the recipe has instead."""

    def __init__(self, parameter: Parameter, text: str, value: RecipeValue | None) -> None:
        super().__init__(id=f"field-{parameter.id.strip('-')}")
        self.parameter, self._text, self._value = parameter, text, value
        self._told: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        """Lay out the line; the one below it is hidden while it has nothing to say."""
        placeholder = self._value.told if self._value else ""
        with Horizontal():
            yield Static(classes="label", markup=False)
            if self.parameter.lines == 1:
                yield Input(self._text, placeholder=placeholder, compact=True)
            else:
                area = Entries(
                    self._text, placeholder=placeholder, compact=True, highlight_cursor_line=False
                )
                area.cursor_blink = False
                area.styles.height = self.parameter.lines
                yield area
        yield Static(classes="below", markup=False)

    def on_mount(self) -> None:
        """Show whose the value is."""
        self.tell(self._text, self._value, "")

    def tell(self, text: str, value: RecipeValue | None, problem: str) -> None:
        """Say what the recipe has, whose the value is, and what is wrong with it."""
        told = (bool(text.strip()), value, problem)
        if told == self._told:
            return
        self._told = told
        yours = bool(text.strip())
        sign = glyph("fail") if problem else "*" if yours else " "
        style = "$text-error" if problem else "bold" if yours else ""
        self.query_one(".label", Static).update(plain(f"{sign} {self.parameter.label}", style))
        below = self.query_one(".below", Static)
        if problem:
            below.update(plain(f"{glyph('fail')} {problem}", "$text-error"))
        elif yours and value is not None and value.text:
            below.update(plain(f"yours; when empty, {value.told}", MUTED))
        elif yours:
            below.update(plain("yours", MUTED))
        below.display = bool(problem) or yours
        if problem and self.has_focus_within:  # what is wrong must not stay below the fold
            self.call_after_refresh(self.scroll_visible, animate=False)
        self._value = value
        self._fit_placeholder()

    def on_resize(self) -> None:
        """A placeholder is as long as its field."""
        self._fit_placeholder()

    def _fit_placeholder(self) -> None:
        for field in self.query(Input):  # it would wrap a longer one, and show its first word
            told, room = self._value.told if self._value else "", max(field.size.width - 1, 8)
            if cell_len(told) > room:
                told = set_cell_size(told, room - cell_len(glyph("more"))) + glyph("more")
            field.placeholder = told
        for area in self.query(TextArea):
            area.placeholder = self._value.told if self._value else ""


class ParameterForm(VerticalScroll, can_focus=False):
    """Every keystroke is an answer at once, right or wrong."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,enter", "move(1)", "Next field", show=False, id="form.next"),
        Binding("up", "move(-1)", "Previous field", show=False, id="form.previous"),
    ]

    class Left(Message):
        """The user moved up from the first field."""

    def __init__(self, review: Review, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._review = review
        self._filled = False

    def fill(self) -> None:
        """Make the fields, one per parameter, once; who never looks at them does not wait."""
        if not self._filled:
            self._filled = True
            review = self._review
            self.mount_all(Field(p, review.text(p.id), review.values.get(p.id)) for p in PARAMETERS)

    def drain(self) -> None:
        """Show what the engine says of the fields; their texts are the user's."""
        review = self._review
        for field in self.query(Field):
            if not field.is_mounted:
                continue
            name = field.parameter.id
            field.tell(review.text(name), review.values.get(name), review.problems.get(name, ""))

    def focus_on(self, parameter: Parameter | None = None) -> None:
        """Put the cursor into a field, the first one when none is named; not on another page."""
        if not self.display:
            return
        if not any(field.is_mounted for field in self.query(Field)):
            self.call_after_refresh(self.focus_on, parameter)
            return
        for field in self.query(Field):
            if parameter is None or field.parameter == parameter:
                field.query_one("Input, TextArea").focus()
                return

    def on_input_changed(self, event: Input.Changed) -> None:
        """Take the answer."""
        event.stop()
        self._take(event.input, event.value)

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """Take the answer."""
        event.stop()
        self._take(event.text_area, event.text_area.text)

    def _take(self, widget: Input | TextArea, text: str) -> None:
        field = next(node for node in widget.ancestors if isinstance(node, Field))
        self._review.put(field.parameter.id, text)
        name = field.parameter.id
        field.tell(text, self._review.values.get(name), self._review.problems.get(name, ""))

    def action_move(self, by: int) -> None:
        """Go to the next or the previous field."""
        fields = list(self.query(Field))
        at = next((n for n, field in enumerate(fields) if field.has_focus_within), -1) + by
        if at < 0:
            self.post_message(self.Left())
        elif at < len(fields):
            fields[at].query_one("Input, TextArea").focus()
