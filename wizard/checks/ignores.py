"""Ignored faults: a typed reason for one cell's one problem, carried by the preset. Pure.

An ignore stands in the preset (key ``ignores``), so that a colleague who gets the preset gets the
reason with it. It names the node by its host, not its rank, and never a whole check. What cannot
be trusted is never ignored: an ``error`` (the answer is not known), a host key, an architecture.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from wizard.checks.board import Board
from wizard.checks.model import CellKey, Result, Status
from wizard.checks.problems import Problem
from wizard.cluster import Cluster, Node
from wizard.safetext import check_text
from wizard.troubleshooting.findings import consequences, problems_of

NEVER_CHECKS = frozenset({"arch"})
NEVER_PROBLEMS = frozenset({Problem.HOST_KEY})
_TIME = "%Y-%m-%dT%H:%M:%SZ"


def _line(text: str) -> str:
    check_text(text)
    if not text.strip():
        raise ValueError("must not be empty")
    return text.strip()


def _check(name: str) -> str:
    from wizard.checks.catalogue import CHECKS  # noqa: PLC0415 - presets must not load the parsers

    if name not in CHECKS:
        raise ValueError(f"there is no check {name!r}; the checks are {', '.join(CHECKS)}")
    if name in NEVER_CHECKS:
        raise ValueError(f"a finding of {name} cannot be ignored")
    return name


def _problem(name: str) -> str:
    if name not in set(Problem):
        raise ValueError(f"there is no problem {name!r}; a report names it, such as link-down")
    if name in NEVER_PROBLEMS:
        raise ValueError(f"{name} cannot be ignored")
    return name


def _moment(value: object) -> object:
    # YAML makes a time of what looks like one
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return moment.astimezone(UTC).strftime(_TIME)
    return value


def _is_moment(text: str) -> str:
    try:
        datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    except ValueError:
        raise ValueError(f"{text!r} is not a time like 2026-01-31T12:00:00Z") from None
    return text


Line = Annotated[str, AfterValidator(_line), Field(max_length=300)]
DeviceId = Annotated[int, Field(ge=0, le=15)]


class Ignore(BaseModel):
    """One ignored fault: which cell and problem, why, by whom and since when (UTC)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    check: Annotated[str, AfterValidator(_check)]
    host: Line
    device: DeviceId | None = None
    peer_host: Line | None = None
    peer_device: DeviceId | None = None
    problem: Annotated[str, AfterValidator(_problem)]
    reason: Line
    by: Line
    at: Annotated[str, BeforeValidator(_moment), AfterValidator(_is_moment)]

    @property
    def cell(self) -> Cell:
        """What it is about."""
        return Cell(
            self.check, self.host, self.device, self.peer_host, self.peer_device, self.problem
        )

    @property
    def where(self) -> str:
        """What it is about, for people: ``link-down of link on 10.0.0.11 device 3``."""
        return self.cell.words


class Cell(NamedTuple):
    """One problem of one cell, with hosts in place of ranks: what an ignore matches by."""

    check: str
    host: str
    device: int | None
    peer_host: str | None
    peer_device: int | None
    problem: str

    @property
    def words(self) -> str:
        """The cell for people."""
        text = f"{self.problem} of {self.check} on {self.host}"
        text += "" if self.device is None else f" device {self.device}"
        if self.peer_host is not None:
            text += f" to {self.peer_host} device {self.peer_device}"
        return text


@dataclass(frozen=True, slots=True)
class Applied:
    """An ignore at work on a cell.

    Attributes:
        reason, by, at: as the ignore has them.
        status: what the cell would be without it.
        follows: what was ignored, where the cell is bad only because of that; "" otherwise.
    """

    reason: str
    by: str
    at: str
    status: Status
    follows: str = ""

    @property
    def because(self) -> str:
        """Why, who and when, for people."""
        text = f"{self.reason} ({self.by}, {self.at})"
        return f"follows from {self.follows}: {text}" if self.follows else text

    def to_json(self) -> dict[str, str]:
        """Return it as reports have it."""
        return {
            "reason": self.reason,
            "by": self.by,
            "at": self.at,
            "status": self.status.value,
            "follows": self.follows,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, str]) -> Applied:
        """Return what :meth:`to_json` wrote."""
        return cls(**{**data, "status": Status(data["status"])})  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Settled:
    """A board in the light of the ignores.

    Attributes:
        board: as judged, but an ignored failure is a warning.
        ignored: the cells that an ignore is about, by key.
        unused: ignores that match nothing bad, each with the reason.
    """

    board: Board
    ignored: Mapping[CellKey, Applied]
    unused: tuple[tuple[Ignore, str], ...] = ()


def endpoint(node: Node) -> str:
    """Return how an ignore names a node: its host, with the port where it is not 22."""
    if node.port in (None, 22):
        return node.host
    return f"[{node.host}]:{node.port}" if ":" in node.host else f"{node.host}:{node.port}"


