"""The usual parameters, a text field each: from a preset's keys to what is typed, and back. Pure.

A field that is empty leaves the recipe's value; ``none`` leaves the recipe's own out, where that
can be. A text that is no value of its field is kept as it was typed, with what is wrong with it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wizard.recipes.model import PORT, RPC_PORT, as_text

NONE = "none"
DROP = "drop"  # before a name on a line: the recipe's own is left out


@dataclass(frozen=True, slots=True)
class Parameter:
    """One field.

    Attributes:
        id: its name; the argument of vLLM where it is one.
        label: what people read.
        path: where its value stands in the preset.
        number: int or float where only such is right.
        lines: how many lines the field has; more than one means one entry per line.
        droppable: whether ``none`` is an answer.
        switch: whether the answer is yes or no.
    """

    id: str
    label: str
    path: tuple[str, ...]
    number: type[int] | type[float] | None = None
    lines: int = 1
    droppable: bool = False
    switch: bool = False

    @property
    def key(self) -> str:
        """The path as errors name it."""
        return ".".join(self.path)


def _argument(label: str, name: str, number: type[int] | type[float] = int) -> Parameter:
    return Parameter(name, label, ("serve", "args", name), number, droppable=True)


PARAMETERS: tuple[Parameter, ...] = (
    Parameter("port", "API port", ("serve", "port"), int),
    Parameter("rpc_port", "RPC port", ("serve", "rpc_port"), int),
    Parameter("api_key", "API key wanted", ("serve", "api_key"), switch=True),
    Parameter("probe_s", "Probe every (s)", ("serve", "probe_s"), int),
    Parameter("model", "Model path", ("serve", "model")),
    _argument("Max model length", "--max-model-len"),
    _argument("Max sequences", "--max-num-seqs"),
    _argument("Max batched tokens", "--max-num-batched-tokens"),
    _argument("Memory utilisation", "--gpu-memory-utilization", float),
    Parameter("image", "Image", ("container", "image")),
    Parameter("registry", "Registry", ("container", "registry")),
    Parameter("os", "Image's OS", ("container", "os")),
    Parameter("image_archive", "Image archive", ("container", "image_archive")),
    Parameter("runtime", "Runtime", ("container", "runtime")),
    Parameter("name", "Container name", ("container", "name")),
    Parameter("shm_size", "Shared memory", ("container", "shm_size"), droppable=True),
    Parameter("mounts", "More mounts", ("container", "mounts"), lines=3),
    Parameter("args", "More arguments", ("serve", "args"), lines=3),
    Parameter("env", "More variables", ("serve", "env"), lines=3),
    Parameter("strict_guide", "Exactly the guide", ("strict_guide",), switch=True),
    Parameter("deviations", "Deviations off", ("deviations",), lines=4),
)
BY_ID = {parameter.id: parameter for parameter in PARAMETERS}
_BY_KEY = {parameter.key: parameter for parameter in PARAMETERS}
_OWN_FIELD = {p.id for p in PARAMETERS if p.id.startswith("--")}
_ELSEWHERE = {PORT: "API port", RPC_PORT: "RPC port"}
_SWITCHED = {"yes": True, "y": True, "no": False, "n": False}
_MISSING = object()


def parameter_of(key: str) -> Parameter | None:
    """Return the field in which a key of the preset is answered, or None if it has none.

    ``serve.args.--quantization`` and ``serve.env.HCCL_BUFFSIZE`` have no field of their own: they
    are lines of the field for more arguments, or more variables.
    """
    if key in _BY_KEY:
        return _BY_KEY[key]
    whole, _, name = key.rpartition(".")
    return (BY_ID.get(name) if name in _OWN_FIELD else None) or _BY_KEY.get(whole)


def text_of(keys: Mapping[str, Any], parameter: Parameter) -> str:
    """Return what stands in a field for these keys of a preset (``serve``, ``container``, …)."""
    value: Any = keys
    for part in parameter.path:
        value = value.get(part, _MISSING) if isinstance(value, Mapping) else _MISSING
    if value is _MISSING:
        return ""
    if parameter.id == "args":
        own = {k: v for k, v in value.items() if k not in _OWN_FIELD}
        return "\n".join(_argument_line(name, item) for name, item in own.items())
    if parameter.id == "env":
        return "\n".join(
            f"{DROP} {name}" if item is None else f"{name}={item}" for name, item in value.items()
        )
    if parameter.id == "mounts":
        return "\n".join(str(item) for item in value)
    if parameter.id == "deviations":
        return "\n".join(name for name, made in value.items() if made is False)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return NONE if value is None else as_text(value)


def _argument_line(name: str, value: object) -> str:
    if value is None:
        return f"{DROP} {name}"
    return name if value is True else f"{name} {as_text(value)}"


def with_text(keys: Mapping[str, Any], parameter: Parameter, text: str) -> dict[str, Any]:
    """Return the keys of a preset with what was typed in a field; groups left empty go.

    Raises:
        ValueError: the text is no value of the field; says what would be right.
    """
    found = dict(keys)
    group, *rest = parameter.path
    if parameter.id == "deviations":
        names = text.replace(",", " ").split()
        return _filled(found | {group: dict.fromkeys(names, False)})
    if not rest:
        return _filled(_set(found, group, parameter, text))
    inner = dict(found.get(group) or {})
    if parameter.id == "args":
        had = inner.get("args") or {}
        kept = {k: v for k, v in had.items() if k in _OWN_FIELD}
        inner["args"] = kept | _arguments(text, had)
    elif parameter.id == "env":
        inner["env"] = _variables(text)
    elif parameter.id == "mounts":
        inner["mounts"] = [line.strip() for line in text.splitlines() if line.strip()]
    elif len(rest) == 2:
        inner["args"] = _set(dict(inner.get("args") or {}), rest[1], parameter, text)
    else:
        inner = _set(inner, rest[0], parameter, text)
    inner = {k: v for k, v in inner.items() if v not in ({}, [])}
    return _filled(found | {group: inner})


def _filled(keys: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in keys.items() if v != {}}


def _set(keys: dict[str, Any], name: str, parameter: Parameter, text: str) -> dict[str, Any]:
    text = text.strip()
    if not text:
        keys.pop(name, None)
    elif parameter.droppable and text.lower() == NONE:
        keys[name] = None
    else:
        keys[name] = _value(parameter, text)
    return keys


def _value(parameter: Parameter, text: str) -> object:
    if parameter.switch:
        if text.lower() not in _SWITCHED:
            raise ValueError(f"{text!r} is neither yes nor no")
        return _SWITCHED[text.lower()]
    if parameter.number is None:
        return text
    what = "a whole number" if parameter.number is int else "a number like 0.9"
    pattern = r"\d{1,12}" if parameter.number is int else r"\d{1,9}(\.\d{1,9})?|\.\d{1,9}"
    if not re.fullmatch(pattern, text, re.ASCII):
        more = f", or {NONE} to leave it out" if parameter.droppable else ""
        raise ValueError(f"{text!r} is not {what}{more}")
    return parameter.number(text)


def _entries(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        entry = line.strip().removesuffix("\\").strip()  # as lines of a script end
        if entry:
            yield number, entry


def _arguments(text: str, had: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number, entry in _entries(text):
        dropped = entry.startswith(f"{DROP} ")
        word = entry.removeprefix(f"{DROP} ").strip()
        match = re.fullmatch(r"(--[^\s=]+)(?:[\s=]\s*(.*))?", word)
        if match is None or (dropped and match[2]):
            raise ValueError(
                f"line {number}: {entry!r} is not --name, --name value or {DROP} --name"
            )
        name = match[1]
        _require_new(name, found, number)
        if name in _OWN_FIELD or name in _ELSEWHERE:
            label = BY_ID[name].label if name in BY_ID else _ELSEWHERE[name]
            raise ValueError(f"line {number}: {name} has a field of its own, {label}")
        old = had.get(name, _MISSING)
        if dropped:
            found[name] = None
        elif old is not _MISSING and old is not None and entry == _argument_line(name, old):
            found[name] = old  # an object stays one
        else:
            found[name] = _given(match[2], number)
    return found


def _given(text: str | None, number: int) -> object:
    if not text:
        return True
    if text[0] in "'\"":  # as it would stand in a script
        try:
            words = shlex.split(text)
        except ValueError:
            raise ValueError(f"line {number}: a quotation mark is not closed") from None
        if len(words) != 1:
            raise ValueError(f"line {number}: {text!r} is more than one value")
        return words[0]
    return int(text) if re.fullmatch(r"0|[1-9]\d{0,11}", text, re.ASCII) else text


def _variables(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number, entry in _entries(text):
        name, equals, value = entry.removeprefix("export ").strip().partition("=")
        if entry.startswith(f"{DROP} ") and not equals:
            name, given = entry.removeprefix(f"{DROP} ").strip(), None
        elif equals:
            given = str(_given(value, number)) if value[:1] in ("'", '"') else value
        else:
            raise ValueError(f"line {number}: {entry!r} is not NAME=value or {DROP} NAME")
        _require_new(name, found, number)
        found[name] = given
    return found


def _require_new(name: str, found: Mapping[str, Any], number: int) -> None:
    if name in found:
        raise ValueError(f"line {number}: {name} is there twice")


def concerned(path: str, message: str) -> Parameter | None:
    """Return the field that an error about a key of the preset is about, None for no field."""
    if path == "serve.args":
        name = message.partition(":")[0].strip()
        return BY_ID.get(name) or BY_ID["args"]
    for parameter in PARAMETERS:
        if parameter.key == path:
            return parameter
    if path.startswith("serve.args."):
        return BY_ID["args"]
    if path.startswith("deviations"):
        return BY_ID["deviations"]
    if path.startswith("container.mounts"):
        return BY_ID["mounts"]
    return BY_ID["env"] if path.startswith("serve.env") else None
