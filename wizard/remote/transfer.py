"""Files for a node: one tar on stdin into a fresh directory, hashes checked, then moved."""

from __future__ import annotations

import hashlib
import io
import re
import shlex
import tarfile
from collections.abc import Mapping
from typing import Protocol

from wizard.cluster import Node
from wizard.errors import RemoteError, UsageError
from wizard.remote.api import Completed
from wizard.remote.text import clean

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,100}")
_OTHER = 17  # exit status: exists with other content


class _Runs(Protocol):
    @property
    def node(self) -> Node: ...

    async def run(
        self, command: str, *, timeout_s: float = 30.0, stdin: bytes = b"", upload: str = ""
    ) -> Completed: ...


async def upload(remote: _Runs, directory: str, files: Mapping[str, bytes]) -> None:
    """Put ``files`` into ``directory`` on the node (see :class:`wizard.remote.api.Remote`)."""
    if not directory.startswith(("/", "~/")) or "\0" in directory or "\n" in directory:
        raise UsageError(
            f"The directory {directory!r} for files on a node must begin with / or ~/."
        )
    for name in files:
        if not _NAME.fullmatch(name):
            raise UsageError(f"{name!r} is not a plain file name.")
    count = "1 file" if len(files) == 1 else f"{len(files)} files"
    done = await remote.run(
        script(directory, files),
        timeout_s=60.0,
        stdin=archive(files),
        upload=f"upload of {count} to {directory}: {', '.join(sorted(files))}",
    )
    if done.exit_status == 0:
        return
    label, rank = remote.node.label, remote.node.rank
    if done.exit_status == _OTHER:
        raise RemoteError(
            f"{directory} on {label} exists already with other content.",
            node=rank,
            hint="Choose another directory, or remove that one.",
        )
    said = clean(done.stderr).strip().replace("\n", " ")[:200]
    raise RemoteError(
        f"{directory} on {label} could not be written: {said or 'no reason was given'}.",
        node=rank,
        retryable=True,
    )


def archive(files: Mapping[str, bytes]) -> bytes:
    """Return a tar of the files: 0600, scripts (``*.sh``) 0700."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = 0o700 if name.endswith(".sh") else 0o600
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def script(directory: str, files: Mapping[str, bytes]) -> str:
    """Return the shell text that unpacks the tar on its stdin into ``directory``, all or nothing.

    Exit status 17: the directory exists already with other content. The same content is a
    success, so that an upload whose connection broke can be repeated.
    """
    home, rest = ('"$HOME"/', directory[2:]) if directory.startswith("~/") else ("", directory)
    target = home + shlex.quote(rest.rstrip("/"))
    sums = "".join(
        f"{hashlib.sha256(content).hexdigest()}  {name}\n"
        for name, content in sorted(files.items())
    )
    names = "".join(f"{name}\n" for name in sorted(files))
    return f"""set -u
umask 077
target={target}
sums={shlex.quote(sums)}
names={shlex.quote(names)}
same() {{
  [ "$(ls -A "$1" | LC_ALL=C sort)" = "$(printf '%s' "$names" | LC_ALL=C sort)" ] &&
    {{ [ -z "$sums" ] || (cd "$1" && printf '%s' "$sums" | sha256sum -c --quiet >/dev/null); }}
}}
if [ -e "$target" ]; then
  cat >/dev/null
  [ -d "$target" ] && same "$target" && exit 0
  exit {_OTHER}
fi
mkdir -p "$(dirname "$target")" || exit 1
fresh=$(mktemp -d "$target.XXXXXX") || exit 1
trap 'rm -rf "$fresh"' EXIT
trap 'exit 143' TERM
trap '' PIPE  # when nobody listens any more, there is still something to take away
tar -xpf - -C "$fresh" --no-same-owner || exit 1
same "$fresh" || {{ echo 'the files arrived damaged' >&2; exit 1; }}
mv -T "$fresh" "$target" 2>/dev/null && exit 0
[ -d "$target" ] && same "$target" && exit 0
[ -e "$target" ] && exit {_OTHER}
echo 'the directory could not be moved into place' >&2
exit 1
"""
