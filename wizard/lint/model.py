"""What the linter says: a remark at a line of a script."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """An error blocks the launch, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that is wrong in a script.

    Attributes:
        severity: whether it blocks the launch.
        rank: the node whose script it is.
        file: the script's name, ``serve.sh``.
        line: 1-based; 0 is the file as a whole.
        id: the rule, in kebab-case; stable.
        text: what is wrong.
        right: what would be right.
    """

    severity: Severity
    rank: int
    file: str
    line: int
    id: str
    text: str
    right: str

    @property
    def where(self) -> str:
        """The place, as compilers write it: ``node0/serve.sh:12``."""
        return f"node{self.rank}/{self.file}" + (f":{self.line}" if self.line else "")

    def __str__(self) -> str:
        return f"{self.where}: {self.severity}: {self.text} {self.right} [{self.id}]"


class Place:
    """Collects the remarks on one script."""

    def __init__(self, rank: int, file: str) -> None:
        self.rank, self.file = rank, file
        self.found: list[Remark] = []

    def error(self, line: int, rule: str, text: str, right: str) -> None:
        """Add what blocks the launch."""
        self.found.append(Remark(Severity.ERROR, self.rank, self.file, line, rule, text, right))

    def warning(self, line: int, rule: str, text: str, right: str) -> None:
        """Add what does not."""
        self.found.append(Remark(Severity.WARNING, self.rank, self.file, line, rule, text, right))
