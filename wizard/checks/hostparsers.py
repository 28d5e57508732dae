"""Parsers of what a node says of itself: machine, driver, network, disk, runtime, files, clock.

Pure functions of stdout, stderr and exit code. What depends on the preset (which ports, which
address) or on the other nodes is judged later, in :mod:`wizard.checks.nodeverdicts`.
"""

from __future__ import annotations

import re
from typing import Any

from wizard.checks.hosttext import settle_host
from wizard.checks.model import Status
from wizard.checks.problems import Problem
from wizard.checks.tooltext import Parsed, bad
from wizard.discovery.addresses import parse_addresses
from wizard.discovery.parsers import parse_version_info
from wizard.enginewords import Trouble, complaint

GIB = 1 << 30
FULL_BYTES, LOW_BYTES = 5 * GIB, 20 * GIB  # free: too little for logs and caches; soon too little
SMALLEST_SHARD = 1000  # bytes; a Git LFS pointer is smaller, a shard is thousands of times larger

_MACHINES = {"x86_64", "amd64", "i386", "i686", "armv7l", "riscv64", "ppc64le", "s390x"}
_MACHINES |= {"loongarch64", "mips64"}
_GONE = re.compile(r"no such file or directory", re.I)
_NAMED = re.compile(r"['\u2018`](/[^'\u2019]+)['\u2019]")  # the path in what find complains of
_DAVINCI = re.compile(r"^/dev/davinci(\d+)$")
_ABSENT = re.compile(r"cannot access '?(/dev/[\w*\[\]-]+)'?\s*:\s*no such file", re.I)
_LISTEN = re.compile(r"^LISTEN\s+\d+\s+\d+\s+(\S+):(\d+)\s", re.I)
_DF = re.compile(r"^(\S.*?)\s+(\d+)\s+(\d+)\s+(-?\d+)\s+(\d+)%\s+(/.*)$")
_ENGINE = re.compile(r"^\d+\.\d+[\w.+~-]*$")
_CONTAINER = re.compile(r"^[A-Za-z0-9][\w.-]+$")
_IMAGE = re.compile(r"^(\w+)/(\w+) ((?:sha256:)?[0-9a-f]{12,64})$")
_FILE = re.compile(r"^(\d+) (\S.*)$")
_SHARD = re.compile(r'^"([^"/]+\.safetensors)"$')
_TOTAL = re.compile(r"-of-0*(\d+)\.safetensors$")
_STAT = re.compile(r"^([a-z][a-z -]*?) (/.*)$")
_NO_STAT = re.compile(
    r"cannot (?:statx?|access) ['‘]?(/.*?)['’]?\s*:\s*no such file or directory", re.I
)
_EPOCH = re.compile(r"^(\d{9,11}(?:\.\d+)?)$")


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def parse_arch(stdout: str, stderr: str, exit_code: int) -> Parsed:
    """Read the machine: the images and the driver are for aarch64 alone."""
    found = stdout.split()
    answer = None
    if found == ["aarch64"]:
        answer = Parsed(Status.PASS, "aarch64", {"arch": "aarch64"})
    elif len(found) == 1 and found[0] in _MACHINES:
        text = f"the node is {found[0]}; the images need aarch64"
        answer = bad(Status.FAIL, Problem.ARCH_WRONG, text, arch=found[0])
    return settle_host(answer, stdout, stderr, exit_code, "uname")


def parse_devices(stdout: str, stderr: str, exit_code: int) -> Parsed:
    """Read which device files there are; how many there must be is judged with the series."""
    found = _lines(stdout)
    numbers = sorted(int(m[1]) for line in found if (m := _DAVINCI.match(line)))
    absent = [m[1] for line in _lines(stderr) if (m := _ABSENT.search(line))]
    value: dict[str, Any] = {"devices": numbers}
    answer = None
    if not all(line.startswith("/dev/") for line in found):
        pass
    elif absent:
        text = f"missing: {', '.join(absent)}"
        answer = bad(Status.FAIL, Problem.DEVICE_FILE_MISSING, text, **value, missing=absent)
    elif numbers:
        answer = Parsed(Status.PASS, f"{len(numbers)} NPUs", value)
    return settle_host(answer, stdout, stderr, exit_code, "ls")


