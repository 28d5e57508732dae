"""What ``hccn_tool`` says when it does not answer: busy, forbidden, missing, hung, and noise.

Wordings and exit codes: vendor facts, drivers 23.0 to 26.x. Everything here is pure text work.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from wizard.checks.model import Status
from wizard.checks.problems import Problem


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a parser understood: status, one short sentence, and the values by name."""

    status: Status
    summary: str
    value: dict[str, Any] = field(default_factory=dict)

    @property
    def problem(self) -> str:
        """Id of what is wrong (:class:`Problem`), or "" for a pass."""
        return str(self.value.get("problem", ""))


def bad(status: Status, problem: Problem, summary: str, **value: Any) -> Parsed:
    """Build an answer that is not a pass; its value names the problem."""
    return Parsed(status, summary, {**value, "problem": problem.value})


# driver traces and the tool's own log warnings, which may stand between any two lines
_NOISE = re.compile(r"^\s*\[(?:[\w./-]+\.(?:c|cc|cpp|h):\d+|WARNING|INFO|DEBUG|EVENT)\]", re.I)

# of a ping over RoCE ("packet loss") and over HCCS ("packets loss"): sent, received, loss in %
PING_SUMMARY = re.compile(
    r"^\s*(\d+) packets? transmitted,\s*(\d+) received,\s*([\d.]+)% packets? loss\s*$", re.I
)

# what tool, kernel and sudo say to who may not
DENIED = (
    r"permission denied|password is required|terminal is required|not in the sudoers"
    r"|sorry, user \S+ (?:is not allowed|may not)|operation not permitted"
)

# in this order: the first that occurs names the trouble
_TROUBLES: tuple[tuple[re.Pattern[str], Problem, str], ...] = tuple(
    (re.compile(pattern, re.I), problem, summary)
    for pattern, problem, summary in (
        (
            r"hccn_tool is busy|get lock failed|the device is occupied",
            Problem.BUSY,
            "the tool is busy: something else on the node is using it",
        ),
        (
            DENIED,
            Problem.PERMISSION,
            "permission denied: the tool needs root",
        ),
        (
            r"command not found|failed to run command|hccn_tool: no such file",
            Problem.TOOL_MISSING,
            "hccn_tool is not installed on the node, or not where the driver puts it",
        ),
        (
            r"error while loading shared libraries",
            Problem.TOOL_BROKEN,
            "hccn_tool cannot load the driver's libraries",
        ),
        (
            r"get device health status failed",
            Problem.NOT_RESPONDING,
            "NPU not responding: the driver gave no health state",
        ),
        (
            r"the device is not exist|device does not exist|get invalid device id",
            Problem.NO_DEVICE,
            "the node has no such NPU",
        ),
        (
            r"not supported on this product|get invalid major cmd type",
            Problem.UNSUPPORTED,
            "this product does not know the command",
        ),
        (
            r"control link unreachable",
            Problem.CONTROL_LINK,
            "the control link to the NPU is unreachable",
        ),
        (
            r"(?:command|cmd) execute failed",
            Problem.TOOL_FAILED,
            "hccn_tool reports that the command failed",
        ),
    )
)
_BY_TEXT = {problem: summary for _, problem, summary in _TROUBLES}
_EXIT_CODES: dict[int, Problem] = {
    4: Problem.NO_DEVICE,
    11: Problem.BUSY,
    12: Problem.PERMISSION,
    15: Problem.CONTROL_LINK,
    25: Problem.BUSY,
    31: Problem.BUSY,
    126: Problem.TOOL_BROKEN,
    127: Problem.TOOL_MISSING,
}


def lines(text: str) -> list[str]:
    """Return the lines that carry an answer: not blank, and no driver noise."""
    return [line for line in text.splitlines() if line.strip() and not _NOISE.match(line)]


def whole(text: str) -> str:
    """Return a text without a last line that has no end: a number in it may have been cut."""
    return text[: text.rfind("\n") + 1]


def trouble(stdout: str, stderr: str, exit_code: int) -> Parsed | None:
    """Return why the tool did not answer, by text first and exit code second; None if it did."""
    text = "\n".join(lines(stdout) + lines(stderr))
    for pattern, problem, summary in _TROUBLES:
        if pattern.search(text):
            return bad(Status.ERROR, problem, summary)
    if exit_code in (124, 137):
        return bad(
            Status.ERROR,
            Problem.NOT_RESPONDING,
            "NPU not responding: no answer within the time limit",
        )
    if exit_code in _EXIT_CODES:
        problem = _EXIT_CODES[exit_code]
        return bad(Status.ERROR, problem, _BY_TEXT[problem])
    return None


def settle(answer: Parsed | None, stdout: str, stderr: str, exit_code: int) -> Parsed:
    """Turn what a parser found in the text into the final answer.

    A bad answer in the text stands whatever the exit code says (DOWN exits 0). No answer, or a
    good one that the rest of the output or the exit code contradicts, is an error.
    """
    if answer is not None and answer.status is not Status.PASS:
        return answer
    what = trouble(stdout, stderr, exit_code)
    if what is not None:
        return what
    if answer is None:
        said = "\n".join(lines(stdout) or lines(stderr))
        seen = "an empty answer" if not said else f"an answer not understood: {short(said)}"
        return bad(Status.ERROR, Problem.NOT_UNDERSTOOD, f"{seen} (exit code {exit_code})")
    if exit_code != 0:
        return bad(
            Status.ERROR,
            Problem.NOT_UNDERSTOOD,
            f"the text is good ({answer.summary}) but the exit code is {exit_code}",
        )
    if stdout and not stdout.endswith("\n"):  # UP may be all that came of UPDATING
        return bad(Status.ERROR, Problem.NOT_UNDERSTOOD, "the answer was cut off")
    return answer


def only(pattern: re.Pattern[str], text: Sequence[str]) -> str:
    """Return what the pattern captures, or "" unless all lines that match agree."""
    found = {m[1] for line in text if (m := pattern.match(line))}
    return found.pop() if len(found) == 1 else ""


def short(text: str, limit: int = 60) -> str:
    """Return the first line of a text, cut at ``limit`` characters."""
    first = text.strip().splitlines()[0].strip()
    return first if len(first) <= limit else first[: limit - 1] + "…"
