"""The preset's key ``patches``: which script a patch is for, and what it must not hold. Pure."""

from __future__ import annotations

import re

from wizard import scriptpatch
from wizard.safetext import check_text, holds_credentials, is_secret_name

SCRIPTS = ("container.sh", "serve.sh")
MAX_LENGTH = 64 * 1024  # characters of one patch; a whole script is a tenth of it
_KEY = re.compile(r"node(0|[1-9]\d{0,3})/(.+)")
_SETTING = re.compile(r"\b([A-Za-z_]\w*)=(\S+)|--([A-Za-z][\w-]*)[= \t]\s*(\S+)")


def key(rank: int, name: str) -> str:
    """Return the key of a script: ``node0/serve.sh``."""
    return f"node{rank}/{name}"


def script_of(text: str) -> tuple[int, str]:
    """Return rank and file name that a key stands for.

    Raises:
        ValueError: it stands for none; says what would be right.
    """
    match = _KEY.fullmatch(text)
    if match is None or match[2] not in SCRIPTS:
        right = " or ".join(f"node0/{name}" for name in SCRIPTS)
        raise ValueError(f"is not the name of a script; right is {right}")
    return int(match[1]), match[2]


def check_patch(patch: str) -> str:
    """Return a patch that can be read, and whose lines may stand in a script.

    Raises:
        ValueError: it is no patch, or a line holds a control character or a secret; names it.
    """
    for number, line in enumerate(patch.split("\n"), 1):
        try:
            check_line(line[1:] if line.startswith("+") else line, added=line.startswith("+"))
        except ValueError as error:
            raise ValueError(f"line {number} {error}") from error
    scriptpatch.parse(patch)
    return patch


def check_line(line: str, *, added: bool = True) -> None:
    """Refuse what a line of a script must not hold.

    Raises:
        ValueError: a control character other than a tab, or, when it was added, a secret.
    """
    check_text(line.replace("\t", " "))
    if added and (secret := secret_in(line)):
        raise ValueError(f"holds a secret ({secret}), and no secret has a place in a preset")


def secret_in(line: str) -> str:
    """Return the name of a secret whose value stands in a line of a script, or "".

    A value that the shell fills in (``$…``) is none.
    """
    if holds_credentials(line):
        return "an address with a password"
    for match in _SETTING.finditer(line):
        name, value = match[1] or match[3], match[2] or match[4]
        if is_secret_name(name) and not value.lstrip("\"'").startswith(("$", "`", "-", "\\")):
            return str(name)
    return ""
