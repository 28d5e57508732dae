"""Starting all nodes or none, on the bench: real bash, files in place of a container engine."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.launch.bench import RPC, FakeFleet, launch, preset, started, until
from wizard.errors import CommandTimeout, LaunchError, NotPermitted, Unreachable, UsageError
from wizard.remote.api import Completed
from wizard.scripts import api_port

pytestmark = pytest.mark.usefixtures("no_devices")


async def test_the_order_of_a_start(fleet: FakeFleet) -> None:
    work = launch(fleet)
    task = asyncio.create_task(work.start())
    head, worker = fleet.nodes
    await until(lambda: head.status == "running")
    await until(lambda: "RPC port 13389" in work.ranks[1].detail)
    asked = head.calls("inspect")
    await until(lambda: head.calls("inspect") > asked + 2)  # whether its container still runs
    assert worker.status == "created"
    assert work.state == "starting"
    head.listens(RPC)
    async with asyncio.timeout(10):
        await task
    assert worker.status == "running"
    assert work.state == "waiting"
    folder = head.home / ".v32-wizard/launches" / work.launch_id
    assert sorted(p.name for p in folder.iterdir()) == ["container.sh", "serve.sh"]
    assert head.container["Config"]["Labels"]["v32-wizard.launch"] == work.launch_id


async def test_node_0_that_dies_before_its_port_listens(fleet: FakeFleet) -> None:
    work = launch(fleet)
    task = asyncio.create_task(work.start())
    await until(lambda: fleet.nodes[0].status == "running")
    fleet.nodes[0].says("ModuleNotFoundError: No module named 'vllm'")
    fleet.nodes[0].dies(1)
    with pytest.raises(LaunchError, match="No module named 'vllm'"):
        await asyncio.wait_for(task, 10)
    assert work.state == "failed"
    assert [r.state for r in work.ranks] == ["failed", "aborted"]
    assert [n.status for n in fleet.nodes] == ["absent", "absent"]


async def test_an_rpc_port_that_never_listens(fleet: FakeFleet) -> None:
    work = launch(fleet, rpc_wait_s=0.2)
    with pytest.raises(LaunchError, match=r"did not open its RPC port 13389"):
        await asyncio.wait_for(work.start(), 10)
    assert [n.status for n in fleet.nodes] == ["absent", "absent"]


async def test_a_start_that_is_cancelled_leaves_nothing(fleet: FakeFleet) -> None:
    work = launch(fleet)
    task = asyncio.create_task(work.start())
    await until(lambda: fleet.nodes[0].status == "running")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 10)
    assert [n.status for n in fleet.nodes] == ["absent", "absent"]
    assert work.state == "failed"
    assert work.message == "Cancelled while starting; nothing of it is left."
    assert {r.detail for r in work.ranks} == {"Cancelled while starting"}


async def test_a_missing_image_is_told_before_anything_is_made(fleet: FakeFleet) -> None:
    (fleet.nodes[1].files / "image").unlink()
    work = launch(fleet)
    with pytest.raises(LaunchError, match=r"Node 1: the image is not on the node.*docker pull"):
        await work.start()
    assert [n.calls("create") for n in fleet.nodes] == [0, 0]
    assert not list(fleet.nodes[0].home.glob(".v32-wizard/launches/*"))


async def test_a_name_taken_by_a_stranger(fleet: FakeFleet) -> None:
    fleet.nodes[1].stranger("vllm-ascend")
    with pytest.raises(LaunchError, match=r"vllm-ascend is taken on node 1.*busybox, running"):
        await launch(fleet).start()
    assert fleet.nodes[1].status == "running"
    assert fleet.nodes[0].containers() == []


async def test_our_preset_runs_already(fleet: FakeFleet) -> None:
    first = await started(fleet)
    for step in (launch(fleet).refuse, launch(fleet).start):
        with pytest.raises(LaunchError, match=rf"already, running, as launch {first.launch_id}"):
            await step()
    assert [n.status for n in fleet.nodes] == ["running", "running"]


async def test_a_port_that_is_taken(fleet: FakeFleet) -> None:
    fleet.nodes[0].listens(api_port(fleet.preset))
    with pytest.raises(LaunchError, match=r"Node 0: taken: 8000 \(the API\).*ss -ltnp"):
        await launch(fleet).start()
    assert fleet.nodes[0].containers() == []


async def test_an_engine_that_does_not_run(fleet: FakeFleet) -> None:
    (fleet.nodes[1].files / "broken").write_text(
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock."
    )
    with pytest.raises(LaunchError, match=r"docker does not run on node 1"):
        await launch(fleet).start()


async def test_a_create_that_fails_takes_back_the_others(fleet: FakeFleet) -> None:
    (fleet.nodes[1].files / "refuse").write_text("container.sh: /dev/davinci3 is missing\n")
    work = launch(fleet)
    with pytest.raises(LaunchError, match=r"node 1 .*davinci3 is missing"):
        await work.start()
    assert fleet.nodes[0].containers() == []
    assert [r.state for r in work.ranks] == ["aborted", "failed"]


async def test_an_engine_that_hangs_is_told_once_and_with_its_cause(
    fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, answers, hung = fleet.nodes[1], fleet.nodes[1].run, []

    async def run(command: str, **options: Any) -> Completed:
        if hung:
            raise CommandTimeout("no end within 15 s.", node=1)
        hung.extend(["since then"] * ("container.sh create" in command))
        return await answers(command, **options)

    node.lose = ["container.sh create"]  # so that it is asked whether it was made
    monkeypatch.setattr(node, "run", run)
    work = launch(fleet)
    with pytest.raises(LaunchError, match="may be left on node 1") as caught:
        await work.start()
    for told in (str(caught.value), work.message):
        assert told.count("docker does not answer") == told.count("timeout 20 docker info") == 1
    assert isinstance(caught.value.__cause__, LaunchError)  # which --debug shows


async def test_a_lost_answer_is_asked_for_not_guessed(fleet: FakeFleet) -> None:
    fleet.nodes[1].lose = ["container.sh create", "docker start"]
    work = await started(fleet)
    assert work.state == "waiting"
    assert fleet.nodes[1].calls("create") == 1
    assert fleet.nodes[1].lose == []


async def test_a_node_out_of_reach_at_the_start(fleet: FakeFleet) -> None:
    fleet.nodes[1].unreachable = True
    work = launch(fleet)
    with pytest.raises(Unreachable, match="node 1"):
        await work.start()
    assert work.ranks[1].state == "unreachable"
    assert fleet.nodes[0].containers() == []


async def test_strict_guide_is_refused(tmp_path: Path) -> None:
    fleet = FakeFleet(preset(strict_guide=True), tmp_path)
    for step in (launch(fleet).refuse, launch(fleet).start):
        with pytest.raises(UsageError, match="strict_guide"):
            await step()
    assert fleet.nodes[0].calls("ps") == 0


async def test_the_log_of_node_0_is_shown_while_the_workers_wait(fleet: FakeFleet) -> None:
    work = launch(fleet)
    task = asyncio.create_task(work.start())
    await until(lambda: fleet.nodes[0].status == "running")
    fleet.nodes[0].says("INFO Platform plugin ascend is activated")
    await until(lambda: work.ranks[0].stage == "python")
    fleet.nodes[0].listens(RPC)
    await task
    assert work.ranks[0].log.tail(5) == ["INFO Platform plugin ascend is activated"]


async def test_docker_that_is_not_for_our_user_is_used_by_sudo(fleet: FakeFleet) -> None:
    for node in fleet.nodes:
        node.denies = True
    work = await started(fleet)
    assert [n.status for n in fleet.nodes] == ["running", "running"]
    fleet.nodes[0].listens()
    assert await work.stop() == []
    assert [n.status for n in fleet.nodes] == ["absent", "absent"]


async def test_docker_that_no_sudo_opens_is_told_with_both_reasons(fleet: FakeFleet) -> None:
    fleet.nodes[1].denies = True
    fleet.nodes[1].sudo = NotPermitted("sudo refused the password of the user ops.")
    with pytest.raises(LaunchError, match=r"node 1 .*may not use docker.*sudo refused the pass"):
        await asyncio.wait_for(launch(fleet).start(), 10)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            "Error response from daemon: unknown or invalid runtime name: ascend",
            r"docker on node 1 .*has no OCI runtime ascend\..*daemon\.json",
        ),
        (
            "Error response from daemon: error gathering device information while adding custom "
            'device "/dev/davinci3": no such file or directory',
            r"node 1 .* has no device /dev/davinci3, .*ls -l /dev/davinci",
        ),
        (
            "Error response from daemon: write /var/lib/docker/overlay2/x: no space left on device",
            r"no space is left for docker on node 1 .*docker system df",
        ),
    ],
    ids=["runtime", "device", "space"],
)
async def test_what_an_engine_refuses_to_create(fleet: FakeFleet, said: str, words: str) -> None:
    (fleet.nodes[1].files / "refuse").write_text(f"{said}\n")
    with pytest.raises(LaunchError, match=words):
        await launch(fleet).start()
    assert [n.status for n in fleet.nodes] == ["absent", "absent"]
