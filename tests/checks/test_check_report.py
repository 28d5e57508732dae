"""Reports and exit statuses: JSON as the contract has it, text, JUnit, HTML."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest

from wizard.checks import report
from wizard.checks.catalogue import CHECKS
from wizard.checks.formats import FORMATS
from wizard.checks.model import CellKey, Status
from wizard.checks.outcome import place
from wizard.checks.report import exit_status, make_report, verdict
from wizard.errors import AuthenticationFailed, HostKeyError, Unreachable

DOWN = ("link status: DOWN\n", "", 0)
LOST = ("3 packets transmitted, 0 received, 100.00% packet loss\n", "", 0)
EVIL = '<script>alert("x")</script> & \x0b\x00'


def to_json(run: Any, name: str) -> Any:
    return report.to_json(make_report(run, name))


def to_text(run: Any, name: str) -> str:
    return FORMATS["text"](make_report(run, name))


def to_junit(run: Any, name: str) -> str:
    return FORMATS["junit"](make_report(run, name))


def to_html(run: Any, name: str) -> str:
    return FORMATS["html"](make_report(run, name))


@pytest.fixture
async def down(fleet: Any) -> Any:
    """A run where node 1 device 3 has its link down."""
    fleet.nodes[1].override |= {
        "-i 3 -link -g": [DOWN],
        "-i 3 -ping -g address 10.77.0.23": [LOST],
    }
    fleet.nodes[0].override["-i 3 -ping -g address 10.77.1.23"] = [LOST]
    run = fleet.check()
    await run.run()
    return run


async def test_json_is_as_the_contract_has_it(down: Any) -> None:
    report = json.loads(json.dumps(to_json(down, "lab")))
    assert list(report) == [
        *("schema", "preset", "series", "precision", "started_at", "duration_s", "verdict"),
        *("summary", "results", "findings", "nodes", "ignores_unused", "since_last_run"),
        *("topology", "mesh"),
    ]
    assert report["schema"] == "v32-wizard/check-report/1"
    assert (report["preset"], report["series"], report["precision"]) == ("lab", "A2", "w8a8")
    assert report["started_at"].endswith("Z")
    assert report["verdict"] == "fail"
    assert report["summary"] == {"pass": 181, "warn": 0, "fail": 3, "error": 0, "skipped": 6}
    assert len(report["results"]) == 190
    (link,) = [r for r in report["results"] if r["check"] == "link" and r["status"] == "fail"]
    assert link == {
        "node": 1,
        "host": "198.51.100.2",
        "device": 3,
        "check": "link",
        "status": "fail",
        "summary": "link is DOWN",
        "command": "hccn_tool -i 3 -link -g",
        "exit_code": 0,
        "output": "link status: DOWN\n",
        "duration_s": 0.1,
        "value": {"link": "DOWN", "problem": "link-down"},
    }


async def test_json_names_the_peer_of_a_ping_and_no_device_for_a_node(down: Any) -> None:
    results = to_json(down, "lab")["results"]
    ping = next(r for r in results if r["check"] == "ping" and r["status"] == "fail")
    assert (ping["peer_node"], ping["peer_device"], ping["peer_address"]) == (1, 3, "10.77.1.23")
    assert all(("peer_node" in r) == (r["check"] == "ping") for r in results)
    of_node = {name for name, check in CHECKS.items() if check.scope == "node"}
    assert {r["check"] for r in results if r["device"] is None} == of_node - {"spod"}  # A3 alone


async def test_json_findings_have_the_contracts_keys(down: Any) -> None:
    (finding,) = to_json(down, "lab")["findings"]
    assert (finding["id"], finding["severity"]) == ("link-down", "fail")
    assert finding["where"] == [{"node": 1, "device": 3}]
    assert finding["causes"]
    assert all(set(step) == {"command", "why"} for step in finding["next"])
    fix = finding["fixes"][0]
    assert (fix["command"], fix["node"], fix["device"], fix["risk"]) == (
        "hccn_tool -i 3 -link -s up",
        1,
        3,
        "safe",
    )


async def test_text_says_what_is_bad_why_and_what_to_do(down: Any) -> None:
    text = to_text(down, "lab")
    assert text.startswith("Checks of lab: 2 × Atlas 800 A2 (64G × 8), W8A8\n")
    assert "link: link is DOWN (node 1 device 3)" in text
    assert "[fail] The network link is down: node 1 device 3" in text
    assert "fix (safe) on node 1: hccn_tool -i 3 -link -s up" in text
    assert text.splitlines()[-1].startswith("Verdict: FAIL (190 of 190 in ")


async def test_text_of_many_alike_stays_short(fleet: Any) -> None:
    fleet.nodes[1].override |= {f"-i {d} -link -g": [DOWN] for d in range(8)}
    run = fleet.check(only=frozenset({"link"}))
    await run.run()
    text = to_text(run, "lab")
    assert "node 1 device 3 and 4 more" in text
    assert "The network link is down: node 1 devices 0-7" in text
    assert text.count("-link -s up") == 1
    assert "and 7 more like it" in text
    assert len(to_json(run, "lab")["findings"][0]["fixes"]) == 16  # two for every device


async def test_text_says_once_that_a_node_is_out_of_reach(fleet: Any) -> None:
    fleet.nodes[1].connect_error = Unreachable("node 1 is away.")
    run = fleet.check()
    await run.run()
    text = to_text(run, "lab")
    assert text.count("node 1 is away.") == 1
    assert "  95 not asked: node 1 is away.\n" in text
    assert "ping: not sent: the address of node 1 device 0 is not known" in text
    assert "node 1 cannot be reached over SSH" in text


async def test_junit_has_a_case_per_cell_and_counts_that_add_up(down: Any) -> None:
    root = ElementTree.fromstring(to_junit(down, "lab"))
    suites = root.findall("testsuite")
    assert [s.get("name") for s in suites] == ["node 0 (198.51.100.1)", "node 1 (198.51.100.2)"]
    for suite, failures in zip(suites, (1, 2), strict=True):
        assert int(suite.get("tests", "0")) == len(suite.findall("testcase")) == 95
        assert int(suite.get("failures", "0")) == len(suite.findall("testcase/failure")) == failures
        assert (suite.get("errors"), suite.get("skipped")) == ("0", "3")  # there is no preset
    failed = next(c for c in suites[1].iter("testcase") if c.get("name") == "link node 1 device 3")
    assert failed[0].get("message") == "link is DOWN"
    assert failed[0].text == "link status: DOWN\n"


async def test_junit_and_html_bear_any_text(fleet: Any) -> None:
    fleet.nodes[0].override |= {
        "-i 0 -link -g": [(EVIL, EVIL, 1)],
        "-i 1 -lldp -g": [("", "", 0)],
    }
    run = fleet.check()
    await run.run()
    root = ElementTree.fromstring(to_junit(run, EVIL.replace("\0", "").replace("\x0b", "")))
    assert len(root.findall("testsuite/testcase/error")) == 1
    assert "warning: no LLDP frame" in (root.findtext("testsuite/testcase/system-out") or "")
    page = to_html(run, EVIL)
    assert "<script" not in page
    assert "&lt;script&gt;" in page


class Page(HTMLParser):
    """Collects what a page refers to and whether its elements close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.outside: list[str] = []
        self.cells: list[str] = []
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(str(dict(attrs).get("id")))
        if tag not in ("meta", "br"):
            self.open.append(tag)
        self.outside += [f"{k}={v}" for k, v in attrs if k in ("src", "href", "onclick")]
        if tag == "td":
            self.cells.append(str(dict(attrs).get("class")))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


