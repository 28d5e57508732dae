"""What following logs costs: keys while 10,000 lines a second stream in; finding a launch again.

Run by hand: ``make bench-logs``, or this file with [--lines 10000] [--megabytes 50].

*Keys*: the wizard runs in a pty; each of four nodes' logs goes the whole way from the engine's
bytes into the file and onto the screen. A key is sent four times a second; what is measured is
the time until it acts, the longest stall of the event loop, and CPU; with no line, and with all.
*Found again*: four real SSH servers in another process, each with a log of so many megabytes. A
wizard that knows nothing attaches: how long until every stage and tail is there, until the whole
logs are in files here, and how much memory that took. Goals: 3 s, 300 MB.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pty
import resource
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

NODES = 4
LINE = (
    "\x1b[1;36m(EngineCore_DP{rank} pid=312)\x1b[0;0m INFO 11-20 10:12:33 [core.py:77] "
    "message {number} of the engine, with as many words as such a message has on average"
)
START = (
    "INFO 11-20 10:11:50 [__init__.py:207] Platform plugin ascend is activated",
    "(EngineCore pid=3) INFO 11-20 10:12:00 [core.py:644] Waiting for init message from front-end.",
    "(EngineCore pid=3) INFO 11-20 10:12:09 [m.py:1] Starting to load model /data/model...",
    "(EngineCore pid=3) INFO 11-20 10:20:09 [k.py:1] GPU KV cache size: 122,880 tokens",
    "(EngineCore pid=3) INFO 11-20 10:21:09 [core.py:210] init engine (profile, create kv cache, "
    "warmup model) took 71.30 seconds",
)


def stamped(at: float, text: str) -> str:
    """A line as ``docker logs -t`` gives it."""
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))
    return f"{whole}.{int(at % 1 * 1e9):09d}Z {text}\n"


# -- keys


def keys_child(rate: int, seconds: float, report: Path) -> None:
    """Run the wizard with logs streaming in, and write what keys had to wait."""
    from screens.app import WizardApp
    from screens.launch import LaunchScreen
    from tests.screens.fakes import World, preset
    from wizard.launch.feed import LogFeed
    from wizard.launch.logfile import log_path
    from wizard.launch.runtime import Runtime
    from wizard.session import Session, Step

    async def stream(rank: int, end: float) -> AsyncIterator[bytes]:
        number, began = 0, time.monotonic()
        while time.monotonic() < end:
            await asyncio.sleep(0.05)
            due = int((time.monotonic() - began) * rate / NODES)
            now = time.time()
            text = (stamped(now, LINE.format(rank=rank, number=n)) for n in range(number, due))
            yield "".join(text).encode()
            number = due

    async def main() -> None:
        world = World(report.parent)
        session = Session(rooms=world.rooms)
        hosts = "\n".join(
            f"  - {{host: 10.0.0.{n}, local_ip: 10.0.0.{n}, nic: e0}}" for n in range(1, NODES + 1)
        )
        text = f"version: 1\nname: lab\nseries: A2\nprecision: bf16\nnodes:\n{hosts}\n"
        session.load(preset(text))
        session.go(Step.LAUNCH)
        await session.plan_launch()
        session.start_launch()
        await asyncio.sleep(0)
        world.launch.move("running", "weights")
        app = WizardApp(session)
        running = asyncio.create_task(app.run_async())
        while not (isinstance(app.screen_stack and app.screen, LaunchScreen) and app.screen.panel):
            await asyncio.sleep(0.05)
        await asyncio.sleep(1.5)  # the first paint is not streaming
        panel, end = app.screen.panel, time.monotonic() + seconds
        feeds = []
        for rank in world.launch.ranks:
            node: Any = SimpleNamespace(
                state=rank,
                runtime=Runtime("docker"),
                touch=lambda: setattr(world.launch, "revision", world.launch.revision + 1),
                stream=lambda _command, rank=rank: stream(rank.rank, end),
            )
            feeds.append(LogFeed(node, log_path("20261125-000000-abcdef", rank.rank)).once("x"))
        waits: list[float] = []
        lags: list[float] = []

        async def press() -> None:
            while time.monotonic() < end:
                await asyncio.sleep(0.25)
                done, act = asyncio.Event(), panel.freeze

                def acted(done: asyncio.Event = done, act: Any = act) -> None:
                    act()
                    done.set()

                panel.freeze = acted
                sent = time.monotonic()
                app.simulate_key("z")
                await done.wait()
                waits.append(time.monotonic() - sent)
                panel.freeze = act

        async def watch() -> None:
            while time.monotonic() < end:
                before = time.monotonic()
                await asyncio.sleep(0.005)
                lags.append(time.monotonic() - before - 0.005)

        cpu = time.process_time()
        await asyncio.gather(*feeds, press(), watch())
        cpu = time.process_time() - cpu
        waits.sort()
        lags.sort()
        numbers = {
            "lines": sum(rank.log.end for rank in world.launch.ranks),
            "median": waits[len(waits) // 2],
            "worst": waits[-1],
            "stall": lags[-1],
            "cpu": cpu / seconds,
        }
        report.write_text(json.dumps(numbers))
        app.exit(0)
        await running
        await session.aclose()

    asyncio.run(main())


def measure_keys(rate: int, seconds: float) -> dict[str, float]:
    """Run the child in a pty and read what comes out, as a terminal would."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        master, slave = pty.openpty()
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        environment |= {"COLUMNS": "120", "LINES": "40", "V32_WIZARD_HOME": folder}
        environment.pop("SSH_CONNECTION", None)
        words = ["--child-keys", str(report), "--lines", str(rate), "--seconds", str(seconds)]
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.bench_logs", *words],
            **{"stdin": slave, "stdout": slave, "stderr": slave, "env": environment},
            cwd=Path(__file__).parents[2],
            start_new_session=True,
        )
        os.close(slave)
        try:
            while process.poll() is None:
                if select.select([master], [], [], 0.1)[0]:
                    try:
                        os.read(master, 1 << 16)
                    except OSError:
                        break
            process.wait(timeout=20)
        finally:
            process.terminate()
            os.close(master)
        if not report.exists():
            raise SystemExit("the child ended without a report")
        found: dict[str, float] = json.loads(report.read_text())
        return found


