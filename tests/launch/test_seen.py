"""Whatever happens to a node is seen within five seconds, at the worst moment, with the very values
that the code uses: by a clock that jumps, so that they can be told exactly."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress

import pytest

from tests.launch import fastclock
from tests.launch.bench import FakeFleet, launch, preset
from wizard.cluster import Node
from wizard.errors import CommandTimeout, ConnectionLost, LaunchError, Unreachable
from wizard.launch import Launch
from wizard.launch import engine as engines
from wizard.launch.fence import Fence, owner
from wizard.launch.lookout import Lookout
from wizard.launch.node import LaunchNode
from wizard.launch.runtime import Container, Listing, Runtime
from wizard.launch.seen import INTERVAL_S, SEEN_WITHIN_S
from wizard.launch.shownrank import ShownRank
from wizard.launch.state import RankState
from wizard.launch.watch import NodeWatch
from wizard.scriptlines import LABEL_LAUNCH

ANSWER_TAKES_S = 0.2
MOMENTS = [10 + step / 3 for step in range(8)]  # of more than one interval


def box(status: str = "running", **more: object) -> Container:
    labels = {LABEL_LAUNCH: "x"}
    return Container("c" * 64, "vllm-ascend", status, labels=labels, started_at=1.0, **more)  # type: ignore[arg-type]


class Remote:
    """A node whose SSH server answers until ``silent_at``, or refuses from then on."""

    def __init__(self, silent_at: float = float("inf"), *, refuses: bool = False) -> None:
        self.node = Node(1, "10.0.0.12")
        self.silent_at, self.refuses = silent_at, refuses

    @property
    def lost(self) -> bool:
        return asyncio.get_running_loop().time() >= self.silent_at

    async def reply(self) -> None:
        """Give the answer that every question gets, or none."""
        await asyncio.sleep(ANSWER_TAKES_S / 2)
        if self.lost and self.refuses:
            raise Unreachable("node 1 cannot be reached: refused.", node=1)
        if self.lost:
            await asyncio.Event().wait()
        await asyncio.sleep(ANSWER_TAKES_S / 2)

    async def answer(self, *, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self.reply()
        except TimeoutError:
            raise CommandTimeout("no answer", node=1) from None


class Asked(LaunchNode):
    """A node whose engine lists what ``containers`` says at that moment."""

    def __init__(self, remote: Remote, containers: Callable[[float], list[Container]]) -> None:
        state = RankState(1, "10.0.0.12", state="running", container="c" * 64)
        fence = Fence("x", "")
        super().__init__(remote, Runtime("docker"), "lab", state, self.look, fence)  # type: ignore[arg-type]
        self._containers = containers
        self.remote_end = remote
        self.seen: list[tuple[float, str, str]] = []

    def look(self) -> None:
        now = asyncio.get_running_loop().time()
        self.seen.append((now, self.state.state, self.state.detail))

    async def listing(self) -> Listing:
        async def ask() -> Listing:
            await self.remote_end.reply()
            return Listing(self._containers(asyncio.get_running_loop().time()), None)

        return await self.again(ask, patience_s=0.0)


async def following(node: Asked, watch: NodeWatch) -> None:
    await watch._keep_asking()


async def starting(node: Asked, watch: NodeWatch) -> None:
    lookout = Lookout([watch])
    lookout.made.set()
    await lookout.beside(asyncio.Event().wait())  # type: ignore[arg-type]


Lost = Callable[[float], tuple[Remote, Callable[[float], list[Container]]]]


def from_then(at: float, *then: Container) -> Callable[[float], list[Container]]:
    return lambda now: list(then) if now >= at else [box()]


KINDS: dict[str, Lost] = {
    "exits-0": lambda at: (Remote(), from_then(at, box("exited"))),
    "exits-1": lambda at: (Remote(), from_then(at, box("exited", exit_code=1))),
    "removed": lambda at: (Remote(), from_then(at)),
    "restarted": lambda at: (Remote(), from_then(at, box(restarts=1))),
    "silent": lambda at: (Remote(at), from_then(at, box())),
    "refused": lambda at: (Remote(at, refuses=True), from_then(at, box())),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("phase", [starting, following], ids=["starting", "following"])
def test_seen_within_five_seconds_at_the_worst_moment(
    kind: str, phase: Callable[[Asked, NodeWatch], object]
) -> None:
    async def seen_after(at: float) -> tuple[float, str, bool]:
        remote, containers = KINDS[kind](at)
        node = Asked(remote, containers)
        watch = NodeWatch(node)
        task = asyncio.ensure_future(phase(node, watch))  # type: ignore[call-overload]
        loop = asyncio.get_running_loop()
        while watch.death is None and node.state.state == "running":
            await asyncio.sleep(0.05)
        found = loop.time() - at, node.state.state, watch.death is not None
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        return found

    late = [fastclock.run(seen_after(at)) for at in MOMENTS]
    assert 0 < max(after for after, _, _ in late) <= SEEN_WITHIN_S
    gone = kind in ("silent", "refused")
    assert {(state == "unreachable", dead) for _, state, dead in late} == {(gone, not gone)}


def test_the_values_are_those_of_a_launch(tmp_path: object) -> None:
    fleet = FakeFleet(preset(), tmp_path)  # type: ignore[arg-type]
    work = Launch(fleet, fleet.preset)  # type: ignore[arg-type]
    assert {watch._interval_s for watch in work._watches} == {INTERVAL_S}
    assert work._gang()._lookout._interval_s == INTERVAL_S


def test_a_step_that_takes_minutes_on_a_node_that_answers_is_not_out_of_reach() -> None:
    async def slow() -> list[tuple[float, str, str]]:
        node = Asked(Remote(), lambda now: [box()])

        async def engine() -> Listing:  # dockerd is busy with the step
            await asyncio.sleep(60)
            return Listing([box()], None)

        node.listing = engine  # type: ignore[method-assign]
        lookout = Lookout([NodeWatch(node)])
        lookout.made.set()
        await lookout.beside(asyncio.sleep(200))
        return node.seen

    assert fastclock.run(slow()) == []


def test_a_node_that_answers_again_is_what_it_was() -> None:
    async def away() -> list[tuple[float, str, str]]:
        remote = Remote(10.0)
        node = Asked(remote, lambda now: [box()])
        node.put("starting", "container", "created")
        node.seen.clear()
        node.state.container = ""

        async def thaw() -> None:
            await asyncio.sleep(30)
            node.put("starting", "container", "waits")  # of what goes on meanwhile nothing is lost
            remote.silent_at = float("inf")
            await asyncio.sleep(10)

        await Lookout([NodeWatch(node)]).beside(thaw())
        return node.seen

    (lost, back) = fastclock.run(away())
    assert lost[1] == "unreachable"
    assert re.fullmatch(r"no answer since [\d:]{8}, still asked", lost[2])
    assert back[1:] == ("starting", "waits")


def test_who_was_never_reached_is_left_to_whoever_connects() -> None:
    async def never() -> str:
        node = Asked(Remote(0.0), lambda now: [])
        node.state.container = ""
        await Lookout([NodeWatch(node)]).beside(asyncio.sleep(20))
        return node.state.state

    assert fastclock.run(never()) == "running"


def test_a_step_is_shown_as_lost_from_its_first_vain_repetition_until_it_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engines, "RECONNECT_S", 20.0)

    async def step() -> list[tuple[float, str, str]]:
        node = Asked(Remote(), lambda now: [])
        node.put("starting", "container", "created")
        node.seen.clear()
        tries = 0

        async def act() -> int:
            nonlocal tries
            tries += 1
            if tries < 5:
                raise (
                    ConnectionLost("the connection broke", node=1)
                    if tries == 1
                    else Unreachable("node 1 cannot be reached: refused.", node=1)
                )
            return tries

        assert await node.again(act) == 5
        return node.seen

    (lost, back) = fastclock.run(step())
    assert lost[0] == 0.0
    assert lost[1] == "unreachable"
    assert lost[2].startswith("tried again until ")
    assert lost[2].endswith(": node 1 cannot be reached: refused.")
    assert back == (3.0, "starting", "created")


@pytest.mark.parametrize(("reached", "after_s"), [(True, 20.0), (False, 0.0)])
def test_patience_is_for_nodes_that_were_there(reached: bool, after_s: float) -> None:
    async def step() -> float:
        node = Asked(Remote(), lambda now: [])
        if reached:
            node.in_reach()

        async def act() -> None:
            raise Unreachable("node 1 cannot be reached: refused.", node=1)

        with pytest.raises(Unreachable):
            await node.again(act)
        return asyncio.get_running_loop().time()

    assert engines.RECONNECT_S == 20.0
    assert fastclock.run(step()) == after_s


def shown(state: str = "running") -> ShownRank:
    return ShownRank(RankState(0, "h", state=state, stage="weights", detail="a"), lambda: None)


@pytest.mark.parametrize("end", ["failed", "aborted", "stopped", "unreachable"])
def test_an_end_is_shown_at_once_and_stays(end: str) -> None:
    rank = shown()
    rank.out_of_reach("away")
    rank.put(end, detail="it is over")
    rank.in_reach(engine=True)
    assert (rank.state.state, rank.state.stage, rank.state.detail) == (end, "weights", "it is over")
    if end != "unreachable":
        rank.out_of_reach("away")
        assert rank.state.state == end


def test_an_engine_that_is_silent_is_not_back_because_the_node_answers() -> None:
    rank = shown("ready")
    rank.out_of_reach("docker does not answer", engine=True)
    rank.in_reach()
    assert rank.state.state == "unreachable"
    rank.in_reach(engine=True)
    assert rank.state.state == "ready"


async def test_a_container_that_is_removed_from_a_worker_ends_the_start(
    fleet: FakeFleet, no_devices: None
) -> None:
    work = launch(fleet)
    task = asyncio.create_task(work.start())
    async with asyncio.timeout(10):
        while "RPC port" not in work.ranks[1].detail:
            await asyncio.sleep(0.01)
        for path in fleet.nodes[1].files.glob("*.json"):
            path.unlink()
        with pytest.raises(LaunchError, match=r"node 1 .* failed: its container was removed"):
            await task
    assert [rank.state for rank in work.ranks] == ["aborted", "failed"]
    assert [node.status for node in fleet.nodes] == ["absent", "absent"]


async def test_a_start_that_somebody_else_stops_is_no_failure_of_a_node(
    fleet: FakeFleet, no_devices: None
) -> None:
    work = launch(fleet)
    task = asyncio.create_task(work.start())
    async with asyncio.timeout(20):
        while "RPC port" not in work.ranks[1].detail:
            await asyncio.sleep(0.01)
        assert await launch(fleet).stop() == []
        with pytest.raises(LaunchError, match=rf"It was stopped by {owner()} while it started"):
            await task
    assert [rank.state for rank in work.ranks] == ["aborted", "aborted"]
