"""The container engine on a node, as shell text to send and answers to read. Pure.

docker and podman understand everything used here. Only containers that carry our label for the
preset are ever listed for a change, and a change always names a container's whole id.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from wizard.enginewords import Complaint, Trouble, complaint
from wizard.errors import LaunchError
from wizard.presetmodel import ENGINES, LAUNCH_MOUNT
from wizard.remote.api import Completed
from wizard.remote.text import clean
from wizard.scriptlines import (
    LABEL_LAUNCH,
    LABEL_NODES,
    LABEL_OWNER,
    LABEL_PRESET,
    LABEL_TOKEN,
)

STOP_S = 60  # seconds between TERM and KILL: vLLM needs some to give the NPUs back
_LOCK_S = 30  # for another wizard's create on the same node
_RUNNING = frozenset({"running", "paused", "restarting", "stopping", "removing"})
UNSTARTED = frozenset({"created", "configured", "initialized"})  # made, never started
_SHOWN = 200  # bytes of an answer that is not understood
_LAUNCH_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class Container:
    """One container as ``inspect`` tells it. Times are epoch seconds by the node's clock.

    ``npus`` are the numbers of its /dev/davinciN; None when none are named (a privileged one may
    have been given none by name), which must be taken for all.
    ``directory`` is the launch directory that it mounts, "" for none: another user than we has
    another home.
    ``engine`` is the program that has it where that is not the preset's own, "" otherwise.
    """

    id: str
    name: str
    status: str
    exit_code: int = 0
    out_of_memory: bool = False
    error: str = ""
    image: str = ""
    created_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    labels: dict[str, str] = field(default_factory=dict)
    npus: frozenset[int] | None = None
    restarts: int = 0
    directory: str = ""
    engine: str = ""

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self.status in _RUNNING

    @property
    def paused(self) -> bool:
        """Whether somebody froze it on the node."""
        return self.status == "paused"

    @property
    def unstarted(self) -> bool:
        """Whether it was made but never started."""
        return self.status in UNSTARTED

    @property
    def ended(self) -> bool:
        """Whether it ran and does not any more."""
        return not (self.running or self.unstarted)

    @property
    def told(self) -> str:
        """The engine's word for its state; of another engine than the preset's, with its name."""
        return f"{self.status} under {self.engine}" if self.engine else self.status

    @property
    def launch(self) -> str:
        """The launch that it belongs to, or "" when it is none of ours.

        It names a folder on the node and one here, so what no wizard writes into that label
        (``../x``) counts as none.
        """
        number = self.labels.get(LABEL_LAUNCH, "")
        return number if _LAUNCH_ID.fullmatch(number) else ""

    @property
    def preset(self) -> str:
        """The preset that it was launched for, or ""."""
        return self.labels.get(LABEL_PRESET, "")

    @property
    def token(self) -> str:
        """What marks the containers of its very launch, or ""."""
        return self.labels.get(LABEL_TOKEN, "")

    @property
    def owner(self) -> str:
        """Who launched it, ``user@host``, or ""."""
        return self.labels.get(LABEL_OWNER, "")

    @property
    def nodes(self) -> tuple[str, ...]:
        """The hosts of all nodes of its launch, in rank order; none of an older wizard's."""
        return tuple(filter(None, self.labels.get(LABEL_NODES, "").split(",")))

    def shares(self, npus: frozenset[int]) -> frozenset[int]:
        """Return which of these NPUs it has as well."""
        return npus if self.npus is None else npus & self.npus

    def how_it_ended(self) -> str:
        """Say in a few words why it does not run."""
        if self.out_of_memory:
            return "the kernel killed it for want of host memory"
        words = f"exited with code {self.exit_code}"
        if self.exit_code > 128:
            words += f" (signal {self.exit_code - 128})"
        elif self.exit_code == 0:
            words += ", though nobody stopped it here"
        return f"{words}: {self.error}" if self.error else words


