"""Which line of a log says why a server ended. Pure, and a stand-in for a real diagnosis.

The loudest line is never the cause: vLLM ends with wrappers ("See root cause above") around what
really happened, so wrappers and the frames of a traceback are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from wizard.launch.progress import strip_ansi

_ERROR = re.compile(
    r"\b[A-Z]\w*(?:Error|Exception|Interrupt|Exit)\b(?::|$)"  # the end of a Python traceback
    r"|\bERROR\b|\bCRITICAL\b|\bFATAL\b|\[ERROR\]"
    r"|\berror:|: command not found|No such file or directory|Permission denied|Killed$"
    r"|\bfailed\b|Segmentation fault|core dumped|out of memory",
)
# What only says that something else, said above, went wrong.
_WRAPPER = re.compile(
    r"See (?:root cause|stack trace|the stack trace)|Failed core proc|"
    r"WorkerProc initialization failed|Engine core initialization failed|"
    r"Exception in (?:ASGI|worker|thread)|During handling of the above|"
    r"The above exception was|EngineDead|resource_tracker|Shutting down|"
    r"EngineCore failed to start|WorkerProc failed to start|destroy_process_group"
)
_FRAME = re.compile(r"^(?:Traceback \(|File \"|\s*[\^~]+\s*$)")
_PREFIX = re.compile(r"^(?:\([A-Za-z][\w .-]* pid=\d+\)\s*)+")
_STAMP = re.compile(r"^(?:ERROR|CRITICAL|INFO|WARNING) \d\d-\d\d [\d:]{8} \[[^\]]*\]\s?")
_CALM = re.compile(r"^(?:\(.*? pid=\d+\)\s*)*(?:INFO|DEBUG|WARNING)\b")
_LIMIT = 300  # characters; a failed config dump runs to thousands


def strip_prefixes(line: str) -> str:
    """Return a log line without colours, process prefixes and vLLM's own time stamp."""
    return _STAMP.sub("", _PREFIX.sub("", strip_ansi(line).strip())).strip()


def last_error(lines: Sequence[str]) -> str:
    """Return the last line that names an error, without prefixes; "" for an empty log.

    Wrappers count only when there is nothing else (then with what was written just before the
    first traceback, often a library's own complaint), and any last line only when nothing looks
    like an error at all (a killed process just stops writing).
    """
    wrapper = plain = ""
    for line in reversed(lines):
        bare = strip_ansi(line).strip()
        text = strip_prefixes(line)
        if not text or _FRAME.match(text):
            continue
        plain = plain or text
        if _CALM.match(bare) or not _ERROR.search(bare):
            continue
        if not _WRAPPER.search(text):
            return text[:_LIMIT]
        wrapper = wrapper or text
    if wrapper:
        return (_before_traceback(lines) or wrapper)[:_LIMIT]
    return plain[:_LIMIT]


def _before_traceback(lines: Sequence[str]) -> str:
    previous = ""
    for line in lines:
        if not (text := strip_prefixes(line)):
            continue
        if text.startswith("Traceback ("):
            return previous
        previous = "" if _CALM.match(strip_ansi(line).strip()) else text
    return ""
