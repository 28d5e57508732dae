"""What the checks' screen costs while 16 nodes × 16 NPUs stream in: bytes to the terminal, CPU.

Run by hand: ``make bench-screen``, or this file with [--nodes 16] [--seconds 20] [--size 120x40].
The wizard runs in a pty of its own, over an engine stand-in that answers all cells evenly over the
time given, so that what is measured is the screen and not SSH. Bytes are counted as they come out
of the pty; CPU is the process' own, less what the stand-in takes without a screen.
Goals: at most 128 KB/s and 15 % of a core.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path
from typing import Any

WARMED_S = 3.0  # the first paint is not streaming


def child(nodes: int, seconds: float, report: Path, *, screen: bool) -> None:
    """Run the wizard on the stand-in and write what it took."""
    from tests.screens.fakenodes import DEVICE_CHECKS, FakeCheckRun, FakeFleet
    from tests.screens.fakes import World, preset
    from wizard.checks.model import CellKey, Status
    from wizard.session import Session, Step

    more = ("tls", "link_stat", "optical")
    own = ("npu_health", "npu_idle", "devices", "arch", "driver", "nic", "ports", "disk", "runtime")

    class Run(FakeCheckRun):
        def _keys(self) -> Any:
            for key in super()._keys():
                yield key
                if key.check == DEVICE_CHECKS[0]:
                    yield from (key._replace(check=check) for check in more)
            for node in self.cluster.nodes:
                yield from (CellKey(node.rank, None, check) for check in own)

        async def run(self) -> Any:
            keys = [result.key for result in self.board]
            await asyncio.sleep(WARMED_S)
            begun, cpu = time.monotonic(), time.process_time()
            done = 0
            while done < len(keys):
                await asyncio.sleep(0.01)
                until = min(len(keys), int(len(keys) * (time.monotonic() - begun) / seconds))
                for key in keys[done:until]:
                    bad = hash(key) % 50 == 0
                    self.answer(key, Status.FAIL if bad else Status.PASS)
                done = until
            took = time.monotonic() - begun
            numbers = {
                **{"cells": len(keys), "seconds": took, "begun": time.time() - took},
                "cpu": time.process_time() - cpu,
            }
            report.with_suffix(".new").write_text(json.dumps(numbers))
            report.with_suffix(".new").rename(report)
            return self.board

    async def main() -> None:
        world = World(report.parent)
        object.__setattr__(world.rooms, "check_run", lambda fleet, p: Run(fleet, p.cluster))
        session = Session(rooms=world.rooms)
        hosts = "\n".join(f"  - {{host: 10.0.0.{n + 1}}}" for n in range(nodes))
        head = "version: 1\nname: large\nseries: A3\nprecision: bf16\nnodes:\n"
        session.load(preset(f"{head}{hosts}\n"))
        session.go(Step.CHECKS)
        if not screen:
            cluster = session.preset().cluster
            await Run(FakeFleet(cluster), cluster).run()
            return
        from screens.app import run_async

        await run_async(session)

    asyncio.run(main())


def measure(nodes: int, seconds: float, size: tuple[int, int], *, screen: bool) -> dict[str, float]:
    """Run a child in a pty; return its numbers and the bytes that came while cells streamed."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        environment["V32_WIZARD_HOME"] = folder
        environment.pop("SSH_CONNECTION", None)
        words = [sys.executable, "-m", "tests.benchmarks.bench_screen", "--child", str(report)]
        words += ["--nodes", str(nodes), "--seconds", str(seconds)]
        words += [] if screen else ["--no-screen"]
        process = subprocess.Popen(
            words,
            cwd=Path(__file__).parents[2],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            start_new_session=True,
        )
        os.close(slave)
        chunks: list[tuple[float, int]] = []
        deadline = time.monotonic() + seconds + 90
        try:
            while not report.exists() and time.monotonic() < deadline:
                if process.poll() is not None and not report.exists():
                    break
                if select.select([master], [], [], 0.1)[0]:
                    try:
                        chunks.append((time.time(), len(os.read(master, 1 << 16))))
                    except OSError:  # the child has closed its end
                        break
            if not report.exists():
                raise SystemExit("the child ended without a report")
            numbers: dict[str, float] = json.loads(report.read_text())
        finally:
            process.terminate()
            process.wait(timeout=10)
            os.close(master)
        mine = [(at, count) for at, count in chunks if at >= numbers["begun"]]
        by_second: dict[int, int] = {}
        for at, count in mine:
            by_second[int(at)] = by_second.get(int(at), 0) + count
        numbers["bytes"] = sum(count for _, count in mine)
        numbers["peak"] = max(by_second.values(), default=0)
        return numbers


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--size", default="120x40")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--no-screen", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.nodes, arguments.seconds, arguments.child, screen=not arguments.no_screen)
        return
    width, _, height = arguments.size.partition("x")
    size = (int(width), int(height))
    found = measure(arguments.nodes, arguments.seconds, size, screen=True)
    bare = measure(arguments.nodes, arguments.seconds, size, screen=False)
    rate, cells = found["bytes"] / found["seconds"], int(found["cells"])
    cpu = 100 * (found["cpu"] - bare["cpu"]) / found["seconds"]
    print(f"{arguments.nodes} nodes x 16 NPUs, {cells} cells in {found['seconds']:.1f} s, {size}")
    print(
        f"  to the terminal  {rate / 1000:6.1f} KB/s (goal 128), busiest second "
        f"{found['peak'] / 1000:.1f} KB, {found['bytes'] / cells:.0f} bytes a cell"
    )
    print(
        f"  CPU of the screen {cpu:5.1f} % of a core (goal 15); stand-in alone "
        f"{100 * bare['cpu'] / bare['seconds']:.1f} %"
    )


if __name__ == "__main__":
    main()
