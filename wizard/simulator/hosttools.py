"""``uname``, ``ip``, ``ss`` and their like, as a node answers them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from wizard.simulator.state import NIC, Output, SimNode, World


def uname(_w: World, node: SimNode, argv: list[str]) -> Output:
    """Answer ``uname``: an aarch64 machine."""
    kernel = "5.10.0-216.0.0.115.oe2203sp4.aarch64"
    words = {"s": "Linux", "n": node.hostname, "r": kernel, "v": "#1 SMP", "m": "aarch64"}
    words |= {"p": "aarch64", "i": "aarch64", "o": "GNU/Linux"}
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


def ip(world: World, node: SimNode, argv: list[str]) -> Output:
    """Answer ``ip [-o] [-4] addr|route|link …``; the cluster's network is one /24 on one NIC."""
    words = [a for a in argv if not a.startswith("-")]
    if words and "address".startswith(words[0]) and words[0] != "":
        wanted = words[words.index("dev") + 1] if "dev" in words[:-1] else None
        return _addresses(node, wanted, oneline="-o" in argv or "-oneline" in argv)
    if words[:2] in (["route", "get"], ["r", "get"]) and len(words) > 2:
        return _route_get(world, node, words[2])
    if words and words[0] in ("route", "r"):
        net = node.address.rsplit(".", 1)[0]
        return Output(
            f"default via {net}.1 dev {NIC} proto static\n"
            f"{net}.0/24 dev {NIC} proto kernel scope link src {node.address}\n"
        )
    if words and words[0] == "link":
        return Output(f"2: {NIC}: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 state UP\n")
    return Output(stderr=f'Object "{" ".join(words)}" is unknown, try "ip help".\n', code=1)


def _addresses(node: SimNode, wanted: str | None, *, oneline: bool) -> Output:
    rows = [
        (1, "lo", "127.0.0.1/8", "scope host lo"),
        (
            2,
            NIC,
            f"{node.address}/24",
            f"brd {node.address.rsplit('.', 1)[0]}.255 scope global {NIC}",
        ),
        (3, "docker0", "172.17.0.1/16", "brd 172.17.255.255 scope global docker0"),
    ]
    rows = [row for row in rows if wanted in (None, row[1])]
    if not rows:
        return Output(stderr=f'Device "{wanted}" does not exist.\n', code=1)
    forever = "       valid_lft forever preferred_lft forever"
    if oneline:
        lines = [f"{n}: {name}    inet {a} {rest}\\{forever}\n" for n, name, a, rest in rows]
    else:
        flags = "<BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 state UP"
        lines = [f"{n}: {name}: {flags}\n    inet {a} {r}\n{forever}\n" for n, name, a, r in rows]
    return Output("".join(lines))


def _route_get(world: World, node: SimNode, target: str) -> Output:
    if target == node.address or target.startswith("127.0.0."):
        text = f"local {target} dev lo src {target} uid 0 \n    cache <local> \n"
    elif any(target == n.address for n in world.nodes):
        text = f"{target} dev {NIC} src {node.address} uid 0 \n    cache \n"
    elif re.fullmatch(r"\d+(\.\d+){3}", target):
        router = node.address.rsplit(".", 1)[0] + ".1"
        text = f"{target} via {router} dev {NIC} src {node.address} uid 0 \n    cache \n"
    else:
        return Output(
            stderr=f'Error: any valid prefix is expected rather than "{target}".\n', code=1
        )
    return Output(text)


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
    "ss": ss,
}
