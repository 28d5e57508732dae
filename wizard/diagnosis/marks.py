"""What a scan of one log leaves: lines of interest with their place, and how far the log came."""

from __future__ import annotations

from dataclasses import dataclass, field

from wizard.diagnosis.signatures import Signature
from wizard.launch.progress import Phase, Stage


@dataclass(slots=True)
class Mark:
    """A line worth showing.

    Attributes:
        line: its number in the file, from 1.
        text: without prefixes, cleaned for display.
        engine_s, clock_s: its stamps, or those of the last line before it that has some.
        around: lines as they stand in the file, number and text, this one included.
        phase: how far the start had come there.
        address: of the node that said it, in another node's log (Ray), or "".
    """

    line: int
    text: str
    process: str = ""
    stamp: str = ""
    engine_s: float | None = None
    clock_s: float | None = None
    around: tuple[tuple[int, str], ...] = ()
    phase: Phase = Phase.CONTAINER
    address: str = ""


@dataclass(slots=True)
class Hit:
    """The first line of a log that a signature matches, and what later ones add.

    ``rows`` are the values of each row of a table, or of each match that names ranks.
    """

    signature: Signature
    mark: Mark
    values: dict[str, str] = field(default_factory=dict)
    rows: list[dict[str, str]] = field(default_factory=list)
    count: int = 1


@dataclass(slots=True)
class NodeLog:
    """One node's log after the scan.

    Attributes:
        errors: last lines of exceptions that no signature knows, first ones first.
        complaints: lines of level ERROR, or a shell's, that no signature knows.
        before_traceback: what a library wrote to stderr just before the first traceback.
        plog: it is CANN's own log of a process, beside the node's serve log.
        starts: lines in which an API server began; more than one, where it was started anew.
        remark: what is odd about its file (``is empty``), to follow its name; "" for nothing.
        ended: it was shut down in order; ``told``: it was told to, at least.
        ranks: ranks that said that they live here; ``world`` is how many there are in all.
    """

    node: int
    name: str
    plog: bool = False
    remark: str = ""
    starts: list[int] = field(default_factory=list)
    hits: dict[str, Hit] = field(default_factory=dict)
    errors: list[Mark] = field(default_factory=list)
    complaints: list[Mark] = field(default_factory=list)
    before_traceback: Mark | None = None
    last: Mark | None = None
    lines: int = 0
    stage: Stage = field(default_factory=lambda: Stage(Phase.CONTAINER))
    ended: bool = False
    told: bool = False
    ranks: set[int] = field(default_factory=set)
    world: int | None = None
    first_engine_s: float | None = None
    first_clock_s: float | None = None

    @property
    def failed(self) -> bool:
        """Whether anything in it speaks of a failure."""
        known = any(hit.signature.kind != "hint" for hit in self.hits.values())
        return known or bool(self.errors or self.complaints)
