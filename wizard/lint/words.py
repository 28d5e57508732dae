"""Bash read as far as a linter needs it: a script's simple commands, their words, and their lines.

Pure, and never a judge of what bash accepts (``bash -n`` is): it says what bash would pass where
that can be told from the text, and that it cannot be told where it cannot.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", '"': '"', "a": "\a", "e": "\x1b"}
_BLANK = " \t\r"


class Unreadable(ValueError):
    """The text cannot be split into words. ``line`` is where the trouble begins."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line


@dataclass(slots=True)
class Part:
    """A piece of a word: literal text, a variable's name, or what only running it would tell."""

    kind: str  # text, variable, unknown
    text: str
    quoted: bool = False


@dataclass(slots=True)
class Word:
    """One word of a command."""

    line: int
    parts: list[Part] = field(default_factory=list)

    @property
    def literal(self) -> str:
        """Its text without what is expanded."""
        return "".join(p.text for p in self.parts if p.kind == "text")

    @property
    def assigns(self) -> str:
        """The variable that it assigns, or ""."""
        first = self.parts[0] if self.parts else None
        if first is None or first.kind != "text" or first.quoted:
            return ""
        match = re.match(r"([A-Za-z_][A-Za-z0-9_]*)\+?=", first.text)
        return match[1] if match else ""

    def value(self, variables: Mapping[str, str | None]) -> str | None:
        """Return what bash would pass; None when the text does not tell."""
        found = ""
        for part in self.parts:
            if part.kind == "text":
                found += part.text
                continue
            value = variables.get(part.text) if part.kind == "variable" else None
            if value is None or (not part.quoted and re.search(r"[\s*?\[]", value)):
                return None
            found += value
        return found


@dataclass(slots=True)
class Command:
    """A simple command, or the elements of an array (``name=( … )``)."""

    line: int
    words: list[Word]
    array: str = ""


