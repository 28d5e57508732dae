"""Options by themselves: known to this vLLM, with values that its parser would take."""

from __future__ import annotations

import difflib
import json

from wizard.lint.call import Call, Option, whole
from wizard.lint.knownflags import Known
from wizard.lint.model import Place

_OBJECTS = frozenset({"additional_config", "compilation_config", "speculative_config"})


def check(call: Call, known: Known, place: Place) -> None:
    """Check every option by itself."""
    seen: dict[str, Option] = {}
    for option in call.options:
        if not option.dest:
            continue
        _values(option, known, place)
        first = seen.setdefault(option.dest, option)
        if first is not option and not option.path:
            text = f"{option.name} is given again; {first.name} at line {first.line} is ignored."
            place.warning(option.line, "repeated-flag", text, "Keep one of them.")


def _values(option: Option, known: Known, place: Place) -> None:
    arity = 1 if option.path else known.flags[option.name].arity
    if arity in {1, "+"} and not option.values:
        text = f"{option.name} has no value."
        place.error(option.line, "missing-value", text, f"Write {option.name} VALUE.")
        return
    for value in option.values:
        if value.text is None or option.path or arity == 0:
            continue
        _one(option, value.text, value.line, place)


def _one(option: Option, text: str, line: int, place: Place) -> None:
    name = option.name
    if option.choices and text not in option.choices:
        near = difflib.get_close_matches(text, option.choices, n=1)
        right = f"Did you mean {near[0]}?" if near else f"It is one of {', '.join(option.choices)}."
        place.error(line, "unknown-choice", f"{name} does not know {text!r}.", right)
    elif option.dest in _OBJECTS and not (option.dest == "compilation_config" and text.isdigit()):
        _object(name, text, line, place)
    elif option.type in {"json", "list"}:
        _json(name, text, line, place)
    elif wanted := _mistyped(option.type, text):
        right = f"It takes {wanted}."
        place.error(line, "wrong-type", f"{name}: {text!r} is not {wanted}.", right)


def _mistyped(kind: str, text: str) -> str:
    """Return what a value should be, or "" when it is that."""
    if kind in {"int", "port"}:
        try:
            int(text)
        except ValueError:
            return "a whole number"
    elif kind == "human":
        if whole(text) is None and text != "-1":
            return "a whole number such as 17450 or 16k"
    elif kind == "float":
        try:
            float(text)
        except ValueError:
            return "a number"
    return ""


def _json(name: str, text: str, line: int, place: Place) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        what = f"{name} is not valid JSON: {error}."
        place.error(line, "bad-json", what, """Write it as '{"key": value}' in single quotes.""")
        return None


def _object(name: str, text: str, line: int, place: Place) -> None:
    value = _json(name, text, line, place)
    if value is not None and not isinstance(value, dict):
        right = """It takes an object: '{"key": value}'."""
        place.error(line, "bad-json", f"{name} is not a JSON object.", right)