def cells_of(result: Result, cluster: Cluster) -> list[Cell]:
    """Return the problems that a cell has, as an ignore names them."""
    hosts = {node.rank: endpoint(node) for node in cluster.nodes}
    key = result.key
    peer = None if key.peer_node is None else hosts[key.peer_node]
    return [
        Cell(key.check, hosts[key.node], device, peer, key.peer_device, problem)
        for problem, device in problems_of(result)
    ]


def refusal(result: Result) -> str:
    """Return why a cell cannot be ignored, or "" when it can."""
    if not result.status.final:
        return "It has no answer yet."
    if result.status is Status.ERROR:
        return "An error cannot be ignored: the answer is not known."
    if result.status not in (Status.FAIL, Status.WARN):
        return "Nothing is wrong here."
    if result.key.check in NEVER_CHECKS:
        return f"A wrong {result.key.check} cannot be ignored: nothing would run."
    if any(problem in NEVER_PROBLEMS for problem, _ in problems_of(result)):
        return "A host key cannot be ignored: the node may be another machine."
    return ""


def ignore_cell(
    result: Result, cluster: Cluster, reason: str, *, by: str = "", now: datetime | None = None
) -> list[Ignore]:
    """Return the ignores that cover a cell: one for each of its problems.

    Raises:
        ValueError: it cannot be ignored, or the reason is empty or holds what no line may hold.
    """
    if why := refusal(result):
        raise ValueError(why)
    try:
        reason = _line(reason)
    except ValueError as error:
        raise ValueError(f"The reason {error}.") from None
    if len(reason) > 300:
        raise ValueError("The reason is longer than 300 characters.")
    at = (now or datetime.now(UTC)).strftime(_TIME)
    who = by or user()
    return [
        Ignore(**cell._asdict(), reason=reason, by=who, at=at) for cell in cells_of(result, cluster)
    ]


def user() -> str:
    """Return who is at work here, as the system names them."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def merged(old: Iterable[Ignore], new: Iterable[Ignore]) -> list[Ignore]:
    """Return all ignores; a new one takes the place of an old one about the same problem."""
    by_cell = {ignore.cell: ignore for ignore in old}
    by_cell |= {ignore.cell: ignore for ignore in new}
    return list(by_cell.values())


def settle(board: Board, cluster: Cluster, ignores: Iterable[Ignore]) -> Settled:
    """Apply ignores to a board. What follows only from an ignored fault is ignored with it."""
    wanted = {ignore.cell: ignore for ignore in ignores}
    if not wanted:
        return Settled(board, {})
    used: set[Cell] = set()
    direct: dict[CellKey, Ignore] = {}
    for result in board:
        if result.status not in (Status.FAIL, Status.WARN):
            continue
        cells = cells_of(result, cluster)
        matching = [cell for cell in cells if cell in wanted]
        used.update(matching)
        if len(matching) == len(cells) and not refusal(result):
            direct[result.key] = wanted[matching[0]]
    ignored = {key: _applied(ignore, board, key) for key, ignore in direct.items()}
    for key, root in consequences(board, cluster).items():
        if root in direct and key not in ignored and _status(board, key) is not Status.ERROR:
            ignored[key] = _applied(direct[root], board, key, follows=direct[root].where)
    unused = [
        (ignore, why)
        for cell, ignore in wanted.items()
        if cell not in used and (why := _unused(cell, board, cluster))
    ]
    return Settled(_softened(board, ignored), ignored, tuple(unused))


def _applied(ignore: Ignore, board: Board, key: CellKey, *, follows: str = "") -> Applied:
    return Applied(ignore.reason, ignore.by, ignore.at, _status(board, key), follows)


def _status(board: Board, key: CellKey) -> Status:
    result = board.get(key)
    return result.status if result is not None else Status.PENDING


def _softened(board: Board, ignored: Mapping[CellKey, Applied]) -> Board:
    found = Board()
    for result in board:
        soft = result.key in ignored and result.status is Status.FAIL
        found.put(replace(result, status=Status.WARN) if soft else result)
    return found


def _unused(cell: Cell, board: Board, cluster: Cluster) -> str:
    """Return why an ignore matches nothing; "" where that is not known in this run."""
    ranks = {endpoint(node): node.rank for node in cluster.nodes}
    if cell.host not in ranks or (cell.peer_host is not None and cell.peer_host not in ranks):
        return "the preset has no such node"
    peer = None if cell.peer_host is None else ranks[cell.peer_host]
    key = CellKey(ranks[cell.host], cell.device, cell.check, peer, cell.peer_device)
    result = board.get(key) or board.get(key._replace(device=None))
    if result is None or not result.status.final or result.status is Status.ERROR:
        return ""
    return "the fault is gone"
