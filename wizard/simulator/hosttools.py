"""``uname``, ``df``, ``ss`` and their like, as a node answers them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from wizard.simulator.network import getent, ip
from wizard.simulator.state import Output, SimNode, World


def uname(_w: World, node: SimNode, argv: list[str]) -> Output:
    """Answer ``uname``: an aarch64 machine, unless the scenario says otherwise."""
    kernel = f"5.10.0-216.0.0.115.oe2203sp4.{node.traits.arch}"
    arch = node.traits.arch
    words = {"s": "Linux", "n": node.hostname, "r": kernel, "v": "#1 SMP", "m": arch}
    words |= {"p": arch, "i": arch, "o": "GNU/Linux"}
    letters = "".join(a.lstrip("-") for a in argv) or "s"
    if "a" in letters:
        letters = "snrvmo"
    return Output(" ".join(words.get(c, "") for c in words if c in letters) + "\n")


def hostname(_w: World, node: SimNode, argv: list[str]) -> Output:
    """Answer ``hostname``, and ``hostname -I`` with the addresses."""
    return Output(f"{node.address} 172.17.0.1\n" if argv == ["-I"] else f"{node.hostname}\n")


def identity(_w: World, _n: SimNode, argv: list[str]) -> Output:
    """Answer ``id``: the login is root, whoever plays the node."""
    letters = "".join(a.lstrip("-") for a in argv)
    if "n" in letters or not letters:
        return Output("root\n" if letters else "uid=0(root) gid=0(root) groups=0(root)\n")
    return Output("0\n")


def whoami(_w: World, _n: SimNode, _argv: list[str]) -> Output:
    """Answer ``whoami``."""
    return Output("root\n")


def nproc(_w: World, _n: SimNode, _argv: list[str]) -> Output:
    """Answer ``nproc``: four Kunpeng 920."""
    return Output("192\n")


def df(_w: World, node: SimNode, argv: list[str]) -> Output:
    """Answer ``df [-P] [-k|-m|-h|-B SIZE] [PATH …]``: the system's disk, and one for /data."""
    unit, paths, words = 1024, [], list(argv)
    while words:
        word = words.pop(0)
        if word == "--":
            paths += words
            break
        if not word.startswith("-"):
            paths.append(word)
        elif word.startswith("-B") or word.startswith("--block-size="):
            size = word.removeprefix("--block-size=").removeprefix("-B") or words.pop(0)
            unit = _UNITS.get(size.upper().removesuffix("B") or "1", 1024)
        elif set(word[1:]) <= set("Pkmhl"):
            unit = 1 << 20 if "m" in word else 1 << 30 if "h" in word else unit
        else:
            return Output(stderr=f"df: unrecognized option '{word}'\n", code=1)
    missing = [p for p in paths if not (node.path(p).exists() or Path(p).exists())]
    mounts = dict.fromkeys(map(_mounted_at, paths or ["/", "/data"]))
    if paths:
        mounts = {_mounted_at(p): None for p in paths if p not in missing}
    lines = [f"Filesystem     {unit}-blocks       Used  Available Capacity Mounted on\n"]
    for mount in mounts:
        total, disk = (3_600, "/dev/nvme0n1") if mount == "/data" else (3_500, "/dev/sda2")
        free = (node.traits.free_gb << 30) if mount == "/data" else node.free_bytes
        free = min(free, total << 30)
        sizes = (total << 30, (total << 30) - free, free)
        full, used, left = (n // unit for n in sizes)
        share = f"{sizes[1] * 100 // sizes[0]}%"
        lines.append(f"{disk:<14} {full:>11} {used:>10} {left:>10} {share:>8} {mount}\n")
    said = "".join(f"df: {p}: No such file or directory\n" for p in missing)
    return Output("".join(lines) if len(lines) > 1 else "", said, 1 if missing else 0)


_UNITS = {"1": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "1K": 1 << 10, "1M": 1 << 20}


def _mounted_at(path: str) -> str:
    return "/data" if path == "/data" or path.startswith("/data/") else "/"


def ss(_w: World, node: SimNode, argv: list[str]) -> Output:
    """Answer ``ss -ltn``: the TCP ports that really listen on the node's address."""
    letters = "".join(a[1:] for a in argv if a.startswith("-"))
    wanted = {int(port) for port in re.findall(r"[:\s](\d+)\b", " ".join(argv))}
    lines = []
    if "H" not in letters:
        lines.append("State  Recv-Q Send-Q Local Address:Port  Peer Address:Port Process\n")
    for port in listening(node.address):
        if not wanted or port in wanted:
            local = f"{node.address}:{port}"
            lines.append(f"LISTEN 0      128    {local:>18}       0.0.0.0:*          \n")
    return Output("".join(lines))


def listening(address: str) -> list[int]:
    """Return the TCP ports that listen on one IPv4 address of this machine (/proc/net/tcp)."""
    wanted = "".join(f"{int(part):02X}" for part in reversed(address.split(".")))
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    locals_ = [row[1].split(":") for row in rows if row[3] == "0A"]
    return sorted({int(port, 16) for host, port in locals_ if host == wanted})


HOST_TOOLS: dict[str, Callable[[World, SimNode, list[str]], Output]] = {
    "uname": uname,
    "hostname": hostname,
    "id": identity,
    "whoami": whoami,
    "nproc": nproc,
    "ip": ip,
    "getent": getent,
    "df": df,
    "ss": ss,
}
