r"""The one place where text from a node is made fit to be shown.

Terminals act on ESC, CSI, OSC, DCS and C1 bytes, and bidi controls make text read otherwise than
it is; so all of them go. Progress bars overwrite their line by ``\r``: the last one counts.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

# Bidi controls and marks, and the invisible ones that split or join (U+2028, U+2029, BOM).
_INVISIBLE = "\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff"
# ESC sequences: strings (OSC DCS SOS PM APC) up to BEL or ST, CSI, those with intermediates.
_SEQUENCE = re.compile(
    "(?:\x1b[]PX^_]|[\x90\x98\x9d\x9e\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\\\|\x9c)?"
    "|(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]?"
    "|\x1b[ -/]*[0-~]?"
)
_COLOUR = re.compile("\x1b\\[[0-9;]*m")  # the most frequent sequence by far, found quickly
# An escape sequence that the end of what came so far may have cut.
_CUT = re.compile(
    "(?:(?:\x1b[]PX^_]|[\x90\x98\x9d\x9e\x9f])[^\x07\x1b\x9c\n]*\x1b?"
    "|(?:\x1b\\[|\x9b)[0-?]*[ -/]*|\x1b[ -/]*)\\Z"
)
_CONTROL = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f{_INVISIBLE}]")
_SURROGATE = re.compile("[\ud800-\udfff]")  # JSON may bring half a pair; no terminal takes it
_CUT_LIMIT = 4096  # a longer sequence is no sequence; do not wait for its end


def clean(data: bytes | str) -> str:
    r"""Return text without anything that a terminal would act on; keeps ``\n`` and ``\t``.

    Invalid UTF-8 becomes U+FFFD, ``\r\n`` a ``\n``, and of a line overwritten by ``\r`` the last
    text stays.
    """
    text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
    if "\x1b[" in text:
        text = _COLOUR.sub("", text)
    if text.isprintable():  # most lines of a log: nothing below would find anything in them
        return text
    text = _SURROGATE.sub("\ufffd", text)
    text = _SEQUENCE.sub("", text)
    return "\n".join(_line(line) for line in text.split("\n"))


def _line(line: str) -> str:
    """Return the last text that is not empty of a line overwritten by carriage returns."""
    parts = (_CONTROL.sub("", part) for part in reversed(line.split("\r")))
    return next((part for part in parts if part), "")


class LineCleaner:
    r"""Cuts a byte stream into clean lines as it comes, wherever the chunks are cut.

    Yields ``(line, replaces_last)``: the second is True for a line that overwrites the one before
    it (a progress bar redrawn by ``\r``), so that a log shows one line instead of hundreds.

    Args:
        limit: longest line, in characters; a longer one is cut, the rest of it dropped.
    """

    def __init__(self, limit: int = 8192) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._limit = limit
        self._raw = ""  # what may be the beginning of an escape sequence
        self._line = ""
        self._open = False  # the last line that we gave out may yet be overwritten

    def feed(self, data: bytes) -> Iterator[tuple[str, bool]]:
        """Take the next bytes; yield the lines that they complete or redraw."""
        yield from self._take(self._decoder.decode(data), final=False)

    def flush(self) -> Iterator[tuple[str, bool]]:
        """Yield the last line, when the stream ended without a newline."""
        yield from self._take(self._decoder.decode(b"", True), final=True)
        if self._line:
            yield self._emit(keep_open=False)

    def _take(self, text: str, *, final: bool) -> Iterator[tuple[str, bool]]:
        text = self._raw + text
        self._raw = ""
        if not final and (cut := _CUT.search(text)) and len(text) - cut.start() < _CUT_LIMIT:
            self._raw, text = text[cut.start() :], text[: cut.start()]
        for part in re.split("([\r\n])", _SEQUENCE.sub("", text)):
            if part == "\n":
                if self._line or not self._open:
                    yield self._emit(keep_open=False)
                self._open = False
            elif part == "\r":
                if self._line:
                    yield self._emit(keep_open=True)
            elif part:
                room = self._limit - len(self._line)
                self._line += _CONTROL.sub("", part)[: max(0, room)]

    def _emit(self, *, keep_open: bool) -> tuple[str, bool]:
        line, self._line = self._line, ""
        replaces, self._open = self._open, keep_open
        return line, replaces
