"""What a serve.sh passes to ``vllm serve``: model, options and variables, each with its line.

Pure. A value of None means that the text does not tell it (``$(cat …)``); no rule judges those.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from wizard.lint.knownflags import Known, normal, unknown
from wizard.lint.model import Place
from wizard.lint.words import Command, Word, commands

_KEYWORDS = frozenset({"if", "then", "else", "elif", "while", "until", "do", "!", "{", "time"})
_BEFORE = frozenset({"exec", "command", "nohup", "env"})
_EXPORTS = frozenset({"export", "declare", "typeset", "readonly"})
_NUMBER = re.compile(r"-\d+(\.\d*)?")


@dataclass(frozen=True, slots=True)
class Value:
    """A text and the line that it stands at; ``text`` None where it cannot be told."""

    text: str | None
    line: int


@dataclass(slots=True)
class Option:
    """One use of an option: ``flag`` as its first spelling, ``values`` the words after it."""

    name: str
    dest: str
    line: int
    values: list[Value]
    path: tuple[str, ...] = ()  # --additional-config.a.b VALUE
    sets: bool = True
    type: str = "text"
    choices: tuple[str, ...] = ()

    @property
    def text(self) -> str | None:
        """Its one value, None where there is none or it cannot be told."""
        return self.values[0].text if self.values else None


@dataclass(slots=True)
class Call:
    """The ``vllm serve`` of one script."""

    rank: int
    line: int
    model: Value | None = None
    options: list[Option] = field(default_factory=list)
    env: dict[str, Value] = field(default_factory=dict)

    def last(self, dest: str) -> Option | None:
        """Return the use of an option that counts: the last one."""
        found = [o for o in self.options if o.dest == dest and not o.path]
        return found[-1] if found else None

    def number(self, dest: str, default: int | None = None) -> int | None:
        """Return an option's whole number; the default when it is absent, None when unreadable."""
        option = self.last(dest)
        if option is None:
            return default
        return whole(option.text)


