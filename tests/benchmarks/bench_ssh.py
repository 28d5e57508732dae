"""How fast many nodes are reached and asked, against what an operator would use instead.

Run by hand: ``make bench-ssh``. Every contender reaches the same real sshd (one process per node,
all on this machine), with the same key, curve25519 and ed25519, runs the same batched script and
must bring back every answer; each in a process of its own, in turn, several times, in one run.
*cold* connects and asks; *warm* asks again over what stays open (ControlMaster with ControlPersist
for the ssh-based, reused clients for the others). Programs that are Python libraries are timed
after their import. What is printed are ratios to the wizard, so above 1.00 is slower than it;
the nodes' own work is on the same cores and the same for all.

A contender that is not installed is named and left out: ``pdsh`` is Debian's package, clush comes
with ClusterShell, parallel-ssh is pip's ``parallel-ssh`` (``--parallel-ssh DIR`` names a folder
that it was installed into).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

from wizard.remote import shell
from wizard.remote.api import Job

ROOT = Path(__file__).resolve().parents[2]

JOBS = [
    Job(f"{lane}-{n}", "echo answer", 10.0, f"npu{lane}") for lane in range(2) for n in range(2)
]
WIDTH = 2
NONCE = "0123456789abcdef"
LIMIT_S = 240
CONTENDERS = ("wizard", "ssh", "clush", "pdsh", "parallel-ssh")


@dataclass(frozen=True)
class Field:
    """Where the nodes are, as every contender is told."""

    folder: Path
    hosts: list[tuple[str, int]]

    @property
    def key(self) -> str:
        """The private key that all of them accept."""
        return str(self.folder / "id")

    @property
    def known_hosts(self) -> str:
        """The nodes' host keys."""
        return str(self.folder / "known")

    @property
    def script(self) -> Path:
        """The wizard's own batched script, for a bash that reads it from a file."""
        return self.folder / "script"

    def ssh_options(self, tag: str) -> list[str]:
        """Options that make OpenSSH's client as quick as it can be."""
        values = {
            "IdentityFile": self.key,
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": self.known_hosts,
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
            "BatchMode": "yes",
            "KexAlgorithms": "curve25519-sha256",
            "HostKeyAlgorithms": "ssh-ed25519",
            "PreferredAuthentications": "publickey",
            "ControlMaster": "auto",
            "ControlPersist": "60",
            "ControlPath": str(self.folder / f"{tag}-%C"),
        }
        return ["-F", "none", *(w for k, v in values.items() for w in ("-o", f"{k}={v}"))]


def plain_script() -> bytes:
    """Return the batch script without its watchdog, which a file on stdin would set off."""
    text = shell.batch(JOBS, nonce=NONCE, width=WIDTH).decode()
    plain, found = re.subn(r"\{ IFS= read -r -d '' _; kill [^\n]*& (?=dog=)", "true & ", text)
    assert found == 1, "the watchdog of shell.batch has changed"
    return plain.encode()


def complete(output: bytes) -> bool:
    """Whether every answer and the trailer are there."""
    frames = re.findall(rb"\x1e%s ([a-zA-Z]) " % NONCE.encode(), output)
    return frames.count(b"x") == len(JOBS) and b"T" in frames


# -- contenders: each answers (cold, warm) as (seconds, nodes that answered wholly)

Timed = tuple[float, int]


async def wizard(field: Field) -> tuple[Timed, Timed]:
    """Ours: one connection per node, one framed script."""
    from wizard.cluster import Cluster, Node, Precision, Series
    from wizard.remote.dial import Limits
    from wizard.remote.fleet import open_fleet

    nodes = tuple(
        Node(n, host, port, "root", field.key, known_hosts=field.known_hosts)
        for n, (host, port) in enumerate(field.hosts)
    )
    cluster = Cluster(Series.A3, Precision.BF16, nodes)
    fleet = open_fleet(cluster, limits=Limits(connect_s=120, keepalive_s=30))

    async def ask() -> int:
        async def one(remote: Any) -> int:
            return len([a async for a in remote.batch(JOBS, width=WIDTH)])

        return sum(n == len(JOBS) for n in await asyncio.gather(*map(one, fleet.remotes)))

    async with fleet:
        return await _timed_async(ask), await _timed_async(ask)


async def _timed_async(ask: Callable[[], Any]) -> Timed:
    began = time.perf_counter()
    answered = await ask()
    return time.perf_counter() - began, answered


