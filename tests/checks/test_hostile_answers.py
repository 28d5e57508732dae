"""What a hostile or broken node may print: it costs its own cell, never the run."""

from __future__ import annotations

from typing import Any

from wizard.checks.model import CellKey, Status
from wizard.checks.problems import Problem

NINES = "9" * 5000  # more digits than Python reads as a number


async def test_a_number_that_nobody_can_read_costs_its_cell_alone(fleet: Any) -> None:
    stat = f"[devid 3] link up count : {NINES}\n"
    fleet.nodes[0].override["-i 3 -link_stat -g"] = [(stat, "", 0)]
    board = await fleet.check().run()
    wrong = {r.key: r for r in board if r.status not in (Status.PASS, Status.SKIPPED)}
    assert set(wrong) == {CellKey(0, 3, "link_stat")}
    found = wrong[CellKey(0, 3, "link_stat")]
    assert found.status is Status.ERROR
    assert found.value["problem"] == Problem.NOT_UNDERSTOOD
    assert NINES in found.output
