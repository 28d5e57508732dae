"""One round trip to a node: the questions, and the facts that their answers make.

All questions go as one batch. The clock is asked first, so that its answer is on its way while
the others are still being worked on: what it was, it was between our sending and its coming.
"""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from wizard.discovery import addresses, parsers
from wizard.discovery.facts import Clock, NodeFacts, Runtime, Space, Weights
from wizard.errors import CommandTimeout
from wizard.remote.api import Job, JobResult, Remote
from wizard.remote.text import clean

TIME_LIMIT_S = 40.0  # of the whole; each question has its own, far smaller one
_QUICK_S = 5.0
_SLOW_S = 10.0  # a dead NPU blocks npu-smi, a dead NFS server df, for minutes
_WIDTH = 8
_RUNTIMES = ("docker", "podman", "nerdctl")
_ASCEND = "/usr/local/Ascend"
# A non-login shell's PATH lacks sbin, where `ip` and `npu-smi` may be.
_PRELUDE = "export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin:/usr/local/sbin:/usr/local/bin; "
_LIBRARIES = (
    f"export LD_LIBRARY_PATH=$LD_LIBRARY_PATH:{_ASCEND}/driver/lib64/driver"
    f":{_ASCEND}/driver/lib64/common; "
)
_FIXED = {
    "clock": ("date +%s.%N", _QUICK_S),
    "uid": ("id -u", _QUICK_S),
    "hostname": ("hostname", _QUICK_S),
    "arch": ("uname -m", _QUICK_S),
    "os": ("cat /etc/os-release", _QUICK_S),
    "machine_id": ("cat /etc/machine-id", _QUICK_S),
    "boot_id": ("cat /proc/sys/kernel/random/boot_id", _QUICK_S),
    "devices": ("ls -d /dev/davinci[0-9]*", _QUICK_S),
    "chips": (f"{_LIBRARIES}npu-smi info", _SLOW_S),
    "npu_smi": (f"{_LIBRARIES}npu-smi -v", _SLOW_S),
    "driver": (f"cat {_ASCEND}/driver/version.info", _QUICK_S),
    "firmware": (f"cat {_ASCEND}/firmware/version.info", _QUICK_S),
    "addresses": ("ip -o addr show", _QUICK_S),
    "gateway": ("ip -o route show default; ip -o -6 route show default", _QUICK_S),
    "arrival": ('echo "${SSH_CONNECTION:-}"', _QUICK_S),
    "space": ("df -Pk -- /", _SLOW_S),
}
_INFO = {
    "docker": "docker info --format '{{.ServerVersion}}|{{.DockerRootDir}}'",
    "podman": "podman info --format '{{.Version.Version}}|{{.Store.GraphRoot}}'",
    "nerdctl": "nerdctl info --format '{{.ServerVersion}}|'",
}


async def ask(remote: Remote, peers: Sequence[str], places: Sequence[str]) -> NodeFacts:
    """Ask a node everything, in one round trip.

    Args:
        remote: the node.
        peers: hosts of the other nodes, as the preset names them.
        places: folders in which weights may lie; ``~/`` is the login's home.

    Raises:
        RemoteError: the node could not be asked, or did not answer in time.
    """
    jobs = questions(peers, places)
    answers: dict[str, JobResult] = {}
    clock = None
    try:
        async with asyncio.timeout(TIME_LIMIT_S):
            await remote.connect()
            sent, began = time.time(), time.monotonic()
            async for answer in remote.batch(jobs, width=_WIDTH):
                if answer.id == "clock":
                    clock = parse_clock(clean(answer.stdout), sent, time.monotonic() - began)
                answers[answer.id] = answer
            async for answer in remote.batch(_for_root(jobs, answers), width=_WIDTH):
                answers[answer.id] = answer
    except TimeoutError:
        node = remote.node
        raise CommandTimeout(
            f"{node.label} did not describe itself within {TIME_LIMIT_S:g} s.",
            node=node.rank,
            hint="Is the node overloaded, or a network disk of it away?",
            retryable=True,
        ) from None
    return replace(read(remote.node.host, answers, peers, places), clock=clock)


def questions(peers: Sequence[str], places: Sequence[str]) -> list[Job]:
    """Return the batch; each question is a lane of its own, so that none waits for a slow one.

    The login asks as itself: under sudo its home and ``SSH_CONNECTION`` would be others.
    """
    asked = dict(_FIXED)
    asked |= {name: (_runtime_command(name), _SLOW_S) for name in _RUNTIMES}
    asked |= {f"route {peer}": (route_command(peer), _SLOW_S) for peer in peers}
    asked |= {f"weights {place}": (weights_command(place), _SLOW_S) for place in places}
    return [
        Job(name, f"{_PRELUDE}{command}", limit, lane=name)
        for name, (command, limit) in asked.items()
    ]


def _for_root(jobs: Sequence[Job], answers: Mapping[str, JobResult]) -> list[Job]:
    """What a login that is not root may not see, to be asked again where root is free to have.

    NPUs and container engines tell root more; nobody is asked for a password for that. For root,
    and for most others, this is nothing, and all is said in one round trip.
    """
    uid = answers.get("uid")
    if uid is None or clean(uid.stdout).strip() == "0":
        return []
    return [
        replace(job, root="try")
        for job in jobs
        if (answer := answers.get(job.id)) and _was_denied(answer)
    ]