async def ssh(field: Field) -> tuple[Timed, Timed]:
    """Plain ssh with ControlMaster, sixteen at a time, the script on stdin."""
    gate, script = asyncio.Semaphore(16), field.script.read_bytes()

    async def one(host: str, port: int) -> bool:
        async with gate:
            words = [*field.ssh_options("s"), "-p", str(port), f"root@{host}", shell.ENTRY]
            child = await asyncio.create_subprocess_exec(
                "ssh",
                *words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            assert child.stdin
            assert child.stdout
            child.stdin.write(script)
            child.stdin.close()
            output = await child.stdout.read()
            await child.wait()
            return complete(output)

    async def ask() -> int:
        return sum(await asyncio.gather(*(one(*host) for host in field.hosts)))

    return await _timed_async(ask), await _timed_async(ask)


async def clush(field: Field) -> tuple[Timed, Timed]:
    """ClusterShell's own library, as clush uses it, with ControlMaster."""
    from ClusterShell.Task import task_self

    task = task_self()
    task.set_info("ssh_options", " ".join([*field.ssh_options("c"), "-p", str(field.hosts[0][1])]))
    task.set_info("fanout", 64)
    task.set_info("ssh_user", "root")
    task.set_default("stderr", False)

    def ask() -> Timed:
        began = time.perf_counter()
        worker = task.shell(_from_file(field), nodes=",".join(h for h, _ in field.hosts))
        task.run()
        took = time.perf_counter() - began
        found = sum(complete(worker.node_buffer(h)) for h, _ in field.hosts)
        return took, found

    return ask(), ask()


async def pdsh(field: Field) -> tuple[Timed, Timed]:
    """pdsh with its ssh module and ControlMaster."""
    environment = {
        **os.environ,
        "PDSH_SSH_ARGS_APPEND": " ".join([*field.ssh_options("p"), "-p", str(field.hosts[0][1])]),
    }
    hosts = ",".join(h for h, _ in field.hosts)
    words = ["pdsh", "-R", "ssh", "-l", "root", "-f", "64", "-w", hosts, _from_file(field)]

    def ask() -> Timed:
        began = time.perf_counter()
        done = subprocess.run(
            words, env=environment, capture_output=True, stdin=subprocess.DEVNULL, check=False
        )
        took = time.perf_counter() - began
        by_host: dict[bytes, list[bytes]] = {}
        for line in done.stdout.split(b"\n"):
            host, _, rest = line.partition(b": ")
            by_host.setdefault(host, []).append(rest)
        return took, sum(complete(b"\n".join(lines)) for lines in by_host.values())

    return await asyncio.to_thread(ask), await asyncio.to_thread(ask)


async def parallel_ssh(field: Field) -> tuple[Timed, Timed]:
    """The library parallel-ssh (libssh2), its client reused."""
    from pssh.clients import ParallelSSHClient

    client = ParallelSSHClient(
        [h for h, _ in field.hosts], user="root", port=field.hosts[0][1], pkey=field.key,
        pool_size=64, num_retries=3, allow_agent=False,
    )  # fmt: skip

    def ask() -> Timed:
        began = time.perf_counter()
        found = 0
        for output in client.run_command(_from_file(field), stop_on_errors=False):
            lines = [] if output.stdout is None else list(output.stdout)
            found += complete("\n".join(lines).encode())
        return time.perf_counter() - began, found

    return ask(), ask()


def _from_file(field: Field) -> str:
    return f"exec bash --norc --noprofile {field.script}"


RUNS = {
    "wizard": wizard,
    "ssh": ssh,
    "clush": clush,
    "pdsh": pdsh,
    "parallel-ssh": parallel_ssh,
}


def contend(name: str, folder: Path) -> None:
    """Run one contender in this process and print what it took, as JSON."""
    field = Field(folder, [tuple(h) for h in json.loads((folder / "hosts").read_text())])
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    for module in MODULES.get(name, ()):
        import_module(module)
    before = _cpu()
    cold, warm = asyncio.run(RUNS[name](field))
    print(json.dumps({
        "cold": cold[0], "warm": warm[0], "lost": 2 * len(field.hosts) - cold[1] - warm[1],
        "cpu": _cpu() - before, "rss_mb": _peak_mb(),
    }))  # fmt: skip


def _peak_mb() -> float:
    """Most memory that this process has held; ru_maxrss would tell our parent's as well."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def _cpu() -> float:
    """CPU seconds of this process and of the children that it has waited for."""
    found = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in found)


MODULES = {  # imported before the clock starts
    "wizard": ("wizard.remote.fleet", "asyncssh"),
    "clush": ("ClusterShell.Task",),
    "parallel-ssh": ("pssh.clients",),
}


# -- the run


def missing(name: str, extra: str) -> str:
    """Return why a contender cannot be had here, or ""."""
    if name in ("ssh", "pdsh"):
        return "" if shutil.which(name) else f"there is no {name} here"
    imports = "; ".join(f"import {module}" for module in MODULES[name])
    done = subprocess.run([sys.executable, "-c", imports], env=_environment(extra), cwd=ROOT,
                          capture_output=True, check=False)  # fmt: skip
    return "" if done.returncode == 0 else "its library is not installed"


def _environment(extra: str) -> dict[str, str]:
    found = {k: v for k, v in os.environ.items() if k != "SSH_AUTH_SOCK"}
    return {**found, "PYTHONPATH": extra} if extra else found


def close_masters(folder: Path) -> None:
    """End the masters that a contender's ControlPersist has left."""
    for path in folder.glob("?-*"):
        subprocess.run(["ssh", "-F", "none", "-S", str(path), "-O", "exit", "x"],
                       capture_output=True, check=False, timeout=20)  # fmt: skip


async def start_nodes(folder: Path, count: int) -> list[Any]:
    """Start one sshd per node, all on one port, which pdsh and clush need."""
    sys.path.insert(0, str(ROOT / "tests" / "remote"))
    import openssh_lab

    (folder / "keys").mkdir()
    for name in ("id", "id.pub"):
        (folder / "keys" / name).symlink_to(folder / name)
    port = openssh_lab._free_port("127.78.0.1")
    openssh_lab._free_port = lambda address: port
    lab = openssh_lab.OpenSSHLab(folder, folder / "keys")
    await lab.add(count, max_startups="100:30:200")
    (folder / "known").write_text("".join(s.known_hosts_lines() for s in lab.servers))
    (folder / "hosts").write_text(json.dumps([(s.address, s.port) for s in lab.servers]))
    return [lab]


async def measure(count: int, repeat: int, extra: str) -> None:
    """Time all contenders on ``count`` nodes and print a table."""
    with tempfile.TemporaryDirectory(prefix="v32-bench-") as name:
        folder = Path(name)
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "id"], check=True
        )
        (folder / "script").write_bytes(plain_script())
        (lab,) = await start_nodes(folder, count)
        try:
            results: dict[str, list[dict[str, float]]] = {}
            absent = {n: why for n in CONTENDERS if (why := missing(n, extra))}
            for _ in range(repeat):
                for who in (n for n in CONTENDERS if n not in absent):
                    words = [sys.executable, __file__, "--contend", who, "--folder", name]
                    done = await asyncio.to_thread(
                        subprocess.run, words, env=_environment(extra), capture_output=True,
                        text=True, check=False, timeout=LIMIT_S,
                    )  # fmt: skip
                    if done.returncode == 0:
                        results.setdefault(who, []).append(json.loads(done.stdout))
                    else:
                        absent[who] = done.stderr.strip().rpartition("\n")[2]
                    close_masters(folder)
        finally:
            await lab.aclose()
    table(count, results, absent)


