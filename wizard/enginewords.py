"""What docker and podman say when they cannot do something: one place knows the words. Pure.

docker's are those of 20.10 and 28.2, podman's those of 4.3, as both really said them; the words of
other versions are from their issue trackers. Each trouble comes with the sentence for people and
with what to do about it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Trouble(StrEnum):
    """Why an engine did not do what it was told."""

    MISSING = "missing"  # the program itself
    DOWN = "down"  # its daemon
    DENIED = "denied"  # to the user that we are
    NO_SPACE = "no-space"
    NO_IMAGE = "no-image"  # on the node
    NAME_TAKEN = "name-taken"
    NO_DEVICE = "no-device"
    NO_RUNTIME = "no-runtime"  # the OCI runtime, runc or one of a vendor
    NO_SOURCE = "no-source"  # of a mount
    NO_COMMAND = "no-command"  # what the container is to run, in the image
    # of fetching an image
    NO_REGISTRY = "no-registry"  # it cannot be reached
    CERTIFICATE = "certificate"
    UNKNOWN_IMAGE = "unknown-image"  # the registry does not have it
    NO_PLATFORM = "no-platform"  # it has it for other machines
    UNAUTHORIZED = "unauthorized"
    RATE_LIMIT = "rate-limit"
    BROKEN_ARCHIVE = "broken-archive"


class _Words(NamedTuple):
    trouble: Trouble
    pattern: re.Pattern[str]
    sentence: str
    hint: str


def _words(trouble: Trouble, pattern: str, sentence: str, hint: str) -> _Words:
    return _Words(trouble, re.compile(pattern, re.I), sentence, hint)


_NOT_FOUND = "no such file or directory"

# In this order: the first that occurs names the trouble. ``{what}`` is what the pattern captures.
_ALL = (
    _words(
        Trouble.NO_SPACE,
        r"no space left on device|disk quota exceeded",
        "no space is left for {program} on {where}: {said}.",
        "See what fills it: df -h, {program} system df.",
    ),
    _words(
        Trouble.DENIED,
        # the daemon's socket; podman of a user without ids of its own to map
        r"permission denied while trying to connect|\bsock(?:et)?\b.*permission denied"
        r"|newuidmap|insufficient uids or gids|cannot re-exec process",
        "the user that we are on {where} may not use {program}.",
        "Log in as root, put the user into the group {program}, or allow it sudo bash.",
    ),
    _words(
        Trouble.DOWN,
        r"cannot connect to|is the docker daemon running|docker\.sock: connect:",
        "{program} does not run on {where}.",
        "Start it there: systemctl start {program}",
    ),
    _words(
        Trouble.NAME_TAKEN,
        r"container name \"?/?([\w.-]+)\"? is already in use",
        "the container name {what} is taken on {where}.",
        "Choose another container.name in the preset, or remove that container yourself.",
    ),
    _words(
        Trouble.NO_RUNTIME,
        r"(?:unknown or invalid runtime name:?|unknown runtime specified) ([\w./-]+\w)"
        rf"|oci runtime \"([\w./-]+)\" not found|fork/exec ([\w./-]+): {_NOT_FOUND}",
        "{program} on {where} has no OCI runtime {what}.",
        "Install it, or take it out of the engine's configuration (docker: "
        "/etc/docker/daemon.json, podman: containers.conf), then restart the engine.",
    ),
    _words(
        Trouble.NO_DEVICE,
        rf"custom device \"([^\"]+)\": (?:{_NOT_FOUND}|not a device node)"
        rf"|stat (/dev/[\w/-]+): {_NOT_FOUND}",
        "{where} has no device {what}, which the container needs.",
        "See what the driver made: ls -l /dev/davinci*.",
    ),
    _words(
        Trouble.NO_SOURCE,
        rf"bind source path does not exist: (\S+)|statfs (\S+): {_NOT_FOUND}",
        "{what} does not exist on {where}, and the container mounts it.",
        "Make it, or correct container.mounts in the preset.",
    ),
    _words(
        Trouble.NO_COMMAND,
        # runc under docker and podman; crun
        r"container process: exec: \"([^\"]+)\": (?:executable file not found|stat \S+: no such)"
        r"|executable file `([^`]+)` not found",
        "the image has no {what}, with which the container begins ({where}).",
        "It is another image than vLLM-Ascend's, or not whole: see container.image in the preset.",
    ),
    _words(
        Trouble.NO_IMAGE,
        r"no such image|image not known|no such object",
        "the image is not on {where}.",
        "Fetch it first.",
    ),
    _words(
        Trouble.CERTIFICATE,
        r"x509: |certificate signed by unknown|tls: failed to verify|server gave http response",
        "{where} does not trust the registry: {said}.",
        "Give the node the registry's certificate (/etc/docker/certs.d, /etc/containers/certs.d), "
        "or load the image from an archive (container.image_archive).",
    ),
    _words(
        Trouble.UNAUTHORIZED,
        r"unauthorized|authentication required|access denied|denied: requested access",
        "the registry does not give {where} the image: {said}.",
        "Log in there once ({program} login REGISTRY), or correct container.image.",
    ),
    _words(
        Trouble.RATE_LIMIT,
        r"toomanyrequests|too many requests|rate limit",
        "the registry lets {where} fetch no more for now: {said}.",
        "Wait, log in there ({program} login REGISTRY), or use a mirror (container.registry).",
    ),
    _words(
        Trouble.NO_PLATFORM,
        r"no matching manifest for|no image found in (?:manifest list|image index)",
        "the registry has the image, but not for the machine that {where} is: {said}.",
        "The images are made for linux/arm64 alone.",
    ),
    _words(
        Trouble.UNKNOWN_IMAGE,
        r"manifest unknown|manifest for \S+ not found|name unknown|repository \S+ not found"
        r"|not found: does not exist",
        "the registry has no such image ({where} asked): {said}.",
        "Correct container.image, container.registry or container.os in the preset.",
    ),
    _words(
        Trouble.NO_REGISTRY,
        r"no route to host|no such host|network is unreachable|i/o timeout|connection refused"
        r"|connection reset|connection timed out|context deadline exceeded|tls handshake timeout"
        r"|server misbehaving|temporary failure in name resolution|proxyconnect|unexpected http"
        r"|client\.timeout|request canceled",
        "{where} cannot reach the registry: {said}.",
        "Use a mirror (container.registry), or an archive on the node (container.image_archive).",
    ),
    _words(
        Trouble.BROKEN_ARCHIVE,
        r"unexpected eof|invalid tar header|payload does not match|error processing tar file"
        r"|not in gzip format|invalid compressed data|unrecognized image format"
        r"|manifest\.json: file does not exist",
        "the archive on {where} is no image, or not whole: {said}.",
        "Make it anew where the image is: {program} save IMAGE | gzip > FILE.tar.gz, and compare "
        "sizes after copying.",
    ),
    _words(
        Trouble.MISSING,
        r"command not found",
        "{where} has no {program}.",
        "Install it, or set container.runtime.",
    ),
)
# podman has neither a daemon nor a group of its own
_PODMANS = {
    Trouble.DENIED: "Log in as root, or allow it sudo bash.",
    Trouble.DOWN: "Start it there: systemctl start podman.socket",
}
_BY_TROUBLE: Mapping[Trouble, _Words] = {words.trouble: words for words in _ALL}
_PREFIX = re.compile(r"^(?:docker: )?(?:error response from daemon: |error: )+", re.I)
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Complaint:
    """What an engine complained about: the trouble (None: unknown), and the line that says it.

    ``what`` is the thing that is concerned: a device, a path, a name; "" when there is none.
    """

    trouble: Trouble | None
    said: str
    what: str = ""

    def sentence(self, where: str, program: str) -> str:
        """Say it for people. ``where`` names the node."""
        if self.trouble is None:
            return f"{program} failed on {where}: {self.said}"
        return self._filled(_BY_TROUBLE[self.trouble].sentence, where, program)

    def hint(self, where: str, program: str) -> str:
        """Say what to do about it; "" when that is not known."""
        if self.trouble is None:
            return ""
        if program == "podman" and self.trouble in _PODMANS:
            return _PODMANS[self.trouble]
        return self._filled(_BY_TROUBLE[self.trouble].hint, where, program)

    def _filled(self, template: str, where: str, program: str) -> str:
        return template.format(where=where, program=program, said=self.said, what=self.what)


def complaint(said: str, exit_status: int | None) -> Complaint:
    """Read what an engine said (cleaned text of either stream) when it failed."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    for words in _ALL:
        for line in lines:
            if match := words.pattern.search(line):
                what = next((group for group in match.groups() if group), "")
                return Complaint(words.trouble, _short(line), what)
    if exit_status == 127:
        return Complaint(Trouble.MISSING, _short(lines[-1] if lines else ""))
    return Complaint(None, _short(lines[-1]) if lines else f"exit status {exit_status}")


def _short(line: str) -> str:
    return _PREFIX.sub("", line)[:_LONGEST]
