"""A desk: small commands asked for one by one on one channel."""

from __future__ import annotations

import asyncio

import pytest
from remote_lab import Lab, processes, wait_for

from wizard.errors import ConnectionLost
from wizard.remote.api import Job
from wizard.remote.fleet import SSHFleet


async def test_answers_are_those_of_the_job_whatever_it_prints(one: SSHFleet) -> None:
    every = "".join(f"\\{n:03o}" for n in range(256))
    async with one.remotes[0].desk() as desk:
        ok = await desk.ask(Job("a", "echo out; echo err >&2; exit 3"))
        assert (ok.id, ok.exit_status, ok.stdout, ok.stderr) == ("a", 3, b"out\n", b"err\n")
        assert (await desk.ask(Job("b", f"printf '{every}'"))).stdout == bytes(range(256))
        odd = await desk.ask(Job("c", "printf '%s' \"it's\n\\\"\"'quoted'"))
        assert odd.stdout == b"it's\n\"quoted"
        assert (await desk.ask(Job("d", "cat"))).stdout == b"", "stdin is ours, not the job's"
        assert (await desk.ask(Job("e", "no-such-tool-here"))).exit_status == 127


async def test_jobs_run_side_by_side_on_one_channel(lab: Lab, one: SSHFleet) -> None:
    gate = lab.folder / "gate"
    async with one.remotes[0].desk() as desk:
        slow = asyncio.create_task(desk.ask(Job("s", f"until [ -e {gate} ]; do sleep 0.02; done")))
        many = await asyncio.gather(*(desk.ask(Job(str(n), f"echo {n}")) for n in range(40)))
        assert [int(r.stdout) for r in many] == list(range(40))
        assert not slow.done()
        gate.touch()
        assert (await slow).exit_status == 0
    assert len(lab.servers[0].commands) == 1


async def test_a_job_is_ended_at_its_time_limit_and_harms_no_other(one: SSHFleet) -> None:
    async with one.remotes[0].desk() as desk:
        hung, fine = await asyncio.gather(
            desk.ask(Job("h", "trap '' TERM; sleep 600", 0.2)), desk.ask(Job("f", "echo fine"))
        )
    assert hung.timed_out
    assert fine.stdout == b"fine\n"


async def test_leaving_ends_what_runs_on_the_node(lab: Lab, one: SSHFleet) -> None:
    mark = f"sleep 6{id(lab) % 10**8}"
    async with one.remotes[0].desk() as desk:
        task = asyncio.create_task(desk.ask(Job("x", f"{mark} & {mark}", 600.0)))
        await wait_for(lambda: processes(mark))
        task.cancel()
    await wait_for(lambda: not processes(mark))
    # and the connection is still good for another
    async with one.remotes[0].desk() as desk:
        assert (await desk.ask(Job("y", "echo y"))).stdout == b"y\n"


async def test_a_broken_connection_fails_all_who_wait_and_who_come_later(
    lab: Lab, one: SSHFleet
) -> None:
    async with one.remotes[0].desk() as desk:
        assert (await desk.ask(Job("a", "echo a"))).stdout == b"a\n"
        waiting = [asyncio.create_task(desk.ask(Job("b", "sleep 60"))) for _ in range(3)]
        await asyncio.sleep(0)
        lab.servers[0].cut()
        for task in waiting:
            with pytest.raises(ConnectionLost, match="node 0"):
                await task
        with pytest.raises(ConnectionLost, match="node 0"):
            await desk.ask(Job("c", "echo c"))
