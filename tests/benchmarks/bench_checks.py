"""How fast the checks are, against the guide's loops by hand, and against what the tool allows.

Run by hand: ``make bench``. The nodes cost next to no CPU here (see light_nodes.py): the tool is a
sleep of 50 ms behind a real SSH server, because forking for 16 nodes on one machine would measure
the machine. It bears one or four calls at a time on a node, and says "busy" beyond that.

(a) the guide's six loops by ssh, node after node; (b) the same loops by clush, on all nodes at
once; (c) the lower bound: calls times 50 ms over the width. The wizard is timed without a
connection (cold: against (a) and (b)) and over open ones (warm); it does not know the width, and
also reads what it asks. Then the full mesh of 4 x 16, against the shortest schedule that the tool
allows. What is printed are ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wizard.checks.engine import CheckRun
from wizard.checks.model import Status
from wizard.cluster import Cluster, Node, Precision, Series
from wizard.remote.fleet import open_fleet

HERE = Path(__file__).resolve().parent
PORT = 2299  # of every node; clush knows one for all
DEVICES, TOOK_S = 16, 0.05
GUIDE = ("lldp", "link", "net_health", "netdetect", "gateway", "ip")


@contextmanager
def nodes(count: int, width: int) -> Iterator[Path]:
    """Light nodes in a process of their own, for as long as the context lasts."""
    with tempfile.TemporaryDirectory(prefix="v32-bench-") as name:
        words = [sys.executable, str(HERE / "light_nodes.py"), name]
        child = subprocess.Popen(
            [*words, str(count), str(TOOK_S), str(width)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=HERE.parents[1],
        )  # fmt: skip
        assert child.stdout is not None
        assert child.stdin is not None
        try:
            assert child.stdout.readline() == b"ready\n", "the nodes did not start"
            yield Path(name)
        finally:
            child.stdin.close()
            child.wait(20)


def loop(check: str) -> str:
    """One of the guide's loops."""
    return f"for i in {{0..{DEVICES - 1}}}; do hccn_tool -i $i -{check} -g; done"


def options(folder: Path) -> list[str]:
    """What ssh needs to reach the nodes; otherwise as it comes."""
    values = {
        "IdentityFile": str(folder / "id"),
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": str(folder / "known"),
        "StrictHostKeyChecking": "yes",
        "BatchMode": "yes",
        "Port": str(PORT),
        "User": "root",
    }
    return ["-F", "none", *(w for k, v in values.items() for w in ("-o", f"{k}={v}"))]


def by_ssh(folder: Path, hosts: list[str]) -> float:
    """The guide's loops, node after node; return the seconds."""
    began = time.perf_counter()
    for host in hosts:
        for check in GUIDE:
            done = subprocess.run(
                ["ssh", *options(folder), host, loop(check)], capture_output=True, check=True
            )
            assert done.stdout.count(b"\n") >= DEVICES
    return time.perf_counter() - began


def by_clush(folder: Path, hosts: list[str]) -> float:
    """The same by clush on all nodes at once; return the seconds."""
    clush = shutil.which("clush") or str(Path(sys.executable).with_name("clush"))
    began = time.perf_counter()
    for check in GUIDE:
        words = [clush, "-w", ",".join(hosts), "-f", "64", "-q", "-o", " ".join(options(folder))]
        done = subprocess.run([*words, loop(check)], capture_output=True, check=True)
        assert done.stdout.count(b"\n") >= DEVICES * len(hosts)
    return time.perf_counter() - began


def by_wizard(
    folder: Path, hosts: list[str], only: frozenset[str], *, full: bool
) -> tuple[float, float]:
    """The wizard's checks, up to the last verdict; return the seconds, cold and warm.

    Cold begins without a connection, warm over the connections that are open by then.
    """

    async def run() -> tuple[float, float]:
        members = tuple(
            Node(rank, host, PORT, "root", str(folder / "id"), known_hosts=str(folder / "known"))
            for rank, host in enumerate(hosts)
        )
        cluster = Cluster(Series.A3, Precision.BF16, members)
        async with open_fleet(cluster) as fleet:
            times = []
            for _ in range(2):
                began = time.perf_counter()
                board = await CheckRun(fleet, cluster, only=only, full=full).run()
                times.append(time.perf_counter() - began)
                wrong = [r for r in board if r.status is not Status.PASS]
                assert not wrong, wrong[:3]
        return times[0], times[1]

    return asyncio.run(run())


def cpu_s() -> float:
    """CPU seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def guide(counts: list[int], widths: list[int], *, serial: bool) -> None:
    """Print the table of the guide's six checks."""
    print("nodes  width  wizard s    (a) ssh   (b) clush  (c) cold / warm   wizard's CPU")
    for width in widths:
        for count in counts:
            with nodes(count, width) as folder:
                hosts = json.loads((folder / "hosts").read_text())
                before = cpu_s()
                took, warm = by_wizard(folder, hosts, frozenset(GUIDE), full=False)
                cpu = (cpu_s() - before) / (took + warm)
                bound = len(GUIDE) * DEVICES * TOOK_S / width
                clush = by_clush(folder, hosts) / took
                ssh = f"{by_ssh(folder, hosts) / took:6.1f} x" if serial else "       -"
                print(
                    f"{count:>5}  {width:>5}  {took:>8.2f}  {ssh:>9}  {clush:>7.1f} x"
                    f"  {took / bound:>7.2f} / {warm / bound:.2f} x  {100 * cpu:>11.0f} %",
                    flush=True,
                )


def mesh(widths: list[int]) -> None:
    """Print how near the full mesh of 4 x 16 comes to the shortest schedule."""
    for width in widths:
        with nodes(4, width) as folder:
            hosts = json.loads((folder / "hosts").read_text())
            took, warm = by_wizard(folder, hosts, frozenset({"ping"}), full=True)
            calls = 3 * DEVICES + 3 * DEVICES * DEVICES  # link, lldp, ip; then the pings of a node
            bound = calls * TOOK_S / width
            ratio = f"{took / bound:.2f} x the bound, {warm / bound:.2f} x over open connections"
            print(f"full mesh 4 x 16, width {width}: {took:.2f} s, {ratio}", flush=True)


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--width", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--no-serial", action="store_true", help="leave (a) out, which is slow")
    arguments = parser.parse_args()
    print(f"light nodes: a tool of {1000 * TOOK_S:.0f} ms behind real SSH servers in one process")
    guide(arguments.nodes, arguments.width, serial=not arguments.no_serial)
    mesh(arguments.width)


if __name__ == "__main__":
    main()
