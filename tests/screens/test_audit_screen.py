"""F9: what was run on my nodes, over any step."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from screens.audit import AuditScreen
from screens.widgets.auditlist import AuditList
from tests.screens.fakes import World
from tests.screens.pilots import Open, at, shown, until
from tests.screens.test_checks import started
from wizard.cluster import Node
from wizard.remote.audit import AuditLog
from wizard.session import Step


@pytest.fixture
def log(world: World) -> AuditLog:
    return AuditLog(world.folder / "state" / "audit.jsonl")


def put(log: AuditLog, command: str, status: int | None = 0, rank: int = 0, **more: str) -> None:
    node = Node(rank=rank, host=f"10.0.0.{11 + rank}", port=22)
    log.record(node, command, duration_s=0.2, exit_status=status, **more)


async def opened(pilot: Pilot[int]) -> AuditList:
    await pilot.press("f9")
    await until(pilot, lambda: isinstance(pilot.app.screen, AuditScreen))
    await until(pilot, lambda: "entr" in shown(pilot) or "Nothing has been run" in shown(pilot))
    return pilot.app.screen.query_one(AuditList)


@pytest.mark.parametrize("step", [Step.CHECKS, Step.PREVIEW, Step.LAUNCH])
async def test_it_is_shown_over_any_step_and_left_again(
    world: World, open_wizard: Open, log: AuditLog, step: Step
) -> None:
    put(log, "hccn_tool -i 0 -link -g")
    async with open_wizard(started(world, step)) as pilot:
        await opened(pilot)
        assert "hccn_tool -i 0 -link -g" in shown(pilot)
        assert "all nodes: 1 entry" in shown(pilot)
        await pilot.press("f9")
        await at(pilot, step)


async def test_a_narrow_screen_has_room_for_the_command(
    world: World, open_wizard: Open, log: AuditLog
) -> None:
    command = "export LC_ALL=C; hccn_tool -i 0 -net_health -g"
    put(log, command, user="ops")
    long = "export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin:/usr/local/sbin; "
    put(log, f"{long}export LD_LIBRARY_PATH=/a:/b; npu-smi info")
    for width, text in ((80, "s  hccn_tool -i 0 -net_health -g"), (130, f"s  {command}")):
        async with open_wizard(started(world, Step.CHECKS), size=(width, 24)) as pilot:
            await opened(pilot)
            assert text in shown(pilot)
            assert "s  npu-smi info" in shown(pilot)
            assert ("ops@10.0.0.11" in shown(pilot)) is (width > 120)


async def test_it_follows_the_newest_until_the_cursor_is_moved(
    world: World, open_wizard: Open, log: AuditLog
) -> None:
    for number in range(60):
        put(log, f"echo {number}")
    async with open_wizard(started(world, Step.CHECKS)) as pilot:
        records = await opened(pilot)
        assert "echo 59" in shown(pilot)
        assert "echo 3 " not in shown(pilot)
        put(log, "echo sixty")
        await until(pilot, lambda: "echo sixty" in shown(pilot))
        assert records.current is not None
        assert records.current.command == "echo sixty"
        await pilot.press("home")
        await until(pilot, lambda: "echo 0" in shown(pilot))
        put(log, "echo more")
        await until(pilot, lambda: "62 entries" in shown(pilot))
        assert records.current.command == "echo 0"
        await pilot.press("pagedown", "down", "end")
        await until(pilot, lambda: "echo more" in shown(pilot))


async def test_by_node_failure_and_words(world: World, open_wizard: Open, log: AuditLog) -> None:
    put(log, "docker ps", 0, rank=0)
    put(log, "docker run", 125, rank=1)
    put(log, "df -h", None, rank=1, note="timed out")
    async with open_wizard(started(world, Step.CHECKS)) as pilot:
        await opened(pilot)
        assert "all nodes: 3 entries, 2 failed" in shown(pilot)
        await pilot.press("o")
        await until(pilot, lambda: "node 0 10.0.0.11: 1 entry" in shown(pilot))
        assert "docker run" not in shown(pilot)
        await pilot.press("o", "o", "f")
        await until(pilot, lambda: "all nodes, failed only: 2 entries" in shown(pilot))
        assert "docker ps" not in shown(pilot)
        assert "✗ exit 125" in shown(pilot)
        await pilot.press("slash", *"TIMED", "enter")
        await until(pilot, lambda: "with 'TIMED': 1 entry" in shown(pilot))
        assert "df -h" in shown(pilot)
        await pilot.press("f")
        await until(pilot, lambda: "failed only" not in shown(pilot))
        await pilot.press("slash", "escape")
        await until(pilot, lambda: "all nodes: 3 entries" in shown(pilot))
        await pilot.press("escape")
        await at(pilot, Step.CHECKS)


async def test_all_of_an_entry_and_a_copy_of_its_command(
    world: World, open_wizard: Open, log: AuditLog
) -> None:
    command = "set -u\nfor n in 1 2; do\n  echo [red]$n[/red]\x1b[2J; done"
    put(log, command)
    async with open_wizard(started(world, Step.CHECKS)) as pilot:
        await opened(pilot)
        assert "set -u\\nfor n in 1 2" in shown(pilot)
        await pilot.press("y")
        await until(pilot, lambda: "Copied, and written to" in shown(pilot))
        assert (world.folder / "state/copied/command.txt").read_text() == command + "\n"
        await pilot.press("enter")
        await until(pilot, lambda: "  echo [red]$n[/red]; done" in shown(pilot))
        assert "node 0 10.0.0.11:22" in shown(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, AuditScreen))


async def test_nothing_yet_and_then_something(
    world: World, open_wizard: Open, log: AuditLog
) -> None:
    async with open_wizard(started(world, Step.CHECKS)) as pilot:
        records = await opened(pilot)
        assert "Nothing has been run on any node yet." in shown(pilot)
        await pilot.press("y", "enter", "up", "o", "f", "f")
        assert records.current is None
        put(log, "echo first")
        await until(pilot, lambda: "echo first" in shown(pilot))


async def test_a_log_that_cannot_be_written_is_said_at_once_and_there(
    world: World, open_wizard: Open
) -> None:
    session = started(world, Step.CHECKS)
    async with open_wizard(session) as pilot:
        session.fleet()
        world.fleets[-1].audit_problem = "The audit log x cannot be written: disk full."
        await until(pilot, lambda: "The audit log x cannot be written" in shown(pilot))
        await opened(pilot)
        await until(pilot, lambda: "The audit log x cannot be written" in shown(pilot))


async def test_help_and_palette_know_it(world: World, open_wizard: Open) -> None:
    async with open_wizard(started(world, Step.CHECKS)) as pilot:
        names = [c.title for c in pilot.app.get_system_commands(pilot.app.screen)]
        assert "What was run on the nodes" in names
        await pilot.press("f1")
        await until(pilot, lambda: "Keys" in shown(pilot))
        await pilot.press("end")
        await until(pilot, lambda: "f9" in shown(pilot).lower())
        assert "What was run" in shown(pilot)
