from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wizard.answers import Step
from wizard.diagnosis.loglines import CALM, parse
from wizard.diagnosis.signatures import LANGUAGES, Signature, by_key, catalogue, entry, fill, needle

ALL = catalogue()
LINES = [s for s in ALL if s.kind != "verdict"]
# what checks a fix may lead to (the contract's list)
CHECKS = {
    *("lldp", "link", "net_health", "netdetect", "gateway", "ip", "tls", "link_stat", "optical"),
    *("ping", "hccs_ping", "ssh", "hccn_conf", "npu_health", "npu_idle", "devices", "arch"),
    *("driver", "nic", "ports", "disk", "runtime", "image", "weights", "mounts", "clock"),
}
PRESET_KEY = re.compile(
    r"precision|nodes\[(\{node\}|0)\]\.(local_ip|nic)|container\.(image|name|shm_size)"
    r"|serve\.(model|args\.--[a-z-]+|env\.(\w+|\{name\}))"
)
CHINESE = re.compile("[\u4e00-\u9fff]")


def name(signature: Signature) -> str:
    return signature.key


def test_there_are_as_many_as_the_field_knows() -> None:
    assert len({s.id for s in LINES}) >= 89


@pytest.mark.parametrize("signature", LINES, ids=name)
def test_it_matches_its_own_sample_and_no_other(signature: Signature) -> None:
    assert signature.search(parse(signature.sample).text)
    others = {
        other.key
        for other in LINES
        if other is not signature and signature.search(parse(other.sample).text)
    }
    assert others <= signature.broader_than


@pytest.mark.parametrize("signature", LINES, ids=name)
def test_its_sample_is_not_passed_over(signature: Signature) -> None:
    calm = parse(signature.sample).level in CALM
    assert not calm or signature.calm or signature.kind == "hint"
    both = zip(signature.patterns, signature.needles, strict=True)
    matching = [text for pattern, text in both if pattern.search(signature.sample)]
    assert matching
    assert all(text in signature.sample for text in matching)


@pytest.mark.parametrize("signature", ALL, ids=name)
def test_what_it_says_can_be_filled_in(signature: Signature) -> None:
    always = {"node"}
    if signature.patterns:
        always |= set.intersection(*(set(p.groupindex) for p in signature.patterns))
    if {"src_ip", "dest_ip"} <= always:
        always |= {"src", "dest"}  # both ends by name, which the verdict adds
    for text in signature.texts.values():
        assert set(re.findall(r"\{(\w+)\}", text.meaning + text.fix)) <= always
    assert set(signature.texts) == set(LANGUAGES)
    assert not CHINESE.search(signature.texts["en"].meaning + signature.texts["en"].fix)
    assert CHINESE.search(signature.texts["zh"].meaning)
    assert CHINESE.search(signature.texts["zh"].fix)


@pytest.mark.parametrize("signature", ALL, ids=name)
def test_where_its_fix_leads_is_there(signature: Signature) -> None:
    goto = signature.goto
    assert set(goto) <= {"step", "check", "field"}
    if goto:
        assert goto["step"].upper() in Step.__members__
        assert goto.get("check", "ping") in CHECKS
        assert PRESET_KEY.fullmatch(goto.get("field", "precision"))


@pytest.mark.parametrize("signature", ALL, ids=name)
def test_what_it_refers_to_is_there(signature: Signature) -> None:
    keys = by_key(ALL)
    assert signature.outranks | signature.explains | signature.broader_than <= set(keys)
    assert all(keys[key].kind == "consequence" for key in signature.explains)


@settings(max_examples=15, deadline=None)
@given(st.text(alphabet="[]()|:,.=0123456789 abEIrnk-'\\/", min_size=1, max_size=40))
def test_no_line_takes_long(piece: str) -> None:
    # each regex on 4,000 characters of what its own sample is made of, cut and repeated
    text = (piece * 4000)[:4000]
    for signature in LINES:
        signature.search(text)
        signature.search((signature.sample[:-3] * 4000)[:4000])


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"ret\(-67\)", "ret(-67)"),
        (r"a(?:b|c)d{2}efgh+ij", "efgh"),
        (r"colou?r of the [a\]z]+ sky", "r of the "),
        (r"(?<!x\[2\], )listen on ip\[([^\]]+)\] and", "listen on ip["),
        (r"\d+\.\d+s/it\]", "s/it]"),
    ],
)
def test_a_needle_is_in_every_match(pattern: str, text: str) -> None:
    assert needle(pattern) == text


@pytest.mark.parametrize("pattern", ["abcdef|ghijkl", r"\d+", "ab?c?d"])
def test_a_pattern_without_one_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"needle|alternatives"):
        needle(pattern)


GOOD: dict[str, Any] = {
    "id": "x",
    "class": "X",
    "kind": "cause",
    "regex": ["something"],
    "en": {"meaning": "m", "fix": "f"},
    "zh": {"meaning": "m", "fix": "f"},
}


@pytest.mark.parametrize(
    "change", [{"kind": "guess"}, {"regex": ["(open"]}, {"zh": {"meaning": "m"}}, {"en": None}]
)
def test_a_wrong_entry_is_named(change: dict[str, Any]) -> None:
    assert entry(GOOD).key == "x"
    with pytest.raises(ValueError, match="signature x: "):
        entry(GOOD | change)


def test_what_is_not_known_is_a_question_mark() -> None:
    assert fill("{a} of {b}", {"a": 3}) == "3 of ?"
