"""The parsers, from data: each case is what a command printed and what it must mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from wizard.checks.catalogue import CHECKS
from wizard.checks.model import Status
from wizard.checks.tooltext import Parsed
from wizard.troubleshooting.runbook import runbook

DATA = Path(__file__).parent.parent / "data" / "checks"
COMMANDS = [name for name in CHECKS if name != "ssh"]


def cases() -> list[tuple[str, dict[str, Any]]]:
    found = []
    for name in COMMANDS:
        found += [(name, c) for c in yaml.safe_load((DATA / f"{name}.yaml").read_text("utf-8"))]
        found += [(name, c) for c in shared(name)]
    return found


def shared(name: str) -> list[dict[str, Any]]:
    """What every command of the tool, or every plain command, may say instead of an answer."""
    if CHECKS[name].uses_hccn_tool or name == "hccn_conf":
        return list(yaml.safe_load((DATA / "any.yaml").read_text("utf-8")))
    return list(yaml.safe_load((DATA / "anyhost.yaml").read_text("utf-8")))


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
    for name, value in expect.get("value", {}).items():
        assert parsed.value[name] == value
    # what is not a pass always has a name, which the runbook knows
    assert (parsed.status is Status.PASS) == (parsed.problem == "")
    assert parsed.status is Status.PASS or parsed.problem in runbook()


# what a single answer cannot be bad at: only the preset, or the other nodes, tell
JUDGED_LATER = {"tls", "nic", "ports", "clock", "spod"}


def test_every_check_has_cases_for_good_and_bad_answers() -> None:
    for name in COMMANDS:
        own = yaml.safe_load((DATA / f"{name}.yaml").read_text("utf-8"))
        statuses = Counter(case["expect"]["status"] for case in own)
        assert statuses["pass"] >= 3
        assert statuses["error"] >= 3
        if name not in JUDGED_LATER:
            assert statuses["fail"] + statuses["warn"] >= 3


BAD = [(n, c) for n, c in cases() if c["expect"]["status"] != "pass"]
FORGED = ("UP", "Success", "success", "0.00%", "3 received")  # no mutation may write these


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, str, str, int]:
    """A bad answer, damaged: cut, lines dropped, doubled or mixed with noise, case changed."""
    check, case = draw(st.sampled_from(BAD))
    streams = []
    for stream in ("stdout", "stderr"):
        text = case.get(stream, "")
        # What is bad only because it contradicts itself may not lose one of its halves.
        whole = case["expect"].get("problem", "") in ("not-understood", "") or case.get("exit_code")
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


@settings(deadline=None)  # a busy machine is no defect
@given(st.sampled_from(COMMANDS), st.text(), st.text(), st.integers(0, 255))
def test_random_text_never_passes_and_never_breaks_a_parser(
    check: str, stdout: str, stderr: str, exit_code: int
) -> None:
    parsed = CHECKS[check].parse(stdout, stderr, exit_code)
    assert parsed.status is not Status.PASS
    assert parsed.problem in runbook()


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
@given(st.sampled_from(COMMANDS), st.lists(WORDS, max_size=12))
def test_no_patchwork_of_the_tools_own_bad_words_passes(check: str, words: list[str]) -> None:
    parsed = CHECKS[check].parse("".join(words), "", 0)
    assert parsed.status is not Status.PASS, "".join(words)