def parse_driver(stdout: str, stderr: str, exit_code: int) -> Parsed:
    """Read the driver's version; all nodes must have the same (judged later)."""
    version = parse_version_info(stdout)
    answer = None
    if version is not None:
        answer = Parsed(Status.PASS, f"driver {version}", {"driver": version})
    elif not stdout.strip() and _GONE.search(stderr):
        answer = bad(Status.FAIL, Problem.DRIVER_MISSING, "no Ascend driver is installed")
    return settle_host(answer, stdout, stderr, exit_code, "cat")


def parse_nic(stdout: str, stderr: str, exit_code: int) -> Parsed:
    """Read which interface holds which address.

    ``value["addresses"]``: address → interface; ``value["usable"]``: those by which another node
    can come in.
    """
    held = parse_addresses(stdout)
    answer = None
    if held:
        value = {
            "addresses": {a.ip: a.nic for a in held},
            "usable": [a.ip for a in held if a.usable],
        }
        answer = Parsed(Status.PASS, f"{len(held)} addresses", value)
    return settle_host(answer, stdout, stderr, exit_code, "ip")


def parse_ports(stdout: str, stderr: str, exit_code: int) -> Parsed:
    """Read which TCP ports are taken; without the table's head, nothing was read."""
    found = _lines(stdout)
    answer = None
    if found and found[0].lower().startswith("state"):
        rows = [_LISTEN.match(line + " ") for line in found[1:]]
        if all(rows):
            taken: dict[str, list[str]] = {}
            for row in rows:
                assert row is not None
                taken.setdefault(row[2], []).append(row[1])
            answer = Parsed(Status.PASS, f"{len(taken)} ports are taken", {"listening": taken})
    return settle_host(answer, stdout, stderr, exit_code, "ss")


def parse_disk(stdout: str, stderr: str, exit_code: int) -> Parsed:
    """Read what is free on each filesystem that a launch writes to (``df -Pk``)."""
    found = _lines(stdout)
    rows = [_DF.match(line) for line in found[1:]]
    answer = None
    if found and found[0].startswith("Filesystem") and rows and all(rows):
        free = {m[6]: int(m[4]) * 1024 for m in rows if m}
        place, least = min(free.items(), key=lambda item: item[1])
        text = f"{least / GIB:.0f} GiB are free on {place}"
        value = {"free": free}
        if least < FULL_BYTES:
            answer = bad(Status.FAIL, Problem.DISK_FULL, f"only {text}", **value)
        elif least < LOW_BYTES:
            answer = bad(Status.WARN, Problem.DISK_FULL, f"only {text}", **value)
        else:
            answer = Parsed(Status.PASS, text, value)
    return settle_host(answer, stdout, stderr, exit_code, "df")


def parse_runtime(stdout: str, stderr: str, exit_code: int) -> Parsed:
    """Read the version of the container engine: it must be there, and its daemon up.

    ``value["ours"]``: containers of a launch of this preset, which run now.
    """
    found = _lines(stdout)
    answer = None
    trouble = complaint(stderr, exit_code).trouble
    if trouble is Trouble.DOWN:
        answer = bad(Status.FAIL, Problem.RUNTIME_DOWN, "the container engine is not running")
    elif trouble is Trouble.MISSING:
        answer = bad(Status.FAIL, Problem.RUNTIME_MISSING, "the container engine is not installed")
    elif found and _ENGINE.match(found[0]) and all(map(_CONTAINER.match, found[1:])):
        value: dict[str, Any] = {"version": found[0]} | ({"ours": found[1:]} if found[1:] else {})
        text = f"; our own launch runs: {', '.join(found[1:])}" if found[1:] else ""
        answer = Parsed(Status.PASS, f"version {found[0]}{text}", value)
    return settle_host(answer, stdout, stderr, exit_code, "the container engine")


