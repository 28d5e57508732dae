"""``docker ps``, ``logs`` and ``exec``: what is shown of containers, and what streams."""

from __future__ import annotations

import asyncio
import calendar
import json
import re
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from wizard.simulator.containers.container import Container, Record, stamp_ns
from wizard.simulator.containers.options import BadOptions, Options
from wizard.simulator.containers.template import render
from wizard.simulator.toolserver import Call


def ps(containers: list[Container], options: Options) -> str:
    """Return what `docker ps` prints, newest first."""
    rows = [c for c in reversed(containers) if _wanted(c, options)]
    form = options.last("format")
    if "quiet" in options.switches:
        return "".join(f"{c.id[:12]}\n" for c in rows)
    if form in ("json", "{{json .}}"):
        plain = ({k: v for k, v in c.row().items() if k != "_labels"} for c in rows)
        return "".join(json.dumps(row) + "\n" for row in plain)
    if form is not None:
        long = "no-trunc" in options.switches
        return "".join(render(form, c.row() | ({"ID": c.id} if long else {})) + "\n" for c in rows)
    lines = [f"{'CONTAINER ID':<14} {'IMAGE':<40} {'STATUS':<28} NAMES\n"]
    for c in rows:
        row = c.row()
        lines.append(f"{row['ID']:<14} {row['Image']:<40} {row['Status']:<28} {row['Names']}\n")
    return "".join(lines)


def _wanted(container: Container, options: Options) -> bool:
    kinds: dict[str, list[bool]] = {}
    for text in options.all("filter"):
        key, _, value = text.partition("=")
        kinds.setdefault(key, []).append(_matches(container, key, value))
    if "status" not in kinds and "all" not in options.switches and not container.running:
        return False
    every = kinds.pop("label", [])  # labels must all match; of any other kind, one
    return all(every) and all(any(matches) for matches in kinds.values())


def _matches(container: Container, key: str, value: str) -> bool:
    if key == "label":
        name, given, wanted = value.partition("=")
        labels = container.spec.labels
        return name in labels and (not given or labels[name] == wanted)
    if key == "name":
        return re.search(value, f"/{container.spec.name}") is not None
    if key == "id":
        return container.id.startswith(value)
    if key == "status":
        return container.status == value
    if key == "ancestor":
        return container.spec.image == value
    raise BadOptions(f"Error response from daemon: invalid filter '{key}'")


async def send_logs(
    call: Call,
    container: Container,
    *,
    follow: bool = False,
    stamps: bool = False,
    since: str | None = None,
    tail: str | None = None,
) -> None:
    """Send a container's log, and with ``follow`` what comes, until it or the caller ends."""
    after = _moment(since) if since else 0
    records = [r for r in container.log if r.time_ns >= after]
    if tail is not None and tail.isdigit():  # any other word means all, as in docker
        records = records[-int(tail) :] if int(tail) else []
    position = len(container.log)
    await _send(call, records, stamps)
    gone = asyncio.create_task(call.reader.read(1))
    try:
        while follow and not gone.done():
            grew, first = container.grew, container.log[position:]
            if first:
                position += len(first)
                await _send(call, first, stamps)
            elif not container.running:
                return
            else:
                waiting = asyncio.create_task(grew.wait())
                await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
    finally:
        gone.cancel()


async def _send(call: Call, records: list[Record], stamps: bool) -> None:
    for record in records:
        head = f"{stamp_ns(record.time_ns)} ".encode() if stamps else b""
        await (call.out if record.stream == "o" else call.err)(head + record.data)


def _moment(text: str) -> int:
    """Read ``--since``: an RFC 3339 time, seconds since 1970, or a duration such as 90s."""
    if match := re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:([\d.]+)s)?", text):
        hours, minutes, seconds = (float(g or 0) for g in match.groups())
        return int((time.time() - hours * 3600 - minutes * 60 - seconds) * 10**9)
    if match := re.fullmatch(r"(\d+)(?:\.(\d+))?", text):
        return int(match[1]) * 10**9 + int((match[2] or "").ljust(9, "0")[:9])
    pattern = r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?"
    match = re.fullmatch(pattern, text)
    if match is None:
        raise BadOptions(
            f'Error response from daemon: invalid value for "since": failed to parse {text!r}'
        )
    seconds_ = calendar.timegm(time.strptime(match[1], "%Y-%m-%dT%H:%M:%S"))
    if match[3] and match[3] != "Z":
        hours_, minutes_ = match[3][1:].split(":")
        offset = int(hours_) * 3600 + int(minutes_) * 60
        seconds_ -= offset if match[3][0] == "+" else -offset
    return seconds_ * 10**9 + int((match[2] or "").ljust(9, "0")[:9])


async def run_inside(
    call: Call,
    container: Container,
    command: list[str],
    environment: dict[str, str],
    options: Options,
) -> int:
    """Run a command in a running container, as `docker exec` does; return its exit code."""
    interactive = "interactive" in options.switches
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(
            *container.argv(command),
            stdin=pipe if interactive else asyncio.subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            env=environment,
            cwd=container.folder(options.last("workdir")),
            start_new_session=True,
        )
    except OSError as error:
        await call.err(
            f'OCI runtime exec failed: exec failed: "{command[0]}": {error.strerror}\n'.encode()
        )
        return 127
    if "detach" in options.switches:
        return 0
    if interactive:
        await call.wants()
    feeding = asyncio.create_task(_feed(call, process.stdin))
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        await asyncio.gather(_pass(process.stdout, call.out), _pass(process.stderr, call.err))
        code = await process.wait()
    except OSError:  # the caller is gone; what it started goes on, as in docker
        return 1
    finally:
        feeding.cancel()
    return code if code >= 0 else 128 + signal.Signals(-code)


async def _pass(reader: asyncio.StreamReader, send: Callable[[bytes], Awaitable[None]]) -> None:
    while data := await reader.read(1 << 16):
        await send(data)


async def _feed(call: Call, stdin: asyncio.StreamWriter | None) -> None:
    while data := await call.reader.read(1 << 16):
        if stdin is not None:
            stdin.write(data)
            with suppress(ConnectionError):
                await stdin.drain()
    if stdin is not None:
        stdin.close()
