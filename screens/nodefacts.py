"""What nodes said of themselves, as text for the nodes screen: cells, details, remarks (pure)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from textual.content import Content

from screens.widgets.glyphs import glyph
from screens.widgets.palette import MUTED, plain, status_text
from wizard.cluster import Precision
from wizard.discovery import words
from wizard.discovery.addresses import Own
from wizard.discovery.disagreement import Disagreement
from wizard.discovery.facts import NodeFacts
from wizard.discovery.quantities import size
from wizard.discovery.run import Answer
from wizard.discovery.spread import best_weights
from wizard.discovery.words import known

COLOURS = {"blocks": "$text-error", "warns": "$text-warning"}
WORDS = {"known": "KNOWN", "asking": "ASKING", "failed": "FAILED", "waiting": "NOT ASKED"}
GLYPHS = {"known": "pass", "asking": "running", "failed": "failed", "waiting": "pending"}
GAP = 2


@dataclass(frozen=True, slots=True)
class Row:
    """What is shown of one node. ``odd``: severity by the id of what does not fit with it."""

    answer: Answer | None
    own: Own | None
    odd: Mapping[str, str]

    @property
    def facts(self) -> NodeFacts | None:
        """The node's facts, None while there are none."""
        answer = self.answer
        return answer.facts if answer is not None and answer.state == "known" else None


@dataclass(frozen=True, slots=True)
class Column:
    """One column: heading, text, and the rules that colour it. ``rank``: the last to be left out
    has the lowest."""

    title: str
    rank: int
    text: Callable[[NodeFacts, Own | None, Precision], str]
    rules: tuple[str, ...] = ()


COLUMNS = (
    Column("host name", 8, lambda f, o, p: known(f.hostname), ("same-machine", "same-hostname")),
    Column("NPUs", 1, lambda f, o, p: words.npus(f), ("series", "no-npu", "npus", "npus-unknown")),
    Column("arch", 4, lambda f, o, p: known(f.arch), ("arch",)),
    Column("driver", 3, lambda f, o, p: known(f.driver or f.npu_smi), ("driver", "firmware")),
    Column(
        "address, NIC",
        2,
        lambda f, o, p: words.address(o, f" {glyph('dot')} "),
        ("address", "same-address", "families", "no-route"),
    ),
    Column("runtime", 6, lambda f, o, p: words.best_runtime(f), ("runtime", "runtime-version")),
    Column("free", 9, lambda f, o, p: words.room(f), ("disk",)),
    Column("clock", 7, lambda f, o, p: words.clock(f), ("clock",)),
    Column(
        "weights",
        5,
        lambda f, o, p: words.weights(f, p),
        ("weights-some", "weights-none", "weights-partial", "weights-other"),
    ),
)


@dataclass(frozen=True, slots=True)
class Table:
    """The nodes' cells, as wide as they must be, in the columns that the width has room for."""

    heading: Content
    cells: tuple[Content, ...]
    width: int


def table(rows: Sequence[Row], precision: Precision, room: int) -> Table:
    """Lay out the state and the facts of every node in ``room`` cells at most."""
    states = [_state(row) for row in rows]
    texts = {
        column.title: [
            column.text(row.facts, row.own, precision) if row.facts else "" for row in rows
        ]
        for column in COLUMNS
    }
    widths = {
        column.title: max([len(column.title), *(_cells(t) for t in texts[column.title])])
        for column in COLUMNS
    }
    left = room - max([0, *(state.cell_length for state in states)])
    chosen: set[str] = set()
    if any(row.facts for row in rows):
        for column in sorted(COLUMNS, key=lambda c: c.rank):
            if widths[column.title] + GAP > left:
                break
            left -= widths[column.title] + GAP
            chosen.add(column.title)
    state_width = max([0, *(state.cell_length for state in states)])
    heading = plain(" " * state_width)
    cells = [state + plain(" " * (state_width - state.cell_length)) for state in states]
    for column in COLUMNS:
        if column.title not in chosen:
            continue
        width = widths[column.title]
        heading += plain(" " * GAP + column.title.ljust(width))
        for number, row in enumerate(rows):
            text = texts[column.title][number]
            padding = " " * (width - _cells(text))
            cells[number] += plain(" " * GAP) + plain(text, _colour(row, column)) + plain(padding)
    return Table(heading, tuple(cells), room - left)


def _cells(text: str) -> int:
    return plain(text).cell_length


def _colour(row: Row, column: Column) -> str:
    found = {row.odd[rule] for rule in column.rules if rule in row.odd}
    return COLOURS["blocks" if "blocks" in found else "warns"] + " bold" if found else ""


def _state(row: Row) -> Content:
    if row.answer is None:
        return plain("")
    return status_text(GLYPHS[row.answer.state], WORDS[row.answer.state])


def details(row: Row, precision: Precision) -> Content:
    """Everything that one node said, in a few lines; nothing while it has said nothing."""
    f = row.facts
    if f is None:
        return plain("")
    lines = [
        (
            known(f.hostname),
            known(f.os),
            known(f.arch),
            f"{words.npus(f)} {'/'.join(f.chips or ())}",
        ),
        (
            f"driver {known(f.driver or f.npu_smi)}",
            f"firmware {known(f.firmware)}",
            ", ".join(map(words.runtime, f.runtimes)) or "no container runtime",
        ),
        (_own_words(row), _others(row)),
        (f"clock {words.clock(f)}" + (f" ± {f.clock.bound:.1f} s" if f.clock else ""), _room(f)),
        (f"weights {_places(f, precision)}",),
    ]
    joined = [f" {glyph('dot')} ".join(part for part in line if part) for line in lines]
    return plain("\n".join(joined))


def _own_words(row: Row) -> str:
    if row.own is None or not row.own.local_ip:
        return "address not known"
    return f"{row.own.local_ip} on {known(row.own.nic)}"


def _others(row: Row) -> str:
    own_ip = row.own.local_ip if row.own else None
    others = [a for a in row.facts.addresses or () if a.usable] if row.facts else []
    also = [f"{a.ip} on {a.nic}" for a in others if a.ip != own_ip]
    return f"also {', '.join(also)}" if also else ""


def _room(f: NodeFacts) -> str:
    spaces = {s.mount: s for s in (f.runtime_space, f.root_space) if s}
    spaces |= {w.space.mount: w.space for w in f.weights if w.space}
    parts = [f"{size(space.free)} on {mount}" for mount, space in spaces.items()]
    return f"free: {', '.join(parts)}" if parts else "free: ?"


def _places(f: NodeFacts, precision: Precision) -> str:
    found = best_weights(f, precision)
    where = f" in {found.path}" if found else ""
    return f"{words.weights(f, precision)}{where}"


def remarks(items: Sequence[Disagreement]) -> Content:
    """What does not fit, in words, each with what to do; what blocks comes first."""
    lines = []
    for item in items:
        name = "fail" if item.severity == "blocks" else "warn"
        word = status_text(name, "BLOCKS" if item.severity == "blocks" else "MIND")
        text = item.text[0].upper() + item.text[1:]
        lines.append(word + plain(f" {text} ") + plain(item.right, MUTED))
    return plain("\n").join(lines)


def odd_of(rank: int, items: Sequence[Disagreement]) -> dict[str, str]:
    """Return what does not fit with one node: severity by rule."""
    return {item.id: item.severity for item in items if rank in item.nodes}
