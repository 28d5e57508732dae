"""Host keys without the screen: refused and listed, or recorded when the user said so."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from wizard.errors import HostKeyError
from wizard.remote.fleet import SSHFleet
from wizard.remote.shownkey import KeyState, ShownKey

FLAG = "--accept-new-host-keys"


def tell_recorded(key: ShownKey) -> None:
    """Say which key was recorded unasked; always, because it is a matter of trust."""
    print(
        f"v32-wizard: recorded the host key of {key.who} as {key.name} in {key.file}: {key.shown}",
        file=sys.stderr,
    )


async def see_all(fleet: SSHFleet) -> None:
    """Connect to the nodes that were not asked yet, so that all keys are told at once."""
    seen = {rank for key in fleet.host_keys.pending for rank in key.nodes}
    rest = [r for r in fleet.remotes if not r.connected and r.node.rank not in seen]
    await asyncio.gather(*(remote.connect() for remote in rest), return_exceptions=True)


def refusal(keys: Sequence[ShownKey]) -> HostKeyError:
    """Say which host keys keep nodes out of reach, all of them, and what can be done (pure)."""
    unknown = [key for key in keys if key.state is KeyState.UNKNOWN]
    others = [key for key in keys if key.state is not KeyState.UNKNOWN]
    lines: list[str] = []
    if unknown:
        lines.append("host keys that are not known; nothing was sent to these hosts:")
        for key in unknown:
            remark = f" ({key.remark})" if key.remark else ""
            lines.append(f"  {key.who}{_behind(key)}: {key.shown}{remark}")
        files = " and ".join(dict.fromkeys(key.file for key in unknown))
        lines.append(
            f"Compare them with the hosts' own (ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub there);"
            f" then {FLAG} records them in {files}."
        )
    for key in others:
        lines.append(f"the host key of {key.who}{_behind(key)} is {key.state}, and refused:")
        lines.append(f"  it shows     {key.shown}")
        word = "recorded is" if key.state is KeyState.CHANGED else "revoked by "
        lines += [f"  {word}  {entry}" for entry in key.recorded]
        if key.state is KeyState.CHANGED:
            lines.append(
                f"If the host was really reinstalled: {key.forget_command}; otherwise somebody may"
                " be in between."
            )
        else:
            lines.append("Ask who runs that host; give it a new key.")
    return HostKeyError("\n".join(lines))


def _behind(key: ShownKey) -> str:
    """Name the nodes behind a jump host."""
    if not key.who.startswith("jump host"):
        return ""
    plural = "s" if len(key.nodes) > 1 else ""
    return f" (on the way to node{plural} {', '.join(map(str, key.nodes))})"
