"""What ``render -o`` writes: the scripts, a README for people without the wizard, a manifest. Pure.

The manifest says what each file was when it was written, so that edits made by hand can be told
from the rest when the folder is taken in again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from wizard import __version__, edits, exportreadme, scripts
from wizard.errors import UsageError
from wizard.presetmodel import Preset

SCHEMA = "v32-wizard/export/1"
MANIFEST = "manifest.json"
README = "README.md"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an exported folder says of itself.

    Attributes:
        facts: preset, recipe, series, precision, image, strict_guide, and the wizard's version.
        files: path → SHA-256 of the file as it was written.
        generated: path of a script → SHA-256 of the script without any edit of the user.
    """

    facts: dict[str, object]
    files: dict[str, str]
    generated: dict[str, str]


def digest(text: str) -> str:
    """Return the SHA-256 of a text's bytes in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def facts(preset: Preset) -> dict[str, object]:
    """Return what the manifest says of the preset."""
    return {
        "preset": preset.name,
        "recipe": preset.recipe,
        "series": preset.series.value,
        "precision": preset.precision.value,
        "image": scripts.image(preset),
        "strict_guide": preset.strict_guide,
    }


def bundle(preset: Preset) -> dict[str, str]:
    """Return path → text of everything that is written, the manifest last.

    Raises:
        UsageError: a node's address is missing; PresetError: an edit does not fit any more.
    """
    every = scripts.edited(preset)
    edits.refuse_conflicts(every)
    files = {script.key: script.text for script in every}
    files[README] = exportreadme.text(preset)
    generated = {script.key: digest(script.generated) for script in every}
    listed = [
        {"path": path, "sha256": digest(text)}
        | ({"generated_sha256": generated[path]} if path in generated else {})
        for path, text in files.items()
    ]
    body = {"schema": SCHEMA, "wizard": __version__, **facts(preset), "files": listed}
    files[MANIFEST] = json.dumps(body, indent=2, ensure_ascii=False) + "\n"
    return files


def read_manifest(text: str, where: str) -> Manifest:
    """Read a manifest.

    Raises:
        UsageError: it is not one of ours, or damaged; ``where`` names it.
    """
    try:
        body = json.loads(text)
        if body["schema"] != SCHEMA:
            raise UsageError(f"{where}: the schema {body['schema']!r} is not {SCHEMA}.")
        listed = [(_path(f["path"]), f["sha256"], f.get("generated_sha256")) for f in body["files"]]
        return Manifest(
            {k: v for k, v in body.items() if k not in ("schema", "files")},
            {path: _sum(sha) for path, sha, _ in listed},
            {path: _sum(sha) for path, _, sha in listed if sha is not None},
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        what = f"has no {error}" if isinstance(error, KeyError) else f"cannot be read: {error}"
        raise UsageError(f"{where} is not a manifest of ours; it {what}.") from None


def _path(value: object) -> str:
    parts = value.split("/") if isinstance(value, str) else []
    if not parts or len(parts) > 2 or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"{value!r} is not a file of an exported folder")
    return "/".join(parts)


def _sum(value: object) -> str:
    if not isinstance(value, str) or len(value) != 64 or not set(value) <= set("0123456789abcdef"):
        raise ValueError(f"{value!r} is not a SHA-256")
    return value
