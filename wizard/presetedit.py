"""Changes one key in the text of a preset and leaves the rest, comments included, as it is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import yaml

from wizard.checks.ignores import Ignore
from wizard.errors import PresetError
from wizard.paths import write_private
from wizard.presets import Preset, PresetStore, dump_preset, load_preset, parse_preset

_KEY = "ignores"


def save_ignores(source: str, ignores: Iterable[Ignore]) -> Path:
    """Write the ignores into the preset of that name or path; return the file.

    A shipped preset is saved under its name with them: a saved one wins over a shipped one.

    Raises:
        PresetError: there is no such preset, or its file cannot be written.
    """
    preset = load_preset(source)
    wanted = preset.model_copy(update={_KEY: list(ignores)})
    path = _file_of(source)
    if path is None:
        return PresetStore().save(wanted)
    path = path.resolve()  # a link stays a link
    try:
        text = edited(path.read_text(encoding="utf-8-sig"), wanted)
        write_private(path, text, mode=path.stat().st_mode & 0o777)
    except OSError as error:
        raise PresetError(f"{path} cannot be written: {error.strerror}.") from error
    return path


def _file_of(source: str) -> Path | None:
    path = Path(source).expanduser()
    if path.is_file():
        return path
    return PresetStore().file(source)


def edited(text: str, wanted: Preset) -> str:
    """Return the YAML text with the ignores of ``wanted``; where it cannot be edited, anew."""
    kept = re.sub(rf"(?m)^{_KEY}[ ]*:.*\n?(?:(?:#.*\n|\n)*[ \t-].*\n?)*", "", text).rstrip("\n")
    data = [ignore.model_dump(exclude_defaults=True) for ignore in wanted.ignores]
    block = yaml.safe_dump({_KEY: data}, sort_keys=False, allow_unicode=True, width=100)
    found = f"{kept}\n{block if data else ''}"
    try:
        if parse_preset(found) == wanted:
            return found
    except PresetError:
        pass
    return dump_preset(wanted)
