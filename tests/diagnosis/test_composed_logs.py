"""The composed multi-node sets of tests/data/diagnosis: the first cause, its node, and no other."""

from __future__ import annotations

import io
from typing import Any

import pytest

from tests.diagnosis.compose import render, scripts
from wizard.diagnosis.known import Known
from wizard.diagnosis.reading import read_stream
from wizard.diagnosis.report import goto_text, to_json, to_text
from wizard.diagnosis.verdict import Diagnosis, diagnose

ALL = scripts()
CAUSES = [s for s in ALL if "id" in s["expect"]]
OTHERS = [s for s in ALL if "id" not in s["expect"]]


def judged(script: dict[str, Any], **options: Any) -> Diagnosis:
    files = render(script)
    logs = [
        log
        for node, data in enumerate(files)
        for log in read_stream(node, f"node{node}.log", io.BytesIO(data))
    ]
    return diagnose(logs, Known(**options))


def test_there_are_enough() -> None:
    assert len(CAUSES) >= 70
    assert len({s["name"] for s in ALL}) == len(ALL)


@pytest.mark.parametrize("script", CAUSES, ids=lambda s: s["name"])
def test_the_first_cause_is_right(script: dict[str, Any]) -> None:
    diagnosis, expect = judged(script), script["expect"]
    told = to_text(diagnosis)
    first = diagnosis.causes[0]
    assert (first.signature.id, first.node) == (expect["id"], expect["node"]), told
    assert first.confidence == "cause", told
    if "class" in expect:
        assert first.signature.class_ == expect["class"]
    if "goto" in expect:
        assert expect["goto"] in goto_text(first)
    if "count" in expect:
        assert len(first.pairs) == expect["count"]
    # the evidence holds the line itself, and the key leads somewhere: to this node, where to one
    assert any(at == first.mark.line and text for at, text in first.mark.around), told
    assert first.goto.get("node") is not None, told
    if "pair" not in expect:
        assert first.goto["node"] == first.node
    if "nodes" in expect:
        assert [c.node for c in diagnosis.causes if c.confidence == "cause"] == expect["nodes"]
    if "pair" in expect:
        goto = first.goto
        assert [
            [goto["node"], goto["device"]],
            [goto["peer_node"], goto["peer_device"]],
        ] == expect["pair"]
    # a second cause only where the same thing happened on another node
    sure = {c.signature.key for c in diagnosis.causes if c.confidence == "cause"}
    assert sure == {first.signature.key}
    assert to_json(diagnosis, "zh")["causes"][0]["fix"] in first.fix("zh")


@pytest.mark.parametrize("script", OTHERS, ids=lambda s: s["name"])
def test_without_a_cause_nothing_is_called_one(script: dict[str, Any]) -> None:
    diagnosis, expect = judged(script), script["expect"]
    told = to_text(diagnosis)
    assert diagnosis.cause is None, told
    if expect.get("none"):
        assert not diagnosis.causes, told
        return
    first = diagnosis.causes[0]
    assert (first.signature.id, first.node) == (expect["possible"], expect["node"]), told
    assert first.mark.text == expect.get("excerpt", first.mark.text)


@pytest.mark.parametrize("script", CAUSES, ids=lambda s: s["name"])
def test_colours_stamps_and_doubled_prefixes_change_nothing(script: dict[str, Any]) -> None:
    nodes = [{**(spec or {}), "style": "colour docker doubled"} for spec in script["nodes"]]
    before, after = judged(script).causes[0], judged({**script, "nodes": nodes}).causes[0]
    assert (after.signature.key, after.node, after.confidence) == (
        before.signature.key,
        before.node,
        before.confidence,
    )
