"""How far the fetching of an image has come, read from what the engine and our script print. Pure.

docker prints a line for each step of each layer (24.0 and 28.2 without a terminal); podman one when
a layer begins. Lines of ours, between them, tell what was written and read (imagecommands).
"""

from __future__ import annotations

import re

from wizard.launch.imagecommands import MARK

_LAYER = re.compile(r"^([0-9a-f]{12}): (.+)$")
_BLOB = re.compile(r"^Copying blob (?:sha256:)?([0-9a-f]{12})")
_LOADED = re.compile(r"^Loaded image(?:\(s\)|s)?(?: ID)?: (\S+)")
_OURS = re.compile(rf"^{MARK} (written|read|size|exit) (-?\d+)$")
_QUIET = re.compile(
    r"^(?:Trying to pull |Getting image source |Copying config |Writing manifest |Storing sig"
    r"|Digest: |Status: |[\w.-]+: Pulling from |[0-9a-f]{64}$)"
)
_FETCHED = ("Download complete", "Pull complete", "Already exists")
_UNPACKED = ("Pull complete", "Already exists")
_KEPT = 20  # lines of what was said besides, for the error
GB = 1e9


class FetchProgress:
    """Takes lines, tells how far it is.

    Attributes:
        exit_status: of the engine; None until its line came.
        loaded: names of the images that an archive held.
    """

    def __init__(self) -> None:
        self.exit_status: int | None = None
        self.loaded: list[str] = []
        self._layers: dict[str, str] = {}
        self._blobs: dict[str, None] = {}
        self._written = self._read = self._size = 0
        self._said: list[str] = []

    def feed(self, line: str) -> None:
        """Take one cleaned line."""
        line = line.strip()
        if match := _OURS.match(line):
            self._ours(match[1], int(match[2]))
        elif match := _LAYER.match(line):
            self._layers[match[1]] = match[2]
        elif match := _BLOB.match(line):
            self._blobs[match[1]] = None
        elif match := _LOADED.match(line):
            self.loaded.append(match[1])
        elif line and not _QUIET.match(line):
            self._said = [*self._said, line][-_KEPT:]

    def _ours(self, what: str, number: int) -> None:
        if what == "exit":
            self.exit_status = number
        elif what == "written":
            self._written = max(self._written, number * 1024)
        elif what == "read":  # podman begins anew to look what kind of archive it is
            self._read = max(self._read, number)
        else:
            self._size = number

    @property
    def said(self) -> str:
        """What was said that is no progress: why it failed, if it did."""
        return "\n".join(self._said)

    @property
    def words(self) -> str:
        """How far it is, for people; "" before anything is known."""
        parts = []
        if self._layers:
            fetched, unpacked = (
                sum(state.startswith(ends) for state in self._layers.values())
                for ends in (_FETCHED, _UNPACKED)
            )
            parts.append(f"{fetched} of {len(self._layers)} layers fetched, {unpacked} unpacked")
        elif self._blobs:
            count = len(self._blobs)
            parts.append(f"{count} layer{'s' * (count > 1)} begun")
        if self._size and self._read:
            share = min(100, self._read * 100 // self._size)
            parts.append(f"{share}% of {self._size / GB:.1f} GB read")
        elif self._size:
            parts.append(f"an archive of {self._size / GB:.1f} GB")
        if self._written >= GB / 10:
            parts.append(f"{self._written / GB:.1f} GB written")
        return ", ".join(parts)
