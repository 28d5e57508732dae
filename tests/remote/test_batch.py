"""Many small commands as one framed script."""

from __future__ import annotations

import asyncio
import secrets
import time

import pytest
from remote_lab import Lab, processes, wait_for

from wizard.errors import ConnectionLost, RemoteError
from wizard.remote.api import Job, JobResult
from wizard.remote.fleet import SSHFleet


async def collect(fleet: SSHFleet, jobs: list[Job], width: int = 4) -> dict[str, JobResult]:
    return {r.id: r async for r in fleet.remotes[0].batch(jobs, width=width)}


async def test_streams_status_and_bytes_come_back_as_they_are(one: SSHFleet) -> None:
    every = "".join(f"\\{n:03o}" for n in range(256))
    jobs = [
        Job("ok", "echo out; echo err >&2; exit 3"),
        Job("bytes", f"printf '{every}'"),
        Job('it\'s "quoted" \n', "printf '%s' \"it's\""),
        Job("silent", "true"),
        Job("no such", "no-such-tool-here -g"),
    ]
    results = await collect(one, jobs)
    assert set(results) == {job.id for job in jobs}
    ok = results["ok"]
    assert (ok.exit_status, ok.stdout, ok.stderr) == (3, b"out\n", b"err\n")
    assert results["bytes"].stdout == bytes(range(256))
    assert results[jobs[2].id].stdout == b"it's"
    assert (results["silent"].exit_status, results["silent"].stdout) == (0, b"")
    assert results["no such"].exit_status == 127
    assert b"not found" in results["no such"].stderr


async def test_it_is_one_channel_for_all_jobs(lab: Lab, one: SSHFleet) -> None:
    results = await collect(one, [Job(str(n), f"echo {n}", lane=str(n % 16)) for n in range(96)])
    assert {k: int(r.stdout) for k, r in results.items()} == {str(n): n for n in range(96)}
    assert len(lab.servers[0].commands) == 1


async def test_a_lanes_jobs_run_in_order_and_lanes_side_by_side(lab: Lab, one: SSHFleet) -> None:
    log = lab.folder / "log"
    jobs = [
        Job(
            f"{lane}{n}", f"echo +{lane}{n} >>{log}; sleep 0.05; echo -{lane}{n} >>{log}", lane=lane
        )
        for n in range(4)
        for lane in "abcdef"
    ]
    await collect(one, jobs, width=3)
    running: set[str] = set()
    most = 0
    order: dict[str, list[int]] = {}
    for line in log.read_text().split():
        name = line[1:]
        if line[0] == "+":
            assert name[0] not in {r[0] for r in running}, "one lane never does two things"
            running.add(name)
            order.setdefault(name[0], []).append(int(name[1:]))
        else:
            running.remove(name)
        most = max(most, len(running))
    assert most == 3
    assert order == {lane: [0, 1, 2, 3] for lane in "abcdef"}


async def test_answers_come_as_they_are_ready(lab: Lab, one: SSHFleet) -> None:
    gate = lab.folder / "gate"
    jobs = [
        Job("slow", f"until [ -e {gate} ]; do sleep 0.02; done", lane="a"),
        Job("fast", "true", lane="b"),
    ]
    order = []
    async for result in one.remotes[0].batch(jobs):
        order.append(result.id)
        gate.touch()
    assert order == ["fast", "slow"]


async def test_each_job_has_its_own_time_limit(one: SSHFleet) -> None:
    marker = f"9{secrets.randbelow(10**9):09}"
    jobs = [
        Job("hangs", f"echo before; sleep {marker}; echo after", timeout_s=0.3),
        Job("stubborn", f"trap '' TERM; sleep {marker}; sleep {marker}", timeout_s=0.3),
        Job("next", "echo fine"),
    ]
    results = await collect(one, jobs)
    assert results["hangs"].timed_out
    assert results["hangs"].stdout == b"before\n"
    assert 0.2 <= results["hangs"].duration_s < 5
    assert results["stubborn"].timed_out
    assert results["next"].stdout == b"fine\n"
    await wait_for(lambda: not processes(marker))


async def test_big_output_is_cut_on_the_node_and_others_go_on(one: SSHFleet) -> None:
    jobs = [
        Job("big", "yes 0123456789 | head -c 20000000; echo done >&2"),
        Job("zeros", "head -c 5000 /dev/zero; printf '\\n\\n\\035N'"),
        Job("next", "echo fine"),
    ]
    results = await collect(one, jobs)
    assert results["big"].stdout == (b"0123456789\n" * 30000)[: 1 << 18]
    assert (results["big"].stderr, results["big"].exit_status) == (b"done\n", 0)
    assert results["zeros"].stdout == b"\0" * 5000 + b"\n\n\x1dN"
    assert results["next"].stdout == b"fine\n"


