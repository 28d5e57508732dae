r"""Scanning one node's log as it streams in: linear in its length, bounded in memory.

Each signature has a text that all its matches contain. Which of these texts a batch of lines holds
is asked first, for the whole batch; then which lines hold one; regular expressions run on what is
left.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from wizard.diagnosis.loglines import CALM, LONGEST, LogLine, parse
from wizard.diagnosis.marks import Hit, Mark, NodeLog
from wizard.diagnosis.signatures import Signature, catalogue, needle
from wizard.launch.progress import SIGNS, Phase, StageParser
from wizard.remote.text import clean

AROUND = 3  # lines shown before and after one of interest
_BACK = 400  # lines that a stamp is looked for backwards
_TRACEBACK_LINES = 500
_ROWS = 256
_SOME = 5  # unknown errors kept of each sort
_EXCERPT = 500

_ERROR, _STAGE, _STATE = -1, -2, -3  # what a text is for when it is for no signature
_ERROR_WORDS = (b"Traceback (most", b"ERROR", b"CRITICAL", b"FATAL", b"rror: ", b"fatal: ")
_STATE_WORDS = (b"in world size", b"Application shutdown complete", b"Shutting down")
_START = b"vLLM API server version "
_TRACEBACK = "Traceback (most recent call last)"
_FRAME = re.compile(r"(?:\s|File \"|[\^~]+\s*$|$|\||During handling of|The above exception)")
_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(?::\s|$)", re.ASCII)
_SHELL = re.compile(r"Error: |\b(?:error|fatal): ")  # a shell's, or an exception's last line
_RANK = re.compile(r"rank (\d+) in world size (\d+)", re.ASCII)


@cache
def _table() -> tuple[tuple[bytes, int], ...]:
    """Return every needle, and the signature (or sort of line) it is for."""
    found = [
        (text.encode(), index)
        for index, signature in enumerate(catalogue())
        for text in signature.needles
    ]
    found += [(word, _ERROR) for word in _ERROR_WORDS]
    found += [(needle(sign.pattern).encode(), _STAGE) for sign in SIGNS]
    found += [(word, _STATE) for word in _STATE_WORDS]
    return tuple(found)


class NodeScan:
    """Reads the lines of one node. Colours are gone from what it is given; prefixes are not."""

    def __init__(self, node: int, name: str, *, plog: bool = False) -> None:
        self.log = NodeLog(node, name, plog)
        self._stages = StageParser()
        self._open: dict[str, int] = {}  # process → lines left of its traceback
        self._past: list[tuple[int, bytes]] = []
        self._waiting: list[tuple[int, bytes]] = []
        self._known = False  # an error that explains what comes after it was seen
        self._engine_s: float | None = None
        self._clock_s: float | None = None

    def feed(self, lines: Sequence[tuple[int, bytes]]) -> None:
        """Take the next lines with their numbers; the last few wait for what follows them."""
        window = [*self._past, *self._waiting, *lines]
        end = max(len(self._past), len(window) - AROUND)
        self._take(window, len(self._past), end)
        self._past, self._waiting = window[max(0, end - _BACK) : end], window[end:]

    def close(self) -> NodeLog:
        """Take what waits; return what was found."""
        window = [*self._past, *self._waiting]
        self._take(window, len(self._past), len(window))
        for index in range(len(window) - 1, -1, -1):
            if window[index][1].strip():
                self.log.last = self._mark(window, index, self._parse(window[index][1])[-1])
                break
        self.log.stage = self._stages.stage
        return self.log

    def _take(self, window: list[tuple[int, bytes]], start: int, end: int) -> None:
        if end <= start:
            return
        batch = b"\n".join(raw for _, raw in window[start:end])
        done = self._stages.stage.phase is Phase.READY  # what says so again is of no interest
        present = [(t, i) for t, i in _table() if t in batch and not (done and i == _STAGE)]
        if present or self._open:
            for index in range(start, end):
                raw = window[index][1]
                found = {i for text, i in present if text in raw}
                if found or self._open:
                    for part in self._parse(raw):
                        self._line(window, index, part, found)
        if _START in batch:
            self.log.starts += [number for number, raw in window[start:end] if _START in raw]
        self.log.lines += end - start
        self._note_times(window, end - 1)

    @staticmethod
    def _parse(raw: bytes) -> list[LogLine]:
        r"""Take a line apart; ``\r`` cuts it into several, of which none is empty but the only."""
        texts = [t for t in raw.decode("utf-8", "replace").split("\r") if t.strip()] or [""]
        return [parse(text[:LONGEST]) for text in texts[-50:]]

    # -- one line

    def _line(
        self, window: list[tuple[int, bytes]], index: int, line: LogLine, found: set[int]
    ) -> None:
        if _STAGE in found:
            self._stages.feed(line.text)
        if _STATE in found:
            self._state(line.text)
        signatures = catalogue()
        known = self._match(line, [signatures[i] for i in found if i >= 0])
        for signature, match in known:
            self._hit(window, index, line, signature, match)
        self._trace(window, index, line, known=bool(known), error=_ERROR in found)

    def _match(
        self, line: LogLine, signatures: list[Signature]
    ) -> list[tuple[Signature, re.Match[str]]]:
        calm = line.level in CALM
        found = [
            (signature, match)
            for signature in signatures
            if (signature.calm or signature.kind == "hint" or not calm)
            and (match := signature.search(line.text)) is not None
        ]
        if len(found) > 1:
            keys = {signature.key for signature, _ in found}
            found = [(s, m) for s, m in found if not s.broader_than & keys]
        return found

    def _hit(
        self,
        window: list[tuple[int, bytes]],
        index: int,
        line: LogLine,
        signature: Signature,
        match: re.Match[str],
    ) -> None:
        values = {k: clean(v)[:200] for k, v in match.groupdict().items() if v}
        if signature.kind in ("cause", "consequence") and signature.alone == "cause":
            self._known = True
        hit = self.log.hits.get(signature.key)
        if hit is None:
            hit = Hit(signature, self._mark(window, index, line), dict(values))
            self.log.hits[signature.key] = hit
        else:
            hit.count += 1
            for name, value in values.items():
                hit.values.setdefault(name, value)
        if (signature.table or signature.blames) and values and len(hit.rows) < _ROWS:
            hit.rows.append(values)

    def _trace(
        self,
        window: list[tuple[int, bytes]],
        index: int,
        line: LogLine,
        *,
        known: bool,
        error: bool,
    ) -> None:
        """Follow tracebacks to their last line; keep it, or another error, if it is not known."""
        text, process = line.text, line.process
        if line.level not in CALM and text.startswith(_TRACEBACK):
            self._open[process] = _TRACEBACK_LINES
            if len(self._open) > 64:
                del self._open[next(iter(self._open))]
            if self.log.before_traceback is None and not self.log.errors:
                self._said_before(window, index)
            return
        if process in self._open:
            self._open[process] -= 1
            if _FRAME.match(text) and self._open[process] > 0:
                return
            del self._open[process]
            if not known and _EXCEPTION.match(text) and line.level not in CALM:
                self._keep(self.log.errors, window, index, line)
            return
        if known or not error or line.level in CALM or _FRAME.match(text):
            return
        if line.level or _SHELL.search(text):
            self._keep(self.log.complaints, window, index, line)

    def _keep(
        self, kept: list[Mark], window: list[tuple[int, bytes]], index: int, line: LogLine
    ) -> None:
        # what comes after a known error of this node is that error's, not a new one
        if len(kept) < _SOME and not self._known:
            kept.append(self._mark(window, index, line))

    def _said_before(self, window: list[tuple[int, bytes]], index: int) -> None:
        for back in range(index - 1, max(-1, index - 5), -1):
            line = self._parse(window[back][1])[-1]
            if line.text.strip():
                if not (line.level or line.process or line.stamp):
                    self.log.before_traceback = self._mark(window, back, line)
                return

    def _state(self, text: str) -> None:
        if match := _RANK.search(text):
            self.log.ranks.add(int(match[1]))
            self.log.world = int(match[2])
        if "Application shutdown complete" in text:
            self.log.ended = True
        if text.strip() == "Shutting down" or "Shutting down FastAPI" in text:
            self.log.told = True

    # -- places and times

    def _mark(self, window: list[tuple[int, bytes]], index: int, line: LogLine) -> Mark:
        engine_s, clock_s, stamp = self._times(window, index, line)
        around = tuple(
            (number, clean(raw)[:_EXCERPT])
            for number, raw in window[max(0, index - AROUND) : index + AROUND + 1]
        )
        text = clean(line.text).strip()[:_EXCERPT]
        phase = self._stages.stage.phase
        number, said = window[index][0], line.process
        return Mark(number, text, said, stamp, engine_s, clock_s, around, phase, line.address)

    def _times(
        self, window: list[tuple[int, bytes]], index: int, line: LogLine
    ) -> tuple[float | None, float | None, str]:
        """Return both stamps of a line, taken over from the last line before it that has them."""
        engine_s, clock_s, stamp = line.engine_s, line.clock_s, line.stamp
        for back in range(index - 1, max(-1, index - _BACK), -1):
            if clock_s is not None:
                break
            earlier = parse(window[back][1][:LONGEST].decode("utf-8", "replace"))
            clock_s = earlier.clock_s
            engine_s = earlier.engine_s if engine_s is None else engine_s
            stamp = stamp or earlier.stamp
        engine_s = self._engine_s if engine_s is None else engine_s
        return engine_s, self._clock_s if clock_s is None else clock_s, stamp

    def _note_times(self, window: list[tuple[int, bytes]], index: int) -> None:
        """Remember the stamps at the end of a batch: its lines will be gone."""
        line = self._parse(window[index][1])[-1]
        self._engine_s, self._clock_s, _ = self._times(window, index, line)
