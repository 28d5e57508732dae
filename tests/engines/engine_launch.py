"""A launch with a real container engine on two machines (make test-podman, make test-docker).

Opt-in, because it needs root, an engine and namespaces: the name of this file and of its neighbours
keeps them out of the ordinary run. Where they cannot run they are skipped and say why.
"""

from __future__ import annotations

import json
import os

from tests.engines.enginelab import NAME, EngineLab, wait_for
from tests.engines.launching import fleet_of, launch_of
from tests.engines.machines import Machine


def test_from_launch_to_stop_by_the_command_line(lab: EngineLab) -> None:
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


async def test_what_container_sh_asks_for_is_so_in_the_container(lab: EngineLab) -> None:
    preset = lab.preset(mounts=["/srv/data:/data:ro"])
    for machine in lab.nodes:
        machine.run("mkdir -p /srv/data && echo here >/srv/data/file")
    async with fleet_of(preset) as fleet:
        work = launch_of(fleet, preset)
        await work.start()
        for machine in lab.nodes:

            def inside(script: str, machine: Machine = machine) -> str:
                return machine.run(f"{lab.engine} exec {NAME} sh -c '{script}'").strip()

            assert inside("cat /etc/hccn.conf") == machine.run("cat /etc/hccn.conf").strip()
            assert inside("ls /dev | grep -c davinci[0-9]") == "16"
            # it is let through, and only then there is no driver behind it
            assert "No such device" in inside("cat /dev/davinci15 2>&1; true")
            assert int(inside('df -k /dev/shm | tail -1 | awk "{print \\$2}"')) == 1 << 20
            assert "Read-only" in machine.run(
                f"{lab.engine} exec {NAME} sh -c 'touch /v32-wizard/serve.sh' 2>&1", status=None
            )
            assert inside("cat /data/file") == "here"
            assert "init" in inside("cat /proc/1/comm")
            inside("echo from CANN >/root/ascend/log/plog")
            kept = f"/root/.v32-wizard/launches/{work.launch_id}/ascend-log/plog"
            assert machine.run(f"cat {kept}") == "from CANN\n"
            described = json.loads(machine.run(f"{lab.engine} inspect {NAME}"))[0]["HostConfig"]
            assert described["NetworkMode"] == "host"
            assert described["RestartPolicy"]["Name"] in {"", "no"}
            assert described["LogConfig"]["Type"] == lab.logs
        assert await work.stop() == []
        lab.nothing_left()


async def test_stop_leaves_what_others_run(lab: EngineLab) -> None:
    preset = lab.preset()
    async with fleet_of(preset) as fleet:
        work = launch_of(fleet, preset)
        await work.start()
        labels = "--label v32-wizard.preset=other --label v32-wizard.launch=x"
        for machine in lab.nodes:
            lab.stranger(machine, f"{NAME}-2")
            lab.stranger(machine, "other", labels)
        assert await work.stop() == []
    assert lab.containers() == [["other running", f"{NAME}-2 running"]] * 2


async def test_a_container_that_does_not_mind_term_is_killed(lab: EngineLab) -> None:
    preset = lab.preset(fault="1:stubborn")
    async with fleet_of(preset) as fleet:
        work = launch_of(fleet, preset, grace_s=1)
        await work.start()
        await work.follow(until_ready=True)
        assert work.state == "ready"
        assert await work.stop() == []
        assert [rank.state for rank in work.ranks] == ["stopped", "stopped"]
    lab.nothing_left()


def test_what_it_made_is_gone_with_the_tests(lab: EngineLab) -> None:
    lab.preset()
    lab.wizard("launch", "--yes", "--skip-checks")
    pids = [machine.pid for machine in lab.nodes]
    for machine in lab.nodes:
        machine.process.kill()
        machine.process.wait()
    wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), "process 1 gone")
