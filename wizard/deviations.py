"""Where the wizard leaves the guide on purpose: each deviation has a name and can be switched off.

A preset switches one off with ``deviations: {NAME: false}``; ``strict_guide`` switches all off.
What the scripts say about each stands beside the line that it makes (scriptlines, servelines).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from wizard import recipes

if TYPE_CHECKING:
    from wizard.presetmodel import Preset

CONTAINER_SWITCHES = {
    "detached": "the container outlives the SSH session; no --rm, no terminal",
    "labels": "labels by which the container is found again",
    "command": "serve.sh is brought in and is the container's command",
    "login_shell": "bash -l, which sources CANN's set_env.sh",
    "restart": "no restart by the container engine",
    "init": "a first process that passes signals on",
    "log_limits": "the container's log does not fill the disk",
    "shm": "a larger /dev/shm than docker's 64 MB",
    "hccn_conf": "/etc/hccn.conf is mounted where it exists",
    "test_mounts": "what is mounted is tested to be there first",
    "plog": "CANN's logs are kept beside the scripts",
    "registry": "the registry itself instead of the guide's mirror",
}
SERVE_SWITCHES = {
    "set_eu": "serve.sh stops at the first error",
    "exec": "vLLM takes the shell's place, so that it gets the stop signal",
    "local_model": "a directory instead of a repository that every node downloads",
}
NEEDED = ("detached", "labels", "command")
"""Without these a launch cannot be supervised: it is refused, the scripts are for use by hand."""


@cache
def switches() -> dict[str, str]:
    """Return every deviation's name and what it does; corrections of the recipes come last."""
    found = {**CONTAINER_SWITCHES, **SERVE_SWITCHES}
    for name in recipes.names():
        for correction in recipes.load(name).corrections.values():
            found.setdefault(correction.switch, correction.reason)
    return found


def check(value: dict[str, bool]) -> dict[str, bool]:
    """Return the preset's ``deviations``.

    Raises:
        ValueError: one of them does not exist; names those that do.
    """
    for name in value:
        if name not in switches():
            raise ValueError(f"{name!r} is no deviation; there are {', '.join(switches())}")
    return value


@dataclass(frozen=True, slots=True)
class Unsupervisable:
    """Why a preset cannot be launched, only rendered: its key, a sentence, and what is right."""

    key: str
    text: str
    right: str


def unsupervisable(preset: Preset) -> Unsupervisable | None:
    """Return what keeps a launch of the preset from being supervised, None for nothing."""
    by_hand = "or run the rendered scripts by hand."
    if preset.strict_guide:
        text = "a launch exactly as the guide writes it cannot be supervised."
        return Unsupervisable("strict_guide", text, f"Set it to false, {by_hand}")
    for name in NEEDED:
        if not preset.makes(name):
            text = f"without it ({CONTAINER_SWITCHES[name]}) a launch cannot be supervised."
            return Unsupervisable(f"deviations.{name}", text, f"Switch it on again, {by_hand}")
    return None