def table(count: int, results: dict[str, list[dict[str, float]]], absent: dict[str, str]) -> None:
    """Print the medians: ours in seconds, the others as ratios to ours."""
    middle = {w: {k: median(r[k] for r in rs) for k in rs[0]} for w, rs in results.items()}
    ours = middle["wizard"]
    print(f"\n{count} nodes, {len(JOBS)} commands each (median of {len(results['wizard'])})")
    print(f"{'':14}{'cold':>9}{'warm':>9}{'client CPU':>12}{'lost':>6}{'memory':>9}")
    for who, m in middle.items():
        if who == "wizard":
            times = f"{m['cold']:>8.2f}s{m['warm']:>8.2f}s{m['cpu']:>11.2f}s"
        else:
            times = "".join(
                f"{m[k] / ours[k]:>{w}.2f}x" for k, w in (("cold", 8), ("warm", 8), ("cpu", 11))
            )
        memory = "" if who in ("ssh", "pdsh") else f"{m['rss_mb']:>6.0f} MB"  # many processes
        print(f"{who:14}{times}{max(r['lost'] for r in results[who]):>6.0f}{memory}")
    for who, why in absent.items():
        print(f"{who:14}not measured: {why}")


def main() -> None:
    """Measure, or be one contender."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--nodes", default="1,4,16,64", help="counts, separated by commas")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--parallel-ssh", default="", metavar="DIR")
    parser.add_argument("--contend", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contend:
        contend(arguments.contend, arguments.folder)
        return
    for count in map(int, arguments.nodes.split(",")):
        asyncio.run(measure(count, arguments.repeat, arguments.parallel_ssh))


if __name__ == "__main__":
    main()
