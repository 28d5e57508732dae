"""What a session needs of the other rooms, as types: the real ones and stand-ins fit them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence, Set
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from wizard.checks.board import Board
from wizard.checks.model import CellKey
from wizard.cluster import Cluster
from wizard.launch.stages import RankSeen
from wizard.logbuffer import LogBuffer

if TYPE_CHECKING:
    from wizard.diagnosis.verdict import Diagnosis
    from wizard.launch.conflict import Holder
    from wizard.launch.metrics import Load
    from wizard.presets import Preset


class CheckRunLike(Protocol):
    """A run of the checks; its state can be read at any time."""

    board: Board
    cluster: Cluster
    started_at: datetime | None

    @property
    def progress(self) -> tuple[int, int]:
        """Cells answered, and cells in all."""
        ...

    @property
    def running(self) -> bool:
        """Whether cells are still to be answered."""
        ...

    @property
    def duration_s(self) -> float:
        """Seconds since the start, up to the end."""
        ...

    async def run(self) -> Board:
        """Answer every cell."""
        ...

    async def rerun(self, keys: Iterable[CellKey]) -> None:
        """Answer these cells again."""
        ...

    async def resume(self) -> None:
        """Answer what was not answered before it was stopped."""
        ...

    async def run_mesh(self) -> None:
        """Ping every pair of devices across nodes that was not pinged yet."""
        ...

    def estimate(self, *, full: bool = False) -> float:
        """Seconds that what is open will take; of the full mesh with ``full``."""
        ...


class RankLike(RankSeen, Protocol):
    """One node of a launch, with its log."""

    @property
    def container(self) -> str:
        """Id of its container, or ""."""
        ...

    @property
    def log(self) -> LogBuffer:
        """The tail of its serve log."""
        ...

    @property
    def log_path(self) -> Path | None:
        """Where its whole log is kept here."""
        ...

    @property
    def log_problem(self) -> str:
        """Why it is not kept, or ""."""
        ...

    @property
    def log_lost(self) -> bool:
        """Whether the disk here does not take it."""
        ...


class LaunchLike(Protocol):
    """One launch on all nodes; its state can be read at any time.

    ``fetch_image``: whether the start may bring the image to nodes that lack it.
    """

    fetch_image: bool

    @property
    def ranks(self) -> Sequence[RankLike]:
        """One per node."""
        ...

    @property
    def state(self) -> str:
        """pending, starting, waiting, ready, failed or stopped."""
        ...

    @property
    def message(self) -> str:
        """The state in a sentence."""
        ...

    @property
    def brief(self) -> str:
        """Of a failure: the message without what the diagnosis says."""
        ...

    @property
    def diagnosis(self) -> Diagnosis | None:
        """Why it failed, as far as the logs tell."""
        ...

    @property
    def load(self) -> Load | None:
        """What the model does while it serves."""
        ...

    @property
    def revision(self) -> int:
        """Bumped on every change."""
        ...

    @property
    def conflict(self) -> Holder | None:
        """Who holds what it needs, when that is why it did not start."""
        ...

    async def restart(self) -> None:
        """Stop what runs of the preset, then start."""
        ...

    def plan(self) -> list[str]:
        """What it will do, for people to confirm."""
        ...

    async def start(self) -> None:
        """Start every node."""
        ...

    async def follow(self) -> None:
        """Follow until ready or failed."""
        ...

    async def attach(self) -> bool:
        """Find a running launch of this preset."""
        ...

    async def stop(self) -> list[str]:
        """Stop it on every node; return what went wrong."""
        ...


class DeltaLike(Protocol):
    """A piece of an answer."""

    @property
    def content(self) -> str:
        """Text of the answer."""
        ...

    @property
    def reasoning(self) -> str:
        """Text of the reasoning before it."""
        ...

    @property
    def usage(self) -> Mapping[str, Any] | None:
        """Token counts, with the last piece."""
        ...


class ChatLike(Protocol):
    """The served model."""

    def stream(self, messages: list[dict[str, str]]) -> AsyncIterator[DeltaLike]:
        """Answer a conversation piece by piece."""
        ...


class FindingLike(Protocol):
    """One explanation of what the checks found (contract.md, ``findings``)."""

    @property
    def id(self) -> str:
        """Stable name."""
        ...

    @property
    def severity(self) -> str:
        """A status."""
        ...

    @property
    def title(self) -> str:
        """It in one line."""
        ...

    @property
    def checks(self) -> Set[str]:
        """Checks whose bad answers it rests on."""
        ...

    @property
    def where(self) -> Sequence[Any]:
        """Cells concerned."""
        ...

    @property
    def causes(self) -> Sequence[str]:
        """What may be behind it, most likely first."""
        ...

    @property
    def next(self) -> Sequence[Any]:
        """Commands that tell more: ``command`` and ``why``."""
        ...

    @property
    def fixes(self) -> Sequence[Any]:
        """Commands that mend it: ``command``, ``node``, ``device``, ``risk``."""
        ...

    @property
    def because(self) -> Sequence[Any]:
        """Cells that are bad only because of it: the fields of a CellKey."""
        ...

    @property
    def consequences(self) -> str:
        """The same, counted by check."""
        ...

    @property
    def ignored(self) -> Sequence[str]:
        """Why it is ignored, by whom and since when; empty when it is not."""
        ...


class StoreLike(Protocol):
    """The saved and shipped presets."""

    def list(self) -> Iterable[str]:
        """Names of the saved ones."""
        ...

    def shipped(self) -> Iterable[str]:
        """Names of the shipped ones."""
        ...

    def load(self, name: str) -> Preset:
        """Load one by name."""
        ...

    def save(self, preset: Preset) -> object:
        """Save one under its name."""
        ...