class Runtime:
    """Shell text for one engine, ``docker`` or ``podman``."""

    def __init__(self, program: str) -> None:
        self.program = program
        self._cli = shlex.quote(program)

    @property
    def other(self) -> Runtime:
        """The other engine that a preset may name."""
        return Runtime(next(name for name in ENGINES if name != self.program))

    def if_there(self, listing: str, wanted: str) -> str:
        """Let one of the listing commands say "none" where there is no reason to ask this engine.

        That is where the node does not have it, or the shell's test ``wanted`` fails.
        """
        there = f"type -P {self._cli} >/dev/null && {wanted}"
        return f"{there} || {{ date +%s.%N; echo '[]'; exit; }}; {listing}"

    def of_preset(self, preset: str) -> str:
        """List our containers of a preset: the node's clock on line one, then JSON."""
        return self._inspect(f"--filter {shlex.quote(f'label={LABEL_PRESET}={preset}')}")

    def ours(self) -> str:
        """List our containers of whatever preset, as :meth:`of_preset` does."""
        return self._inspect(f"--filter label={LABEL_LAUNCH}")

    def named(self, name: str) -> str:
        """List the containers whose name contains ``name``, whoever made them."""
        return self._inspect(f"--filter {shlex.quote(f'name={name}')}")

    def running(self) -> str:
        """List the containers that run, whoever's, as :meth:`of_preset` does."""
        return self._inspect("", ps="ps -q")

    def _inspect(self, selection: str, ps: str = "ps -aq") -> str:
        # inspect complains about a container that went away in between, and prints the others
        return (
            f"date +%s.%N; ids=$({self._cli} {ps} --no-trunc {selection}) || exit; "
            f'if [ -n "$ids" ]; then {self._cli} inspect $ids; else echo "[]"; fi'
        )

    def has_image(self, image: str) -> str:
        """Ask whether the node has an image; exit status 0 when it does."""
        return f"{self._cli} image inspect {shlex.quote(image)} >/dev/null"

    def start(self, container: str) -> str:
        """Start a container that was created; no error when it runs already."""
        return f"{self._cli} start {shlex.quote(container)}"

    def unpause(self, container: str) -> str:
        """Let a frozen container go on."""
        return f"{self._cli} unpause {shlex.quote(container)}"

    def stop(self, container: str, grace_s: int = STOP_S) -> str:
        """TERM, wait, KILL: the engine does all three."""
        return f"{self._cli} stop -t {grace_s:d} {shlex.quote(container)}"

    def remove(self, container: str) -> str:
        """Remove a container that does not run any more."""
        return f"{self._cli} rm {shlex.quote(container)}"

    def save_log(self, container: str, directory: str, ours: str) -> str:
        """Keep the whole log in the launch's directory, before the container goes.

        In ``ours`` where that one is gone, or is another user's and closed to us.
        """
        own = home_path(ours)
        return (
            f"umask 077; cd {home_path(directory)} 2>/dev/null || "
            f"{{ mkdir -p {own} && cd {own}; }} && "
            f"{self._cli} logs -t {shlex.quote(container)} >serve.log 2>&1"
        )

    def logs(
        self,
        container: str,
        *,
        follow: bool,
        stamps: bool = False,
        since: str = "",
        tail: int | None = None,
    ) -> str:
        """Stream a log, both of its streams in one."""
        words = [self.program, "logs"]
        words += ["-f"] if follow else []
        words += ["-t"] if stamps else []
        words += ["--since", since] if since else []
        words += ["--tail", str(tail)] if tail is not None else []
        return f"exec {shlex.join([*words, container])} 2>&1"

    def pull(self, image: str) -> str:
        """The command that people run to get an image."""
        return shlex.join([self.program, "pull", image])


def one_at_a_time(command: str) -> str:
    """Run a command on the node after, not while, another wizard's of this kind runs there.

    The lock is on the root directory: any user may open it, and nothing is left behind. The
    command itself does not inherit it, for podman's monitor would keep it for as long as it lives.
    Where there is no ``flock``, only the engine's own order decides.
    """
    return f"exec 9</; flock -w {_LOCK_S} 9 2>/dev/null; {command} 9<&-"


def home_path(directory: str) -> str:
    """Quote a path for the shell; a leading ``~/`` stays the home of the node's user."""
    if directory.startswith("~/"):
        return f'"$HOME"/{shlex.quote(directory[2:])}'
    return shlex.quote(directory)


@dataclass(frozen=True, slots=True)
class Listing:
    """What :meth:`Runtime.of_preset` gave: the containers and the node's clock (epoch seconds).

    ``unasked`` says why it may not be all: another engine, which may have some of ours too, could
    not be asked.
    """

    containers: list[Container]
    clock: float | None
    unasked: str = ""

    def without(self, preset: str) -> Listing:
        """Return it without the launches of one preset."""
        others = [c for c in self.containers if not (c.launch and c.preset == preset)]
        return replace(self, containers=others)


