"""Which cells of the checks are shown: all, the bad ones, those that match words. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from wizard.checks.board import Board
from wizard.checks.model import CellKey, Result, Status

_WRONG = (Status.FAIL, Status.ERROR, Status.WARN)
_NUMBERED = re.compile(r"\b(node|device|npu|to)\s+(\d+)")


@dataclass
class CheckFilter:
    """Words are all to be found in a cell: its check, status, host, answer, ``node 1``."""

    bad_only: bool = False
    words: str = ""
    _board: Board | None = None
    _ignored: Collection[CellKey] = ()

    @property
    def on(self) -> bool:
        """Whether anything is hidden."""
        return self.bad_only or bool(self.words.strip())

    @property
    def told(self) -> str:
        """What is shown, for the message line; "" when everything is."""
        parts = ["what is bad"] if self.bad_only else []
        parts += [f"“{self.words.strip()}”"] if self.words.strip() else []
        keys = ["f"] if self.bad_only else []
        keys += ["Esc"] if self.words.strip() else []
        word = "shows" if len(keys) == 1 else "show"
        if not parts:
            return ""
        return f"Only {' and '.join(parts)}; {' and '.join(keys)} {word} the rest."

    def take(self, board: Board | None, ignored: Collection[CellKey]) -> None:
        """Look at this board from now on."""
        self._board, self._ignored = board, ignored

    def shows(self, key: CellKey) -> bool:
        """Whether a cell is shown."""
        result = self._board.get(key) if self._board is not None else None
        if result is None:
            return False
        if self.bad_only and (result.status not in _WRONG or key in self._ignored):
            return False
        return matches(result, self.words)


def matches(result: Result, words: str) -> bool:
    """Whether all words are in a cell; ``node 1`` and ``device 3`` are one word each."""
    wanted = words.casefold()
    key = result.key
    numbers = {"node": key.node, "device": key.device, "npu": key.device, "to": key.peer_node}
    for name, number in _NUMBERED.findall(wanted):
        if numbers[name] != int(number):
            return False
    problem = str(result.value.get("problem", ""))
    said = [key.check, result.status.value, result.summary, result.host, problem]
    text = " ".join(said).casefold()
    return all(word in text for word in _NUMBERED.sub("", wanted).split())
