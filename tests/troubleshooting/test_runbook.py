"""The runbook: an entry for everything that can be wrong, each of them usable."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.checks.cases import cases
from wizard.checks.board import Board
from wizard.checks.catalogue import CHECKS
from wizard.checks.model import CellKey, Result, Status
from wizard.checks.problems import Problem
from wizard.cluster import Cluster, Node, Precision, Series
from wizard.troubleshooting.context import NAMES
from wizard.troubleshooting.findings import explain, findings
from wizard.troubleshooting.runbook import RISKS, runbook

CLUSTER = Cluster(Series.A3, Precision.BF16, (Node(0, "a"), Node(1, "b")))
CHANGES = re.compile(r" -s | -cfg | set | reset|-reset")


def names_in(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


def test_every_problem_has_an_entry_and_every_entry_a_problem() -> None:
    assert set(runbook()) == {problem.value for problem in Problem}


@pytest.mark.parametrize("problem", list(Problem))
def test_an_entry_is_whole(problem: Problem) -> None:
    entry = runbook()[problem]
    assert "{where}" in entry.title
    assert not entry.title.endswith(".")
    assert "{place}" in entry.explain
    assert entry.explain.endswith(".")
    assert names_in(entry.explain) <= {"place", "summary"}
    assert entry.causes
    for command in [s.command for s in entry.next] + [f.command for f in entry.fixes]:
        assert names_in(command) <= set(NAMES)
    assert all(step.why for step in entry.next)
    assert all(fix.why and fix.risk in RISKS for fix in entry.fixes)


def test_looking_never_changes_anything_and_mending_always_does() -> None:
    for entry in runbook().values():
        assert not [s.command for s in entry.next if CHANGES.search(s.command)]
        assert all(CHANGES.search(fix.command) for fix in entry.fixes)


@pytest.mark.parametrize(
    ("part", "risk"),
    [
        ("-link -s up", "safe"),
        ("-netdetect -s", "safe"),
        ("-gateway -s", "low"),
        ("-ip -s", "disruptive"),
        ("-cfg recovery", "disruptive"),
        ("set -t reset", "destructive"),
    ],
)
def test_a_fix_has_the_risk_that_the_vendor_gives_it(part: str, risk: str) -> None:
    risks = {f.risk for e in runbook().values() for f in e.fixes if part in f.command}
    assert risks == {risk}


def bad_answers() -> list[Any]:
    found = []
    for name, case in cases():
        if case["expect"]["status"] not in ("pass", "skipped"):
            said = case.get("stdout", ""), case.get("stderr", ""), case.get("exit_code", 0)
            parsed = CHECKS[name].parse(*said)
            found.append(pytest.param(name, parsed, id=f"{name}: {case['name']}"))
    return found


@pytest.mark.parametrize(("check", "parsed"), bad_answers())
def test_every_bad_answer_of_every_parser_has_a_finding_that_names_the_place(
    check: str, parsed: Any
) -> None:
    scope = CHECKS[check].scope
    peer = (0, 2) if scope == "pair" else (None, None)
    key = CellKey(1, None if scope == "node" else 2, check, *peer)
    board = Board()
    result = Result(key, parsed.status, parsed.summary, value=parsed.value)
    board.put(result)
    found = findings(board, CLUSTER)
    assert found
    assert {place["node"] for finding in found for place in finding.where} >= {1}
    assert {finding.severity for finding in found} == {parsed.status.value}
    assert all("{" not in finding.title for finding in found)
    sentence = explain(result)
    assert sentence.startswith("Node 1")
    assert sentence.endswith(".")
    assert not sentence.endswith("..")
    assert "{" not in sentence


def test_what_passes_is_explained_too() -> None:
    key = CellKey(0, 1, "link")
    assert explain(Result(key, Status.PASS, "link is UP")) == "node 0 device 1: link is UP."
    assert explain(Result(key, Status.PENDING, "")) == "node 0 device 1: no answer yet."