def parse_listing(done: Completed, *, where: str, program: str) -> Listing:
    """Read the answer to :meth:`Runtime.of_preset` or :meth:`Runtime.named`.

    Raises:
        LaunchError: the engine could not be asked, or its answer cannot be understood.
    """
    first, _, rest = done.stdout.partition(b"\n")
    try:
        entries = json.loads(rest)
        containers = [_container(entry) for entry in entries]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if done.exit_status == 0:  # no complaint: words of another program, of a wrapper
            said = " ".join(clean(rest[:_SHOWN]).split())
            raise LaunchError(
                f"what {program} says on {where} is not understood: {said}"
            ) from error
        raise engine_error(done, where=where, program=program) from error
    try:
        clock = float(first)
    except ValueError:
        clock = None  # busybox's date knows no %N; only the order of deaths is lost
    return Listing(containers, clock)


def _container(entry: dict[str, Any]) -> Container:
    state = entry["State"]
    config = entry.get("Config") or {}
    return Container(
        id=str(entry["Id"]),
        name=clean(str(entry.get("Name") or "")).removeprefix("/"),
        status=clean(str(state["Status"])).lower(),
        exit_code=int(state.get("ExitCode") or 0),
        out_of_memory=bool(state.get("OOMKilled")),
        error=clean(str(state.get("Error") or "")),
        image=clean(str(config.get("Image") or "")),
        created_at=parse_time(entry.get("Created")),
        started_at=parse_time(state.get("StartedAt")),
        finished_at=parse_time(state.get("FinishedAt")),
        labels={str(k): clean(str(v)) for k, v in (config.get("Labels") or {}).items()},
        npus=_npus((entry.get("HostConfig") or {}).get("Devices"), config.get("CreateCommand")),
        restarts=int(entry.get("RestartCount") or 0),
        directory=_directory(entry.get("Mounts")),
    )


def _directory(mounts: Any) -> str:
    """Return the launch directory out of a container's mounts, "" when it has none."""
    sources = (m.get("Source") for m in mounts or [] if m.get("Destination") == LAUNCH_MOUNT)
    return next((str(source) for source in sources if str(source).startswith("/")), "")


_NPU = re.compile(r"/dev/davinci(\d+)")


def _npus(devices: Any, command: Any) -> frozenset[int] | None:
    """Read the NPUs out of ``HostConfig.Devices``; None when none are named at all.

    podman lists none for privileged containers, but keeps the command that made them.
    """
    paths = [str(device.get("PathOnHost", "")) for device in devices or []]
    if not paths:
        words = [str(word) for word in command or []]
        paths = [word.removeprefix("--device=") for word in words if word.startswith("--device=")]
        paths += [after for word, after in pairwise(words) if word == "--device"]
        paths = [path.partition(":")[0] for path in paths]
    return frozenset(int(m[1]) for path in paths if (m := _NPU.fullmatch(path))) or None


_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?\s*(Z|[+-]\d\d:?\d\d)?")


def parse_time(text: object) -> float | None:
    """Read a time as engines write it (RFC 3339, up to nanoseconds); None for "never"."""
    match = _TIME.match(str(text or ""))
    if match is None or match[1].startswith("0001"):
        return None
    zone = "+00:00" if match[4] in (None, "Z") else match[4]
    whole = datetime.fromisoformat(f"{match[1]}T{match[2]}{zone}").astimezone(UTC)
    return whole.timestamp() + float(f"0.{match[3] or 0}")


def complaint_of(done: Completed) -> Complaint:
    """Read what the engine complained about when a command failed."""
    return complaint(clean(done.stderr or done.stdout), done.exit_status)


def denied(done: Completed) -> bool:
    """Whether the engine runs, but not for the user that we are."""
    return done.exit_status != 0 and complaint_of(done).trouble is Trouble.DENIED


def engine_error(done: Completed, *, where: str, program: str) -> LaunchError:
    """Make one plain sentence of what the container engine complained about on a node."""
    said = complaint_of(done)
    return LaunchError(said.sentence(where, program), hint=said.hint(where, program))


def listens(ss_output: str, port: int) -> bool:
    """Return whether ``ss -ltn`` shows a listener on ``port``, on whatever address."""
    for line in ss_output.splitlines():
        columns = line.split()
        if len(columns) >= 4 and columns[0] == "LISTEN" and columns[3].endswith(f":{port}"):
            return True
    return False
