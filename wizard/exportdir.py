"""An exported folder on disk: written whole or not at all, and read with nothing taken on trust."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wizard import edits
from wizard.errors import UsageError
from wizard.export import MANIFEST, Manifest, digest, read_manifest
from wizard.paths import write_private

_LIMIT = 256 * 1024  # bytes of one file; a script has five thousand


@dataclass(frozen=True, slots=True)
class Exported:
    """What an exported folder holds now.

    Attributes:
        manifest: what it held when it was written.
        files: path → text of the files that the manifest names and that are there.
        missing, extra: paths that it names and are not there; that are there and it does not name.
    """

    manifest: Manifest
    files: dict[str, str]
    missing: tuple[str, ...]
    extra: tuple[str, ...]

    @property
    def changed(self) -> list[str]:
        """The paths of the files that are not as they were written."""
        sums = self.manifest.files
        return [path for path, text in self.files.items() if digest(text) != sums[path]]


def write(folder: Path, files: Mapping[str, str], *, force: bool = False) -> None:
    """Write an export: folders 0700, scripts 0700, other files 0600.

    A new folder appears whole. In a folder that is there, each file is replaced at once and the
    manifest last; files of an earlier export that are not written any more go, others stay.

    Raises:
        UsageError: a file that would be replaced is not as an export of ours left it (see --force),
            or the disk does not take it.
    """
    try:
        _write(folder, files, force)
    except OSError as error:
        why = error.strerror or str(error)
        raise UsageError(
            f"{folder} cannot be written: {why}.", hint="Name a folder on a disk that has room."
        ) from None


def _write(folder: Path, files: Mapping[str, str], force: bool) -> None:
    if not folder.exists() and not folder.is_symlink():
        _write_new(folder, files)
        return
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder.", hint="Name another one.")
    before = _earlier(folder)
    if not force:
        _refuse_foreign(folder, files, before)
    for path, text in files.items():
        if (folder / path).is_dir() and not (folder / path).is_symlink():
            raise UsageError(f"{folder / path} is a folder; a file must be written there.")
        _write_file(folder, path, text)
    for path in set(before) - set(files):
        _remove_if_ours(folder, path, before[path])


def _write_new(folder: Path, files: Mapping[str, str]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))  # 0700
    try:
        for path, text in files.items():
            _write_file(fresh, path, text)
        fresh.rename(folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def _write_file(folder: Path, path: str, text: str) -> None:
    target = folder / path
    if target.parent.is_symlink():
        raise UsageError(f"{target.parent} is a link; nothing is written through it.")
    write_private(target, text)
    if path.endswith(".sh"):
        target.chmod(0o700)


def _earlier(folder: Path) -> dict[str, str]:
    """Return what an earlier export wrote here; nothing when there was none that can be read."""
    try:
        text = _read(folder / MANIFEST)
        return read_manifest(text, str(folder / MANIFEST)).files | {MANIFEST: digest(text)}
    except (UsageError, OSError):
        return {}


def _refuse_foreign(folder: Path, files: Mapping[str, str], before: Mapping[str, str]) -> None:
    for path in files:
        target = folder / path
        if not target.exists() and not target.is_symlink():
            continue
        if path not in before:
            raise UsageError(
                f"{target} is not of an export of ours.", hint="Use --force to replace it."
            )
        if path != MANIFEST and _sum(target) != before[path] and not _taken_in(target, files[path]):
            raise UsageError(
                f"{target} was edited by hand since it was exported.",
                hint="Take the edit in with --import, or use --force to replace it.",
            )


def _taken_in(path: Path, text: str) -> bool:
    """Whether a script holds nothing but the edits that ``text`` has as well, the mark apart."""
    try:
        return edits.unmarked(_read(path)) == edits.unmarked(text)
    except (UsageError, OSError):
        return False


def _sum(path: Path) -> str:
    try:
        return digest(_read(path))
    except (UsageError, OSError):
        return ""


def _remove_if_ours(folder: Path, path: str, was: str) -> None:
    target = folder / path
    if _sum(target) == was:
        target.unlink()
        if target.parent != folder and not any(target.parent.iterdir()):
            target.parent.rmdir()


def read(folder: Path) -> Exported:
    """Read an exported folder.

    Raises:
        UsageError: it is none, or a file is no plain text file of a sensible size; names it.
    """
    if not (folder / MANIFEST).is_file():
        raise UsageError(
            f"{folder} is not an exported folder: it has no {MANIFEST}.",
            hint="Make one with: v32-wizard render PRESET -o DIR",
        )
    manifest = read_manifest(_read(folder / MANIFEST), str(folder / MANIFEST))
    there = [path for path in manifest.files if os.path.lexists(folder / path)]
    found = {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }
    return Exported(
        manifest,
        {path: _read(folder / path) for path in there},
        tuple(path for path in manifest.files if path not in there),
        tuple(sorted(found - {*manifest.files, MANIFEST})),
    )


def _read(path: Path) -> str:
    if path.is_symlink() or path.parent.is_symlink():
        raise UsageError(f"{path} is a link; only plain files are read.")
    if not path.is_file():
        raise UsageError(f"{path} is not a plain file.")
    try:
        with path.open("rb") as file:
            raw = file.read(_LIMIT + 1)
        if len(raw) > _LIMIT:
            raise UsageError(f"{path} is larger than {_LIMIT // 1024} KiB; no script is.")
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not a text file in UTF-8.") from None
