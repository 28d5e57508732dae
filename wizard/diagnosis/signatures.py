"""The catalogue of failure signatures, read from ``signatures/*.yaml``.

An entry says what a line of a log means. Its keys:

``id``, ``class``   stable names, as in the project's contract
``key``             tells entries of the same id apart; the id itself unless given
``kind``            ``cause`` (a real error), ``consequence`` (follows from another one, often on
                    another node; stands for itself only when nothing better is found), ``wrapper``
                    (says that something else failed), ``hint`` (no error, but it may explain one)
                    or ``verdict`` (no line says it: it follows from all logs together)
``alone``           confidence of a consequence that nothing explains: ``cause`` unless ``possible``
``regex``           one of these is in the line; named groups fill ``{…}`` in the texts
``needle``          text that every match contains, where none can be read off the regex
``sample``          a line that it matches
``broader_than``    keys of entries whose lines it matches too; the narrower one then counts
``outranks``        keys of entries that say less about the same trouble
``explains``        of a hint: consequences that it turns into a cause
``calm``            true: counts in lines of level INFO or WARNING too
``peer_lost``       true: another process ended first
``blames``          ``ranks``: the nodes that own the ranks in the group ``ranks`` are to blame;
                    ``host``: the one with the address in the group ``host``
``table``           true: a row of HCCL's table of failed pairs
``goto``            where the fix leads: a ``step``, and a ``check`` or a ``field`` of the preset
``en``, ``zh``      ``meaning`` and ``fix``
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from wizard.yamldata import load_data

KINDS = ("cause", "consequence", "wrapper", "hint", "verdict")
LANGUAGES = ("en", "zh")
_SHORTEST = 4  # characters of a needle: shorter ones are in every other line


@dataclass(frozen=True, slots=True)
class Text:
    """What a signature says in one language; ``{name}`` is filled in from the line."""

    meaning: str
    fix: str


@dataclass(frozen=True, slots=True)
class Signature:
    """One entry of the catalogue; the module tells what each key means."""

    id: str
    class_: str
    kind: str
    patterns: tuple[re.Pattern[str], ...]
    needles: tuple[str, ...]  # by pattern: text that each of its matches contains
    texts: Mapping[str, Text]
    key: str = ""
    sample: str = ""
    alone: str = "cause"
    goto: Mapping[str, str] = field(default_factory=dict)
    broader_than: frozenset[str] = frozenset()
    outranks: frozenset[str] = frozenset()
    explains: frozenset[str] = frozenset()
    calm: bool = False
    peer_lost: bool = False
    table: bool = False
    blames: str = ""

    def search(self, text: str) -> re.Match[str] | None:
        """Return the first match of any pattern in one line, or None."""
        return next((m for p in self.patterns if (m := p.search(text))), None)


@cache
def catalogue() -> tuple[Signature, ...]:
    """Return every signature.

    Raises:
        ValueError: an entry is wrong; names it.
    """
    folder = files("wizard.diagnosis").joinpath("signatures")
    entries: list[Signature] = []
    for path in sorted(folder.iterdir(), key=lambda p: p.name):
        if path.name.endswith(".yaml"):
            data = load_data(path.read_text(encoding="utf-8"))
            entries += [entry(item) for item in data]
    keys = [signature.key for signature in entries]
    if len(keys) != len(set(keys)):
        raise ValueError(f"keys used twice: {sorted({k for k in keys if keys.count(k) > 1})}")
    return tuple(entries)


def entry(data: Mapping[str, Any]) -> Signature:
    """Return the signature for one entry.

    Raises:
        ValueError: the entry is wrong; names it and its key.
    """
    name = str(data.get("key") or data.get("id"))
    try:
        patterns = tuple(re.compile(text, re.ASCII) for text in data.get("regex", ()))
        needles = tuple(str(data.get("needle") or needle(p.pattern)) for p in patterns)
        if data["kind"] not in KINDS:
            raise ValueError(f"kind is one of {', '.join(KINDS)}")
        return Signature(
            id=data["id"],
            class_=data["class"],
            kind=data["kind"],
            patterns=patterns,
            needles=needles,
            texts={lang: Text(**data[lang]) for lang in LANGUAGES},
            key=name,
            sample=data.get("sample", ""),
            alone=data.get("alone", "cause"),
            goto=data.get("goto", {}),
            broader_than=frozenset(data.get("broader_than", ())),
            outranks=frozenset(data.get("outranks", ())),
            explains=frozenset(data.get("explains", ())),
            calm=bool(data.get("calm")),
            peer_lost=bool(data.get("peer_lost")),
            table=bool(data.get("table")),
            blames=data.get("blames", ""),
        )
    except (KeyError, TypeError, ValueError, re.error) as error:
        raise ValueError(f"signature {name}: {error}") from error


def needle(pattern: str) -> str:
    """Return the longest text that every match of a regular expression contains.

    Only text outside of all groups and classes is looked at, so it may find less than there is,
    but never too much.

    Raises:
        ValueError: there is none of a useful length, or the pattern has alternatives at the top.
    """
    runs, run, index = [""], "", 0
    while index < len(pattern):
        end, char = _token(pattern, index)
        if pattern[index] == "|":
            raise ValueError(f"give alternatives as patterns of their own: {pattern}")
        follows = pattern[end : end + 1]
        if char and follows not in ("?", "*", "{"):
            run += char
        else:
            runs.append(run)
            run = ""
        index = end
        if follows and follows in "?*+{":
            index = pattern.index("}", end) + 1 if follows == "{" else end + 1
            index += pattern[index : index + 1] == "?"  # not greedy
            runs.append(run)
            run = ""
    best = max([*runs, run], key=len)
    if len(best) < _SHORTEST:
        raise ValueError(f"no text is in every match of {pattern}: give a needle")
    return best


def _token(pattern: str, index: int) -> tuple[int, str]:
    """Return where the token at ``index`` ends, and the character it stands for, or ""."""
    char = pattern[index]
    if char == "\\":
        plain = not pattern[index + 1].isalnum()
        return index + 2, pattern[index + 1] if plain else ""
    if char == "[":
        end = pattern.index("]", index + 2 if pattern[index + 1] != "^" else index + 3)
        while pattern[end - 1] == "\\":
            end = pattern.index("]", end + 1)
        return end + 1, ""
    if char == "(":
        depth, at = 1, index + 1
        while depth:
            if pattern[at] in "([":
                at, _ = _token(pattern, at)
                continue
            depth -= pattern[at] == ")"
            at += 2 if pattern[at] == "\\" else 1
        return at, ""
    return index + 1, "" if char in ".^$" else char


def fill(text: str, values: Mapping[str, object]) -> str:
    """Return a text with its ``{name}`` filled in; what is not known becomes ``?``."""
    return re.sub(r"\{(\w+)\}", lambda m: str(values.get(m[1]) or "?"), text)


def by_key(signatures: Sequence[Signature]) -> dict[str, Signature]:
    """Return the signatures by key."""
    return {signature.key: signature for signature in signatures}