def _was_denied(answer: JobResult) -> bool:
    if answer.id in ("chips", "npu_smi"):  # say in many ways that they may not open the driver
        return answer.exit_status not in (0, 127)
    return b"permission denied" in answer.stderr.lower()


def route_command(peer: str) -> str:
    """Return the shell text that prints the route to a peer, whose name the node resolves."""
    if addresses.canonical(peer):
        return f"ip -o route get {shlex.quote(peer)}"
    return (
        f'a=$(getent ahosts {shlex.quote(peer)} | {{ read -r a _; echo "$a"; }});'
        ' [ -n "$a" ] || { echo unresolved >&2; exit 2; }; ip -o route get "$a"'
    )


def weights_command(place: str) -> str:
    """Return the shell text that lists a model's files, what its index names, and its disk."""
    folder = f'"$HOME"/{shlex.quote(place[2:])}' if place.startswith("~/") else shlex.quote(place)
    return (
        f"d={folder}; find -L \"$d\" -maxdepth 1 -type f -printf 'file %s %f\\n' | head -n 3000; "
        'grep -oh \'"[^"]*\\.safetensors"\' "$d"/*.safetensors.index.json 2>/dev/null'
        " | sort -u | sed 's/^/shard /'; "
        'grep -o \'"quant_method" *: *"[^"]*"\' "$d"/config.json 2>/dev/null'
        " | sed 's/^/method /'; "
        'df -Pk -- "$d" 2>/dev/null | tail -n 1'
    )


def _runtime_command(name: str) -> str:
    """Its own version, then ``info:`` and what its daemon says, then the disk of its images."""
    return (
        f"{name} --version || exit 127; i=$({_INFO[name]}) || i='|'; echo \"info:$i\"; "
        'r=${i##*|}; [ -z "$r" ] || df -Pk -- "$r" | tail -n 1'
    )


def parse_clock(text: str, sent: float, took: float) -> Clock | None:
    """Compare ``date +%s.%N`` with our clock: asked at ``sent``, answered ``took`` s later.

    The node looked at its clock at some time between; taking the middle errs by half at most.
    """
    try:
        theirs = float(text.strip())
    except ValueError:
        return None
    return Clock(theirs - (sent + took / 2), took / 2)


def read(
    host: str, answers: Mapping[str, JobResult], peers: Sequence[str], places: Sequence[str]
) -> NodeFacts:
    """Turn the answers into facts (pure). What is missing, or not understood, is not known."""

    def text(name: str) -> str:
        return clean(answers[name].stdout) if name in answers else ""

    def errors(name: str) -> str:
        return clean(answers[name].stderr) if name in answers else ""

    def known(name: str, parse: Callable[[str], str | None]) -> str | None:
        return parse(text(name))

    runtimes, spaces = _runtimes(answers, text, errors)
    found, hidden = _weights(answers, places, text, errors)
    return NodeFacts(
        host=host,
        hostname=known("hostname", parsers.first_word),
        arch=known("arch", parsers.first_word),
        os=known("os", parsers.parse_os),
        machine_id=known("machine_id", parsers.parse_identity),
        boot_id=known("boot_id", parsers.parse_identity),
        devices=parsers.parse_devices(text("devices"), errors("devices")),
        chips=parsers.parse_chips(text("chips")),
        driver=known("driver", parsers.parse_version_info),
        npu_smi=known("npu_smi", parsers.parse_npu_smi_version),
        firmware=known("firmware", parsers.parse_version_info),
        addresses=addresses.parse_addresses(text("addresses")),
        routes={
            peer: addresses.parse_route(text(f"route {peer}"), errors(f"route {peer}"))
            for peer in peers
            if f"route {peer}" in answers
        },
        arrival=known("arrival", addresses.parse_arrival),
        gateway_nic=known("gateway", addresses.parse_gateway),
        runtimes=runtimes,
        root_space=parsers.parse_space("/", text("space")),
        runtime_space=spaces[0] if spaces else None,
        weights=found,
        hidden=hidden,
    )


def _runtimes(
    answers: Mapping[str, JobResult], text: Callable[[str], str], errors: Callable[[str], str]
) -> tuple[tuple[Runtime, ...], list[Space | None]]:
    """Engines, and for each the disk that holds its images, where that is known."""
    found, spaces = [], []
    for name in _RUNTIMES:
        if name not in answers:
            continue
        said = parsers.parse_runtime(name, text(name), errors(name), answers[name].exit_status)
        if said is not None:
            found.append(said)
            spaces.append(parsers.parse_space(said.root, text(name)) if said.root else None)
    return tuple(found), spaces


def _weights(
    answers: Mapping[str, JobResult],
    places: Sequence[str],
    text: Callable[[str], str],
    errors: Callable[[str], str],
) -> tuple[tuple[Weights, ...], tuple[str, ...]]:
    found, hidden = [], []
    for place in places:
        name = f"weights {place}"
        try:
            said = parsers.parse_weights(place, text(name), errors(name))
        except PermissionError:
            hidden.append(place)
        else:
            found += [said] if said is not None else []
            if said is None and name in answers and answers[name].timed_out:
                hidden.append(place)
    return tuple(found), tuple(hidden)