async def test_html_is_one_page_by_itself_with_a_cell_for_every_answer(down: Any) -> None:
    text = to_html(down, "lab")
    page = Page()
    page.feed(text)
    assert page.open == []
    assert page.outside
    assert all(link.startswith("href=#c-") for link in page.outside)
    assert {link.removeprefix("href=#") for link in page.outside} <= page.names
    # nine checks of a device and its pings, a node's own with their words, the mesh of nodes
    answered = page.cells.count("pass") + page.cells.count("fail")
    assert answered == 2 * (8 * 10 + 12) + 2 + 2 * 8
    assert page.cells.count("fail") == 3 + 2 + 2
    assert "<title>Checks of lab: fail</title>" in text
    assert "hccn_tool -i 3 -link -s up" in text


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (("link status: UP\n", "", 0), Status.PASS, 0),
        (DOWN, Status.FAIL, 1),
        (("what\n", "", 0), Status.ERROR, 3),
        (("", "", 124), Status.ERROR, 3),
    ],
)
async def test_exit_status_follows_the_worst_answer(
    fleet: Any, answer: tuple[str, str, int], status: Status, code: int
) -> None:
    fleet.nodes[1].override |= {"-i 0 -link -g": [answer], "-i 2 -lldp -g": [("", "", 0)]}
    run = fleet.check(only=frozenset({"link"}))
    await run.run()
    assert (verdict(run), exit_status(run)) == (status, code)


async def test_warnings_are_allowed(fleet: Any) -> None:
    fleet.nodes[1].override["-i 2 -lldp -g"] = [("", "", 0)]
    run = fleet.check()
    await run.run()
    assert (verdict(run), exit_status(run)) == (Status.WARN, 0)


@pytest.mark.parametrize("error", [Unreachable, AuthenticationFailed, HostKeyError])
async def test_a_node_out_of_reach_is_3_even_when_nothing_else_was_asked(
    fleet: Any, error: type[Exception]
) -> None:
    fleet.nodes[1].connect_error = error("node 1 does not let us in.")
    run = fleet.check(only=frozenset({"ssh"}))
    await run.run()
    assert exit_status(run) == 3


async def test_a_run_without_answers_is_no_pass(fleet: Any) -> None:
    run = fleet.check()
    assert (verdict(run), exit_status(run)) == (Status.ERROR, 3)
    assert to_json(run, "lab")["verdict"] == "error"
    assert "Verdict: ERROR (0 of 190" in to_text(run, "lab")
    assert ElementTree.fromstring(to_junit(run, "lab"))[0].get("errors") == "95"


def test_places_are_named_for_people() -> None:
    assert place(CellKey(1, None, "ssh")) == "node 1"
    assert place(CellKey(1, 3, "link")) == "node 1 device 3"
    assert place(CellKey(1, 3, "ping", 0, 2)) == "node 1 device 3 → node 0 device 2"
