"""The API key of a served model: where it comes from, and where it is kept. Never in a preset.

``V32_WIZARD_API_KEY`` wins, and is then kept nowhere. Without it a launch makes a key and keeps it
under the state directory, readable by its owner only, by the preset's name: later commands find it
there, and so does the user who must tell it to the clients. It is dropped when the launch is
stopped.
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from pydantic import SecretStr

from wizard import paths
from wizard.errors import LaunchError, UsageError
from wizard.presetmodel import Preset

VARIABLE = "V32_WIZARD_API_KEY"
_FIT = re.compile(r"[!-~]{1,512}")  # what a line of an HTTP header and of a file can carry


def given() -> SecretStr | None:
    """Return the key in our environment.

    Raises:
        UsageError: no HTTP header could carry it; the value is not told.
    """
    text = os.environ.get(VARIABLE)
    if not text:
        return None
    if not _FIT.fullmatch(text):
        raise UsageError(
            f"{VARIABLE} is no API key.",
            hint="It is one line of letters, digits and signs, without blanks.",
        )
    return SecretStr(text)


def path_of(preset: Preset) -> Path:
    """Return the file that keeps the key that was made for a preset."""
    return paths.state_dir() / "keys" / preset.name


def current(preset: Preset) -> SecretStr | None:
    """Return the key to ask the preset's server with, None when we have none."""
    if (key := given()) is not None or not preset.serve.api_key:
        return key
    try:
        text = path_of(preset).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return SecretStr(text) if _FIT.fullmatch(text) else None


def for_launch(preset: Preset) -> SecretStr | None:
    """Return the key to serve with, made and kept if there is none; None without serve.api_key.

    Raises:
        UsageError: the one in our environment is none.
        LaunchError: the new one cannot be kept.
    """
    if not preset.serve.api_key:
        return None
    if (key := current(preset)) is None:
        key = SecretStr(secrets.token_urlsafe(32))
        path = path_of(preset)
        try:
            paths.write_private(path, key.get_secret_value() + "\n")
        except OSError as error:
            raise LaunchError(
                f"the API key that was made cannot be kept in {path}: {error.strerror or error}.",
                hint=f"Give one by {VARIABLE}, which is kept nowhere.",
            ) from error
    return key


def forget(preset: Preset) -> str:
    """Drop the key that was made for a preset; return why it is still there, "" when it is not."""
    path = path_of(preset)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        return f"The API key in {path} cannot be removed: {error.strerror or error}."
    return ""


def as_file(key: SecretStr) -> bytes:
    """Return the file for node 0: the key, then chance, so that its checksum tells nothing.

    The checksum of what is uploaded stands in a command line, and so in the audit log.
    """
    return f"{key.get_secret_value()}\n{secrets.token_hex(32)}\n".encode("ascii")


def origin(preset: Preset) -> str:
    """Say where the key of a launch comes from, or will."""
    if os.environ.get(VARIABLE):
        return f"from {VARIABLE}"
    return f"kept in {path_of(preset)}"
