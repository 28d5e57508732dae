"""Presets: reading, checking, writing and keeping them (contract.md, "Preset").

Nothing in a preset is trusted: it may come from anybody. The models are in wizard.presetmodel.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from wizard import paths
from wizard.errors import PresetError
from wizard.presetmodel import ContainerSpec, Misfit, NodeSpec, Preset, ServeSpec
from wizard.safetext import is_secret_name

__all__ = [
    "ContainerSpec",
    "NodeSpec",
    "Preset",
    "PresetStore",
    "ServeSpec",
    "check_preset",
    "dump_preset",
    "load_preset",
    "parse_preset",
]

MAX_BYTES = 256 * 1024
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HERE = Path(__file__).parent
_SHIPPED = (_HERE / "shipped_presets", _HERE.parent / "presets")  # in a wheel; in the repository


class _Loader(yaml.SafeLoader):
    """Safe YAML without duplicate keys and without aliases (which can grow without bound)."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.constructor.ConstructorError(None, None, "an alias (*name) is used", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key in seen:
                text = f"the key {key!r} is there twice"
                raise yaml.constructor.ConstructorError(None, None, text, key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


class _Dumper(yaml.SafeDumper):
    """Writes a text of several lines as lines, so that people can read a patch."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def parse_preset(text: str, origin: str = "preset") -> Preset:
    """Read a preset from YAML text; ``origin`` names it in errors that have no key.

    Raises:
        PresetError: with the path of the (first) key concerned; several problems are joined.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise PresetError(f"{origin} is larger than {MAX_BYTES // 1024} KiB; no preset is.")
    try:
        data = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader, stricter still
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise PresetError(f"{origin} is not valid YAML{where}: {error.problem}.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else "nested too deeply"
        raise PresetError(f"{origin} is not valid YAML: {reason}.") from None
    if not isinstance(data, dict):
        raise PresetError(f"{origin} must hold keys and values, such as version: 1.")
    return check_preset(data)


def check_preset(keys: Mapping[str, Any]) -> Preset:
    """Return the preset of keys and values as YAML has them.

    Raises:
        PresetError: as :func:`parse_preset`.
    """
    try:
        return Preset.model_validate(keys)
    except ValidationError as error:
        raise _preset_error(_problems(error)) from None


def load_preset(source: str | Path) -> Preset:
    """Read a preset by its saved name or by the path of a YAML file; a file wins over a name.

    Raises:
        PresetError: there is none, or it is refused.
    """
    path = Path(source).expanduser()
    if path.is_file() or path.is_fifo():  # `v32-wizard status <(sed … lab.yaml)`
        return _read(path)
    if isinstance(source, str) and _NAME.fullmatch(source):
        store = PresetStore()
        meant_a_file = path.suffix in (".yaml", ".yml")
        if not meant_a_file or source in (*store.list(), *store.shipped()):
            return store.load(source)
    raise PresetError(f"There is no preset file {str(source)!r}.")


def dump_preset(preset: Preset) -> str:
    """Return the preset as YAML: what differs from the defaults; parse_preset gives it back."""
    data = preset.model_dump(mode="json", exclude_defaults=True)
    if {"serve", "container"} & data.keys():
        data = {k: v for k, v in data.items() if v != {}}
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class PresetStore:
    """The saved presets (read and write) and the shipped ones (read only)."""

    def list(self) -> list[str]:
        """Return the names of the saved presets, sorted."""
        return sorted(p.stem for p in paths.presets_dir().glob("*.yaml") if _NAME.fullmatch(p.stem))

    def shipped(self) -> dict[str, Path]:
        """Return the presets that come with the wizard: name and file."""
        folder = next((f for f in _SHIPPED if f.is_dir()), None)
        return {p.stem: p for p in sorted(folder.glob("*.yaml"))} if folder else {}

    def load(self, name: str) -> Preset:
        """Return the preset of that name; a saved one wins over a shipped one.

        Raises:
            PresetError: there is none, or it is refused.
        """
        path = self._path(name)
        if not path.is_file():
            shipped = self.shipped()
            if name not in shipped:
                known = ", ".join(sorted({*self.list(), *shipped})) or "none yet"
                raise PresetError(f"There is no preset named {name!r}.", hint=f"Known: {known}.")
            path = shipped[name]
        return _read(path)

    def save(self, preset: Preset) -> Path:
        """Write the preset under its name, readable by its owner only; return the file.

        Raises:
            PresetError: it cannot be written.
        """
        path, text = self._path(preset.name), dump_preset(preset)
        if len(text.encode()) > MAX_BYTES:  # it could not be read again
            raise PresetError(f"{preset.name} is larger than {MAX_BYTES // 1024} KiB.")
        try:
            paths.write_private(path, text)
        except OSError as error:
            raise PresetError(f"{path} cannot be written: {error.strerror}.") from error
        return path

    def file(self, name: str) -> Path | None:
        """Return the file of a saved preset; None when none is saved under that name."""
        path = self._path(name)
        return path if path.is_file() else None

    def delete(self, name: str) -> None:
        """Remove a saved preset.

        Raises:
            PresetError: there is no saved preset of that name; shipped ones stay.
        """
        path = self._path(name)
        if not path.is_file():
            reason = "it comes with the wizard" if name in self.shipped() else "it is not saved"
            raise PresetError(f"The preset {name!r} cannot be deleted: {reason}.")
        path.unlink()

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise PresetError(f"{name!r} is not a preset's name: letters, digits and . _ - only.")
        return paths.presets_dir() / f"{name}.yaml"


def _read(path: Path) -> Preset:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        return parse_preset(raw.decode("utf-8-sig"), str(path))
    except OSError as error:
        raise PresetError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError:
        raise PresetError(f"{path} is not a text file in UTF-8.") from None


def _problems(error: ValidationError) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for detail in error.errors(include_url=False):
        cause = detail.get("ctx", {}).get("error")
        if isinstance(cause, Misfit):
            found.extend(cause.problems)
        else:
            found.append((_path(detail["loc"]), _sentence(detail)))
    return found


def _path(location: Iterable[int | str]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path


def _sentence(detail: Any) -> str:
    kind, value = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        if is_secret_name(str(detail["loc"][-1])):
            return "no secret has a place in a preset"
        return "there is no such key"
    if kind == "missing":
        return "is missing"
    if kind == "enum":
        return f"must be {detail['ctx']['expected']}, not {_short(value)}"
    if kind in {"string_type", "dict_type", "list_type", "bool_type", "model_type"}:
        return f"{_what(kind)} is expected, not {_short(value)}"
    return str(detail["msg"]).removeprefix("Value error, ")


def _what(kind: str) -> str:
    return {
        "string_type": "text (in quotes if need be)",
        "dict_type": "a group of keys",
        "model_type": "a group of keys",
        "list_type": "a list",
        "bool_type": "true or false",
    }[kind]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _preset_error(problems: list[tuple[str, str]]) -> PresetError:
    first_path, first = problems[0]
    rest = [f"{path}: {text}" if path else text for path, text in problems[1:]]
    text = _shown("; ".join([first, *rest]))
    return PresetError(text, path=_shown(first_path), problems=problems)


def _shown(text: str) -> str:
    """A key may hold anything: what a terminal would obey is shown as Python writes it."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