# -- found again

DOCKER = """#!/bin/bash
case $1 in
ps) printf '%064d\\n' 1 ;;
inspect) cat "$HOME/inspect.json" ;;
logs)
  tail='' follow=''
  for ((n = 2; n <= $#; n++)); do
    case ${!n} in -f) follow=1 ;; --tail) m=$((n + 1)); tail=${!m} ;; esac
  done
  if [ -n "$tail" ]; then exec tail -n "$tail" "$HOME/log"; fi
  if [ -n "$follow" ]; then exec tail -n +1 -f "$HOME/log"; fi
  exec cat "$HOME/log" ;;
esac
"""


def nodes_child(folder: Path, megabytes: int) -> None:
    """Be four nodes with a container each, until stdin closes."""
    import asyncssh

    from tests.remote.remote_lab import Lab

    async def main() -> None:
        asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(folder / "id"))
        lab = Lab(folder, folder)
        began = time.time() - 86400
        labels = {"v32-wizard.preset": "lab", "v32-wizard.launch": "20261124-000000-bench"}
        state = {
            "Status": "running",
            "StartedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began)),
        }
        for rank, server in enumerate(await lab.add(NODES)):
            entry = {"Id": f"{1:064d}", "Name": "/vllm-ascend", "State": state}
            entry["Config"] = {"Image": "image", "Labels": labels}
            (server.home / "inspect.json").write_text(json.dumps([entry]))
            (server.home / "docker").write_text(DOCKER)
            (server.home / "docker").chmod(0o755)
            (server.home / ".bashrc").write_text('export PATH="$HOME:$PATH"\n')
            with (server.home / "log").open("w") as log:
                at, number, size = began, 0, megabytes << 20
                for text in START:
                    log.write(stamped(at + 60, text))
                while log.tell() < size:
                    at += 0.2
                    log.write(
                        "".join(
                            stamped(at + 300 + k / 1e4, LINE.format(rank=rank, number=number + k))
                            for k in range(1000)
                        )
                    )
                    number += 1000
        nodes = [{"host": s.address, "port": s.port} for s in lab.servers]
        print("ready", json.dumps(nodes), flush=True)
        await asyncio.to_thread(sys.stdin.read)
        for server in lab.servers:
            await server.stop()

    asyncio.run(main())


