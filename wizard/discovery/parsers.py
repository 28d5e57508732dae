"""Readings of what a node's tools print about the machine (pure). None: not understood.

The tools' formats are those of iproute2, coreutils, systemd's os-release, docker, podman and
nerdctl, and of Ascend drivers 23 to 26.
"""

from __future__ import annotations

import re

from wizard.cluster import Precision
from wizard.discovery.facts import Runtime, Space, Weights
from wizard.enginewords import Trouble, complaint

_VERSION = r"\d+(?:\.[0-9A-Za-z]+)+(?:[-+~][0-9A-Za-z.+~-]+)?"


def first_word(text: str) -> str | None:
    """Return the only word of a text of one line, such as ``hostname`` and ``uname -m`` print."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    return lines[-1] if len(lines) == 1 and " " not in lines[0] and len(lines[0]) < 256 else None


def parse_os(text: str) -> str | None:
    """Return the system's name and version from os-release: PRETTY_NAME, else NAME VERSION."""
    keys = {}
    for line in text.split("\n"):
        if match := re.fullmatch(r"\s*([A-Z_]+)=(['\"]?)(.*?)\2\s*", line):
            keys[match[1]] = re.sub(r"\\(.)", r"\1", match[3])
    name = keys.get("PRETTY_NAME") or f"{keys.get('NAME', '')} {keys.get('VERSION', '')}".strip()
    return name or None


def parse_identity(text: str) -> str | None:
    """Return a machine-id or boot_id: 32 hexadecimal digits, dashes left out."""
    digits = text.strip().replace("-", "").lower()
    return digits if re.fullmatch(r"[0-9a-f]{32}", digits) and digits.strip("0") else None


def parse_devices(text: str, stderr: str) -> int | None:
    """Count NPUs in the output of ``ls -d /dev/davinci[0-9]*``; the manager's node is none."""
    found = set(re.findall(r"/dev/davinci(\d+)(?=\s|$)", text))
    if found:
        return len(found)
    return 0 if "no such file" in stderr.lower() else None


def parse_chips(text: str) -> tuple[str, ...] | None:
    """Return the names of the NPUs in ``npu-smi info``'s table, each once, in order.

    The row of a chip begins with its number and its name, and has a health in the next column;
    widths differ between versions, so columns are split at the bars.
    """
    names: dict[str, None] = {}
    for line in text.split("\n"):
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) < 4 or cells[0]:
            continue
        match = re.fullmatch(r"\d+\s+((?:Ascend ?)?\d{3}[0-9A-Za-z_-]*)", cells[1])
        if match and re.fullmatch(r"OK|Warning|Alarm|Critical|UNKNOWN|NA", cells[2], re.I):
            names[match[1].replace(" ", "")] = None
    return tuple(names) or None


def parse_version_info(text: str) -> str | None:
    """Return the version in a ``version.info`` of driver or firmware."""
    for key in ("Version", "package_version"):
        if match := re.search(rf"^\s*{key}\s*=\s*\[?({_VERSION})\]?", text, re.M | re.I):
            return match[1]
    return None


def parse_npu_smi_version(text: str) -> str | None:
    """Return the version that ``npu-smi -v`` prints."""
    match = re.search(rf"npu-smi\s+version\s*:\s*({_VERSION})", text, re.I)
    return match[1] if match else None


def parse_runtime(name: str, stdout: str, stderr: str, exit_code: int) -> Runtime | None:
    """Read ``NAME --version`` followed by ``server version|root folder`` of ``NAME info``.

    None: the node has no such engine. What cannot be understood of one that is there is None.
    """
    said = re.search(rf"(?:docker|podman|nerdctl)\s+version\s+v?({_VERSION})", stdout, re.I)
    if said is None and (exit_code == 127 or "not found" in stderr):
        return None
    client = said[1] if said else None
    info = re.search(rf"^info:\s*({_VERSION})?\s*\|\s*(/\S*)?\s*$", stdout, re.M)
    if info and info[1]:
        return Runtime(name, info[1], "up", info[2])
    lower = stderr.lower()
    if "permission denied" in lower:
        return Runtime(name, client, "denied")
    if complaint(stderr, exit_code).trouble is Trouble.DOWN:
        return Runtime(name, client, "down")
    if "connection refused" in lower or "no such file or directory" in lower:
        return Runtime(name, client, "down")
    return Runtime(name, client, None)


def parse_space(path: str, text: str) -> Space | None:
    """Read the last line of ``df -Pk PATH``: its numbers are KiB; names may hold blanks."""
    for line in reversed(text.split("\n")):
        match = re.search(r"\s(\d+)\s+\d+\s+(-?\d+)\s+(?:\d+%|-)\s+(/.*?)\s*$", line)
        if match:
            free = max(0, int(match[2]))  # reserved blocks make it negative
            return Space(path, match[3], int(match[1]) * 1024, free * 1024)
    return None


def parse_weights(path: str, text: str, stderr: str) -> Weights | None:
    """Read what :func:`wizard.discovery.asking.weights_command` prints. None: no model is there.

    Raises:
        PermissionError: the login may not look into the folder.
    """
    files, names, methods = {}, set(), []
    for line in text.split("\n"):
        if match := re.fullmatch(r"file (\d+) (.+)", line):
            files[match[2]] = int(match[1])
        elif match := re.fullmatch(r'shard "(.+\.safetensors)"', line):
            names.add(match[1])
        elif match := re.fullmatch(r'method .*"quant_method"\s*:\s*"([^"]*)"', line):
            methods.append(match[1])
    shards = {name: size for name, size in files.items() if name.endswith(".safetensors")}
    if not shards and "config.json" not in files:
        if "permission denied" in stderr.lower():
            raise PermissionError(path)
        return None
    quantised = any(name.startswith("quant_model_description") for name in files)
    method = methods[0] if methods else ""
    precision = Precision.W8A8 if quantised else None if method or not shards else Precision.BF16
    there = sum(1 for name in names if shards.get(name)) if names else len(shards)
    size = sum(shards.values())
    space = parse_space(path, text)
    expected = len(names) or None
    return Weights(path, precision, method, "config.json" in files, there, expected, size, space)
