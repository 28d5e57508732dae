"""Bringing the image to a node: the commands that do it, and those that people type. Pure.

``docker load`` unpacks .tar.gz by itself, podman (4.3) does not: for it gzip does. Without a
terminal docker prints lines for layers alone, podman not even when one is done; so, every two
seconds, our script tells what has been written to the engine's disk, and how far the archive has
been read.
"""

from __future__ import annotations

import shlex

from wizard.checks.expectations import STORE
from wizard.presets import Preset
from wizard.scripts import image

MARK = "v32-wizard:"  # begins the lines of ours between those of the engine
UNREADABLE = 66  # exit status when an archive cannot be opened
_TELL_S = 2

# Lines of ours: size BYTES, read BYTES (of the archive), written KiB, exit CODE.
_FRAME = """export LC_ALL=C
exec 2>&1
archive={archive}
reader=
used() {{
  df -Pk "${{root:-/}}" 2>/dev/null | {{ read -r _ && read -r _ _ kib _ && echo "$kib"; }} || echo 0
}}
position() {{
  for fd in /proc/"$1"/fd/*; do
    if [ "$fd" -ef "$archive" ]; then
      while read -r name value; do
        [ "$name" = pos: ] && echo "{mark} read $value"
      done <"/proc/$1/fdinfo/${{fd##*/}}"
    fi
  done
}}
tell() {{
  while sleep {every} >/dev/null 2>&1; do
    echo "{mark} written $(($(used) - begun))"
    [ -n "$archive" ] && position "${{reader:-$worker}}" 2>/dev/null
  done
}}
{prepare}root=$({root} 2>/dev/null)
begun=$(used)
{work}
worker=$!
tell &
teller=$!
wait "$worker"
code=$?
kill "$teller"
echo "{mark} exit $code"
"""
_ARCHIVE = """if ! [ -r "$archive" ] || ! [ -f "$archive" ]; then
  if [ -e "$archive" ]; then echo 'not a file that may be read'; else echo 'no such file'; fi
  echo "{mark} exit {unreadable}"
  exit
fi
echo "{mark} size $(stat -Lc %s "$archive")"
"""
_PODMAN_LOAD = """if [ "$(head -c 2 "$archive" | od -An -tx1)" = " 1f 8b" ]; then
  exec 4< <(exec gzip -dc "$archive")
  reader=$!
  podman load <&4 &
else
  podman load -i "$archive" &
fi"""


def pull_script(program: str, reference: str) -> str:
    """Return the shell text that pulls an image, with lines of ours in between."""
    return _filled(program, "", "", f"{shlex.join([program, 'pull', reference])} &")


def load_script(program: str, archive: str) -> str:
    """Return the shell text that loads an archive on the node, with lines of ours in between.

    When it cannot be read: a line that says why, and exit status :data:`UNREADABLE`.
    """
    prepare = _ARCHIVE.format(mark=MARK, unreadable=UNREADABLE)
    work = _PODMAN_LOAD if program == "podman" else f'{program} load -i "$archive" &'
    return _filled(program, archive, prepare, work)


def _filled(program: str, archive: str, prepare: str, work: str) -> str:
    return _FRAME.format(
        archive=shlex.quote(archive) if archive else "",
        root=f"{program} info --format '{STORE[program]}'",
        prepare=prepare,
        work=work,
        mark=MARK,
        every=_TELL_S,
    )


def fetch_text(preset: Preset) -> str:
    """Return in words what fetches the image: a pull, or an archive on the node."""
    program, archive = preset.container.runtime, preset.container.image_archive
    if archive:
        return f"{program} load of {archive}"
    return f"{program} pull {image(preset)}"


def how_to_fetch(preset: Preset, rank: int, holders: list[int]) -> str:
    """Say what brings the image to a node: by us, by hand, or from a node that has it."""
    program, reference = preset.container.runtime, image(preset)
    archive = preset.container.image_archive
    by_hand = shlex.join(
        [program, "load", "-i", archive] if archive else [program, "pull", reference]
    )
    text = f"Tell it to (launch --pull), or on the node: {by_hand}."
    return f"{text} {from_a_node(preset, rank, holders)}".rstrip()


def from_a_node(preset: Preset, rank: int, holders: list[int]) -> str:
    """Say how a node gets the image from one that has it; "" when none has, or an archive does."""
    if not holders or preset.container.image_archive:
        return ""
    program = preset.container.runtime
    giver, taker = (preset.cluster.nodes[r] for r in (holders[0], rank))
    save = shlex.join([program, "save", image(preset)])
    there = shlex.join(["ssh", taker.host, f"{program} load"])
    return f"Node {giver.rank} has it; there: {save} | {there}"