async def test_a_noisy_login_shell_and_forged_frames_change_nothing(
    lab: Lab, one: SSHFleet
) -> None:
    (lab.servers[0].home / ".bashrc").write_text(
        r"printf '\036deadbeef x 0 0 3\n0 1\n'; printf 'no newline'; (sleep 0.05; echo late) &"
    )
    forged = r"printf '\036%s x 1 0 3\n0 1\n' deadbeef"
    results = await collect(one, [Job("a", forged + "; sleep 0.2"), Job("b", "echo b; exit 4")])
    assert results["a"].stdout == b"\x1edeadbeef x 1 0 3\n0 1\n"
    assert (results["b"].exit_status, results["b"].stdout) == (4, b"b\n")


async def test_a_cut_connection_loses_only_what_had_not_come(lab: Lab, one: SSHFleet) -> None:
    marker = f"9{secrets.randbelow(10**9):09}"
    jobs = [Job("a", "echo a"), Job("b", f"sleep {marker}", timeout_s=60), Job("c", "echo c")]
    came = []

    async def take() -> None:
        async for result in one.remotes[0].batch(jobs):
            came.append(result.id)
            lab.servers[0].cut()

    with pytest.raises(ConnectionLost, match="2 of 3 commands"):
        await take()
    assert came == ["a"]
    await wait_for(lambda: not processes(marker))


async def test_a_script_that_dies_in_the_middle_is_lost_though_it_has_a_status(
    one: SSHFleet,
) -> None:
    # the job ends the script around it: no trailer, whatever the exit status says
    kill = "read -r _ _ _ a _ </proc/$PPID/stat; read -r _ _ _ b _ </proc/$a/stat; kill -KILL $b"
    with pytest.raises(ConnectionLost, match="1 of 2 commands"):
        await collect(one, [Job("a", "echo a"), Job("b", kill + "; sleep 5", timeout_s=6)])


@pytest.mark.parametrize("command", ["sleep {}", "sleep {} | cat", "trap '' TERM; sleep {}; :"])
async def test_cancelling_ends_all_that_runs_on_the_node(one: SSHFleet, command: str) -> None:
    marker = f"9{secrets.randbelow(10**9):09}"
    line = command.format(marker)
    jobs = [Job(str(n), line, timeout_s=60, lane=str(n)) for n in range(6)]
    task = asyncio.create_task(collect(one, jobs, width=3))
    await wait_for(lambda: len(processes(f"sleep\0{marker}")) == 3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await wait_for(lambda: not processes(marker))


async def test_leaving_the_loop_ends_all_that_runs_on_the_node(one: SSHFleet) -> None:
    marker = f"9{secrets.randbelow(10**9):09}"
    jobs = [Job("a", "true"), Job("b", f"sleep {marker}", timeout_s=60)]
    batch = one.remotes[0].batch(jobs)
    async for _ in batch:
        break
    await wait_for(lambda: bool(processes(f"sleep\0{marker}")))
    await batch.aclose()  # type: ignore[attr-defined]
    await wait_for(lambda: not processes(marker))


async def test_what_a_job_leaves_behind_does_not_hold_up_the_next(one: SSHFleet) -> None:
    marker = f"9{secrets.randbelow(10**9):09}"
    began = time.monotonic()
    results = await collect(one, [Job("a", f"sleep {marker} & echo a"), Job("b", "echo b")])
    assert (results["a"].stdout, results["b"].stdout) == (b"a\n", b"b\n")
    assert time.monotonic() - began < 5
    await wait_for(lambda: not processes(marker))


async def test_no_jobs_open_no_channel(lab: Lab, one: SSHFleet) -> None:
    assert await collect(one, []) == {}
    assert lab.servers[0].commands == []


async def test_a_node_without_bash_says_so(lab: Lab, one: SSHFleet) -> None:
    (lab.servers[0].home / ".bashrc").write_text("echo 'This account is not available.'; exit 1\n")
    with pytest.raises(RemoteError, match=r"could not start bash.*This account is not available"):
        await collect(one, [Job("a", "true")])
    with pytest.raises(RemoteError, match=r"could not start bash.*This account is not available"):
        await one.remotes[0].run("true")
