"""Ignored faults: precise, never silent, gone with the fault, never for what is not known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wizard.checks.formats import FORMATS
from wizard.checks.ignores import Ignore, ignore_cell, merged, refusal, settle
from wizard.checks.model import CellKey, Result, Status
from wizard.checks.problems import Problem
from wizard.checks.report import exit_status, from_json, make_report, to_json, verdict
from wizard.errors import PresetError
from wizard.presetedit import save_ignores
from wizard.presets import PresetStore, dump_preset, load_preset, parse_preset

DOWN = ("link status: DOWN\n", "", 0)
LOST = ("3 packets transmitted, 0 received, 100.00% packet loss\n", "", 0)
LINK = CellKey(1, 3, "link")
REASON = "cable on order"
PRESET = """\
# who to call: the network team
version: 1
name: lab
series: A2
precision: w8a8
nodes:
  - host: 198.51.100.1  # upper rack
  - host: 198.51.100.2
"""


def ignore(**other: Any) -> Ignore:
    keys = {"check": "link", "host": "198.51.100.2", "device": 3, "problem": "link-down"}
    keys |= {"reason": REASON, "by": "ines", "at": "2026-03-01T08:00:00Z"}
    return Ignore(**(keys | other))


@pytest.fixture
async def down(fleet: Any) -> Any:
    """A run where node 1 device 3 has its link down, and so no ping."""
    fleet.nodes[1].override |= {
        "-i 3 -link -g": [DOWN],
        "-i 3 -ping -g address 10.77.0.23": [LOST],
    }
    fleet.nodes[0].override["-i 3 -ping -g address 10.77.1.23"] = [LOST]
    run = fleet.check()
    await run.run()
    return run


def test_an_ignored_fault_counts_as_a_warning_with_what_follows_from_it(down: Any) -> None:
    assert (verdict(down), exit_status(down)) == (Status.FAIL, 1)
    report = make_report(down, "lab", ignores=[ignore()])
    assert (verdict(report), exit_status(report)) == (Status.WARN, 0)
    data = to_json(report)
    assert data["summary"] == {"pass": 181, "warn": 3, "fail": 0, "error": 0, "skipped": 6}
    (link,) = [r for r in data["results"] if r["check"] == "link" and "ignored" in r]
    assert link["status"] == "warn"
    assert link["ignored"] == {
        **{"reason": REASON, "by": "ines", "at": "2026-03-01T08:00:00Z"},
        **{"status": "fail", "follows": ""},
    }
    pings = [r for r in data["results"] if r["check"] == "ping" and "ignored" in r]
    assert [r["ignored"]["follows"] for r in pings] == [ignore().where] * 2
    (finding,) = data["findings"]
    assert finding["severity"] == "warn"
    assert finding["ignored"] == [f"{REASON} (ines, 2026-03-01T08:00:00Z)"]


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_every_report_says_why_who_and_when(down: Any, name: str) -> None:
    text = FORMATS[name](make_report(down, "lab", ignores=[ignore()]))
    for words in (REASON, "ines", "2026-03-01T08:00:00Z"):
        assert words in text


@pytest.mark.parametrize(
    "other",
    [
        {"device": 2},
        {"host": "198.51.100.1"},
        {"check": "lldp"},
        {"problem": "net-health-fault"},
        {"device": None},
    ],
)
def test_it_is_about_one_cell_and_one_problem(down: Any, other: dict[str, Any]) -> None:
    assert exit_status(make_report(down, "lab", ignores=[ignore(**other)])) == 1


def test_another_device_with_the_same_fault_still_fails_on_its_own(fleet: Any, down: Any) -> None:
    board, old = down.board, down.board.get(CellKey(0, 5, "link"))
    assert old is not None
    board.put(
        Result(old.key, Status.FAIL, "link is DOWN", host=old.host, value={"problem": "link-down"})
    )
    report = make_report(down, "lab", ignores=[ignore()])
    assert verdict(report) is Status.FAIL
    assert [(f.severity, f.where) for f in report.findings] == [
        ("fail", [{"node": 0, "device": 5}]),
        ("warn", [{"node": 1, "device": 3}]),
    ]
    assert [len(f.because) for f in report.findings] == [0, 2]
    assert [len(f.ignored) for f in report.findings] == [0, 1]


async def test_it_turns_up_as_unused_when_the_fault_is_gone(fleet: Any) -> None:
    run = fleet.check()
    await run.run()
    gone = ignore(host="192.0.2.9")
    report = make_report(run, "lab", ignores=[ignore(), gone])
    assert [u["why"] for u in report.unused] == ["the fault is gone", "the preset has no such node"]
    assert "not needed any more" in FORMATS["text"](report)
    assert verdict(report) is Status.PASS


async def test_what_was_not_asked_says_nothing_about_an_ignore(fleet: Any) -> None:
    run = fleet.check(only=frozenset({"ip"}))
    await run.run()
    assert make_report(run, "lab", ignores=[ignore()]).unused == ()


async def test_an_error_is_never_ignored(fleet: Any) -> None:
    fleet.nodes[1].override["-i 3 -link -g"] = [("", "", 124)]
    run = fleet.check(only=frozenset({"link"}))
    await run.run()
    (problem,) = {r.value["problem"] for r in run.board if r.status is Status.ERROR}
    report = make_report(run, "lab", ignores=[ignore(problem=problem)])
    assert (verdict(report), exit_status(report)) == (Status.ERROR, 3)


@pytest.mark.parametrize(
    ("status", "check", "problem", "word"),
    [
        (Status.ERROR, "link", Problem.NOT_UNDERSTOOD, "not known"),
        (Status.FAIL, "ssh", Problem.HOST_KEY, "host key"),
        (Status.FAIL, "arch", Problem.LINK_DOWN, "arch"),
        (Status.PASS, "link", Problem.LINK_DOWN, "Nothing is wrong"),
        (Status.PENDING, "link", Problem.LINK_DOWN, "no answer"),
    ],
)
def test_what_cannot_be_ignored_says_why(
    fleet: Any, status: Status, check: str, problem: Problem, word: str
) -> None:
    result = Result(CellKey(0, 1, check), status, "x", value={"problem": problem.value})
    assert word in refusal(result)
    with pytest.raises(ValueError, match=word):
        ignore_cell(result, fleet.cluster, REASON)


def test_a_cell_with_several_problems_needs_them_all_ignored(fleet: Any, down: Any) -> None:
    problems = [
        {"problem": "hccn-conf-stale", "device": 1, "text": "a"},
        {"problem": "hccn-conf-gateway", "device": 2, "text": "b"},
    ]
    key = CellKey(0, None, "hccn_conf")
    result = Result(key, Status.FAIL, "two", host="198.51.100.1", value={"problems": problems})
    down.board.put(result)
    both = ignore_cell(result, fleet.cluster, REASON, by="ines")
    assert [(i.problem, i.device) for i in both] == [
        ("hccn-conf-stale", 1),
        ("hccn-conf-gateway", 2),
    ]
    assert key not in settle(down.board, fleet.cluster, both[:1]).ignored
    settled = settle(down.board, fleet.cluster, both)
    assert settled.ignored[key].reason == REASON
    assert settled.unused == ()


@pytest.mark.parametrize("reason", ["", "  ", "two\nlines", "\x1b[31mred", "x" * 301])
def test_the_reason_is_one_honest_line(fleet: Any, down: Any, reason: str) -> None:
    with pytest.raises(ValueError, match="reason"):
        ignore_cell(down.board.get(LINK), fleet.cluster, reason)


def test_a_new_reason_takes_the_place_of_the_old_one() -> None:
    assert merged([ignore(), ignore(device=4)], [ignore(reason="new")]) == [
        ignore(reason="new"),
        ignore(device=4),
    ]


async def test_a_figure_of_many_pings_says_that_it_is_ignored(fleet: Any) -> None:
    fleet.nodes[1].override["-i 3 -ping -g address 10.77.0.23"] = [LOST]
    fleet.nodes[0].override["-i 3 -ping -g address 10.77.1.23"] = [LOST]
    run = fleet.check()
    await run.run()
    lost = [r for r in run.board if r.status is Status.FAIL]
    assert {r.key.check for r in lost} == {"ping"}
    ignores = [i for r in lost for i in ignore_cell(r, fleet.cluster, REASON, by="ines")]
    report = make_report(run, "lab", ignores=ignores)
    assert verdict(report) is Status.WARN
    assert all(finding.ignored for finding in report.findings)
    assert "IGNORED" in FORMATS["text"](report)
    assert "Findings" not in FORMATS["text"](report)


# -- in the preset


def test_the_preset_carries_them_and_keeps_its_comments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("V32_WIZARD_HOME", str(tmp_path / "home"))
    path = tmp_path / "shared.yaml"
    path.write_text(PRESET)
    path.chmod(0o644)
    assert save_ignores(str(path), [ignore()]) == path
    assert path.read_text().startswith(PRESET)
    assert path.stat().st_mode & 0o777 == 0o644
    assert load_preset(path).ignores == [ignore()]
    save_ignores(str(path), [ignore(), ignore(device=4)])
    assert load_preset(path).ignores == [ignore(), ignore(device=4)]
    assert "# who to call" in path.read_text()
    save_ignores(str(path), [])
    assert path.read_text() == PRESET


def test_a_saved_preset_is_changed_and_a_shipped_one_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("V32_WIZARD_HOME", str(tmp_path))
    store = PresetStore()
    store.save(parse_preset(PRESET))
    save_ignores("lab", [ignore()])
    assert store.load("lab").ignores == [ignore()]
    shipped = next(iter(store.shipped()))
    save_ignores(shipped, [ignore()])
    assert store.load(shipped).ignores == [ignore()]


def test_a_preset_in_another_shape_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "flow.yaml"
    path.write_text(
        "{version: 1, name: lab, series: A2, precision: w8a8, nodes: [{host: a}, {host: b}]}"
    )
    save_ignores(str(path), [ignore()])
    assert load_preset(path).ignores == [ignore()]


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [
        ("reason", "''", "ignores[0].reason: must not be empty"),
        ("problem", "host-key", "ignores[0].problem: host-key cannot be ignored"),
        ("problem", "nonsense", "ignores[0].problem: there is no problem 'nonsense'"),
        ("check", "nonsense", "ignores[0].check: there is no check 'nonsense'"),
        ("device", "16", "ignores[0].device"),
        ("at", "yesterday", "ignores[0].at: 'yesterday' is not a time like"),
        ("token", "x", "ignores[0].token: no secret has a place in a preset"),
    ],
)
def test_a_wrong_ignore_is_refused_with_its_path(key: str, value: str, word: str) -> None:
    keys = {k: str(v) for k, v in ignore().model_dump(exclude_none=True).items()} | {key: value}
    text = PRESET + "ignores:\n- " + "\n  ".join(f"{k}: {v}" for k, v in keys.items()) + "\n"
    with pytest.raises(PresetError) as caught:
        parse_preset(text)
    assert word in str(caught.value)


def test_one_fault_is_ignored_once() -> None:
    preset = parse_preset(PRESET).model_copy(update={"ignores": [ignore(), ignore(reason="again")]})
    with pytest.raises(PresetError, match="entry 1 is there already"):
        parse_preset(dump_preset(preset))


def test_a_report_read_back_is_the_same(down: Any) -> None:
    data = to_json(make_report(down, "lab", ignores=[ignore()]))
    assert to_json(from_json(data)) == data
