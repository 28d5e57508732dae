"""Where our files lie on this machine. Directories are made 0700 on first use, files are 0600.

A folder that cannot be made is an error for who writes into it, not for who reads: what runs on the
nodes can be looked at and stopped from a machine whose disk is read-only.
"""

from __future__ import annotations

import glob
import os
import time
from contextlib import suppress
from pathlib import Path

HOME_VARIABLE = "V32_WIZARD_HOME"  # puts everything under one folder (contract.md)
_APP = "v32-wizard"
_ABANDONED_S = 3600.0


def config_dir() -> Path:
    """Return the folder of settings, made if it is missing and can be."""
    return _made(_base("config"))


def presets_dir() -> Path:
    """Return the folder of saved presets, made if it is missing and can be."""
    return _made(config_dir() / "presets")


def state_dir() -> Path:
    """Return the folder of state (audit log, sessions, run history), made as the others are."""
    return _made(_base("state"))


def _base(kind: str) -> Path:
    home = os.environ.get(HOME_VARIABLE)
    if home:
        return Path(home).expanduser() / kind
    import platformdirs  # noqa: PLC0415 - keeps `v32-wizard --version` quick

    if kind == "config":
        return platformdirs.user_config_path(_APP)
    return platformdirs.user_state_path(_APP)


def _made(path: Path) -> Path:
    with suppress(OSError):
        _private(path)
    return path


def _private(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def write_private(path: Path, text: str | bytes, *, mode: int = 0o600) -> None:
    """Write ``text`` to ``path`` atomically, readable by its owner only unless ``mode`` says more.

    A link is followed. What is no plain file (``/dev/stdout``, a pipe) is written to as it is:
    putting a file in its place would, for root, take the device from the whole machine.

    Raises:
        OSError: the disk is full or the folder cannot be written; the old file is then untouched.
    """
    data = text if isinstance(text, bytes) else text.encode()
    if path.exists() and not path.is_file():
        with path.open("wb") as device:
            device.write(data)
        return
    path = path.resolve()
    _private(path.parent)
    _sweep(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _sweep(path: Path) -> None:
    """Take away what writers of this file left who were killed: it may be a key.

    Only what is named as we name it, by a process's number: the folder may be anybody's.
    """
    before = f".{path.name}."
    for old in path.parent.glob(f"{glob.escape(before)}*.tmp"):
        if not old.name.removeprefix(before).removesuffix(".tmp").isdecimal():
            continue
        with suppress(OSError):
            if time.time() - old.stat().st_mtime > _ABANDONED_S:
                old.unlink()
