"""Launches with a real engine outlive their wizard, wherever it was killed (SIGKILL)."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.engines.enginelab import NAME, VLLM, EngineLab, wait_for
from tests.engines.launching import LIMIT_S, fleet_of, followed, launch_of
from wizard.launch.progress import Phase

LAUNCH = ("--yes", "--skip-checks")


@contextmanager
def killed_wizard(lab: EngineLab, when: Callable[[], object]) -> Iterator[None]:
    """A launch whose wizard is killed at a moment. Strangers on both nodes are left as they are."""
    before = [lab.stranger(machine, "stranger") for machine in lab.nodes]
    wizard = lab.start("launch", str(lab.path), *LAUNCH)
    wait_for(lambda: when() or wizard.poll() is not None, "the moment to kill the wizard")
    assert wizard.poll() is None, wizard.communicate()
    wizard.kill()
    wizard.communicate()
    yield
    assert "nothing of ours runs on any node" in lab.wizard("stop", "--yes")
    lab.nothing_left("stranger")
    assert [lab.identity(machine, "stranger") for machine in lab.nodes] == before


def ours(lab: EngineLab) -> list[list[str]]:
    """By node, how our container is there."""
    return [[one for one in found if one.startswith(NAME)] for found in lab.containers()]


def go(lab: EngineLab, rank: int) -> None:
    """Let the stand-in of a rank go on; see standin/vllm."""
    lab.nodes[rank].run("for one in /root/.v32-wizard/launches/*; do touch $one/go; done")


async def served_with_its_story(lab: EngineLab) -> None:
    """Find the launch from a wizard that knows the preset alone: its stages, its logs."""
    async with followed(lab.preset(), found=True) as launch:
        await launch.ready()
        for rank in launch.work.ranks:
            await launch.log(rank.rank, "startup complete" if rank.rank == 0 else "init engine")
            assert {
                Phase.CONTAINER,
                Phase.PYTHON,
                Phase.HANDSHAKE,
                Phase.WEIGHTS,
                Phase.KV_CACHE,
            } <= {*rank.phases}
            assert "is activated" in rank.log.line(0)
            lines = rank.log.tail(100)
            assert len(lines) == len(set(lines))


def test_killed_when_only_node_0_has_its_container(lab: EngineLab) -> None:
    lab.preset()
    held = lab.hold(lab.nodes[1], "create")
    with killed_wizard(lab, lambda: lab.nodes[1].processes(f"{lab.engine} create")):
        held()
        assert ours(lab) == [[f"{NAME} created"], []]
        said = lab.wizard("launch", "--attach", status=1)
        assert "v32-wizard stop" in said
        assert ours(lab) == [[f"{NAME} created"], []]
        assert "created" in lab.wizard("launch", *LAUNCH, status=1)
        assert "is served by node 0" in lab.wizard("launch", "--restart", *LAUNCH)


def test_killed_when_all_containers_are_made(lab: EngineLab) -> None:
    lab.preset()
    held = lab.hold(lab.nodes[0], "start")
    with killed_wizard(lab, lambda: lab.nodes[0].processes(f"{lab.engine} start")):
        held()
        assert ours(lab) == [[f"{NAME} created"]] * 2
        assert "is served by node 0" in lab.wizard("launch", "--attach")
        asyncio.run(served_with_its_story(lab))


def test_killed_when_only_node_0_was_started(lab: EngineLab) -> None:
    lab.preset(fault="0:late")
    with killed_wizard(lab, lambda: lab.nodes[0].processes(VLLM)):
        assert ours(lab) == [[f"{NAME} running"], [f"{NAME} created"]]
        go(lab, 0)
        assert "is served by node 0" in lab.wizard("launch", "--attach")
        asyncio.run(served_with_its_story(lab))


async def test_killed_while_it_loads(lab: EngineLab) -> None:
    preset = lab.preset(fault="1:waits")
    with killed_wizard(lab, lambda: lab.nodes[1].processes(VLLM)):
        async with followed(preset, found=True) as launch:
            await launch.stage(1, "weights 2 of 4")
            await launch.log(1, "is activated")  # the stage is known before the log is read
            assert "is activated" in launch.work.ranks[1].log.line(0)
            go(lab, 1)
            await launch.ready()
        assert "is served by node 0" in await asyncio.to_thread(lab.wizard, "launch", "--attach")


def test_killed_while_the_model_is_served(lab: EngineLab) -> None:
    lab.preset()
    following = f"{lab.engine} logs"

    def serves() -> bool:
        return "serving deepseek" in lab.wizard_says("status")

    with killed_wizard(lab, lambda: lab.nodes[1].processes(VLLM)):
        wait_for(serves, "the model served")
        wizard = lab.start("logs", str(lab.path), "-f")
        wait_for(lambda: lab.nodes[1].processes(following), "a wizard that follows the logs")
        wizard.kill()
        wizard.communicate()
        wait_for(lambda: not lab.nodes[1].processes(following), "the end of its commands")
        assert "is served by node 0" in lab.wizard("launch", "--attach")
        asyncio.run(served_with_its_story(lab))


async def test_killed_and_stopped_before_the_worker_was_started(lab: EngineLab) -> None:
    lab.preset(fault="0:late")
    with killed_wizard(lab, lambda: lab.nodes[0].processes(VLLM)):
        assert "created" in lab.wizard("status", status=1)


def test_interrupted_it_goes_on_alone(lab: EngineLab) -> None:
    lab.preset(pause=1.0)
    process = lab.start("launch", str(lab.path), "--yes", "--skip-checks")
    wait_for(lambda: lab.nodes[1].processes(VLLM), "the worker's vllm")
    wait_for(lambda: lab.nodes[0].processes(f"{lab.engine} logs"), "its log being followed")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130, (out, err)
    wait_for(lambda: "serving deepseek" in lab.wizard_says("status"), "the model served")
    lab.wizard("stop", "--yes")
    lab.nothing_left()


async def test_two_wizards_at_once(lab: EngineLab) -> None:
    preset = lab.preset()
    both = [lab.start("launch", str(lab.path), "--yes", "--skip-checks") for _ in range(2)]
    said = await asyncio.gather(*(asyncio.to_thread(p.communicate, None, LIMIT_S) for p in both))
    assert sorted(process.returncode for process in both) == [0, 1], said
    loser = next(n for n, process in enumerate(both) if process.returncode)
    async with fleet_of(preset) as fleet:
        report = await launch_of(fleet, preset).status()
        assert report.serving
        assert report.launch_id in said[loser][1]  # it says whose launch holds the nodes
        assert "since" in said[loser][1]
    label = f"{lab.engine} inspect -f '{{{{index .Config.Labels \"v32-wizard.launch\"}}}}' {NAME}"
    assert [machine.run(label).strip() for machine in lab.nodes] == [report.launch_id] * 2
    lab.wizard("stop", "--yes")
    lab.nothing_left()
