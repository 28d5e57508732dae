"""Every key of the checks: find, ignore, stop and go on, changes, and the pings as a square."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from screens.widgets.matrix import BoardMatrix
from screens.widgets.meshgrid import MeshGrid
from tests.screens.fakes import World, preset
from tests.screens.pilots import Open, at, shown, until
from tests.screens.test_checks import LINK, started
from wizard.checks.model import CellKey, Status
from wizard.presets import PresetStore
from wizard.session import Step

PING = CellKey(0, 3, "ping", 1, 3)
NODE_CHECK = CellKey(1, None, "hccn_conf")


@pytest.fixture
def broken(world: World) -> World:
    """A world where a link is down, and a ping with it."""
    world.bad = {LINK: Status.FAIL, PING: Status.FAIL}
    world.problem = "link-down"
    return world


def line_of(text: str, start: str) -> str:
    return next(line for line in text.splitlines() if line.strip().startswith(start))


async def test_n_and_p_go_round_what_is_bad_over_all_nodes(
    broken: World, open_wizard: Open
) -> None:
    broken.bad[NODE_CHECK] = Status.ERROR
    async with open_wizard(started(broken)) as pilot:
        await until(pilot, lambda: broken.runs)
        broken.run.finish()
        order = ["node 1, device 3, link", "node 1, hccn_conf", "node 0, device 3, ping to node 1"]
        await until(pilot, lambda: order[0] in shown(pilot))
        for there in (order[1], order[2], order[0]):
            await pilot.press("n")
            await until(pilot, lambda there=there: there in shown(pilot))
        for there in (order[2], order[1], order[0]):
            await pilot.press("p")
            await until(pilot, lambda there=there: there in shown(pilot))


async def test_the_nodes_own_checks_have_a_place_below_the_devices(
    world: World, open_wizard: Open
) -> None:
    world.bad = {NODE_CHECK: Status.WARN}
    async with open_wizard(started(world)) as pilot:
        await until(pilot, lambda: world.runs)
        world.run.finish()
        await until(pilot, lambda: "1 warned" in shown(pilot))
        await pilot.press("pagedown")
        await until(pilot, lambda: "! hccn_conf" in shown(pilot))
        await pilot.press(*["down"] * 12)
        await until(pilot, lambda: "node 1, ssh" in shown(pilot))
        await pilot.press("right")
        await until(pilot, lambda: "node 1, hccn_conf" in shown(pilot))
        await pilot.press("right", "right")
        await until(pilot, lambda: "[!]hccn_conf" in shown(pilot).replace(" ", ""))
        await pilot.press("up")
        await until(pilot, lambda: "ping to node 0" in shown(pilot))


async def test_slash_shows_what_matches_and_esc_all_again(broken: World, open_wizard: Open) -> None:
    async with open_wizard(started(broken)) as pilot:
        await until(pilot, lambda: broken.runs)
        broken.run.finish()
        await until(pilot, lambda: "node 1, device 3, link  ✗ FAIL" in shown(pilot))
        await pilot.press("slash", *"npu 3 link")
        await until(pilot, lambda: "Only “npu 3 link”" in shown(pilot))
        text = shown(pilot)
        assert line_of(text, "link ").split() == ["link", "✗"]
        assert "gateway" not in text
        await pilot.press("enter")
        await until(pilot, lambda: "[✗]" in line_of(shown(pilot), "link "))
        await pilot.press("escape")
        await until(pilot, lambda: "gateway" in shown(pilot))
        await pilot.press("escape")
        await at(pilot, Step.NODES)


async def test_a_search_without_a_hit_says_so(broken: World, open_wizard: Open) -> None:
    async with open_wizard(started(broken)) as pilot:
        await until(pilot, lambda: broken.runs)
        broken.run.finish()
        await until(pilot, lambda: "✗ FAIL" in shown(pilot))
        await pilot.press("slash", *"zz", "enter")
        await until(pilot, lambda: "nothing to show on this node" in shown(pilot))
        assert "Nothing is shown here." in shown(pilot)
        await pilot.press("n")
        await until(pilot, lambda: "Nothing failed among what is shown" in shown(pilot))
        await pilot.press("i")
        await until(pilot, lambda: "no cell under the cursor" in shown(pilot))


async def test_i_ignores_with_a_reason_and_what_follows_goes_with_it(
    broken: World, open_wizard: Open
) -> None:
    session = started(broken)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: broken.runs)
        broken.run.finish()
        await until(pilot, lambda: "node 1, device 3, link  ✗ FAIL" in shown(pilot))
        await pilot.press("i")
        await until(pilot, lambda: "Why may this be ignored?" in shown(pilot))
        await pilot.press(*"idle", "enter")
        await until(pilot, lambda: "IGNORED idle" in shown(pilot))
        text = shown(pilot)
        assert "2 ignored" in text
        assert "✓ None of 228 checks failed" in text
        assert "[i]" in line_of(text, "link ")
        assert session.problem_steps == set()
        (kept,) = session.preset().ignores
        assert (kept.host, kept.device, kept.reason) == ("10.0.0.12:2202", 3, "idle")

        await pilot.press("i")
        await until(pilot, lambda: "This is ignored: idle" in shown(pilot))
        await pilot.press("right", "enter")
        await until(pilot, lambda: "It is judged again" in shown(pilot))
        assert session.preset().ignores == []
        assert Step.CHECKS in session.problem_steps


async def test_i_refuses_what_cannot_be_ignored_and_esc_changes_nothing(
    broken: World, open_wizard: Open
) -> None:
    broken.bad = {LINK: Status.ERROR}
    session = started(broken)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: broken.runs)
        broken.run.finish()
        await until(pilot, lambda: "? ERROR" in shown(pilot))
        await pilot.press("i")
        await until(pilot, lambda: "An error cannot be ignored" in shown(pilot))
        broken.run.answer(LINK, Status.FAIL)
        await until(pilot, lambda: "✗ FAIL" in shown(pilot))
        await pilot.press("i")
        await until(pilot, lambda: "Why may this be ignored?" in shown(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: "Why may this" not in shown(pilot))
        assert session.preset().ignores == []


async def test_the_saved_preset_gets_the_ignore(broken: World, open_wizard: Open) -> None:
    PresetStore().save(preset())
    broken.store.saved["lab"] = preset()
    async with open_wizard(started(broken)) as pilot:
        await until(pilot, lambda: broken.runs)
        broken.run.finish()
        await until(pilot, lambda: "✗ FAIL" in shown(pilot))
        await pilot.press("i")
        await until(pilot, lambda: "Why may this be ignored?" in shown(pilot))
        await pilot.press(*"idle", "enter")
        await until(pilot, lambda: "stands in the preset lab" in shown(pilot))
        assert [i.reason for i in PresetStore().load("lab").ignores] == ["idle"]


async def test_s_stops_and_goes_on_where_it_was(world: World, open_wizard: Open) -> None:
    async with open_wizard(started(world)) as pilot:
        await until(pilot, lambda: world.runs)
        world.run.answer(LINK, Status.PASS)
        await until(pilot, lambda: "1 of" in shown(pilot))
        await pilot.press("s")
        await until(pilot, lambda: "Stopped: 1 of" in shown(pilot))
        assert "s goes on" in shown(pilot)
        await pilot.press("s")
        await until(pilot, lambda: "checks passed" in shown(pilot))
        assert LINK not in world.run.reruns[0]
        await pilot.press("s")
        await until(pilot, lambda: "Everything has an answer" in shown(pilot))


async def test_c_tells_what_changed_since_the_last_run(world: World, open_wizard: Open) -> None:
    start = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
    session = started(world)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: world.runs)
        world.run.started_at = start
        world.run.finish()
        await until(pilot, lambda: "checks passed" in shown(pilot))
        await pilot.press("c")
        await until(pilot, lambda: "There is no earlier run" in shown(pilot))
        await pilot.press("escape")
        world.bad = {LINK: Status.FAIL}
        await pilot.press("a")
        await until(pilot, lambda: len(world.runs) == 2)
        world.run.started_at = start + timedelta(hours=1)
        world.run.finish()
        await until(pilot, lambda: "Since 2026-03-01 08:00 UTC: 1 worse" in shown(pilot))
        await until(pilot, lambda: "Since the last run: pass → fail" in shown(pilot))
        await pilot.press("c")
        await until(pilot, lambda: "worse: node 1 device 3 link: pass → fail" in shown(pilot))


async def test_y_copies_the_cell_with_its_command(
    broken: World, open_wizard: Open, tmp_path: Path
) -> None:
    async with open_wizard(started(broken)) as pilot:
        await until(pilot, lambda: broken.runs)
        broken.run.finish()
        await until(pilot, lambda: "✗ FAIL" in shown(pilot))
        await pilot.press("y")
        await until(pilot, lambda: "Copied" in shown(pilot))
        assert "$ hccn_tool -i 3 -link -g" in pilot.app.clipboard
        (copy,) = (tmp_path / "state" / "copied").iterdir()
        assert copy.read_text() == pilot.app.clipboard


async def test_who_looks_elsewhere_is_told_when_the_checks_are_done(
    broken: World, open_wizard: Open
) -> None:
    async with open_wizard(started(broken)) as pilot:
        await until(pilot, lambda: broken.runs)
        await pilot.press("escape")
        await at(pilot, Step.NODES)
        assert "~ Checks" in shown(pilot)
        broken.run.finish()
        await until(pilot, lambda: "The checks are done: 2 failed." in shown(pilot))
        assert "! Checks" in shown(pilot)


# -- the pings as a square


async def test_m_shows_the_pings_node_by_node_then_device_by_device(
    broken: World, open_wizard: Open
) -> None:
    broken.bad = {PING: Status.FAIL}
    broken.problem = "ping-loss"
    async with open_wizard(started(broken)) as pilot:
        await until(pilot, lambda: broken.runs)
        broken.run.finish()
        await until(pilot, lambda: "✗ FAIL" in shown(pilot))
        await pilot.press("m")
        await until(pilot, lambda: "32 pings: 31 pass, 1 fail" in shown(pilot))
        text = shown(pilot)
        assert line_of(text, "node 0 ").split() == ["node", "0", "[✗1]"]
        assert line_of(text, "node 1 ").split() == ["node", "1", "✓"]
        assert "15 of 16 pass, 1 fail" in text
        await pilot.press("enter")
        await until(pilot, lambda: "node 0, device 3, ping to node 1 device 3" in shown(pilot))
        assert line_of(shown(pilot), "n0 d3").split() == ["n0", "d3", "[✗]"]
        await pilot.press("up")
        await until(pilot, lambda: "This pair was not pinged" in shown(pilot))
        await pilot.press("n", "enter")
        await until(pilot, lambda: "exit code 1" in shown(pilot))
        await pilot.press("escape", "escape")
        await until(pilot, lambda: "from  to" in shown(pilot))
        await pilot.press("escape")
        await at(pilot, Step.CHECKS)


async def test_g_says_how_long_every_pair_takes_before_it_starts(
    world: World, open_wizard: Open
) -> None:
    session = started(world)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: world.runs)
        world.run.finish()
        await until(pilot, lambda: "checks passed" in shown(pilot))
        await pilot.press("m", "g")
        await until(pilot, lambda: "480 more pairs, about 3 min" in shown(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: "480 more pairs, about" not in shown(pilot))
        assert world.run.reruns == []
        await pilot.press("g")
        await until(pilot, lambda: "480 more pairs, about 3 min" in shown(pilot))
        await pilot.press("right", "enter")
        await until(pilot, lambda: "512 pings: 512 pass" in shown(pilot))
        assert "Every pair was pinged" in shown(pilot)
        await pilot.press("g")
        await until(pilot, lambda: "Every pair was pinged already" in shown(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: "All 708 checks passed" in shown(pilot))


async def test_sixteen_nodes_of_sixteen_npus_show_and_move(world: World, open_wizard: Open) -> None:
    hosts = "\n".join(f"  - {{host: 10.0.0.{n + 1}}}" for n in range(16))
    head = "version: 1\nname: large\nseries: A3\nprecision: bf16\nnodes:\n"
    session = started(world)
    session.load(preset(head + hosts + "\n"))
    world.bad = {CellKey(13, 7, "link"): Status.FAIL}
    async with open_wizard(session, size=(160, 48)) as pilot:
        await until(pilot, lambda: world.runs)
        world.run.finish()
        await until(pilot, lambda: "node 13, device 7, link  ✗ FAIL" in shown(pilot))
        await until(pilot, lambda: "node 13 10.0.0.14" in shown(pilot))
        assert len(pilot.app.screen.query(BoardMatrix)) == 16
        await pilot.press("f")
        await until(pilot, lambda: "[✗]" in line_of(shown(pilot), "link "))
        assert "node 12 10.0.0.13" not in shown(pilot)
        await pilot.press("f", "m")
        await until(pilot, lambda: "3840 pings" in shown(pilot))
        assert len(list(pilot.app.screen.query_one(MeshGrid).bad())) == 0
        assert "n15" in shown(pilot)
