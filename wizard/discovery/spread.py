"""What does not fit in storage and time: clocks, room on disks, weights (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median

from wizard.cluster import Precision
from wizard.discovery.disagreement import Disagreement, named
from wizard.discovery.facts import NodeFacts, Space, Weights
from wizard.discovery.quantities import size, span

CLOCK_LIMIT_S = 5.0
GB = 10**9
ROOM_FOR_IMAGES = 60 * GB  # an image is about 17 GB packed, and is unpacked beside that
ROOM_FOR_SYSTEM = 5 * GB


def storage_and_time(
    facts: Mapping[int, NodeFacts], precision: Precision
) -> Iterator[Disagreement]:
    """Yield what does not fit; ``precision`` is the one chosen."""
    yield from _clocks(facts)
    yield from _disks(facts)
    yield from _weights(facts, precision)


def _clocks(facts: Mapping[int, NodeFacts]) -> Iterator[Disagreement]:
    clocks = {rank: f.clock for rank, f in facts.items() if f.clock is not None}
    if not clocks:
        return
    # our own clock has a voice too: of two nodes it tells which is off
    middle = median([clock.offset for clock in clocks.values()] + [0.0])
    for rank, clock in clocks.items():
        away = clock.offset - middle
        if abs(away) - clock.bound > CLOCK_LIMIT_S and len(clocks) > 1:
            word = "ahead of" if away > 0 else "behind"
            text = f"The clock of node {rank} is {span(abs(away))} {word} the others."
            right = "Set it by NTP (chronyc makestep), or certificates and logs will not match."
            yield Disagreement("clock", "warns", (rank,), text, right)
    if len(clocks) == 1:
        ((rank, clock),) = clocks.items()
        if abs(clock.offset) - clock.bound > CLOCK_LIMIT_S:
            word = "ahead of" if clock.offset > 0 else "behind"
            text = f"The clock of node {rank} is {span(abs(clock.offset))} {word} this machine's."
            yield Disagreement(
                "clock", "warns", (rank,), text, "See which of them is right (date, chronyc)."
            )


def _disks(facts: Mapping[int, NodeFacts]) -> Iterator[Disagreement]:
    for rank, f in facts.items():
        images, system = f.runtime_space, f.root_space
        if images is not None and images.free < ROOM_FOR_IMAGES:
            yield _low(rank, images, "an image needs", ROOM_FOR_IMAGES)
        apart = images is None or system is None or images.mount != system.mount
        if system is not None and system.free < ROOM_FOR_SYSTEM and apart:
            yield _low(rank, system, "logs and caches need", ROOM_FOR_SYSTEM)


def _low(rank: int, space: Space, what: str, needed: int) -> Disagreement:
    place = space.mount if space.path == space.mount else f"{space.mount} ({space.path})"
    text = f"node {rank} has {size(space.free)} free on {place}; {what} about {size(needed)}."
    right = "Free some: `df -h` and `docker image ls` show what fills it."
    return Disagreement("disk", "warns", (rank,), text, right)


def best_weights(f: NodeFacts, precision: Precision) -> Weights | None:
    """Return the folder that serves best: complete before partial, right precision before other."""
    order = sorted(f.weights, key=lambda w: (w.precision is not precision, not w.complete))
    return order[0] if order else None


def _weights(facts: Mapping[int, NodeFacts], precision: Precision) -> Iterator[Disagreement]:
    label = precision.label
    have: list[int] = []
    lack: list[int] = []
    for rank, f in facts.items():
        found = best_weights(f, precision)
        if found is not None and found.precision is precision and found.complete:
            have.append(rank)
        elif found is not None and found.precision is precision and found.shards:
            of = f" of {found.expected}" if found.expected else ""
            what = f"{found.shards}{of} shards" if found.config else "no config.json"
            text = f"The {label} weights on node {rank} are not whole: {what} in {found.path}."
            yield Disagreement(
                "weights-partial", "warns", (rank,), text, "Fetch the rest before the launch."
            )
        else:
            lack.append(rank)
            if found is not None and (found.precision or found.method):
                kind = found.precision.label if found.precision else found.method.upper()
                text = f"node {rank} has {kind} weights in {found.path}; {label} was chosen."
                right = "Change the hardware's precision, or name the right folder as the model."
                yield Disagreement("weights-other", "warns", (rank,), text, right)
    lost = [rank for rank in lack if not facts[rank].hidden]
    if lost and have:
        text = f"{label} weights lie on {named(have)}, and were not found on {named(lost)}."
        right = "Copy them to every node, or mount a disk that all nodes share."
        yield Disagreement("weights-some", "warns", tuple(lost), text, right)
    elif lost and len(lost) == len(facts):
        text = f"No {label} weights were found in the usual places on any node."
        right = "Name their folder as the model in the preview, or fetch them."
        yield Disagreement("weights-none", "warns", tuple(lost), text, right)
