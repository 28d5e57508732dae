"""The hosts that the user's ``~/.ssh/config`` names, to pick nodes from.

Only for showing: how a host is really reached, ``ssh -G`` and :mod:`wizard.remote` say. As
ssh_config(5) has it, the first value found counts, ``Include`` is followed where it stands, and
patterns may be negated; ``Match`` blocks depend on the moment and are left out.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

MAX_DEPTH = 16  # as OpenSSH bounds includes
MAX_BYTES = 1 << 20
MAX_BLOCKS = 5000  # files that include each other twice would double at every depth
_LINE = re.compile(r"\s*([A-Za-z]+)(?:\s*=\s*|\s+)(.*?)\s*$")
_WORD = re.compile(r'"([^"]*)"|(\S+)')
_SHOWN = {"hostname": "host_name", "user": "user", "port": "port", "proxyjump": "proxy_jump"}

Read = Callable[[Path], str]
Block = tuple[list[str] | None, dict[str, str]]  # patterns (None: a Match block), settings


@dataclass(frozen=True, slots=True)
class ConfigHost:
    """One alias; "" is what the config leaves open."""

    alias: str
    host_name: str = ""
    user: str = ""
    port: str = ""
    proxy_jump: str = ""


def config_hosts(path: Path | None = None, read: Read | None = None) -> list[ConfigHost]:
    """Return the aliases without wildcards, in the order of the file; none without a file.

    Args:
        path: the config; None is ``~/.ssh/config``.
        read: reads a file as text.

    Raises:
        OSError: the file is there and cannot be read. One that is included and cannot be read is
            passed over, as by ssh.
    """
    main = path or Path("~/.ssh/config").expanduser()
    reader = read or _read
    try:
        text = reader(main)
    except FileNotFoundError:
        return []
    blocks: list[Block] = [(["*"], {})]
    _collect(text, main, reader, blocks, 0)
    names: dict[str, None] = {}
    for patterns, _ in blocks:
        for pattern in patterns or ():
            if not re.search(r"[*?!]", pattern):
                names[pattern] = None
    return [_lookup(name, blocks) for name in names]


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(MAX_BYTES).decode("utf-8", "replace")


def _collect(text: str, path: Path, read: Read, blocks: list[Block], depth: int) -> None:
    """Add the blocks of one file; what it includes belongs to the block that it stands in."""
    for line in text.split("\n"):
        if len(blocks) > MAX_BLOCKS:
            return
        match = _LINE.match(line)
        if not match or line.lstrip().startswith("#"):
            continue
        keyword = match[1].lower()
        words = [quoted or plain for quoted, plain in _WORD.findall(match[2])]
        if keyword == "host":
            blocks.append((words, {}))
        elif keyword == "match":
            every = [word.lower() for word in words] == ["all"]
            blocks.append((["*"] if every else None, {}))
        elif keyword == "include" and depth < MAX_DEPTH:
            patterns = blocks[-1][0]
            for included in _included(words, path):
                try:
                    inner = read(included)
                except OSError:
                    continue
                _collect(inner, path, read, blocks, depth + 1)
                blocks.append((patterns, {}))
        elif keyword in _SHOWN and words:
            blocks[-1][1].setdefault(_SHOWN[keyword], words[0])


def _included(words: list[str], main: Path) -> Iterator[Path]:
    """Return the files of an Include; a relative one lies beside the user's config."""
    for word in words:
        pattern = Path(word).expanduser()
        yield from map(Path, sorted(glob.glob(str(main.parent / pattern))))


def _lookup(alias: str, blocks: list[Block]) -> ConfigHost:
    found: dict[str, str] = {}
    for patterns, settings in blocks:
        if patterns is not None and _matches(alias, patterns):
            for name, value in settings.items():
                found.setdefault(name, value)
    if found.get("proxy_jump", "").lower() == "none":
        found["proxy_jump"] = ""
    found["host_name"] = found.get("host_name", "").replace("%h", alias)
    return ConfigHost(alias, **found)


def _matches(alias: str, patterns: list[str]) -> bool:
    if any(p.startswith("!") and fnmatchcase(alias, p[1:]) for p in patterns):
        return False
    return any(fnmatchcase(alias, p) for p in patterns if not p.startswith("!"))
