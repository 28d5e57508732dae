"""The scripts that the last launch of a preset left on the nodes, found by directory and label."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from wizard import scriptdiffs
from wizard.errors import RemoteError
from wizard.launch.node import LAUNCHES, directory, labelled
from wizard.launch.runtime import home_path
from wizard.patchkeys import SCRIPTS
from wizard.presets import Preset
from wizard.remote.api import Remote
from wizard.remote.text import clean
from wizard.scriptlines import (
    CONTAINER,
    LABEL_NODES,
    LABEL_OWNER,
    LABEL_TOKEN,
    LaunchLabels,
)
from wizard.textdiff import FileDiff

_ASK_S = 20.0
_NEWEST = 500  # launches to look through; each is one directory
_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Deployed:
    """What one node has.

    Attributes:
        launch_id: the newest launch of the preset there, "" when there is none.
        files: its scripts, cleaned for display.
        error: why the node could not be asked, or None.
    """

    rank: int
    launch_id: str = ""
    files: dict[str, str] = field(default_factory=dict)
    error: RemoteError | None = None

    def label(self, name: str) -> str:
        """Return a label that its container.sh gives, "" when it gives none."""
        found = re.search(rf"--label {re.escape(name)}=([\w.@,:-]+)", self.files.get(CONTAINER, ""))
        return found[1] if found else ""


async def find(remotes: Sequence[Remote], preset: str) -> list[Deployed]:
    """Ask every node for the newest launch of a preset; nothing there is changed."""
    return list(await asyncio.gather(*(_ask(remote, preset) for remote in remotes)))


async def compare(preset: Preset, remotes: Sequence[Remote]) -> tuple[list[FileDiff], list[str]]:
    """Compare the preset's scripts with those on the nodes; and say what cannot be compared."""
    diffs, messages = [], []
    for found in await find(remotes, preset.name):
        if found.error is not None:
            messages.append(str(found.error))
        elif not found.launch_id:
            messages.append(nothing(found, preset))
        else:
            diffs += compare_one(preset, found)
    return diffs, messages


def compare_one(preset: Preset, found: Deployed) -> list[FileDiff]:
    """Compare the preset's scripts with those on one node."""
    labels = LaunchLabels(
        preset.name,
        found.launch_id,
        directory(found.launch_id),
        token=found.label(LABEL_TOKEN),
        owner=found.label(LABEL_OWNER),
        nodes=tuple(filter(None, found.label(LABEL_NODES).split(","))),
    )
    return scriptdiffs.with_deployed(preset, found.rank, labels, found.files)


def nothing(found: Deployed, preset: Preset) -> str:
    """Say that a node has no launch of the preset."""
    return f"On node {found.rank} lies no launch of {preset.name}."


async def _ask(remote: Remote, preset: str) -> Deployed:
    rank = remote.node.rank
    try:
        done = await remote.run(command(preset), timeout_s=_ASK_S, limit=_LIMIT)
    except RemoteError as error:
        return Deployed(rank, error=error)
    if done.exit_status != 0 or done.truncated:
        said = clean(done.stderr).strip().replace("\n", " ")[:200]
        why = "they are too large" if done.truncated else said or "no reason was given"
        text = f"the scripts of the last launch on {remote.node.label} cannot be read: {why}."
        return Deployed(rank, error=RemoteError(text, node=rank))
    launch_id, files = read(done.stdout)
    return Deployed(rank, launch_id, files)


def command(preset: str) -> str:
    """Return the shell text that prints the newest launch's id and its scripts.

    Launch ids begin with their time, so that the names sort by age.
    """
    names = " ".join(SCRIPTS)
    return f"""cd {home_path(LAUNCHES)} 2>/dev/null || exit 0
seen=0
for launch in $(LC_ALL=C ls -1r); do
  case $launch in *[!A-Za-z0-9_.-]*) continue ;; esac
  seen=$((seen + 1))
  [ "$seen" -le {_NEWEST} ] || break
  {labelled(preset)} "$launch/{SCRIPTS[0]}" || continue
  echo "$launch"
  for name in {names}; do
    [ -f "$launch/$name" ] || continue
    echo "$name $(wc -c <"$launch/$name")"
    cat "$launch/$name"
  done
  exit 0
done
"""


def read(answer: bytes) -> tuple[str, dict[str, str]]:
    """Read the answer to :func:`command`: the launch's id ("" for none) and its scripts."""
    first, _, rest = answer.partition(b"\n")
    files = {}
    while rest:
        head, _, rest = rest.partition(b"\n")
        name, _, size = head.decode("ascii", "replace").partition(" ")
        if name not in SCRIPTS or not size.strip().isdigit():
            break
        count = int(size)
        files[name], rest = clean(rest[:count]), rest[count:]
    return clean(first), files
