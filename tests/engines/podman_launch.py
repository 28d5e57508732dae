"""A launch with a real container engine: Debian's podman on two machines (make test-podman).

Opt-in, because it needs root, podman and namespaces: the file's name keeps it out of the ordinary
run. Where it cannot run it is skipped and says why.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.engines.machines import CannotRun, Machine
from tests.engines.podmanlab import NAME, PodmanLab, launch_of, podman_lab, wait_for
from tests.launch.bench import until
from wizard.errors import LaunchError
from wizard.launch import Launch
from wizard.presets import Preset
from wizard.remote.fleet import SSHFleet, open_fleet
from wizard.scripts import image

LIMIT_S = 120.0
VLLM = "/usr/local/bin/vllm"
STRANGER = "podman run -d --name {name} --net=host {image} sleep 1000"


@pytest.fixture(scope="module")
def _can_run(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Find out once; whatever goes wrong later is a failure."""
    try:
        with podman_lab(tmp_path_factory.mktemp("probe"), PodmanLab):
            pass
    except CannotRun as why:
        pytest.skip(f"cannot run here: {why}")


@pytest.fixture
def lab(_can_run: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PodmanLab]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("V32_WIZARD_HOME", str(tmp_path / "wizard"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with podman_lab(tmp_path, PodmanLab) as found:
        yield found


@asynccontextmanager
async def fleet_of(preset: Preset) -> AsyncIterator[SSHFleet]:
    async with open_fleet(preset.cluster) as fleet, asyncio.timeout(LIMIT_S):
        yield fleet


async def states(work: Launch) -> list[str]:
    return [node.state for node in (await work.status()).nodes]


def kill_vllm(machine: Machine) -> None:
    """Kill the stand-in in its container, as the kernel does when memory runs out."""
    machine.run(f"kill -9 $(pgrep -o -f '^/bin/sh {VLLM}')")


def identity(machine: Machine) -> str:
    """The id and the start of the container of the guide's name."""
    return machine.run(f"podman inspect -f '{{{{.Id}}}} {{{{.State.StartedAt}}}}' {NAME}")


# -- the whole way


def test_from_launch_to_stop_by_the_command_line(lab: PodmanLab) -> None:
    lab.preset()
    lab.wizard("status", status=1)
    assert "is served by node 0" in lab.wizard("launch", "--yes", "--skip-checks")
    assert lab.containers() == [[f"{NAME} running"]] * 2
    report = json.loads(lab.wizard("status", "--format", "json"))
    assert report["serving"] is True
    assert [node["state"] for node in report["nodes"]] == ["running", "running"]
    assert lab.wizard("chat", "hello").split() == ["a", "container", "answers", "this"]
    log = lab.wizard("logs", "--node", "1")
    assert "headless mode, with head node address tcp://" + lab.nodes[0].address in log
    again = lab.wizard("launch", "--yes", "--skip-checks", status=1)
    assert f"already, running, as launch {report['launch']}" in again

    assert "nothing of ours runs on any node" in lab.wizard("stop", "--yes")
    lab.nothing_left()
    lab.wizard("status", status=1)
    lab.wizard("stop", "--yes")  # again is no error
    for machine in lab.nodes:
        folder = f"/root/.v32-wizard/launches/{report['launch']}"
        assert machine.run(f"stat -c %a {folder}").strip() == "700"
        assert "init engine" in machine.run(f"cat {folder}/serve.log")


async def test_what_container_sh_asks_for_is_so_in_the_container(lab: PodmanLab) -> None:
    preset = lab.preset(mounts=["/srv/data:/data:ro"])
    for machine in lab.nodes:
        machine.run("mkdir -p /srv/data && echo here >/srv/data/file")
    async with fleet_of(preset) as fleet:
        work = launch_of(fleet, preset)
        await work.start()
        for machine in lab.nodes:

            def inside(script: str, machine: Machine = machine) -> str:
                return machine.run(f"podman exec {NAME} sh -c '{script}'").strip()

            assert inside("cat /etc/hccn.conf") == machine.run("cat /etc/hccn.conf").strip()
            assert inside("ls /dev | grep -c davinci[0-9]") == "16"
            # it is let through, and only then there is no driver behind it
            assert "No such device" in inside("cat /dev/davinci15 2>&1; true")
            assert int(inside('df -k /dev/shm | tail -1 | awk "{print \\$2}"')) == 1 << 20
            assert "Read-only" in machine.run(
                f"podman exec {NAME} sh -c 'touch /v32-wizard/serve.sh' 2>&1", status=None
            )
            assert inside("cat /data/file") == "here"
            assert "init" in inside("cat /proc/1/comm")
            inside("echo from CANN >/root/ascend/log/plog")
            kept = f"/root/.v32-wizard/launches/{work.launch_id}/ascend-log/plog"
            assert machine.run(f"cat {kept}") == "from CANN\n"
            described = json.loads(machine.run(f"podman inspect {NAME}"))[0]["HostConfig"]
            assert described["NetworkMode"] == "host"
            assert described["RestartPolicy"]["Name"] in {"", "no"}
            assert described["LogConfig"]["Type"] == "k8s-file"
        assert await work.stop() == []
        lab.nothing_left()


# -- what fails


async def test_a_worker_killed_while_it_loads(lab: PodmanLab) -> None:
    preset = lab.preset(pause=1.0)
    async with fleet_of(preset) as fleet:
        work = launch_of(fleet, preset)
        await work.start()
        follow = asyncio.create_task(work.follow())
        await until(lambda: "weights 2 of 4" in work.ranks[1].stage, limit_s=LIMIT_S)
        kill_vllm(lab.nodes[1])
        await follow
        assert work.state == "failed"
        # node 0 dies of it as well, with an error of its own: it is not the cause
        assert [rank.state for rank in work.ranks] == ["aborted", "failed"]
        assert f"node 1 ({lab.nodes[1].address}) failed: exited with code 137" in work.message
        assert await states(work) == ["absent", "absent"]
    lab.nothing_left()
    for machine in lab.nodes:
        kept = machine.run(f"cat /root/.v32-wizard/launches/{work.launch_id}/serve.log")
        assert "25% Completed" in kept


def test_out_of_memory_on_the_worker_is_named_by_the_command(lab: PodmanLab) -> None:
    lab.preset(fault="1:oom")
    said = lab.wizard("launch", "--yes", "--skip-checks", status=1)
    assert f"node 1 ({lab.nodes[1].address}) failed: exited with code 1" in said
    assert "NPU 0 ran out of memory while 896.00 MiB were asked for" in said
    assert "Traceback" not in said
    lab.nothing_left()


async def test_a_worker_killed_while_the_model_is_served(lab: PodmanLab) -> None:
    preset = lab.preset()
    async with fleet_of(preset) as fleet:
        work = launch_of(fleet, preset)
        await work.start()
        follow = asyncio.create_task(work.follow())
        await asyncio.wait_for(work.ready.wait(), LIMIT_S)
        kill_vllm(lab.nodes[1])
        await follow
        assert work.state == "failed"
        assert f"node 1 ({lab.nodes[1].address}) failed: exited with code 137" in work.message
        assert not work.ready.is_set()
        report = await work.status()
        assert [node.state for node in report.nodes] == ["running", "exited"]
        assert report.serving is False  # though node 0 still says so
        assert await work.stop() == []
    lab.nothing_left()


async def test_a_container_that_somebody_removes(lab: PodmanLab) -> None:
    preset = lab.preset(pause=1.0)
    async with fleet_of(preset) as fleet:
        work = launch_of(fleet, preset)
        await work.start()
        follow = asyncio.create_task(work.follow())
        await until(lambda: "weights" in work.ranks[1].stage, limit_s=LIMIT_S)
        lab.nodes[1].run(f"podman rm -f -t 0 {NAME}")
        await follow
        assert [rank.state for rank in work.ranks] == ["aborted", "failed"]
        assert "node 1" in work.message
    lab.nothing_left()


async def test_a_name_that_a_stranger_has(lab: PodmanLab) -> None:
    preset = lab.preset()
    lab.nodes[1].run(STRANGER.format(name=NAME, image=image(preset)))
    stranger = identity(lab.nodes[1])
    async with fleet_of(preset) as fleet:
        work = launch_of(fleet, preset)
        with pytest.raises(LaunchError, match=r"taken on node 1 .*running, not one of ours"):
            await work.start()
        assert await work.stop() == []
    assert lab.containers() == [[], [f"{NAME} running"]]
    assert identity(lab.nodes[1]) == stranger
    assert lab.nodes[0].run("ls -A /root/.v32-wizard/launches 2>/dev/null", status=None) == ""


async def test_npus_that_another_preset_has(lab: PodmanLab) -> None:
    preset = lab.preset()
    labels = "--label v32-wizard.preset=other --label v32-wizard.launch=x --device /dev/davinci3"
    lab.nodes[1].run(STRANGER.format(name=f"other {labels}", image=image(preset)))
    async with fleet_of(preset) as fleet:
        with pytest.raises(LaunchError, match=r"NPUs? 3 of node 1 .*held by the preset other"):
            await launch_of(fleet, preset).start()
    assert lab.containers() == [[], ["other running"]]


async def test_stop_leaves_what_others_run(lab: PodmanLab) -> None:
    preset = lab.preset()
    async with fleet_of(preset) as fleet:
        work = launch_of(fleet, preset)
        await work.start()
        labels = "--label v32-wizard.preset=other --label v32-wizard.launch=x"
        for machine in lab.nodes:
            machine.run(STRANGER.format(name=f"{NAME}-2", image=image(preset)))
            machine.run(STRANGER.format(name=f"other {labels}", image=image(preset)))
        assert await work.stop() == []
    assert lab.containers() == [["other running", f"{NAME}-2 running"]] * 2


async def test_an_image_that_one_node_has_not(lab: PodmanLab) -> None:
    preset = lab.preset()
    lab.nodes[1].run(f"podman rmi {image(preset)}")
    async with fleet_of(preset) as fleet:
        work = launch_of(fleet, preset)
        with pytest.raises(LaunchError, match=r"Node 1: the image is not on .*podman pull quay"):
            await work.start()
    lab.nothing_left()


@pytest.mark.parametrize("packed", [False, True], ids=["tar", "tar.gz"])
async def test_an_image_is_loaded_from_an_archive_where_it_is_missing(
    lab: PodmanLab, packed: bool
) -> None:
    archive = "/srv/image.tar.gz" if packed else "/srv/image.tar"
    preset = lab.preset(image_archive=archive)
    worker, reference = lab.nodes[1], image(preset)
    worker.run(f"mkdir -p /srv && podman save -q -o /srv/image.tar {reference}")
    worker.run("gzip -1 /srv/image.tar" if packed else "true")
    worker.run(f"podman rmi {reference}")
    async with fleet_of(preset) as fleet:
        work = launch_of(fleet, preset)
        with pytest.raises(LaunchError, match="Node 1: the image is not on the node"):
            await work.start()
        work.fetch_image = True
        await work.start()
        assert await states(work) == ["running", "running"]
        assert await work.stop() == []
    lab.nothing_left()


async def test_archives_that_podman_cannot_load(lab: PodmanLab) -> None:
    preset = lab.preset(image_archive="/srv/image.tar")
    worker, reference = lab.nodes[1], image(preset)
    worker.run(f"mkdir -p /srv && podman tag {reference} localhost/other:1")
    worker.run("podman save -q -o /srv/image.tar localhost/other:1")
    worker.run(f"podman rmi {reference} localhost/other:1")
    async with fleet_of(preset) as fleet:
        work = launch_of(fleet, preset)
        work.fetch_image = True
        with pytest.raises(LaunchError, match=rf"holds localhost/other:1, not {reference}"):
            await work.start()
        worker.run("truncate -s 5000 /srv/image.tar")
        with pytest.raises(LaunchError, match=r"node 1 .*is no image, or not whole"):
            await work.start()
        worker.run("rm /srv/image.tar")
        with pytest.raises(LaunchError, match=r"cannot be read on node 1 .*: no such file"):
            await work.start()
    lab.nothing_left()


async def test_a_registry_that_cannot_be_reached(lab: PodmanLab) -> None:
    preset = lab.preset()
    lab.nodes[1].run(f"podman rmi {image(preset)}")
    async with fleet_of(preset) as fleet:
        work = launch_of(fleet, preset)
        work.fetch_image = True
        with pytest.raises(LaunchError, match=r"node 1 .*cannot reach the registry"):
            await work.start()
    lab.nothing_left()


async def test_a_mount_that_one_node_has_not(lab: PodmanLab) -> None:
    preset = lab.preset()
    missing = "/usr/local/Ascend/driver/version.info"
    lab.nodes[1].run(f"rm {missing}")
    async with fleet_of(preset) as fleet:
        work = launch_of(fleet, preset)
        with pytest.raises(LaunchError, match=f"missing on the node: {missing}") as caught:
            await work.start()
        assert caught.value.node == 1
        assert [rank.state for rank in work.ranks] == ["aborted", "failed"]
    lab.nodes[1].run(f"[ ! -e {missing} ]")  # and it was not made, as docker would
    lab.nothing_left()


async def test_no_podman_and_no_space(lab: PodmanLab) -> None:
    preset = lab.preset()
    # no room for another file: df does not tell, so that only the engine itself can
    store = "/var/lib/containers"
    used = int(lab.nodes[1].run(f"df -i {store} | tail -1").split()[2])
    lab.nodes[1].run(f"mount -o remount,nr_inodes={used + 3} {store}")
    async with fleet_of(preset) as fleet:
        with pytest.raises(LaunchError, match=r"no space is left for podman on node 1"):
            await launch_of(fleet, preset).start()
        lab.nodes[1].run(f"mount -o remount,nr_inodes=0 {store}; mv /usr/bin/podman /tmp")
        with pytest.raises(LaunchError, match=r"(?i)node 1 .*podman"):
            await launch_of(fleet, preset).start()
    lab.nodes[1].run("mv /tmp/podman /usr/bin")
    lab.nothing_left()


async def test_a_container_that_does_not_mind_term_is_killed(lab: PodmanLab) -> None:
    preset = lab.preset(fault="1:stubborn")
    async with fleet_of(preset) as fleet:
        work = launch_of(fleet, preset, grace_s=1)
        await work.start()
        await work.follow(until_ready=True)
        assert work.state == "ready"
        assert await work.stop() == []
        assert [rank.state for rank in work.ranks] == ["stopped", "stopped"]
    lab.nothing_left()


# -- a node out of reach


async def test_out_of_reach_is_not_dead(lab: PodmanLab) -> None:
    preset = lab.preset()
    async with fleet_of(preset) as fleet:
        work = launch_of(fleet, preset)
        await work.start()
        follow = asyncio.create_task(work.follow())
        await asyncio.wait_for(work.ready.wait(), LIMIT_S)
        lab.room.cut(lab.nodes[1])
        await until(lambda: work.ranks[1].state == "unreachable", limit_s=LIMIT_S)
        assert work.state != "failed"
        lab.room.join(lab.nodes[1])
        await until(lambda: work.ranks[1].state == "ready", limit_s=LIMIT_S)
        assert work.state == "ready"
        lines = work.ranks[1].log.tail(100)
        assert len(lines) == len(set(lines)) > 5  # resumed, nothing twice
        follow.cancel()
        await asyncio.gather(follow, return_exceptions=True)
        assert await work.stop() == []
    lab.nothing_left()


async def test_out_of_reach_while_it_loads_is_not_ready(lab: PodmanLab) -> None:
    preset = lab.preset(pause=3.0)
    async with fleet_of(preset) as fleet:
        work = launch_of(fleet, preset)
        await work.start()
        follow = asyncio.create_task(work.follow(until_ready=True))
        await until(lambda: "weights" in work.ranks[1].stage, limit_s=LIMIT_S)
        lab.room.cut(lab.nodes[1])
        await until(lambda: work.ranks[1].state == "unreachable" or follow.done(), limit_s=LIMIT_S)
        assert work.state == "waiting"  # though node 0 may serve meanwhile
        lab.room.join(lab.nodes[1])
        await follow
        assert work.state == "ready"
        assert await work.stop() == []
    lab.nothing_left()


async def test_stop_while_a_node_is_out_of_reach(lab: PodmanLab) -> None:
    preset = lab.preset()
    async with fleet_of(preset) as fleet:
        work = launch_of(fleet, preset)
        await work.start()
        lab.room.cut(lab.nodes[1])
        (problem,) = await work.stop()
        assert f"may be left on node 1 ({lab.nodes[1].address})" in problem
        assert lab.containers()[0] == []
        lab.room.join(lab.nodes[1])
        assert await work.stop() == []
    lab.nothing_left()


# -- the wizard goes, the launch stays


def test_interrupted_it_goes_on_alone(lab: PodmanLab) -> None:
    lab.preset(pause=1.0)
    process = lab.start("launch", str(lab.path), "--yes", "--skip-checks")
    wait_for(lambda: lab.nodes[1].processes(VLLM), "the worker's vllm")
    wait_for(lambda: lab.nodes[0].processes("podman logs"), "its log being followed")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, (out, err)
    wait_for(lambda: "serving deepseek" in lab.wizard_says("status"), "the model served")
    lab.wizard("stop", "--yes")
    lab.nothing_left()


@pytest.mark.parametrize("stage", ["loading", "ready"])
async def test_killed_and_found_again(lab: PodmanLab, stage: str) -> None:
    preset = lab.preset(pause=1.0 if stage == "loading" else 0.05)
    process = lab.start("launch", str(lab.path), "--yes", "--skip-checks")
    await asyncio.to_thread(wait_for, lambda: lab.nodes[1].processes(VLLM), "the worker's vllm")
    if stage == "ready":
        assert process.wait(LIMIT_S) == 0  # it is done with: now a wizard that only follows
        process = lab.start("logs", str(lab.path), "-f")
        logs = "podman logs"
        await asyncio.to_thread(wait_for, lambda: lab.nodes[1].processes(logs), logs)
    process.kill()
    process.communicate()
    async with fleet_of(preset) as fleet:
        work = launch_of(fleet, preset)
        assert await work.attach()
        await work.follow(until_ready=True)
        assert work.state == "ready"
        follow = asyncio.create_task(work.follow())
        await until(lambda: work.ranks[1].log.end > 5, limit_s=LIMIT_S)
        assert "is activated" in work.ranks[1].log.line(0)  # from the start
        follow.cancel()
        await asyncio.gather(follow, return_exceptions=True)
        assert await work.stop() == []
    lab.nothing_left()


async def test_killed_before_the_worker_was_started(lab: PodmanLab) -> None:
    preset = lab.preset(fault="0:late")
    process = lab.start("launch", str(lab.path), "--yes", "--skip-checks")
    await asyncio.to_thread(wait_for, lambda: lab.nodes[0].processes(VLLM), "node 0's vllm")
    process.kill()
    process.communicate()
    async with fleet_of(preset) as fleet:
        work = launch_of(fleet, preset)
        assert await states(work) == ["running", "created"]
        assert await work.stop() == []
    lab.nothing_left()


async def test_two_wizards_at_once(lab: PodmanLab) -> None:
    preset = lab.preset()
    both = [lab.start("launch", str(lab.path), "--yes", "--skip-checks") for _ in range(2)]
    said = await asyncio.gather(*(asyncio.to_thread(p.communicate, None, 120) for p in both))
    assert sorted(process.returncode for process in both) == [0, 1], said
    loser = next(n for n, process in enumerate(both) if process.returncode)
    async with fleet_of(preset) as fleet:
        report = await launch_of(fleet, preset).status()
        assert report.serving
        assert report.launch_id in said[loser][1]  # it says whose launch holds the nodes
        assert "since" in said[loser][1]
    labels = "podman ps -a --format '{{.Labels}}'"
    for machine in lab.nodes:
        assert re.findall(r"v32-wizard\.launch:(\S+?)[\] ]", machine.run(labels)) == [
            report.launch_id
        ]
    lab.wizard("stop", "--yes")
    lab.nothing_left()


def test_what_it_made_is_gone_with_the_tests(lab: PodmanLab) -> None:
    lab.preset()
    lab.wizard("launch", "--yes", "--skip-checks")
    pids = [machine.pid for machine in lab.nodes]
    for machine in lab.nodes:
        machine.process.kill()
        machine.process.wait()
    wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), "process 1 gone")
