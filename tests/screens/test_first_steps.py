"""Start, hardware and nodes, with keys alone."""

from __future__ import annotations

from screens import start
from tests.screens.fakes import World, preset
from tests.screens.pilots import Open, at, shown, until, words
from wizard.cluster import Precision, Series
from wizard.errors import WizardError
from wizard.launch import pending
from wizard.launch.stopping import Left, Stopped
from wizard.session import Session, Step


async def test_a_newcomer_answers_hardware_and_nodes_with_keys_alone(
    world: World, open_wizard: Open
) -> None:
    session = Session(rooms=world.rooms)
    async with open_wizard(session) as pilot:
        assert "New deployment" in shown(pilot)
        await pilot.press("enter")
        await at(pilot, Step.HARDWARE)
        await pilot.press("down", "down", "enter")
        await at(pilot, Step.NODES)
        assert (session.draft.series, session.draft.precision) == (Series.A3, Precision.BF16)
        await pilot.press(*"root@n1", "enter", *"root@n2")
        await until(pilot, lambda: [n.address for n in session.draft.nodes][1] == "root@n2")
        assert session.preset().nodes[1].user == "root"


async def test_the_demo_starts_from_the_first_screen_and_ends_with_the_wizard(
    world: World, open_wizard: Open
) -> None:
    session = Session(rooms=world.rooms)
    world.simulator_error = WizardError("The simulated cluster did not start: no room.")
    async with open_wizard(session) as pilot:
        await pilot.press("down", "enter")
        await until(pilot, lambda: "did not start: no room" in shown(pilot))
        world.simulator_error = None
        await pilot.press("enter")
        await at(pilot, Step.HARDWARE)
        assert "[simulated cluster]" in shown(pilot)
        assert world.simulators == 1
        assert session.preset().name == preset().name
    assert world.simulators == 0
    assert session.saved() is None  # the demo's answers are nobody's to resume


async def test_back_keeps_every_answer(world: World, open_wizard: Open) -> None:
    session = Session(rooms=world.rooms)
    async with open_wizard(session) as pilot:
        await pilot.press("enter")
        await at(pilot, Step.HARDWARE)
        await pilot.press("down", "enter")  # A2 W8A8
        await at(pilot, Step.NODES)
        await pilot.press(*"10.0.0.1", "escape")
        await at(pilot, Step.HARDWARE)
        await pilot.press("enter")
        await at(pilot, Step.NODES)
        assert "10.0.0.1" in shown(pilot)
        assert session.draft.precision is Precision.W8A8


async def test_next_on_a_bad_node_goes_to_it_and_says_what_to_do(
    world: World, open_wizard: Open
) -> None:
    session = Session(rooms=world.rooms)
    session.load(preset())
    async with open_wizard(session) as pilot:
        await pilot.press("enter")
        await at(pilot, Step.HARDWARE)
        await pilot.press("enter")
        await at(pilot, Step.NODES)
        await pilot.press("down", "end", *"99", "ctrl+n")
        await until(pilot, lambda: "Port 220299 is out of range" in shown(pilot))
        assert session.step is Step.NODES
        focused = pilot.app.focused
        assert focused is not None
        assert focused.parent is not None
        assert focused.parent.parent is pilot.app.screen.query_one("#node1")
        await pilot.press("backspace", "backspace")
        await until(pilot, lambda: "out of range" not in shown(pilot))


async def test_nodes_move_and_node_0_is_the_first(world: World, open_wizard: Open) -> None:
    session = Session(rooms=world.rooms)
    session.load(preset())
    session.step = Step.NODES
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "root@10.0.0.12:2202" in shown(pilot))
        await pilot.press("f5")
        await until(pilot, lambda: session.draft.nodes[0].address == "root@10.0.0.12:2202")
        await until(pilot, lambda: "0 head   root@10.0.0.12:2202" in shown(pilot))
        await pilot.press("f6", *"n3")
        await until(pilot, lambda: len(session.draft.nodes) == 3)
        await pilot.press("f8")
        await until(pilot, lambda: len(session.draft.nodes) == 2)


async def test_details_belong_to_the_line_that_has_the_focus(
    world: World, open_wizard: Open
) -> None:
    session = Session(rooms=world.rooms)
    session.load(preset())
    session.step = Step.NODES
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "Details of node 0" in shown(pilot))
        await pilot.press("down")
        await until(pilot, lambda: "Details of node 1" in shown(pilot))
        await pilot.press("tab", "tab", *"bastion")
        await until(pilot, lambda: session.draft.nodes[1].jump == "bastion")
        assert session.draft.nodes[0].jump == ""


async def test_a_simulated_cluster_greys_out_what_its_nodes_cannot_run(
    world: World, open_wizard: Open
) -> None:
    session = Session(rooms=world.rooms, demo=True)
    session.load(preset())
    session.step = Step.HARDWARE
    async with open_wizard(session) as pilot:
        text = shown(pilot)
        assert "BF16 needs 4 A2 nodes; this simulation has 2 A3" in text
        assert "simulated cluster" in text


