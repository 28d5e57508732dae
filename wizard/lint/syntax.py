"""``bash -n`` on every script: bash itself says whether it can read them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from wizard.lint.model import Place, Remark
from wizard.remote import local
from wizard.scripts import NodeScripts

_LIMIT_S = 10.0
_LINE = re.compile(r"^[^\n]*?line (\d+): (.*)$")


async def bash_syntax(scripts: Sequence[NodeScripts]) -> list[Remark]:
    """Return what bash cannot read; nothing where there is no bash, or where it hangs."""
    checks = [
        _one(text, Place(node.rank, name)) for node in scripts for name, text in node.files.items()
    ]
    return [remark for found in await asyncio.gather(*checks) for remark in found]


async def _one(text: str, place: Place) -> list[Remark]:
    try:
        process = await local.start(
            "bash",
            "--norc",
            "-n",
            "/dev/stdin",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
        )
    except OSError:
        text = "There is no bash on this machine, so that the syntax was not checked."
        place.warning(0, "bash-missing", text, "Install bash here.")
        return place.found
    try:
        async with asyncio.timeout(_LIMIT_S):
            _, said = await process.communicate(text.encode())
    except TimeoutError:
        place.warning(0, "bash-slow", "bash -n took too long.", "Try again.")
        return place.found
    finally:
        await local.end(process)
    if process.returncode:
        _remarks(said.decode("utf-8", "replace"), place)
    return place.found


def _remarks(said: str, place: Place) -> None:
    for line in said.splitlines():
        match = _LINE.match(line)
        if match and not match[2].startswith("`"):  # bash repeats the offending line in quotes
            place.error(int(match[1]), "bash-syntax", f"bash: {match[2]}.", "Mend the syntax.")
    if not place.found:
        place.error(0, "bash-syntax", f"bash: {said.strip()[:200]}", "Mend the syntax.")
