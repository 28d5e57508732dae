"""The parsers, from data: each case is what a command printed and what it must mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.checks.cases import COMMANDS, cases, read
from wizard.checks.catalogue import CHECKS
from wizard.checks.model import Status
from wizard.checks.tooltext import Parsed
from wizard.troubleshooting.runbook import runbook


def parse(check: str, case: dict[str, Any]) -> Parsed:
    return CHECKS[check].parse(
        case.get("stdout", ""), case.get("stderr", ""), case.get("exit_code", 0)
    )


@pytest.mark.parametrize(
    ("check", "case"), [pytest.param(n, c, id=f"{n}: {c['name']}") for n, c in cases()]
)
def test_what_was_printed_means_what_it_must(check: str, case: dict[str, Any]) -> None:
    parsed = parse(check, case)
    expect = case["expect"]
    assert parsed.status == expect["status"], parsed
    assert parsed.summary
    assert "\n" not in parsed.summary
    if "problem" in expect:
        assert parsed.problem == expect["problem"]
    assert expect.get("says", "") in parsed.summary
    for name, value in expect.get("value", {}).items():
        assert parsed.value[name] == value
    # what is not a pass always has a name, which the runbook knows
    assert (parsed.status is Status.PASS) == (parsed.problem == "")
    assert parsed.status is Status.PASS or parsed.problem in runbook()


# what a single answer cannot be bad at: only the preset, or the other nodes, tell
JUDGED_LATER = {"tls", "nic", "ports", "clock", "spod"}


def test_every_check_has_cases_for_good_and_bad_answers() -> None:
    for name in COMMANDS:
        own = read(name)
        statuses = Counter(case["expect"]["status"] for case in own)
        assert statuses["pass"] >= 3
        assert statuses["error"] >= 3
        if name not in JUDGED_LATER:
            assert statuses["fail"] + statuses["warn"] >= 3


BAD = [(n, c) for n, c in cases() if c["expect"]["status"] != "pass"]
# each line may be the bad one, so that an answer without it is a good one; cut below, at any letter
SEVERAL = ("optical", "link_stat", "disk")


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, str, str, int]:
    """A bad answer, damaged: cut, lines dropped, doubled or mixed with noise, case changed."""
    check, case = draw(st.sampled_from(BAD))
    streams = []
    for stream in ("stdout", "stderr"):
        text = case.get(stream, "")
        # What is bad only because it contradicts itself may not lose one of its halves.
        whole = case["expect"].get("problem", "") in ("not-understood", "") or case.get("exit_code")
        whole = whole or check in SEVERAL
        if not whole:
            text = text[: draw(st.integers(0, len(text)))]
        lines = text.splitlines(keepends=True)
        if not whole and lines:
            lines = draw(st.permutations(lines))
        noise = draw(st.sampled_from(["", "\n", "[drv.c:9][ascend] return 1 error!\n", "\x00\n"]))
        streams.append(noise + "".join(lines))
    change: Callable[[str], str] = draw(st.sampled_from([str.upper, str.lower, str.title, str]))
    return check, change(streams[0]), change(streams[1]), case.get("exit_code", 0)


@settings(deadline=None)  # a busy machine is no defect
@given(mutated())
def test_no_damaged_bad_answer_ever_passes(damaged: tuple[str, str, str, int]) -> None:
    check, stdout, stderr, exit_code = damaged
    parsed = CHECKS[check].parse(stdout, stderr, exit_code)
    if check == "hccn_conf" and "=" in stdout:
        return  # a list of entries: half of it is a smaller list; judged against the cluster
    assert parsed.status is not Status.PASS, (check, stdout, stderr, exit_code)


def test_no_bad_answer_passes_when_it_is_cut_within_a_line() -> None:
    """At every letter of every one; it also breaks no parser, which would end the whole run."""
    for check, case in BAD:
        text = case.get("stdout", "")
        for end in range(1, len(text)):
            if text[end - 1] != "\n":
                parsed = parse(check, case | {"stdout": text[:end]})
                assert parsed.status is not Status.PASS, (check, text[:end])


@settings(deadline=None)  # a busy machine is no defect
@given(st.sampled_from(COMMANDS), st.text(), st.text(), st.integers(0, 255))
def test_random_text_never_passes_and_never_breaks_a_parser(
    check: str, stdout: str, stderr: str, exit_code: int
) -> None:
    parsed = CHECKS[check].parse(stdout, stderr, exit_code)
    assert parsed.status is not Status.PASS
    assert parsed.problem in runbook()


GOOD = [(n, c) for n, c in cases() if c["expect"]["status"] == "pass"]
# answers that are lists: what is cut off at the end of a line is a shorter list, which the rules
# over all answers hold against the series, the preset and what runs
LISTS = {"hccn_conf": "devices", "devices": "devices", "nic": "addresses", "mounts": "kinds"}
LISTS |= {"ports": "listening", "disk": "free", "npu_health": "health", "npu_idle": "hbm_mb"}


@pytest.mark.parametrize(
    ("check", "case"), [pytest.param(n, c, id=f"{n}: {c['name']}") for n, c in GOOD]
)
def test_a_good_answer_that_is_cut_anywhere_is_no_pass_or_says_the_same(
    check: str, case: dict[str, Any]
) -> None:
    """Strictly: it passes only where the cut took nothing of what was read from it."""
    text = case.get("stdout", "")
    full = parse(check, case)
    for end in range(len(text)):
        cut = parse(check, case | {"stdout": text[:end]})
        if cut.status is not Status.PASS:
            continue
        if check in LISTS:
            mine, all_ = (p.value[LISTS[check]] for p in (cut, full))
            assert all(x in all_ for x in mine), text[:end]
            if isinstance(mine, dict) and check not in ("ports", "hccn_conf"):
                assert all(all_[name] == value for name, value in mine.items()), text[:end]
        else:
            same = {k: v for k, v in cut.value.items() if k not in EXTRAS.get(check, ())}
            assert same.items() <= full.value.items(), text[:end]


# what only adds to an answer, and may come after the line that is wanted
EXTRAS = {"lldp": ("direct",), "optical": ("snr", "rx", "tx"), "link_stat": ("records",)}
EXTRAS["ping"] = ("times_ms",)


@settings(deadline=None)  # a busy machine is no defect
@given(st.sampled_from(GOOD), st.data())
def test_a_good_answer_with_one_letter_changed_passes_only_if_it_was_not_wanted(
    good: tuple[str, dict[str, Any]], data: st.DataObject
) -> None:
    """A changed letter may change a value that is read, never make a bad word a good one."""
    check, case = good
    text = case.get("stdout", "")
    if not text:
        return
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.characters(codec="utf-8", exclude_categories=["Zs", "Zl", "Zp", "Cc"]))
    parsed = parse(check, case | {"stdout": text[:place] + letter + text[place + 1 :]})
    if check in ("link", "net_health", "arch") and text[place].strip():
        wanted = case["stdout"].lower().replace("\n", "")
        changed = (text[:place] + letter + text[place + 1 :]).lower().replace("\n", "")
        noise = "[" in text or '"' in text
        assert noise or parsed.status is not Status.PASS or wanted == changed


WORDS = st.sampled_from(
    [
        "link status:",
        "net health status:",
        "netdetect addr:",
        "ipaddr:",
        "netmask:",
        "DOWN",
        "UPPER",
        "SETUP",
        "0.0.0.0",
        "Fault",
        "Port ID TLV",
        "\n",
        "\t",
        " ",
        "Ifname:",
        "default gateway:",
        "3 packets transmitted,",
        "0 received,",
        "100.00% packet loss",
        "address_0=",
        "Unreachable",
    ]
)


@settings(deadline=None)  # a busy machine is no defect
@example("hccn_conf", ["address_0=", "\n"])
@given(st.sampled_from(COMMANDS), st.lists(WORDS, max_size=12))
def test_no_patchwork_of_the_tools_own_bad_words_passes(check: str, words: list[str]) -> None:
    parsed = CHECKS[check].parse("".join(words), "", 0)
    assert parsed.status is not Status.PASS, "".join(words)