async def find_again(nodes: list[dict[str, Any]], folder: Path, megabytes: int) -> dict[str, float]:
    """Attach to the launch, as a wizard that knows nothing of it; measure."""
    from wizard.launch import Launch
    from wizard.launch.lookback import TAIL_LINES
    from wizard.launch.progress import Phase
    from wizard.presets import parse_preset
    from wizard.remote.fleet import open_fleet

    more = {"user": "root", "identity_file": str(folder / "id"), "nic": "e0"}
    more["known_hosts"] = str(folder / "known_hosts")
    keys = {"version": 1, "name": "lab", "series": "A2", "precision": "bf16"}
    entries = [{**node, **more, "local_ip": node["host"]} for node in nodes]
    preset = parse_preset(json.dumps({**keys, "nodes": entries}))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    async with open_fleet(preset.cluster) as fleet:
        began = time.monotonic()
        work = Launch(fleet, preset)
        assert await work.attach()
        follow = asyncio.create_task(work.follow())

        def whole() -> bool:
            return all(
                r.progress is not None
                and r.progress.phase is Phase.ENGINE
                and r.log.end >= TAIL_LINES
                for r in work.ranks
            )

        async def until(done: Any) -> float:
            async with asyncio.timeout(120):
                while not done():
                    await asyncio.sleep(0.02)
            return time.monotonic() - began

        shown = await until(whole)
        size = megabytes << 20

        def stored() -> bool:
            paths = [rank.log_path for rank in work.ranks]
            return all(p is not None and p.stat().st_size >= size for p in paths)

        kept = await until(stored)
        follow.cancel()
        await asyncio.gather(follow, return_exceptions=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"shown": shown, "kept": kept, "before": before, "peak": peak}


def measure_found(megabytes: int) -> dict[str, float]:
    """Start the nodes in a process of their own and find their launch."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["V32_WIZARD_HOME"] = str(folder / "wizard")
        words = ["--child-nodes", name, "--megabytes", str(megabytes)]
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.bench_logs", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if not line.startswith("ready "):
                raise SystemExit("the nodes did not start")
            return asyncio.run(find_again(json.loads(line[6:]), folder, megabytes))
        finally:
            process.communicate(timeout=30)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=10_000, help="a second, on all nodes together")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--megabytes", type=int, default=50, help="of each node's log")
    parser.add_argument("--child-keys", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--child-nodes", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child_keys:
        keys_child(arguments.lines, arguments.seconds, arguments.child_keys)
        return
    if arguments.child_nodes:
        nodes_child(arguments.child_nodes, arguments.megabytes)
        return
    quiet = measure_keys(0, arguments.seconds)
    busy = measure_keys(arguments.lines, arguments.seconds)
    print(f"keys while {busy['lines'] / arguments.seconds:.0f} lines/s of {NODES} nodes stream in")
    for name, key in (("median", "median"), ("worst", "worst"), ("longest stall", "stall")):
        ratio = busy[key] / max(quiet[key], 1e-4)
        print(f"  {name:<14}{1000 * busy[key]:7.1f} ms, {ratio:4.1f} times that of no line at all")
    print(f"  {'CPU':<14}{100 * busy['cpu']:7.1f} % of a core (quiet {100 * quiet['cpu']:.1f} %)")
    found = measure_found(arguments.megabytes)
    print(f"found again: {NODES} nodes x {arguments.megabytes} MB of earlier logs, over SSH")
    print(f"  stages and tails of all nodes after {found['shown']:.2f} s (goal 3)")
    print(f"  whole logs in files here after {found['kept']:.1f} s")
    print(f"  memory {found['peak']:.0f} MB at most (goal 300), {found['before']:.0f} before")


if __name__ == "__main__":
    main()