_UNITS = {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def whole(text: str | None) -> int | None:
    """Read a whole number as vLLM does: 16, 16k (thousand), 16K (1024); None when it is none."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kKmMgGtT]?)", (text or "").strip())
    if match is None or ("." in match[1] and match[2] not in _UNITS):
        return None
    return int(float(match[1]) * {**_UNITS, **_BINARY}.get(match[2], 1))


def read(text: str, known: Known, place: Place) -> Call | None:
    """Find the one ``vllm serve`` of a script; what stands in the way becomes a remark.

    Raises:
        Unreadable: the text cannot be split into words.
    """
    variables: dict[str, str | None] = {}
    env: dict[str, Value] = {}
    calls: list[Call] = []
    for command in commands(text):
        words = _bare(command)
        if not words or command.array:
            continue
        prefix: dict[str, Value] = {}
        while words and words[0].assigns:
            word = words.pop(0)
            prefix[word.assigns] = Value(_assigned(word, variables), word.line)
        if not words:
            variables |= {name: value.text for name, value in prefix.items()}
            env |= {name: value for name, value in prefix.items() if name in env}
            continue
        head = words[0].value(variables)
        if head in _EXPORTS:
            _export(words[1:], variables, env)
        elif head == "unset":
            for word in words[1:]:
                env.pop(word.literal, None)
                variables.pop(word.literal, None)
        elif head == "vllm" and len(words) > 1 and words[1].value(variables) == "serve":
            call = Call(place.rank, words[0].line, env={**env, **prefix})
            _arguments(call, [Value(w.value(variables), w.line) for w in words[2:]], known, place)
            calls.append(call)
        elif words[0].literal.startswith("-") or not words[0].literal.strip():
            _lost_line(words[0], place)
    if not calls:
        right = "It must run vllm serve MODEL with its options."
        place.error(0, "no-serve", "No vllm serve is in this script.", right)
        return None
    if len(calls) > 1:
        text = f"This is the second vllm serve; the first is at line {calls[0].line}."
        place.error(calls[1].line, "two-serves", text, "One node runs one.")
    return calls[0]


def _bare(command: Command) -> list[Word]:
    words = list(command.words)
    while words and words[0].literal in (_KEYWORDS | _BEFORE) and len(words[0].parts) == 1:
        words.pop(0)
    return words


def _assigned(word: Word, variables: dict[str, str | None]) -> str | None:
    value = word.value({k: v for k, v in variables.items() if v is not None})
    if value is None:  # in an assignment, blanks of an unquoted variable do not split
        parts = [variables.get(p.text) if p.kind == "variable" else p.text for p in word.parts]
        if any(p.kind == "unknown" for p in word.parts) or None in parts:
            return None
        value = "".join(str(p) for p in parts)
    return value.partition("=")[2]


def _export(words: list[Word], variables: dict[str, str | None], env: dict[str, Value]) -> None:
    for word in words:
        if name := word.assigns:
            value = _assigned(word, variables)
            variables[name], env[name] = value, Value(value, word.line)
        elif re.fullmatch(r"[A-Za-z_]\w*", word.literal) and len(word.parts) == 1:
            env[word.literal] = Value(variables.get(word.literal), word.line)


def _lost_line(word: Word, place: Place) -> None:
    what = word.literal.strip()
    if what:
        text = f"{what} begins a command of its own: the line above has lost its backslash."
    else:
        text = "A blank follows the backslash, so that the command ends here."
    right = "Every line but the last of a command ends in one backslash, with nothing after it."
    place.error(word.line, "lost-line", text, right)


def _arguments(call: Call, words: list[Value], known: Known, place: Place) -> None:
    """Read the words after ``vllm serve`` as argparse does."""
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        text = word.text
        if text is None or not _is_option(text):
            _positional(call, word, place)
            continue
        name, equals, given = text.partition("=") if text.startswith("--") else (text, "", "")
        option = _find(normal(name), word.line, known, place)
        limit = _limit(option, known)
        if equals:
            if limit == 0:
                right = f"Write {name} alone."
                place.error(word.line, "unexpected-value", f"{name} takes no value.", right)
            option.values.append(Value(given, word.line))
            limit = 0
        while at < len(words) and len(option.values) < limit:
            following = words[at].text
            if following is not None and _is_option(following):
                break
            option.values.append(words[at])
            at += 1
        call.options.append(option)


def _is_option(text: str) -> bool:
    return text.startswith("-") and text != "-" and not _NUMBER.fullmatch(text)


def _positional(call: Call, word: Value, place: Place) -> None:
    if call.model is None:
        call.model = word
    elif not (word.text or "").strip():
        text = "An empty or blank word stands here, perhaps after a backslash."
        right = "A backslash that continues a line is the line's last character."
        place.error(word.line, "lost-line", text, right)
    else:
        text = f"{word.text} belongs to no option."
        place.error(word.line, "stray-word", text, "Quote a value that has blanks in it.")


def _find(name: str, line: int, known: Known, place: Place) -> Option:
    base, _, rest = name.partition(".")
    found = known.find(base)
    path = tuple(rest.rstrip("+").split(".")) if rest else ()
    if len(found) != 1:
        unknown(base, [flag.name for flag in found], line, known, place)
        return Option(base, "", line, [], path)
    flag = found[0]
    if flag.name != base and base not in known.flags:
        text = f"{base} is short for {flag.name}, and may mean another option in another version."
        place.warning(line, "abbreviated-flag", text, f"Write {flag.name}.")
    return Option(flag.name, flag.dest, line, [], path, flag.sets, flag.type, flag.choices)


def _limit(option: Option, known: Known) -> float:
    flag = known.flags.get(option.name)
    if option.path or flag is None:
        return 1
    return {0: 0, 1: 1, "?": 1}.get(flag.arity, float("inf"))
