"""A script with line numbers, to be read or edited; lines that the linter remarks on are marked."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import lru_cache

from rich.style import Style
from rich.text import Text
from textual.widgets import TextArea

# a token of pygments is drawn as the first of these that it is within
_KINDS = (
    ("Comment", "comment"),
    ("Literal.String", "string"),
    ("Literal.Number", "number"),
    ("Keyword", "keyword"),
    ("Name.Builtin", "keyword"),
    ("Name.Variable", "variable"),
)
_OPTION = re.compile(r"(?<!\S)--?[A-Za-z][\w-]*")


class ScriptArea(TextArea):
    """Bash, coloured line by line: a line looks the same wherever it stands."""

    COMPONENT_CLASSES = {  # noqa: RUF012 - Textual's own way
        "script--comment",
        "script--string",
        "script--number",
        "script--keyword",
        "script--variable",
        "script--option",
        "script--error",
        "script--warning",
        "script--mine",
    }
    DEFAULT_CSS = """
    ScriptArea { background: $surface; scrollbar-size: 1 1; padding: 0; border: none; }
    ScriptArea > .script--comment { color: $foreground-darken-3; }
    ScriptArea > .script--string { color: $text-success; }
    ScriptArea > .script--number { color: $text-warning; }
    ScriptArea > .script--keyword { color: $text-accent; }
    ScriptArea > .script--variable { color: $text-secondary; }
    ScriptArea > .script--option { color: $text-primary; }
    ScriptArea > .script--error { background: $error-muted; text-style: underline; }
    ScriptArea > .script--warning { background: $warning-muted; }
    ScriptArea > .script--mine { text-style: bold italic; }
    """

    def __init__(self, text: str = "", *, read_only: bool, id: str | None = None) -> None:
        super().__init__(
            text,
            id=id,
            read_only=read_only,
            soft_wrap=True,
            show_line_numbers=True,
            tab_behavior="focus",
            compact=True,
        )
        self.cursor_blink = False  # a blink is a repaint, and repaints cost over SSH
        self._marks: Mapping[int, str] = {}
        self._mine: Collection[int] = ()

    def mark(self, marks: Mapping[int, str], mine: Collection[int] = ()) -> None:
        """Mark lines (0-based): ``marks`` as error or warning, ``mine`` as edited by the user."""
        if (marks, mine) != (self._marks, self._mine):
            self._marks, self._mine = marks, mine
            self.notify_style_update()
            self.refresh()

    def on_resize(self) -> None:
        """Keep the cursor in sight when something takes room below."""
        self.call_after_refresh(self.scroll_cursor_visible)

    def get_line(self, line_index: int) -> Text:
        """Return a line with its colours."""
        line = super().get_line(line_index)
        for start, end, kind in _spans(line.plain):
            line.stylize(self._style(kind), start, end)
        if line_index in self._mine:
            line.stylize(self._style("mine"))
        if kind := self._marks.get(line_index, ""):
            line.stylize(self._style(kind))
        return line

    def _style(self, kind: str) -> Style:
        return self.get_component_rich_style(f"script--{kind}", partial=True)

    def show_line(self, number: int) -> None:
        """Put the cursor on a line (1-based) and bring it into sight."""
        row = max(0, min(number - 1, self.document.line_count - 1))
        self.move_cursor((row, 0), center=True)


@lru_cache(maxsize=4096)
def _spans(line: str) -> tuple[tuple[int, int, str], ...]:
    """Return which parts of a line have a colour; pure, so that it is done once per line."""
    from pygments.lexers.shell import BashLexer  # noqa: PLC0415 - only once a script is shown

    found, at = [], 0
    # a comment only ends with its line, and so needs the end
    for token, text in BashLexer(stripnl=False).get_tokens(f"{line}\n"):
        name = str(token).removeprefix("Token.")
        kind = next((kind for prefix, kind in _KINDS if name.startswith(prefix)), "")
        if kind:
            found.append((at, at + len(text), kind))
        elif name == "Text":
            options = _OPTION.finditer(text)
            found += [(at + m.start(), at + m.end(), "option") for m in options]
        at += len(text)
    return tuple(found)
