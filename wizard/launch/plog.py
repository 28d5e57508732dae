"""CANN's own logs (plog): fetched from a node's launch directory before its container goes.

vLLM's log says that HCCL or the runtime failed; only a plog says why. CANN writes one per process,
``debug/plog/plog-4711_20261120101233123.log``, up to hundreds of megabytes in all: those with an
error in them count most, then the newest, and of each the end.
"""

from __future__ import annotations

import asyncio
import re
import shlex
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from wizard.errors import LaunchError, RemoteError
from wizard.launch.logfile import launches_dir
from wizard.launch.node import LaunchNode, directory
from wizard.launch.runtime import home_path
from wizard.paths import write_private
from wizard.presetmodel import LAUNCH_MOUNT
from wizard.remote.text import clean
from wizard.scriptlines import PLOG, PLOG_MOUNT

MOST_FILES = 8
MOST_BYTES = 2 << 20  # of each file, its end
_LOOKED_AT = 512  # files at most; 16 processes write two each
_TIME_S = 30.0
_PACKED_LIMIT = MOST_FILES * MOST_BYTES  # gzip never makes logs larger than that
_MOUNTED = (  # the source of the launch directory's mount
    '{{range .Mounts}}{{if eq .Destination "' + LAUNCH_MOUNT + '"}}{{.Source}}{{end}}{{end}}'
)
_HEAD = re.compile(rb"plog ([A-Za-z0-9_./-]+) (\d+)\n")


@dataclass(frozen=True, slots=True)
class Fetched:
    """The files, as they lie here, and why there are none or not all; "" when nothing failed."""

    paths: list[Path] = field(default_factory=list)
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Plogs:
    """Those of all nodes: their files by rank, and the problems."""

    paths: dict[int, list[Path]]
    problems: list[str]


async def fetch_all(nodes: Sequence[LaunchNode]) -> Plogs:
    """Fetch the plogs of a launch from every node that can be reached, side by side."""
    there = [node for node in nodes if node.state.state != "unreachable" and node.state.container]
    found = await asyncio.gather(*(fetch(node) for node in there))
    paths = {node.state.rank: one.paths for node, one in zip(there, found, strict=True)}
    return Plogs(paths, [one.problem for one in found if one.problem])


async def fetch(node: LaunchNode) -> Fetched:
    """Fetch the plogs of a launch from one node into the launch's folder here (0600)."""
    launch_id, where = node.fence.launch_id, node.state.label
    text = command(launch_id, node.runtime.program, node.state.container)
    try:
        done = await node.remote.run(text, timeout_s=_TIME_S, limit=_PACKED_LIMIT, root="try")
        if done.exit_status != 0:
            raise LaunchError(" ".join(clean(done.stderr).split())[:200] or "no reason was given")
        files = read(done.stdout)
        folder = launches_dir() / launch_id / f"node{node.state.rank}"
        return Fetched(await asyncio.to_thread(_keep, folder, files))
    except (RemoteError, LaunchError, OSError) as error:
        return Fetched(problem=f"CANN's logs could not be fetched from {where}: {error}")


def _keep(folder: Path, files: dict[str, bytes]) -> list[Path]:
    for name, content in files.items():
        write_private(folder / name, content)
    return [folder / name for name in files]


def command(launch_id: str, program: str, container: str) -> str:
    """Return the shell text that prints the plogs of a launch, packed; see :func:`read`.

    Where the launch directory has none because the preset does not mount it, they are first copied
    out of the container. Where it lies in the home of another user, who launched, the container
    tells.
    """
    inspect = shlex.join([program, "inspect", "--format", _MOUNTED, container])
    copy = shlex.join([program, "cp", f"{container}:{PLOG_MOUNT}", PLOG])
    return f"""cd {home_path(directory(launch_id))} 2>/dev/null || {{
  made=$({inspect if container else "true"} 2>/dev/null) && [ -n "$made" ] && cd "$made" 2>/dev/null
}} || exit 0
[ -d {PLOG} ] || {copy if container else "true"} >/dev/null 2>&1
cd {PLOG} 2>/dev/null || exit 0
every=$(find . -type f -name 'plog-*.log' | LC_ALL=C grep -E '^[A-Za-z0-9_./-]+$' |
  head -n {_LOOKED_AT})
[ -n "$every" ] || exit 0
wrong=$(grep -lF -m1 '[ERROR]' $every)
for file in $({{ [ -z "$wrong" ] || ls -t $wrong; ls -t $every; }} |
    awk '!seen[$0]++' | head -n {MOST_FILES}); do
  size=$(wc -c <"$file") || continue
  [ "$size" -le {MOST_BYTES} ] || size={MOST_BYTES}
  echo "plog $file $size"
  tail -c {MOST_BYTES} "$file" | head -c "$size"
done | gzip -1
"""


def read(packed: bytes) -> dict[str, bytes]:
    """Return the files out of the answer to :func:`command`, by their paths below the plog folder.

    What is cut off, damaged or leads out of the folder is left out.
    """
    unpacker = zlib.decompressobj(wbits=31)
    try:
        text = unpacker.decompress(packed, MOST_FILES * (MOST_BYTES + 4096))
    except zlib.error:
        return {}
    found: dict[str, bytes] = {}
    at = 0
    while match := _HEAD.match(text, at):
        size, at = int(match[2]), match.end()
        content, at = text[at : at + size], at + size
        name = PurePosixPath(match[1].decode())
        if len(content) == size and not name.is_absolute() and ".." not in name.parts:
            found[str(name)] = content
    return found
