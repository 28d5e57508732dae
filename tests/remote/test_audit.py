"""What was run on the nodes is noted; what went to a command's stdin is not."""

from __future__ import annotations

import asyncio
import json
import secrets
import stat
from pathlib import Path
from typing import Any

import pytest
from remote_lab import Lab, processes, wait_for

from wizard.errors import CommandTimeout
from wizard.remote.api import Job
from wizard.remote.audit import AuditLog


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().split("\n") if line]


async def test_every_command_is_a_line(lab: Lab) -> None:
    await lab.add()
    audit = AuditLog()
    marker = f"9{secrets.randbelow(10**9):09}"
    async with lab.fleet(audit=audit) as fleet:
        remote = fleet.remotes[0]
        await remote.run("cat; exit 3", stdin=b"token-123")
        assert [r.id async for r in remote.batch([Job("a", "echo 'a\n\x1b[31m'")])] == ["a"]
        with pytest.raises(CommandTimeout):
            await remote.run("sleep 5", timeout_s=0.2)
        task = asyncio.create_task(remote.run(f"sleep {marker}"))
        await wait_for(lambda: bool(processes(f"sleep\0{marker}")))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    lines = _read(audit.path)
    assert [(e["command"], e["exit_status"], e.get("note")) for e in lines] == [
        ("cat; exit 3", 3, None),
        ("echo 'a\n\x1b[31m'", 0, None),
        ("sleep 5", None, "timed out"),
        (f"sleep {marker}", None, "cancelled"),
    ]
    assert all((e["node"], e["host"]) == (0, "127.77.0.1") for e in lines)
    assert "token-123" not in audit.path.read_text()
    assert stat.S_IMODE(audit.path.stat().st_mode) == 0o600
    await wait_for(lambda: not processes(marker))


async def test_a_log_that_cannot_be_written_stops_nothing(lab: Lab) -> None:
    await lab.add()
    (lab.folder / "file").write_text("")
    audit = AuditLog(lab.folder / "file" / "audit.jsonl")
    async with lab.fleet(audit=audit) as fleet:
        assert (await fleet.remotes[0].run("echo on")).stdout == b"on\n"
    assert "cannot be written" in audit.problem
