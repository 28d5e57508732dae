"""How many calls of the tool a node bears at a time: found out, not assumed.

The vendor says that ``hccn_tool`` is not safe to run concurrently on one host; some drivers bear
it. So: begin with what is allowed, narrow to what was borne when the tool says busy, and try one
more from time to time, ever more seldom when that fails.
"""

from __future__ import annotations

_PATIENCE = 8  # good answers per call at a time before one more is tried
_LONGEST = 16  # times that patience, after tries that failed


class Width:
    """The width of one node. ``limit`` is never exceeded."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.now = limit
        self._good = 0
        self._factor = 1
        self._trying = False

    def busy(self, others: int) -> None:
        """Take note that the tool was busy while ``others`` calls were running beside this one."""
        if self._trying:
            self._factor = min(self._factor * 2, _LONGEST)
            self._trying = False
        self._good = 0
        self.now = max(1, min(self.now, others))

    def good(self) -> None:
        """Take note of an answer; after enough of them one more call at a time is tried."""
        self._good += 1
        if self.now < self.limit and self._good >= _PATIENCE * self.now * self._factor:
            self.now += 1
            self._good = 0
            self._trying = True