async def test_a_terminal_that_is_too_small_is_told_and_the_wizard_goes_on(
    world: World, open_wizard: Open
) -> None:
    session = Session(rooms=world.rooms)
    async with open_wizard(session) as pilot:
        await pilot.resize_terminal(70, 20)
        await until(pilot, lambda: "Terminal is 70x20; the wizard needs 80x24" in shown(pilot))
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "New deployment" in shown(pilot))
        await pilot.press("enter")
        await at(pilot, Step.HARDWARE)


async def test_help_names_the_keys_of_the_step(world: World, open_wizard: Open) -> None:
    session = Session(rooms=world.rooms)
    async with open_wizard(session) as pilot:
        await pilot.press("f1")
        await until(pilot, lambda: "Keys" in shown(pilot) and "Quit" in shown(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: "New deployment" in shown(pilot))


async def test_quit_leaves_at_once_when_nothing_runs(world: World, open_wizard: Open) -> None:
    session = Session(rooms=world.rooms)
    async with open_wizard(session) as pilot:
        await pilot.press("ctrl+q")
        await until(pilot, lambda: not pilot.app.is_running)
    assert pilot.app.return_code == 0


async def test_the_last_run_can_be_resumed(world: World, open_wizard: Open) -> None:
    first = Session(rooms=world.rooms)
    first.load(preset())
    first.go(Step.NODES)
    await first.aclose()
    second = Session(rooms=world.rooms)
    async with open_wizard(second) as pilot:
        assert "Resume the last run" in shown(pilot)
        await pilot.press("enter")
        await at(pilot, Step.NODES)
        assert second.draft == first.draft
        assert "✓ Hardware" in shown(pilot)


async def test_recipe_and_image_are_chosen_and_what_cannot_be_says_why(
    world: World, open_wizard: Open
) -> None:
    session = Session(rooms=world.rooms)
    async with open_wizard(session) as pilot:
        await pilot.press("enter")
        await at(pilot, Step.HARDWARE)
        assert "[guide]" in shown(pilot)
        assert "documents no openeuler image for A2" in shown(pilot)
        await pilot.press("o")
        await until(pilot, lambda: session.image_os == "ubuntu" and "no openeuler" in shown(pilot))
        await pilot.press("down", "down", "o")
        await until(pilot, lambda: "[openeuler]" in shown(pilot))
        assert session.draft.extra["container"] == {"os": "openeuler"}
        await pilot.press("up", "up", "enter")  # back on A2, where there is none
        await until(pilot, lambda: "Press o for the other one" in shown(pilot))
        await pilot.press("v", "v")
        await until(pilot, lambda: "[v0.18.0]" in shown(pilot))
        assert "removed" in shown(pilot)
        assert "only W8A8 is documented" in shown(pilot)
        await pilot.press("enter")
        await at(pilot, Step.NODES)
        assert (session.draft.series, session.draft.precision) == (Series.A2, Precision.W8A8)
        await pilot.press(*"root@n1", "enter", *"root@n2")
        await until(pilot, lambda: len([n for n in session.draft.nodes if n.address]) == 2)
        chosen = session.preset()
        assert (chosen.recipe, chosen.container.os) == ("v0.18.0", "openeuler")


async def test_a_recipe_that_lacks_the_answer_begins_on_what_it_has(
    world: World, open_wizard: Open
) -> None:
    session = Session(rooms=world.rooms)
    session.set_hardware(Series.A3, Precision.BF16)
    async with open_wizard(session) as pilot:
        await pilot.press("enter")
        await at(pilot, Step.HARDWARE)
        await pilot.press("v", "v", "v")
        await until(pilot, lambda: "[v0.23.0]" in shown(pilot))
        await pilot.press("end")
        await until(pilot, lambda: "also describes 2 nodes" in shown(pilot))
        await pilot.press("enter")
        await at(pilot, Step.NODES)
        assert session.draft.precision is Precision.W8A8


async def test_a_stop_that_is_not_done_is_told_at_the_start(
    world: World, open_wizard: Open
) -> None:
    lab = preset()
    world.store.save(lab)
    pending.note(lab, Stopped((Left(0, "container", "may be left"),)))
    async with open_wizard(Session(rooms=world.rooms)) as pilot:
        await until(pilot, lambda: "v32-wizard stop lab" in words(pilot))
    world.store.save(lab.model_copy(update={"nodes": lab.nodes[1:]}))
    async with open_wizard(Session(rooms=world.rooms)) as pilot:  # no stop of it gets there
        await until(pilot, lambda: "does not name 10.0.0.11 any more" in words(pilot))
        assert "v32-wizard stop lab" not in words(pilot)
    many = [pending.Pending("lab", n, "h", 0.0, "left") for n in range(16)]
    told = start.pending(many, []).plain
    assert told.count("v32-wizard stop lab") == 2
    assert told.endswith("and 14 more: v32-wizard status PRESET tells them")
