"""What can be learnt at once of a log that was not followed from its start: its signs, its tail.

The whole may be fifty megabytes. The lines that tell the stages are picked out on the node, so that
only they and the tail travel.
"""

from __future__ import annotations

import shlex

from wizard.launch.lines import Line, LineReader
from wizard.launch.node import LaunchNode
from wizard.launch.progress import MARKS
from wizard.remote.text import clean

TAIL_LINES = 4000
_SIGNS_LIMIT = 900_000  # bytes of lines with signs of progress; a start has far fewer
_LOOK_S = 60.0


async def fetch_signs(node: LaunchNode, container: str) -> list[tuple[str, float]]:
    """Return the lines with signs of progress, clean, with their times by the node's clock.

    Raises:
        RemoteError: the node cannot be asked.
    """
    logs = node.runtime.logs(container, follow=False, stamps=True)
    words = " ".join(f"-e {shlex.quote(mark.decode())}" for mark in MARKS)
    # in brackets, because the command replaces its shell
    command = f"({logs}) | LC_ALL=C grep -aF {words} | head -c {_SIGNS_LIMIT}"
    done = await node.run(command, _LOOK_S)
    return [(text_of(line), line.at) for line in LineReader().feed(done.stdout)]


async def fetch_tail(node: LaunchNode, container: str) -> bytes:
    """Return the last lines of a log as the engine gives them, with stamps.

    Raises:
        RemoteError: the node cannot be asked.
    """
    command = node.runtime.logs(container, follow=False, stamps=True, tail=TAIL_LINES)
    return b"".join([chunk async for chunk in node.stream(command)])


def text_of(line: Line) -> str:
    """Return a line fit to be shown."""
    return clean(line.text).rstrip()