class _Reader:
    """Reads one text from its beginning to its end."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.line = text, 0, 1
        self.commands: list[Command] = []
        self.words: list[Word] = []
        self.word: Word | None = None
        self.array = ""
        self.skip_next = False  # a redirection's target is no word of the command
        self.heredocs: list[str] = []

    def read(self) -> list[Command]:
        while self.at < len(self.text):
            self._step(self.text[self.at])
        self._end_command()
        return self.commands

    # -- small parts

    def _peek(self, length: int = 1) -> str:
        return self.text[self.at + 1 : self.at + 1 + length]

    def _take(self, count: int = 1) -> str:
        taken = self.text[self.at : self.at + count]
        self.line += taken.count("\n")
        self.at += count
        return taken

    def _add(self, kind: str, text: str, *, quoted: bool = False) -> None:
        if self.word is None:
            self.word = Word(self.line)
        parts = self.word.parts
        if kind == "text" and parts and parts[-1].kind == "text" and parts[-1].quoted == quoted:
            parts[-1].text += text
        else:
            parts.append(Part(kind, text, quoted))

    def _end_word(self) -> None:
        if self.word is not None and not self.skip_next:
            self.words.append(self.word)
        if self.word is not None:
            self.skip_next = False
        self.word = None

    def _end_command(self) -> None:
        self._end_word()
        self.skip_next = False
        if self.words and not self.array:
            self.commands.append(Command(self.words[0].line, self.words))
            self.words = []

    def _step(self, char: str) -> None:
        if char == "\\":
            if self._peek() == "\n":
                self._take(2)
            else:
                self._take()
                self._add("text", self._take(), quoted=True)
        elif char in _BLANK:
            self._end_word()
            self._take()
        elif char == "#" and self.word is None:
            end = self.text.find("\n", self.at)
            self._take((len(self.text) if end < 0 else end) - self.at)
        elif char == "\n":
            self._newline()
        elif char in ";&|":
            self._end_command()
            self._take()
        elif char in "()":
            self._parenthesis(char)
        elif char in "<>":
            self._redirection()
        elif char == "'":
            self._single()
        elif char == '"':
            self._double()
        elif char == "$":
            self._dollar(quoted=False)
        elif char == "`":
            self._backtick()
        else:
            self._add("text", self._take())

    def _newline(self) -> None:
        if self.array:
            self._end_word()
        else:
            self._end_command()
        self._take()
        for mark in self.heredocs:
            while self.at < len(self.text):
                end = self.text.find("\n", self.at)
                length = (len(self.text) if end < 0 else end) - self.at
                line = self._take(length + 1).rstrip("\n")
                if line.lstrip("\t") == mark:
                    break
        self.heredocs = []

    def _parenthesis(self, char: str) -> None:
        name = self.word.assigns if self.word is not None and not self.array else ""
        if char == "(" and name and self.word is not None and self.word.literal.endswith("="):
            self._end_command_before_array()
            self.array = name
            self._take()
            return
        if char == ")" and self.array:
            self._end_word()
            self.commands.append(Command(self.line, self.words, self.array))
            self.words, self.array = [], ""
            self._take()
            return
        self._end_command()
        self._take()

    def _end_command_before_array(self) -> None:
        self.word = None
        self._end_command()

    def _redirection(self) -> None:
        if self.word is not None and self.word.literal.isdigit():
            self.word = None  # the number of a file descriptor
        self._end_word()
        operator = re.match(r"<<<|<<-?|<>|>>|>\||[<>]&?", self.text[self.at :])
        assert operator is not None
        self._take(len(operator[0]))
        if operator[0] in {"<<", "<<-"}:
            mark = re.match(r"[ \t]*(['\"]?)([^\s'\";&|<>()]+)\1", self.text[self.at :])
            if mark is None:
                raise Unreadable(self.line, "this here-document has no end mark.")
            self._take(len(mark[0]))
            self.heredocs.append(mark[2])
        else:
            self.skip_next = True

    def _single(self) -> None:
        start = self.line
        end = self.text.find("'", self.at + 1)
        if end < 0:
            raise Unreadable(start, "this single quote is never closed.")
        if self.word is None:
            self.word = Word(start)
        self._add("text", self._take(end + 1 - self.at)[1:-1], quoted=True)

    def _double(self) -> None:
        start = self.line
        self._add("text", "", quoted=True)
        self._take()
        while self.at < len(self.text) and self.text[self.at] != '"':
            char = self.text[self.at]
            if char == "\\" and self._peek() == "\n":
                self._take(2)
            elif char == "\\" and self._peek() in set('$`"\\'):
                self._take()
                self._add("text", self._take(), quoted=True)
            elif char == "$":
                self._dollar(quoted=True)
            elif char == "`":
                self._backtick()
            else:
                self._add("text", self._take(), quoted=True)
        if self.at >= len(self.text):
            raise Unreadable(start, "this double quote is never closed.")
        self._take()

    def _dollar(self, *, quoted: bool) -> None:
        following = self._peek()
        if following == "'" and not quoted:
            self._ansi()
        elif following == "(":
            self._nested("(", ")")
        elif following == "{":
            match = re.match(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}", self.text[self.at :])
            if match:
                self._take(len(match[0]))
                self._add("variable", match[1], quoted=quoted)
            else:
                self._nested("{", "}")
        elif match := _NAME.match(self.text, self.at + 1):
            self._take(1 + len(match[0]))
            self._add("variable", match[0], quoted=quoted)
        elif following and following in "@*#?$!-0123456789":
            self._take(2)
            self._add("unknown", following, quoted=quoted)
        else:
            self._add("text", self._take(), quoted=quoted)

    def _ansi(self) -> None:
        start = self.line
        self._take(2)
        found = ""
        while self.at < len(self.text) and self.text[self.at] != "'":
            if self.text[self.at] == "\\":
                self._take()
                char = self._take()
                found += _ESCAPES.get(char, "\\" + char)
            else:
                found += self._take()
        if self.at >= len(self.text):
            raise Unreadable(start, "this quote ($'…) is never closed.")
        self._take()
        self._add("text", found, quoted=True)

    def _nested(self, opening: str, closing: str) -> None:
        """Pass over ``$( … )`` or ``${ … }``: only running it would tell its value."""
        start, depth = self.line, 0
        self._take()
        while self.at < len(self.text):
            char = self._take()
            if char == "\\":
                self._take()
            elif char in "'\"" and opening == "(":
                end = self.text.find(char, self.at)
                if end < 0:
                    break
                self._take(end + 1 - self.at)
            elif char == opening:
                depth += 1
            elif char == closing:
                depth -= 1
                if depth == 0:
                    self._add("unknown", "", quoted=True)
                    return
        raise Unreadable(start, f"this ${opening} is never closed.")

    def _backtick(self) -> None:
        end = self.text.find("`", self.at + 1)
        if end < 0:
            raise Unreadable(self.line, "this backtick is never closed.")
        self._take(end + 1 - self.at)
        self._add("unknown", "", quoted=True)


def commands(text: str) -> list[Command]:
    """Split a script into its simple commands.

    Raises:
        Unreadable: a quote, a substitution or a here-document is never closed.
    """
    return _Reader(text).read()
