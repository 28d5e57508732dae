"""Masking: whatever names a place or a person survives in no format, and stays one and the same."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wizard.checks.board import Board
from wizard.checks.formats import FORMATS
from wizard.checks.ignores import Ignore
from wizard.checks.model import CellKey, Result, Status
from wizard.checks.redact import redact
from wizard.checks.report import Report, from_json, make_report, to_json
from wizard.cluster import Cluster, Node, Precision, Series

NAME = st.from_regex(r"[a-z]{2,6}[0-9]{2}[a-z]{0,4}", fullmatch=True)
V4 = st.builds("10.{}.{}.{}".format, *(st.integers(0, 255) for _ in range(3)))
V6 = st.integers(1, 0xFFFF).map(lambda n: f"fd00:17::{n:x}")
MAC = st.integers(0, 2**48 - 1).map(lambda n: ":".join(re.findall("..", f"{n:012x}")))
SERIAL = st.from_regex(r"[0-9]{4}[A-Z]{2}[0-9]{6}", fullmatch=True)
AROUND = st.sampled_from(
    ["{}", "[{}]", "at {}, twice {}", "x={};", "({}):", "{}/24", '"{}"', "a {}."]
)


class _Run:
    """A run of one output."""

    started_at = None
    duration_s = 1.0

    def __init__(self, host: str, output: str, summary: str) -> None:
        self.cluster = Cluster(Series.A2, Precision.W8A8, (Node(0, host), Node(1, "other")))
        self.board = Board()
        value = {"problem": "not-understood", "said": [output], output[:40]: 1}
        key = CellKey(0, 1, "lldp")
        self.board.put(Result(key, Status.ERROR, summary, host, "cat x", 0, output, value=value))
        ping = CellKey(0, 1, "ping", 1, 1)
        self.board.put(
            Result(ping, Status.FAIL, summary, host, "ping", 0, output, peer_address=None)
        )


def masked(report: Report, hosts: tuple[str, ...] = (), users: tuple[str, ...] = ()) -> Report:
    return from_json(redact(to_json(report), hosts, users))


@settings(max_examples=60, deadline=None)
@given(
    host=NAME,
    domain=NAME,
    user=NAME,
    v4=V4,
    v6=V6,
    mac=MAC,
    serial=SERIAL,
    neighbour=NAME,
    around=AROUND,
    filler=st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=30),
)
def test_nothing_planted_survives_in_any_format(
    host: str,
    domain: str,
    user: str,
    v4: str,
    v6: str,
    mac: str,
    serial: str,
    neighbour: str,
    around: str,
    filler: str,
) -> None:
    full = f"{host}.{domain}.example"
    planted = {full, host, f"{domain}.example", user, v4, v6, mac, serial, neighbour}
    output = "\n".join(
        [
            f"Serial Number : {serial}",
            f"System Name TLV\n\t{neighbour}",
            f"ssh {user}@{full}: no",
            f"/home/{user}/.ssh/id",
            f"ipaddr:{v4}",
            f"ipv6_address:{v6}",
            *(around.replace("{}", name) for name in sorted(planted)),
            filler,
        ]
    )
    report = masked(make_report(_Run(full, output, f"{host} says {v4}"), f"lab-{host}"))
    for name, write in FORMATS.items():
        text = write(report).lower()
        for word in planted:
            found = re.search(rf"(?<![a-z0-9]){re.escape(word.lower())}(?![a-z0-9])", text)
            assert found is None, (name, word, text[max(0, found.start() - 40) : found.end() + 40])


def whole(*outputs: str, host: str = "npu07.dc.example") -> dict[str, Any]:
    return redact(to_json(make_report(_Run(host, "\n".join(outputs), "x"), "lab")))


def said(data: dict[str, Any]) -> str:
    output: str = data["results"][0]["output"]
    return output


def test_one_name_has_one_stand_in_and_networks_can_be_told_apart() -> None:
    text = said(whole("10.1.2.3 10.1.2.4 10.9.9.9 10.1.2.3", "npu07 NPU07.dc.example npu08"))
    assert text == "ip-1.1 ip-1.2 ip-2.1 ip-1.1\nhost-1 host-1 npu08"


def test_what_says_nothing_about_a_place_stays() -> None:
    text = "mask 255.255.255.0 lo 127.0.0.1 any 0.0.0.0 at 12:30:59 v 25.2.1 user: root ::1"
    assert said(whole(text)) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("address_0=10.1.2.3", "address_0=ip-1.1"),
        ("10.1.2.3:8000", "ip-1.1:8000"),
        ("a simulated node at 127.145.9.11", "a simulated node at ip-1.1"),
        ("addr fe80::1%eth0", "addr ip6-1%eth0"),
        ("ether 0a:1b:2c:3d:4e:5f", "ether mac-1"),
        ("Chassis 0a1b-2c3d-4e5f", "Chassis mac-1"),
        ("SN: 2102ABCD", "SN: serial-1"),
    ],
)
def test_forms_in_which_tools_write_them(text: str, shown: str) -> None:
    assert said(whole(text)) == shown


def test_our_own_words_stay_even_when_a_host_is_called_like_one() -> None:
    data = whole("x", host="ping")
    assert data["results"][1]["check"] == "ping"
    assert data["results"][0]["value"]["problem"] == "not-understood"
    assert data["schema"] == "v32-wizard/check-report/1"
    assert json.dumps(data)


def test_who_ignored_a_fault_is_masked_as_well() -> None:
    run = _Run("npu07", "x", "ines was here")
    failed = run.board.get(CellKey(0, 1, "ping", 1, 1))
    assert failed is not None
    run.board.put(replace(failed, value={"problem": "ping-loss"}))
    ignore = Ignore(
        **{"check": "ping", "host": "npu07", "device": 1, "peer_host": "other", "peer_device": 1},
        **{"problem": "ping-loss", "reason": "ask ines", "by": "ines"},
        at="2026-03-01T08:00:00Z",
    )
    text = json.dumps(redact(to_json(make_report(run, "lab", ignores=[ignore]))))
    assert "ines" not in text
    assert "ask user-1" in text
