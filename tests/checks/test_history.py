"""What changed between runs, and the runs that are kept."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from wizard.checks.book import Book
from wizard.checks.changes import compare, headline, new_downs, told
from wizard.checks.formats import FORMATS
from wizard.checks.history import History, listing, run_id
from wizard.checks.ignores import Ignore
from wizard.checks.report import make_report, to_json
from wizard.cluster import Cluster, Node, Precision, Series
from wizard.errors import UsageError

DOWN = ("link status: DOWN\n", "", 0)
START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
CLUSTER = Cluster(Series.A2, Precision.W8A8, (Node(0, "a"), Node(1, "b")))


def cell(status: str, check: str = "link", **more: Any) -> dict[str, Any]:
    return {
        **{"node": 2, "device": 5, "check": check, "status": status, "summary": "said"},
        **{"value": {}, "output": "", "host": "c"},
        **more,
    }


def report(*cells: dict[str, Any]) -> dict[str, Any]:
    return {
        **{"verdict": "pass", "summary": {"pass": len(cells)}, "duration_s": 2.0},
        "results": list(cells),
    }


def lines(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, str]]:
    return told(compare(report(old), report(new)))


UP = {"link": "UP"}
GONE = {"link": "DOWN"}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (cell("pass", value=UP), cell("pass", value=UP), []),
        (
            cell("pass", value=UP),
            cell("fail", value=GONE),
            [("worse", "node 2 device 5 link: UP → DOWN")],
        ),
        (
            cell("fail", value=GONE),
            cell("pass", value=UP),
            [("fixed", "node 2 device 5 link: DOWN → UP")],
        ),
        (cell("pass"), cell("error"), [("lost", "node 2 device 5 link: pass → error")]),
        (cell("error"), cell("pass"), []),
        (cell("error"), cell("fail"), [("worse", "node 2 device 5 link: error → fail")]),
        (cell("warn"), cell("fail"), [("worse", "node 2 device 5 link: warn → fail")]),
        (cell("fail"), cell("warn"), [("changed", "node 2 device 5 link: fail → warn")]),
        (cell("skipped"), cell("fail"), []),
        (cell("pending"), cell("fail"), []),
        (
            cell("pass", "ip", value={"address": "10.9.0.1"}),
            cell("pass", "ip", value={"address": "10.9.0.2"}),
            [("changed", "node 2 device 5 ip: 10.9.0.1 → 10.9.0.2")],
        ),
        (
            cell("pass", "lldp", value={"port": "400GE1/1/2:1"}),
            cell("pass", "lldp", value={"port": "400GE1/1/9:1"}),
            [("changed", "node 2 device 5 lldp: 400GE1/1/2:1 → 400GE1/1/9:1")],
        ),
        (
            cell("pass", "link_stat", value={"down": 4}),
            cell("warn", "link_stat", value={"down": 7}),
            [("flapped", "node 2 device 5 link_stat: 3 new DOWN records")],
        ),
    ],
)
def test_a_change_is_told_in_words(
    old: dict[str, Any], new: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert lines(old, new) == expected


def test_a_cell_of_one_run_only_says_nothing() -> None:
    assert compare(report(cell("pass")), report(cell("fail", "lldp"))) == []


def test_ignoring_a_fault_does_not_make_it_fixed() -> None:
    softened = cell("warn", ignored={"status": "fail"})
    assert compare(report(cell("fail")), report(softened)) == []
    assert compare(report(softened), report(cell("fail"))) == []


def test_equal_changes_are_one_line_and_pings_come_last() -> None:
    ping = {"peer_node": 0, "peer_device": 5}
    old = [cell("pass", "ping", **ping), *(cell("pass", device=d, value=UP) for d in range(16))]
    new = [cell("fail", "ping", **ping), *(cell("fail", device=d, value=GONE) for d in range(16))]
    changes = compare(report(*old), report(*new))
    assert told(changes) == [
        ("worse", "node 2 devices 0-15 link: UP → DOWN"),
        ("worse", "node 2 device 5 → node 0 device 5 ping: pass → fail"),
    ]
    assert headline(changes) == "17 worse"
    assert headline([]) == "nothing changed"


@pytest.mark.parametrize(
    ("old", "new", "count"), [(4, 4, 0), (4, 6, 2), (9, 1, 1), (None, 3, 0), (3, "NA", 0)]
)
def test_new_downs_count_from_zero_after_a_reset(old: object, new: object, count: int) -> None:
    assert new_downs({"down": old}, {"down": new}) == count


# -- kept runs


def ids(count: int) -> list[str]:
    return [run_id(START + timedelta(seconds=n)) for n in range(count)]


def test_runs_are_kept_newest_first_for_their_owner_only(tmp_path: Path) -> None:
    kept = History("lab", CLUSTER, root=tmp_path)
    first, second = ids(2)
    kept.add(first, report(cell("pass", output="x" * 100)))
    kept.add(second, report(cell("fail", output="why")))
    assert [run.id for run in kept.runs()] == [second, first]
    assert kept.load(first)["results"][0]["output"] == ""
    assert kept.load(second)["results"][0]["output"] == "why"
    assert kept.last() == (second, kept.load(second))
    assert kept.last(before=second) == (first, kept.load(first))
    assert kept.last(before=first) is None
    assert {path.stat().st_mode & 0o777 for path in kept.folder.iterdir()} == {0o600}
    assert listing(kept.runs()).splitlines()[0].startswith(f"{second}  pass")


def test_number_and_size_are_bounded_and_the_newest_stays(tmp_path: Path) -> None:
    kept = History("lab", CLUSTER, root=tmp_path, keep=3)
    for name in ids(5):
        kept.add(name, report(cell("pass")))
    assert [run.id for run in kept.runs()] == ids(5)[:1:-1]
    other = History("other", CLUSTER, root=tmp_path, max_bytes=1)
    other.add(ids(9)[8], report(cell("pass")))
    assert [run.id for run in other.runs()] == ids(9)[8:]
    assert kept.runs() == []


def test_runs_on_other_nodes_are_other_runs(tmp_path: Path) -> None:
    moved = Cluster(Series.A2, Precision.W8A8, (Node(0, "a"), Node(1, "c")))
    folders = {
        History("lab", CLUSTER, root=tmp_path).folder,
        History("lab", moved, root=tmp_path).folder,
        History("bal", CLUSTER, root=tmp_path).folder,
        History("../lab", CLUSTER, root=tmp_path).folder,
    }
    assert len(folders) == 4
    assert {folder.parent for folder in folders} == {tmp_path}


@pytest.mark.parametrize("damage", [b"", b"no gzip", gzip.compress(b"no json\n", mtime=0)])
def test_a_damaged_run_is_passed_over(tmp_path: Path, damage: bytes) -> None:
    kept = History("lab", CLUSTER, root=tmp_path)
    first, second = ids(2)
    kept.add(first, report(cell("pass")))
    (kept.folder / f"{second}.json.gz").write_bytes(damage)
    assert [run.id for run in kept.runs()] == [first]
    assert kept.last() == (first, kept.load(first))
    with pytest.raises(UsageError, match="damaged"):
        kept.load(second)


@pytest.mark.parametrize("name", ["20200101T000000.000Z", "../../x", "last"])
def test_an_unknown_run_names_the_last_one(tmp_path: Path, name: str) -> None:
    kept = History("lab", CLUSTER, root=tmp_path)
    kept.add(ids(1)[0], report(cell("pass")))
    with pytest.raises(UsageError, match=ids(1)[0]):
        kept.load(name)


# -- a book over real runs


async def test_a_second_run_tells_what_changed_and_a_rerun_what_is_fixed(
    fleet: Any, tmp_path: Path
) -> None:
    kept = History("lab", fleet.cluster, root=tmp_path)
    first = fleet.check()
    await first.run()
    book = Book(first, "lab", history=kept)
    await book.keep()
    assert book.since is None

    fleet.nodes[1].override["-i 3 -link -g"] = [DOWN, ("link status: UP\n", "", 0)]
    second = fleet.check()
    await second.run()
    book = Book(second, "lab", history=kept)
    await book.keep()
    assert book.since is not None
    assert told(book.since.changes) == [("worse", "node 1 device 3 link: UP → DOWN")]
    for name in FORMATS:
        assert "UP → DOWN" in FORMATS[name](book.report()) or name in ("json", "junit")
    (change,) = to_json(book.report())["since_last_run"]["changes"]
    assert (change["before"], change["after"], change["kind"]) == ("UP", "DOWN", "worse")

    await second.rerun([r.key for r in second.board if r.key.check == "link"])
    await book.keep()
    assert book.since.changes == ()
    assert len(kept.runs()) == 2
    assert kept.runs()[0].verdict == "pass"


async def test_what_cannot_be_kept_is_said_and_stops_nothing(fleet: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    run = fleet.check()
    await run.run()
    book = Book(run, "lab", history=History("lab", fleet.cluster, root=tmp_path / "file"))
    await book.keep()
    assert "could not be kept" in book.problem
    assert make_report(run, "lab").findings == ()


async def test_ignores_are_kept_with_the_run(fleet: Any, tmp_path: Path) -> None:
    fleet.nodes[1].override["-i 3 -link -g"] = [DOWN]
    run = fleet.check(only=frozenset({"link"}))
    await run.run()
    ignore = Ignore(
        **{"check": "link", "host": "198.51.100.2", "device": 3, "problem": "link-down"},
        **{"reason": "spare", "by": "ines", "at": "2026-03-01T08:00:00Z"},
    )
    kept = History("lab", fleet.cluster, root=tmp_path)
    await Book(run, "lab", [ignore], kept).keep()
    assert kept.runs()[0].verdict == "warn"


def stat(downs: int) -> tuple[str, str, int]:
    head = "[devid 3] current time        : Mon Mar  2 09:00:00 2026\n"
    counts = (
        f"[devid 3] link up count       : {downs + 1}\n[devid 3] link down count     : {downs}\n"
    )
    return f"{head}{counts}[devid 3] link change records : NA\n", "", 0


async def test_a_link_that_flapped_between_two_runs_is_a_warning(
    fleet: Any, tmp_path: Path
) -> None:
    kept = History("lab", fleet.cluster, root=tmp_path)
    for downs in (2, 5):
        fleet.nodes[1].override["-i 3 -link_stat -g"] = [stat(downs)]
        run = fleet.check(only=frozenset({"link_stat"}))
        book = Book(run, "lab", history=kept)
        await book.begin()
        await run.run()
        await book.keep()
    assert book.since is not None
    assert told(book.since.changes) == [
        ("flapped", "node 1 device 3 link_stat: 3 new DOWN records")
    ]
    assert kept.runs()[0].verdict == "warn"
    assert [f.id for f in book.findings()] == ["link-flapping"]
