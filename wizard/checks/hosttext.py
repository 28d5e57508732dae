"""What a plain command of a node says when it does not answer: forbidden, missing, hung."""

from __future__ import annotations

import re

from wizard.checks.model import Status
from wizard.checks.problems import Problem
from wizard.checks.tooltext import DENIED, Parsed, bad, lines, short

_DENIED = re.compile(DENIED, re.I)
_MISSING = re.compile(r"command not found|failed to run command", re.I)
_LIBRARIES = re.compile(r"error while loading shared libraries", re.I)


def settle_host(
    answer: Parsed | None, stdout: str, stderr: str, exit_code: int, tool: str
) -> Parsed:
    """Turn what a parser found into the final answer, as :func:`tooltext.settle` for hccn_tool.

    A bad answer in the text stands; no answer, or a good one that the exit code contradicts, is
    an error. ``tool`` names the command for people.
    """
    if answer is not None and answer.status is not Status.PASS:
        return answer
    text = "\n".join(lines(stdout) + lines(stderr))
    if exit_code in (124, 137):
        return bad(Status.ERROR, Problem.COMMAND_HUNG, f"{tool} did not end within its time limit")
    if answer is not None and exit_code == 0:
        if stdout and not stdout.endswith("\n"):
            return bad(Status.ERROR, Problem.NOT_UNDERSTOOD, "the answer was cut off")
        return answer
    if exit_code == 127 or _MISSING.search(stderr):
        return bad(Status.ERROR, Problem.COMMAND_MISSING, f"{tool} is not installed on the node")
    if exit_code == 126 or _LIBRARIES.search(stderr):
        return bad(Status.ERROR, Problem.TOOL_BROKEN, f"{tool} does not start on the node")
    if _DENIED.search(text):
        return bad(Status.ERROR, Problem.PERMISSION, f"permission denied to {tool}")
    if answer is not None:
        said = f"the text is good ({answer.summary}) but the exit code is {exit_code}"
        return bad(Status.ERROR, Problem.NOT_UNDERSTOOD, said)
    seen = f"an answer not understood: {short(text)}" if text else "an empty answer"
    return bad(Status.ERROR, Problem.NOT_UNDERSTOOD, f"{seen} (exit code {exit_code})")
