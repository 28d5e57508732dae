"""A preset edited after its launch: other nodes, another name, another container engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.launch.bench import FakeFleet, launch, preset, started
from wizard.errors import LaunchError, NotPermitted, UsageError
from wizard.launch import Launch, finding, pending
from wizard.launch.conflict import Taken, hint_of
from wizard.launch.launchplan import LaunchPlan
from wizard.launch.moved import left_elsewhere, other_nodes
from wizard.launch.runtime import Container
from wizard.presets import Preset, parse_preset
from wizard.scriptlines import LABEL_LAUNCH, LABEL_NODES

pytestmark = pytest.mark.usefixtures("no_devices")

A, B, C = "10.0.0.11", "10.0.0.12", "10.0.0.13"


def made(*hosts: str) -> Container:
    labels = {LABEL_LAUNCH: "x", LABEL_NODES: ",".join(hosts)}
    return Container("i", "vllm-ascend", "running", labels=labels)


def on(*hosts: str, name: str = "lab") -> Preset:
    nodes = [{"host": host, "local_ip": host, "nic": "eth0"} for host in hosts]
    body = {"version": 1, "name": name, "series": "A2", "precision": "w8a8", "nodes": nodes}
    return parse_preset(json.dumps(body))


def edited(first: FakeFleet, changed: Preset, folder: Path) -> FakeFleet:
    """The fleet of a preset that was changed: the same machines where it names the same hosts."""
    second = FakeFleet(changed, folder)
    machines = {node.node.host: node for node in first.nodes}
    for node in second.nodes:
        if (machine := machines.get(node.node.host)) is not None:
            node.home, node.files = machine.home, machine.files
    return second


@pytest.mark.parametrize(
    ("was", "there", "now", "differs"),
    [
        ((A, B), (True, True), (A, B), False),
        ((A, B), (True, False), (A, B), False),  # somebody removed it, which is a failure
        ((A, B), (True, True), ("alias-a", "alias-b"), False),
        ((A, B), (True, False), (A, C), True),
        ((A, B), (True, True), (B, A), True),
        ((A, B), (True,), (A,), True),
        ((), (True, True), (A, B), False),  # an older wizard's
    ],
)
def test_whether_a_launch_is_of_these_nodes(
    was: tuple[str, ...], there: tuple[bool, ...], now: tuple[str, ...], differs: bool
) -> None:
    found = [made(*was) if one else None for one in there]
    text = other_nodes(found, now, "lab")
    assert bool(text) is differs
    assert not differs or (", ".join(was) in text and ", ".join(now) in text)


def test_only_what_was_not_found_may_be_left() -> None:
    assert left_elsewhere([made(A, B), made(A, B)], ["alias-a", "alias-b"]) == []
    assert left_elsewhere([made(A, B)], [A, B]) == []
    (text,) = left_elsewhere([made(A, B)], [A, C])
    assert B in text
    assert A not in text


async def test_it_is_neither_followed_nor_ended_and_a_stop_tells_what_it_leaves(
    tmp_path: Path,
) -> None:
    first = FakeFleet(on(A, B), tmp_path / "1")
    await started(first)
    for hosts in ((A, C), (B, A)):
        work = launch(edited(first, on(*hosts), tmp_path / "-".join(hosts)))
        with pytest.raises(LaunchError, match=f"{A}, {B}, but its nodes are now"):
            await work.attach()
        assert not work.found
    assert "its nodes are now" in (await work.status()).to_text()

    renamed = launch(edited(first, on(A, B, name="renamed"), tmp_path / "3"))
    assert "node 1 (10.0.0.12) has a container of lab" in (await renamed.status()).remark
    with pytest.raises(Taken, match="is taken on node 0") as taken:
        await renamed.refuse()
    assert "give it that name again" in hint_of(taken.value.holder)
    assert await renamed.stop() == []
    assert [f"a container of {first.preset.name}" in note for note in renamed.notes] == [True] * 2
    assert [node.status for node in first.nodes] == ["running", "running"]

    (problem,) = await launch(edited(first, on(A, C), tmp_path / "2")).stop()
    assert f"was made for {B} too" in problem
    assert [node.status for node in first.nodes] == ["absent", "running"]


async def test_what_runs_under_the_engine_that_the_preset_named_before_is_told_and_stopped(
    tmp_path: Path,
) -> None:
    first = FakeFleet(preset(), tmp_path)
    await started(first)
    for node in first.nodes:
        (node.files / "podman").mkdir()
    now = preset(container={"runtime": "podman"})
    pending._write("lab", [pending.Pending("lab", 1, now.nodes[1].host, 0.0, "may be left")])

    def work() -> Launch:
        return launch(FakeFleet(now, tmp_path))

    status = await work().status()
    assert [(node.state, "running under docker" in node.error) for node in status.nodes] == [
        ("absent", True)
    ] * 2
    assert "container.runtime: docker again" in status.remark
    assert status.pending, "something is there: the stop is not done"
    with pytest.raises(LaunchError, match="is under docker"):
        await work().attach()
    with pytest.raises(Taken, match="already, running under docker") as taken:
        await work().refuse()
    assert "v32-wizard stop lab" in hint_of(taken.value.holder)
    plan = LaunchPlan(now, "x", survey=await work().survey())
    assert [": ours: preset lab" in line for line in plan.container_lines()] == [True] * 2
    assert [(i["node"], i["engine"]) for i in plan.to_json()["running"]] == [
        (0, "docker"),
        (1, "docker"),
    ]
    with pytest.raises(UsageError, match="is running under docker on node 0"):
        [line async for line in work().logs(0)]
    found = await finding.find_running(now, lambda *_: FakeFleet(now, tmp_path))  # type: ignore[arg-type]
    assert found is not None
    assert (found.nodes, found.preset.container.runtime) == (2, "docker")

    broken = first.nodes[0].files / "broken"
    broken.write_text("Cannot connect to the Docker daemon")
    for _ in range(2):  # the first has found containers of docker's on node 1, the second none
        (problem,) = await work().stop()
        assert "docker does not run on node 0" in problem
        status = await work().status()
        assert [node.state for node in status.nodes] == ["unknown", "absent"]
        assert [stop.rank for stop in status.pending] == [0]
    with pytest.raises(LaunchError, match="docker does not run on node 0"):
        await work().attach()
    plan = LaunchPlan(now, "x", survey=await work().survey())
    assert plan.container_lines() == ["node 0: not known"]
    broken.unlink()
    assert await work().stop() == []
    assert [node.status for node in first.nodes] == ["absent", "absent"]
    asked = [node.calls("ps") for node in first.nodes]
    assert not (await work().status()).pending
    assert [node.calls("ps") for node in first.nodes] == asked, "nothing of docker's is left there"


async def test_another_engine_is_asked_only_where_a_launch_may_be_under_it(
    tmp_path: Path,
) -> None:
    fleet = FakeFleet(preset(), tmp_path)
    for node in fleet.nodes:
        (node.files / "podman").mkdir()
    work = await started(fleet)
    assert (await launch(fleet).status()).launch_id == work.launch_id
    assert await launch(fleet).present()
    assert not any((node.files / "podman" / "calls").exists() for node in fleet.nodes)
    now = FakeFleet(preset(container={"runtime": "podman"}), tmp_path)
    for node in now.nodes:
        node.denies, node.sudo = True, NotPermitted("sudo needs a password", node=node.node.rank)
    problems = await launch(now).stop()
    told = "user that we are on node {} (10.0.0.1{}) may not use docker"
    assert [told.format(rank, rank + 1) in text for rank, text in enumerate(problems)] == [True] * 2
    assert [node.status for node in fleet.nodes] == ["running", "running"]
    for node in now.nodes:
        node.denies = False
        (node.files / "broken").write_text("Cannot connect to the Docker daemon")
        (node.files / "podman" / "image").touch()
    now.nodes[0].listens()  # else the checks find the port taken
    await started(now)
    assert [left.rank for left in pending.of_preset("lab")] == [0, 1], "who knows?"