def parse_image(stdout: str, stderr: str, exit_code: int) -> Parsed:
    """Read whether the image is on the node, and is made for aarch64."""
    rows = [line for line in _lines(stdout) if line != "[]"]
    found = _IMAGE.match(rows[0]) if len(rows) == 1 else None
    answer = None
    if complaint(stderr, exit_code).trouble is Trouble.NO_IMAGE:
        answer = bad(Status.FAIL, Problem.IMAGE_MISSING, "the image is not on the node")
    elif found and found[2].lower() in ("arm64", "aarch64"):
        answer = Parsed(Status.PASS, "the image is there", {"id": found[3]})
    elif found:
        text = f"the image is for {found[1]}/{found[2]}; the node needs linux/arm64"
        answer = bad(Status.FAIL, Problem.IMAGE_ARCH, text, id=found[3])
    return settle_host(answer, stdout, stderr, exit_code, "the container engine")


def parse_weights(stdout: str, stderr: str, exit_code: int) -> Parsed:
    """Read the files of the model, and the shards that its index names; all must be there, whole.

    ``value["files"]``: name → bytes. ``value["quantized"]``: W8A8 weights bring a description.
    """
    found = _lines(stdout)
    answer = None
    if not found and _GONE.search(stderr):
        named = _NAMED.search(stderr)
        which = f": {named[1]}" if named else ""
        text = f"the folder of the weights is missing{which}"
        answer = bad(Status.FAIL, Problem.WEIGHTS_MISSING, text)
    elif found and found[-1] == "end":
        answer = _weights(found[:-1])
    return settle_host(answer, stdout, stderr, exit_code, "find")


def _weights(rows: list[str]) -> Parsed | None:
    files: dict[str, int] = {}
    shards: list[str] = []
    for row in rows:
        if named := _SHARD.match(row):
            shards.append(named[1])
        elif held := _FILE.match(row):
            files[held[2]] = int(held[1])
        else:
            return None
    value: dict[str, Any] = {"files": files, "quantized": any("quant_model" in f for f in files)}
    lacking = [] if "config.json" in files else ["config.json"]
    lacking += [shard for shard in shards if files.get(shard, 0) < SMALLEST_SHARD]
    totals = {int(m[1]) for shard in shards if (m := _TOTAL.search(shard))}
    if not shards:
        lacking.append("the index of the shards")
    elif totals and totals != {len(shards)}:
        lacking.append(f"entries of the index, which names {len(shards)} of {max(totals)} shards")
    if lacking:
        more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
        text = f"missing or not whole: {', '.join(lacking[:3])}{more}"
        return bad(Status.FAIL, Problem.WEIGHTS_INCOMPLETE, text, **value, missing=lacking)
    size = sum(files.values()) / 1e9
    return Parsed(Status.PASS, f"{len(shards)} shards, {size:.0f} GB", value)


def parse_mounts(stdout: str, stderr: str, exit_code: int) -> Parsed:
    """Read which sources of the container's mounts exist, and of what kind they are."""
    rows = [_STAT.match(line) for line in _lines(stdout)]
    gone = [m[1] for line in _lines(stderr) if (m := _NO_STAT.search(line))]
    answer = None
    if all(rows) and (rows or gone):
        kinds = {m[2]: m[1] for m in rows if m}
        if gone:
            text = f"missing on the node: {', '.join(gone)}"
            answer = bad(Status.FAIL, Problem.MOUNT_MISSING, text, kinds=kinds, missing=gone)
        else:
            answer = Parsed(Status.PASS, f"{len(kinds)} mount sources exist", {"kinds": kinds})
    return settle_host(answer, stdout, stderr, exit_code, "stat")


def parse_clock(stdout: str, stderr: str, exit_code: int) -> Parsed:
    """Read the node's clock, in seconds since 1970; how far it is off is judged over all nodes."""
    found = _lines(stdout)
    row = _EPOCH.match(found[0]) if len(found) == 1 else None
    answer = None
    if row:
        answer = Parsed(Status.PASS, "the clock was read", {"epoch": float(row[1])})
    return settle_host(answer, stdout, stderr, exit_code, "date")
