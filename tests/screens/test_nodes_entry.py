"""Entering nodes: ranges, pasted lists, the list as text, files, and picks from ssh_config."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import TextArea

from tests.screens.fakes import World, preset
from tests.screens.pilots import Open, shown, until, words
from wizard.cluster import Precision, Series
from wizard.draft import DraftNode
from wizard.session import Session, Step


def fresh(world: World, *addresses: str) -> Session:
    session = Session(rooms=world.rooms)
    session.set_hardware(Series.A2, Precision.BF16)  # four nodes
    if addresses:
        session.set_nodes([DraftNode(address) for address in addresses])
    session.step = Step.NODES
    return session


def listed(session: Session) -> list[str]:
    return [node.address for node in session.draft.nodes]


async def paste(pilot: Pilot[int], text: str) -> None:
    assert pilot.app.focused is not None
    pilot.app.focused.post_message(events.Paste(text))
    await pilot.pause()


async def test_a_range_and_enter_become_lines(world: World, open_wizard: Open) -> None:
    session = fresh(world)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "BF16 on A2 needs 4 nodes" in shown(pilot))
        await pilot.press(*"ops@n[08-11]:2200", "enter")
        await until(pilot, lambda: len(listed(session)) == 4)
        assert listed(session) == [f"ops@n{n}:2200" for n in ("08", "09", "10", "11")]
        await until(pilot, lambda: "3        ops@n11:2200" in shown(pilot))
        await pilot.press("f6", *"x[1-2000]", "enter")
        await until(pilot, lambda: "1024 are allowed" in shown(pilot))
        assert listed(session)[-1] == "x[1-2000]"  # kept as typed, to be mended


async def test_next_turns_ranges_into_lines_before_anything_else(
    world: World, open_wizard: Open
) -> None:
    session = fresh(world, "n[1-3]", "n4")
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "n[1-3]" in shown(pilot))
        await pilot.press("ctrl+n")
        await until(pilot, lambda: listed(session) == ["n1", "n2", "n3", "n4"])
        assert not world.discoveries


async def test_a_pasted_list_fills_lines_and_one_with_mistakes_is_shown_as_text(
    world: World, open_wizard: Open
) -> None:
    session = fresh(world)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "needs 4 nodes" in shown(pilot))
        await paste(pilot, "10.0.0.1 head # rack 1\n10.0.0.2\n\n10.0.0.3\n")
        await until(pilot, lambda: listed(session) == ["10.0.0.1", "10.0.0.2", "10.0.0.3", ""])
        await pilot.press("down")
        await paste(pilot, "n4\n@group\nn5")
        await until(pilot, lambda: "Line 5: @group is a group" in shown(pilot))
        await pilot.press("f10")
        await until(pilot, lambda: "press F10 again to take the good lines alone" in shown(pilot))
        assert pilot.app.screen.query_one(TextArea).cursor_location == (4, 0)
        await pilot.press("f10")
        await until(
            pilot, lambda: listed(session) == ["10.0.0.1", "10.0.0.2", "10.0.0.3", "n4", "n5"]
        )


async def test_one_pasted_address_goes_into_the_line(world: World, open_wizard: Open) -> None:
    session = fresh(world)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "needs 4 nodes" in shown(pilot))
        await pilot.press(*"root@")
        await paste(pilot, "10.0.0.9\n")
        await until(pilot, lambda: listed(session)[0] == "root@10.0.0.9")


async def test_the_list_as_text_keeps_details_and_escape_keeps_everything(
    world: World, open_wizard: Open
) -> None:
    session = fresh(world)
    session.set_nodes([DraftNode("n1", local_ip="10.0.0.1"), DraftNode("n2")])
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "n2" in shown(pilot))
        await pilot.press("f3")
        await until(pilot, lambda: "2 nodes in rank order" in shown(pilot))
        pilot.app.screen.query_one(TextArea).text = "n2\nn[3-4]\nn1\n"
        await until(pilot, lambda: "4 nodes in rank order" in shown(pilot))
        await pilot.press("f10")
        await until(pilot, lambda: listed(session) == ["n2", "n3", "n4", "n1"])
        assert session.draft.nodes[3].local_ip == "10.0.0.1"
        await pilot.press("f3")
        await until(pilot, lambda: "4 nodes in rank order" in shown(pilot))
        pilot.app.screen.query_one(TextArea).text = ""
        await pilot.press("escape")
        await until(pilot, lambda: "Which nodes?" in shown(pilot))
        assert len(listed(session)) == 4


async def test_a_file_is_looked_at_as_text_first(
    world: World, open_wizard: Open, tmp_path: Path
) -> None:
    (tmp_path / "hosts").write_text("127.0.0.1 localhost\n10.7.0.1 a\n10.7.0.2 b\n")
    session = fresh(world)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "needs 4 nodes" in shown(pilot))
        await pilot.press("ctrl+o")
        await until(pilot, lambda: "Which file?" in shown(pilot))
        await paste(pilot, str(tmp_path / "none"))
        await pilot.press("enter")
        await until(pilot, lambda: "does not exist" in words(pilot))
        await pilot.press("ctrl+o")
        await until(pilot, lambda: "Which file?" in shown(pilot))
        await paste(pilot, str(tmp_path / "hosts"))
        await pilot.press("enter")
        await until(pilot, lambda: "2 nodes in rank order" in shown(pilot))
        await pilot.press("f10")
        await until(pilot, lambda: listed(session) == ["10.7.0.1", "10.7.0.2"])


async def test_hosts_are_picked_from_ssh_config(
    world: World, open_wizard: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    session = fresh(world)
    async with open_wizard(session) as pilot:
        await until(pilot, lambda: "needs 4 nodes" in shown(pilot))
        await pilot.press("f2")
        await until(pilot, lambda: "names no host that could be picked" in shown(pilot))
        (tmp_path / ".ssh").mkdir()
        lines = "".join(f"Host npu{n}\n HostName 10.3.0.{n}\n ProxyJump gate\n" for n in (1, 2, 3))
        (tmp_path / ".ssh/config").write_text(f"Host gate\n User jo\n{lines}Host *.lab\n")
        await pilot.press("f2")
        await until(pilot, lambda: "0 marked, 4 of 4 shown" in shown(pilot))
        assert "10.3.0.2 through gate" in shown(pilot)
        assert "jo@" in shown(pilot)
        await pilot.press("slash", *"npu", "enter")
        await until(pilot, lambda: "3 of 4 shown" in shown(pilot))
        await pilot.press("a")
        await until(pilot, lambda: "3 marked" in shown(pilot))
        await pilot.press("space")
        await until(pilot, lambda: "2 marked" in shown(pilot))
        await pilot.press("f10")
        await until(pilot, lambda: listed(session) == ["npu2", "npu3", "", ""])


async def test_what_was_found_is_kept_with_the_answers_until_the_address_changes(
    world: World, open_wizard: Open
) -> None:
    session = Session(rooms=world.rooms)
    session.load(preset())
    (node, _) = session.draft.nodes
    node.local_ip = node.nic = ""
    node.note_found("10.1.1.1", "bond0")
    assert node.to_preset()["local_ip"] == "10.1.1.1"
    node.nic = "eth5"
    assert (node.to_preset()["local_ip"], node.to_preset()["nic"]) == ("10.1.1.1", "eth5")
    node.address = "other"
    assert "local_ip" not in node.to_preset()
