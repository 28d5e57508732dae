"""Stops that are not done: nodes that could not be reached, remembered until they are.

A file per preset in the state folder. The nodes themselves are the truth: what is found gone there
is forgotten here.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from wizard.launch.stopping import Stopped
from wizard.paths import state_dir, write_private
from wizard.presets import Preset
from wizard.wording import ago

SCHEMA = "v32-wizard/stop-pending/1"


@dataclass(frozen=True, slots=True)
class Pending:
    """A node on which a container of a preset may be left.

    ``since`` is when the stop was tried first, epoch seconds; ``text`` says what may be left.
    """

    preset: str
    rank: int
    host: str
    since: float
    text: str

    def sentence(self, hosts: Collection[str]) -> str:
        """Say it for people, with what to do; ``hosts`` are those that the preset names now."""
        when = ago(time.time() - self.since)
        todo = f"Finish it with: v32-wizard stop {self.preset}"
        if self.host not in hosts:  # no stop of the preset gets there
            todo = (
                f"The preset does not name {self.host} any more: name it again and stop, or forget "
                f"it, if nothing is there, with: rm {shlex.quote(str(_path(self.preset)))}"
            )
        return f"stop pending ({when}): {self.text} {todo}"


def note(preset: Preset, stopped: Stopped) -> None:
    """Remember what a stop of a preset has left, and forget what it has not; writes the disk.

    Raises:
        OSError: the state folder cannot be written.
    """
    hosts = {node.host: rank for rank, node in enumerate(preset.nodes)}
    before = of_preset(preset.name)
    first = {pending.host: pending.since for pending in before}
    kept = [pending for pending in before if pending.host not in hosts]
    for left in stopped.left:
        if left.what == "container":
            host = preset.nodes[left.rank].host
            since = first.get(host, time.time())
            kept.append(Pending(preset.name, left.rank, host, since, left.text))
    _write(preset.name, kept)


def settle(preset: Preset, gone: Iterable[int]) -> None:
    """Forget the nodes (ranks) on which nothing of the preset was found; writes the disk.

    Raises:
        OSError: the state folder cannot be written.
    """
    hosts = {preset.nodes[rank].host for rank in gone}
    before = of_preset(preset.name)
    kept = [pending for pending in before if pending.host not in hosts]
    if kept != before:
        _write(preset.name, kept)


def of_preset(name: str) -> list[Pending]:
    """Return what is pending for a preset, of this name; reads the disk."""
    return _read(_path(name))


def every() -> list[Pending]:
    """Return all that is pending, of whatever preset; reads the disk."""
    return [pending for path in sorted(_folder().glob("*.json")) for pending in _read(path)]


def _folder() -> Path:
    return state_dir() / "stop-pending"


def _path(preset: str) -> Path:
    return _folder() / f"{preset}.json"


def _read(path: Path) -> list[Pending]:
    """Read a file of ours; one that is damaged is as good as none: the nodes know better."""
    try:
        body = json.loads(path.read_text())
        return [Pending(**entry) for entry in body["pending"]] if body["schema"] == SCHEMA else []
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _write(preset: str, pending: list[Pending]) -> None:
    path = _path(preset)
    if not pending:
        with suppress(FileNotFoundError):
            path.unlink()
        return
    body = {"schema": SCHEMA, "pending": [asdict(entry) for entry in pending]}
    write_private(path, json.dumps(body, indent=2, ensure_ascii=False) + "\n")
