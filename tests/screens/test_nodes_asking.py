"""Nodes say what they are on the nodes screen: table, what disagrees, failures, and the way on."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from tests.screens.fakes import World, preset
from tests.screens.pilots import Open, at, shown, until
from wizard.discovery.facts import Address, Clock
from wizard.session import Session, Step


def started(world: World) -> Session:
    """A session at the nodes whose addresses are still to be found."""
    session = Session(rooms=world.rooms)
    session.load(preset())
    for node in session.draft.nodes:
        node.local_ip = node.nic = ""
    session.step = Step.NODES
    return session


async def ready(pilot: Pilot[int]) -> None:
    await until(pilot, lambda: "root@10.0.0.12:2202" in shown(pilot))


async def test_next_asks_the_nodes_and_goes_on_when_they_agree(
    world: World, open_wizard: Open
) -> None:
    session = started(world)
    world.may_answer.clear()
    async with open_wizard(session) as pilot:
        await ready(pilot)
        await pilot.press("ctrl+n")
        await until(
            pilot,
            lambda: "asking: 0 of 2 answered" in shown(pilot) and "~ ASKING" in shown(pilot),
        )
        assert session.step is Step.NODES
        world.may_answer.set()
        await at(pilot, Step.CHECKS)
        assert [n.found for n in session.draft.nodes] == [
            ("10.9.9.1", "enp66s0f0"),
            ("10.9.9.2", "enp66s0f0"),
        ]
        made = session.preset()
        assert [n.local_ip for n in made.nodes] == ["10.9.9.1", "10.9.9.2"]
        assert len(world.fleets) == 1  # what was found does not cut the connections
        await pilot.press("escape")
        await at(pilot, Step.NODES)
        await until(pilot, lambda: "10.9.9.1 (as the node says)" in shown(pilot))
        await pilot.press("ctrl+n")  # known already: not asked again
        await at(pilot, Step.CHECKS)
        assert len(world.discoveries) == 1


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_what_blocks_is_named_and_next_refused(
    world: World, open_wizard: Open, size: tuple[int, int]
) -> None:
    session = started(world)
    world.odd[1] = {"devices": 8, "chips": ("910B4",), "driver": "24.1.1"}
    async with open_wizard(session, size=size) as pilot:
        await ready(pilot)
        await pilot.press("f7")
        await until(pilot, lambda: "2 answered: 1 blocks, 1 to mind" in shown(pilot))
        text = shown(pilot)
        assert "✗ BLOCKS A3 was chosen, but node 1 has 8 NPUs: A2." in text
        assert "! MIND The Ascend driver differs" in text
        assert "A2 x8" in text
        for _ in range(2):
            await pilot.press("ctrl+n")
            await until(pilot, lambda: "must be mended" in shown(pilot) or "Change" in shown(pilot))
        assert session.step is Step.NODES
        await until(pilot, lambda: "Details of node 1" in shown(pilot))  # the cursor is there
        if size[0] >= 120:
            for title in ("host name", "address, NIC", "driver", "runtime", "clock", "weights"):
                assert title in text, title
        await pilot.press("f8")  # taken off the list, what was said of it is gone too
        await until(pilot, lambda: "BLOCKS" not in shown(pilot))


async def test_what_only_warns_stays_to_be_read_and_next_goes_on(
    world: World, open_wizard: Open
) -> None:
    session = started(world)
    world.odd[0] = {"clock": Clock(40.0, 0.1)}
    async with open_wizard(session) as pilot:
        await ready(pilot)
        await pilot.press("ctrl+n")
        await until(pilot, lambda: "mind what stands above. Next goes on" in shown(pilot))
        assert "clock of node 0 is 40 s ahead" in shown(pilot)
        await pilot.press("ctrl+n")
        await at(pilot, Step.CHECKS)


async def test_a_node_that_is_away_is_named_asked_again_alone_or_left_out(
    world: World, open_wizard: Open
) -> None:
    session = started(world)
    world.away = {1}
    async with open_wizard(session) as pilot:
        await ready(pilot)
        await pilot.press("ctrl+n")
        words = ("✗ FAILED", "node 1 (10.0.0.12) is away.", "1 node did not answer")
        await until(pilot, lambda: all(w in shown(pilot) for w in words))
        await pilot.press("ctrl+r")
        await until(pilot, lambda: len(world.discoveries) == 2)
        assert world.discoveries[1].asked == [[1]]
        await until(pilot, lambda: "1 node did not answer" in shown(pilot))
        await pilot.press("ctrl+n")
        await until(pilot, lambda: "Node 1 did not answer. Going on is of use" in shown(pilot))
        await pilot.press("enter")  # stay
        await until(pilot, lambda: "Ctrl+R asks again" in shown(pilot))
        assert session.step is Step.NODES
        await pilot.press("ctrl+n")
        await until(pilot, lambda: "Going on is of use" in shown(pilot))
        world.away = set()
        await pilot.press("right", "enter")  # ask again, and go on since all is well now
        await at(pilot, Step.CHECKS)
        assert world.discoveries[2].asked == [[1]]


async def test_without_a_network_one_goes_on_by_saying_so(world: World, open_wizard: Open) -> None:
    session = started(world)
    world.may_answer.clear()
    async with open_wizard(session) as pilot:
        await ready(pilot)
        await pilot.press("ctrl+n")
        await until(pilot, lambda: "~ ASKING" in shown(pilot))
        await pilot.press("ctrl+n")
        await until(pilot, lambda: "still being asked" in shown(pilot))
        await pilot.press("right", "enter")
        await at(pilot, Step.CHECKS)


async def test_what_the_user_types_wins_and_is_looked_at(world: World, open_wizard: Open) -> None:
    session = started(world)
    held = (Address("bond0", "10.9.9.1", 24, True), Address("eth1", "10.8.8.1", 24, True))
    world.odd[0] = {"addresses": held, "arrival": "10.9.9.1"}
    async with open_wizard(session) as pilot:
        await ready(pilot)
        await pilot.press("f7")
        await until(pilot, lambda: "10.9.9.1 (as the node says)" in shown(pilot))
        await pilot.click("#local_ip")
        await pilot.press(*"10.8.8.1")
        await until(pilot, lambda: "eth1 (as the node says)" in shown(pilot))
        assert session.preset().nodes[0].nic == "eth1"
        await pilot.press(*"99")
        await until(pilot, lambda: "does not hold local_ip 10.8.8.199" in shown(pilot))
        assert session.preset().nodes[0].local_ip == "10.8.8.199"
        await pilot.press("backspace", "backspace")
        await until(pilot, lambda: "does not hold" not in shown(pilot))


async def test_moving_nodes_keeps_what_they_said_and_changing_one_drops_it(
    world: World, open_wizard: Open
) -> None:
    session = started(world)
    async with open_wizard(session) as pilot:
        await ready(pilot)
        await pilot.press("f7")
        await until(pilot, lambda: shown(pilot).count("✓ KNOWN") == 2)
        await pilot.press("f5")
        await until(pilot, lambda: "0 head   root@10.0.0.12:2202" in shown(pilot))
        assert shown(pilot).count("✓ KNOWN") == 2
        assert [n.found[0] for n in session.draft.nodes] == ["10.9.9.2", "10.9.9.1"]
        await pilot.press("end", "backspace")
        await until(pilot, lambda: shown(pilot).count("✓ KNOWN") == 1)
        assert session.draft.nodes[1].found == ("", "")


async def test_asking_goes_on_while_the_user_looks_elsewhere(
    world: World, open_wizard: Open
) -> None:
    session = started(world)
    world.may_answer.clear()
    async with open_wizard(session) as pilot:
        await ready(pilot)
        await pilot.press("f7", "escape")
        await at(pilot, Step.HARDWARE)
        world.may_answer.set()
        await until(pilot, lambda: session.discovering.complete)
        await pilot.press("enter")
        await at(pilot, Step.NODES)
        await until(pilot, lambda: shown(pilot).count("✓ KNOWN") == 2)


async def test_nodes_whose_host_keys_were_accepted_are_asked_again(
    world: World, open_wizard: Open
) -> None:
    session = started(world)
    world.away = {1}
    async with open_wizard(session) as pilot:
        await ready(pilot)
        await pilot.press("f7")
        await until(pilot, lambda: "1 node did not answer" in shown(pilot))
        world.away = set()
        session.discovering.let_in(frozenset({0}))  # of another node: nothing is to be done
        assert len(world.discoveries) == 1
        session.discovering.let_in(frozenset({1}))
        await until(pilot, lambda: shown(pilot).count("✓ KNOWN") == 2)
        assert world.discoveries[1].asked == [[1]]
