"""Who holds what a launch needs: two wizards, the same preset, name or NPUs; and taking it over."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.launch.bench import RPC, FakeFleet, launch, preset, started, until
from wizard import cli
from wizard.commands import launch as commands
from wizard.errors import LaunchError, WizardError
from wizard.launch import Launch
from wizard.launch.conflict import Claim, Taken, hint_of
from wizard.launch.fence import Fence, new_fence, owner
from wizard.launch.runtime import Container, Listing
from wizard.paths import state_dir
from wizard.scriptlines import LABEL_LAUNCH, LABEL_OWNER, LABEL_PRESET, LABEL_TOKEN

pytestmark = pytest.mark.usefixtures("no_devices")
MINE = Fence("mine", "t1")


def box(
    ident: str,
    *,
    preset: str = "other",
    launch: str = "theirs",
    token: str = "t2",
    at: float = 10.0,
    status: str = "created",
    npus: frozenset[int] | None = frozenset({3}),
) -> Container:
    labels = {LABEL_PRESET: preset, LABEL_LAUNCH: launch, LABEL_TOKEN: token, LABEL_OWNER: "a@b"}
    return Container(ident, f"box-{ident}", status, created_at=at, labels=labels, npus=npus)


def claim(*npus: int) -> Claim:
    return Claim("lab", "vllm-ascend", frozenset(npus), MINE)


def mine(at: float, *npus: int) -> Container:
    return box("m", preset="lab", launch="mine", token="t1", at=at, npus=frozenset(npus))


def of(*containers: Container, clock: float | None = None) -> Listing:
    return Listing(list(containers), clock)


def test_npus_that_overlap_are_told_with_owner_and_age() -> None:
    found = claim(2, 3, 4).contested(1, "node 1 (h)", of(box("x"), clock=70.0), of())
    assert found is not None
    assert (found.what, found.npus, found.owner, found.launch) == ("npus", (3,), "a@b", "theirs")
    assert found.since is not None
    assert abs(time.time() - found.since - 60) < 5  # by our clock, whatever the node's says
    assert re.search(
        r"NPU 3 of node 1 \(h\) is held by the preset other, launch theirs of a@b "
        r"\(container box-x, created\), since 20.*\(1 minute ago\)",
        str(Taken(found)),
    )


@pytest.mark.parametrize(
    "other", [box("x", npus=frozenset({9})), box("x", status="exited")], ids=["apart", "ended"]
)
def test_npus_that_nobody_else_wants(other: Container) -> None:
    assert claim(2, 3).contested(0, "node 0", of(other), of()) is None


def test_devices_that_are_not_listed_are_all_of_them() -> None:
    found = claim(2, 3).contested(0, "node 0", of(box("x", npus=None)), of())
    assert found is not None
    assert found.npus == (2, 3)


def test_of_two_that_reserve_at_once_the_older_goes_on() -> None:
    first = claim(3).older(0, "node 0", of(mine(9.0, 3), box("x", at=10.0)))
    second = claim(3).older(0, "node 0", of(mine(11.0, 3), box("x", at=10.0)))
    assert first is None
    assert second is not None
    assert second.launch == "theirs"
    assert claim(3).older(0, "node 0", of(mine(11.0, 4), box("x", at=10.0))) is None


@pytest.mark.parametrize(
    ("status", "hint"), [("running", "--attach"), ("created", "--attach"), ("exited", "read why")]
)
def test_only_what_may_still_run_can_be_gone_to(status: str, hint: str) -> None:
    found = claim(3).contested(0, "node 0", of(box("x", preset="lab", status=status)), of())
    assert found is not None
    assert hint in hint_of(found)


def test_a_token_is_its_own_and_the_owner_fits_a_label() -> None:
    assert new_fence().token != new_fence().token
    assert not Fence("mine", "other").holds(mine(1.0))
    assert re.fullmatch(r"[\w.-]+@[\w.-]+", owner())


async def test_containers_carry_token_and_owner(fleet: FakeFleet) -> None:
    work = await started(fleet)
    for node in fleet.nodes:
        labels = node.container["Config"]["Labels"]
        assert (labels[LABEL_TOKEN], labels[LABEL_OWNER]) == (work.fence.token, owner())


async def test_two_wizards_at_once_exactly_one_wins(fleet: FakeFleet) -> None:
    works = [launch(fleet), launch(fleet)]
    tasks = [asyncio.create_task(work.start()) for work in works]
    await until(lambda: fleet.nodes[0].containers() and fleet.nodes[0].status == "running")
    fleet.nodes[0].listens(RPC)
    ends = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20)
    ((winner, loser),) = [(works[i], works[1 - i]) for i in (0, 1) if ends[i] is None]
    assert winner.state == "waiting"
    assert loser.conflict is not None
    assert (loser.conflict.launch, loser.conflict.owner) == (winner.launch_id, owner())
    assert "since 20" in loser.message
    for node in fleet.nodes:
        assert node.container["Config"]["Labels"][LABEL_LAUNCH] == winner.launch_id
        assert node.status == "running"


async def test_two_presets_for_the_same_npus_at_once(tmp_path: Path) -> None:
    first = FakeFleet(preset(), tmp_path)
    second = FakeFleet(preset(name="twin", container={"name": "twin"}), tmp_path)
    works = [launch(first), launch(second)]
    tasks = [asyncio.create_task(work.start()) for work in works]
    await until(lambda: any(c["State"]["Status"] == "running" for c in first.nodes[0].containers()))
    first.nodes[0].listens(RPC)
    ends = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20)
    ((winner, loser),) = [(works[i], works[1 - i]) for i in (0, 1) if ends[i] is None]
    assert loser.conflict is not None
    assert (loser.conflict.what, loser.conflict.preset) == ("npus", winner.preset.name)
    assert "NPUs 0-7 of node" in loser.message
    assert {n.container["Config"]["Labels"][LABEL_PRESET] for n in first.nodes} == {
        winner.preset.name
    }


async def test_restart_takes_the_place_of_what_runs(fleet: FakeFleet) -> None:
    first = await started(fleet)
    second = launch(fleet)
    with pytest.raises(Taken):
        await second.start()
    assert second.conflict is not None
    assert (second.conflict.what, second.conflict.launch) == ("preset", first.launch_id)
    fleet.nodes[0].listens()
    task = asyncio.create_task(second.restart())
    await until(lambda: task.done() or second.ranks[0].state == "running")
    fleet.nodes[0].listens(RPC)
    await asyncio.wait_for(task, 10)
    assert second.conflict is None
    for node in fleet.nodes:
        assert node.container["Config"]["Labels"][LABEL_LAUNCH] == second.launch_id


async def test_restart_starts_nothing_while_something_is_left(
    fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await started(fleet)
    fleet.nodes[0].listens()
    second = launch(fleet)
    stop = second.stop

    async def cut() -> list[str]:
        fleet.nodes[1].unreachable = True
        return await stop()

    monkeypatch.setattr(second, "stop", cut)
    with pytest.raises(LaunchError, match=r"not launched anew: .* may be left on node 1"):
        await second.restart()
    assert fleet.nodes[0].containers() == []
    labels = fleet.nodes[1].container["Config"]["Labels"]
    assert labels[LABEL_LAUNCH] == first.launch_id


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("image", r"nothing was started\. Node 1: the image is not on the node"),
        ("stranger", r"the container name vllm-ascend is taken on node 1"),
        ("away", r"nothing was started\. Node 1|node 1 .*cannot be reached"),
    ],
)
async def test_what_runs_is_not_stopped_for_a_launch_that_cannot_be(
    fleet: FakeFleet, wrong: str, said: str
) -> None:
    first = await started(fleet)
    before = fleet.nodes[0].container
    if wrong == "image":
        (fleet.nodes[1].files / "image").unlink()
    elif wrong == "stranger":
        fleet.nodes[1].stranger("vllm-ascend")
    else:
        fleet.nodes[1].unreachable = True
    second = launch(fleet)
    with pytest.raises(WizardError, match=said) as caught:
        await second.restart()
    left = "What is there of lab was left as it is."
    assert left in str(caught.value)
    assert left in second.message
    assert second.state == "failed"
    assert fleet.nodes[0].container == before
    assert before["Config"]["Labels"][LABEL_LAUNCH] == first.launch_id
    assert [node.calls("stop") for node in fleet.nodes] == [0, 0]


async def test_a_key_that_cannot_be_kept_is_known_before_anything_is_stopped(
    fleet: FakeFleet,
) -> None:
    await started(fleet)
    keys = state_dir() / "keys"
    keyed = FakeFleet(preset(serve={"api_key": True}), fleet.nodes[0].home.parent)
    keyed.nodes[1].unreachable = True
    with pytest.raises(WizardError, match="lab was left as it is"):
        await launch(keyed).restart()
    assert not keys.exists()  # what is refused needs none
    keyed.nodes[1].unreachable = False
    keys.touch()  # where the folder should be
    with pytest.raises(LaunchError, match=r"cannot be kept in .*lab was left as it is"):
        await launch(keyed).restart()
    assert [node.status for node in fleet.nodes] == ["running", "running"]


async def test_what_the_old_launch_holds_is_looked_at_when_it_is_gone(
    fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    await started(fleet)
    second = launch(fleet)
    stop = second.stop

    async def stopped() -> list[str]:
        fleet.nodes[0].listens()
        problems = await stop()
        fleet.nodes[0].listens(8000)  # somebody was quicker
        return problems

    monkeypatch.setattr(second, "stop", stopped)
    with pytest.raises(LaunchError, match=r"taken: 8000.* What was there before is stopped\."):
        await second.restart()
    assert second.message.endswith("What was there before is stopped.")
    assert [node.containers() for node in fleet.nodes] == [[], []]


@pytest.mark.parametrize("lacks_image", [True, False], ids=["refused", "restarted"])
async def test_the_command_stops_what_runs_only_after_all_else_is_sure(
    fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch, *, lacks_image: bool
) -> None:
    first = await started(fleet)
    monkeypatch.setattr(commands, "load_preset", lambda _: fleet.preset)
    monkeypatch.setattr(commands, "connected", lambda *_: nullcontext(fleet))
    words = ["launch", "lab", "--restart", "--yes", "--no-follow", "--skip-checks"]
    if lacks_image:
        (fleet.nodes[1].files / "image").unlink()
        with pytest.raises(LaunchError, match=r"image is not on.*lab was left as it is"):
            await commands.launch(cli.parse(words))
        assert [node.status for node in fleet.nodes] == ["running", "running"]
        return
    fleet.nodes[0].listens()
    task = asyncio.create_task(commands.launch(cli.parse(words)))

    def anew() -> bool:
        found = fleet.nodes[0].containers()
        return bool(found) and found[0]["Config"]["Labels"][LABEL_LAUNCH] != first.launch_id

    await until(lambda: task.done() or (anew() and fleet.nodes[0].status == "running"))
    fleet.nodes[0].listens(RPC)
    assert await asyncio.wait_for(task, 10) == 0
    assert anew()


async def test_who_leaves_a_half_start_is_told_so_without_a_terminal_too(
    fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await started(fleet)
    entry = fleet.nodes[1].container
    fleet.nodes[1].put(entry | {"State": entry["State"] | {"Status": "created"}})
    fleet.nodes[0].listens()  # its wizard was killed before the RPC port was open
    said: list[str] = []
    monkeypatch.setattr(commands, "note", said.append)
    monkeypatch.setattr(commands, "load_preset", lambda _: fleet.preset)
    monkeypatch.setattr(commands, "connected", lambda *_: nullcontext(fleet))
    task = asyncio.create_task(commands.launch(cli.parse(["launch", "lab", "--attach"])))
    await until(lambda: any("RPC port" in line for line in said))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("v32-wizard: detached from a launch that is half started")
    assert "--attach" in told
    assert "v32-wizard stop lab" in told
    assert [node.status for node in fleet.nodes] == ["running", "created"]


async def test_a_retry_is_a_launch_of_its_own(fleet: FakeFleet) -> None:
    (fleet.nodes[1].files / "refuse").write_text("no\n")
    work: Launch = launch(fleet)
    with pytest.raises(LaunchError):
        await work.start()
    failed = work.launch_id
    (fleet.nodes[1].files / "refuse").unlink()
    task = asyncio.create_task(work.start())
    await until(lambda: task.done() or work.ranks[0].state == "running")
    fleet.nodes[0].listens(RPC)
    await asyncio.wait_for(task, 10)
    assert work.launch_id != failed
    assert (fleet.nodes[0].home / ".v32-wizard/launches" / failed).is_dir()


async def test_nothing_without_our_token_is_touched(fleet: FakeFleet) -> None:
    work = await started(fleet)
    impostor = launch(fleet)
    impostor._adopt(Fence(work.launch_id, "another"))
    with pytest.raises(Taken):
        await impostor.start()
    assert await impostor._ending().abort() == []
    assert [n.status for n in fleet.nodes] == ["running", "running"]


async def test_to_attach_never_launches(fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "load_preset", lambda _: fleet.preset)
    monkeypatch.setattr(commands, "connected", lambda *_: nullcontext(fleet))
    words = cli.parse(["launch", "lab", "--attach", "--yes", "--no-follow"])
    with pytest.raises(LaunchError, match="runs on none of its nodes"):
        await commands.launch(words)
    assert [node.containers() for node in fleet.nodes] == [[], []]
    await started(fleet)
    fleet.nodes[0].unreachable = True
    assert await commands.launch(words) == 0


async def test_a_dry_run_of_a_restart_plans_whatever_a_start_would_refuse(
    fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(commands, "load_preset", lambda _: fleet.preset)
    monkeypatch.setattr(commands, "connected", lambda *_: nullcontext(fleet))
    work = await started(fleet)
    fleet.nodes[0].unreachable = True
    words = cli.parse(["launch", "lab", "--dry-run", "--restart"])
    assert await commands.launch(words) == 3
    said = capsys.readouterr().out
    assert f"launch {work.launch_id} of " in said.partition("Steps:")[2]
    assert "node 0 (10.0.0.11) cannot be reached" in said.partition("In the way:")[2]
