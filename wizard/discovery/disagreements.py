"""What does not fit: between the nodes, and between a node and what was chosen (pure).

Every finding names the nodes and what to do. ``blocks`` is what cannot work; ``warns`` is what
may, and is the user's to weigh.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from wizard.cluster import Cluster, Series
from wizard.discovery.addresses import own
from wizard.discovery.disagreement import Disagreement, named
from wizard.discovery.facts import NodeFacts
from wizard.discovery.spread import storage_and_time

ARCH = "aarch64"  # vLLM-Ascend's images are made for no other (launch.md)


Facts = Mapping[int, NodeFacts]


def disagreements(facts: Facts, cluster: Cluster, *, runtime: str = "docker") -> list[Disagreement]:
    """Compare the nodes with each other and with the choice; what blocks comes first.

    Args:
        facts: by rank; nodes that have not answered are left out.
        cluster: as chosen, with what the user set of ``local_ip`` and ``nic``.
        runtime: the container engine that the launch will use.
    """
    found = [
        *_series(facts, cluster.series),
        *_arch(facts),
        *_twins(facts),
        *_ways(facts, cluster),
        *_versions(facts),
        *_runtime(facts, runtime),
        *storage_and_time(facts, cluster.precision),
    ]
    return sorted(found, key=lambda item: item.severity != "blocks")


def _has(ranks: Sequence[int]) -> str:
    return "has" if len(ranks) == 1 else "have"


def _series(facts: Facts, chosen: Series) -> Iterator[Disagreement]:
    other = [r for r, f in facts.items() if f.series not in (None, chosen)]
    right = "Change the hardware, or take the node off the list."
    if other:
        real = facts[other[0]].series
        assert real is not None
        all_alike = len(other) == len(facts) and len({f.series for f in facts.values()}) == 1
        if all_alike:
            right = f"Choose {real} under Hardware."
        text = f"{chosen} was chosen, but {named(other)} {_has(other)} {real.devices} NPUs: {real}."
        yield Disagreement("series", "blocks", tuple(other), text, right)
    for rank, f in facts.items():
        if f.devices == 0:
            yield Disagreement(
                "no-npu",
                "blocks",
                (rank,),
                f"node {rank} has no NPU (/dev/davinci*).",
                "Is it the right host, and is the Ascend driver loaded there?",
            )
        elif f.devices is None:
            text = f"The NPUs of node {rank} could not be counted."
            yield Disagreement("npus-unknown", "warns", (rank,), text, "The checks ask again.")
        elif f.series is None:
            yield _odd_npus(rank, f, chosen)


def _odd_npus(rank: int, f: NodeFacts, chosen: Series) -> Disagreement:
    count = "1 NPU" if f.devices == 1 else f"{f.devices} NPUs"
    if f.chips and f.named_series is not chosen:
        what = f"that npu-smi calls {', '.join(f.chips)}: not an {chosen} server"
        right = "Change the hardware, or take the node off the list."
    else:
        what = f"where an {chosen} server has {chosen.devices}"
        right = "Look at npu-smi info and dmesg there: an NPU may be lost, or not handed on."
    return Disagreement("npus", "blocks", (rank,), f"node {rank} has {count} {what}.", right)


def _arch(facts: Facts) -> Iterator[Disagreement]:
    for rank, f in facts.items():
        if f.arch not in (None, ARCH):
            yield Disagreement(
                "arch",
                "blocks",
                (rank,),
                f"node {rank} is {f.arch}; the images are made for {ARCH} only.",
                "Take the node off the list.",
            )


def _groups(facts: Facts, key: Callable[[NodeFacts], str | None]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for rank, f in sorted(facts.items()):
        if value := key(f):
            found[value].append(rank)
    return dict(found)


def _twins(facts: Facts) -> Iterator[Disagreement]:
    told: set[int] = set()
    for ranks in _groups(facts, lambda f: f.boot_id).values():
        if len(ranks) > 1:
            told.update(ranks)
            name = facts[ranks[0]].hostname
            yield Disagreement(
                "same-machine",
                "blocks",
                tuple(ranks),
                f"{named(ranks)} are one and the same machine{f' ({name})' if name else ''}.",
                "Take all but one of them off the list.",
            )
    for name, ranks in _groups(facts, lambda f: f.hostname).items():
        if len(ranks) > 1 and not told.issuperset(ranks):
            yield Disagreement(
                "same-hostname",
                "warns",
                tuple(ranks),
                f"{named(ranks)} all call themselves {name}."
                if len(ranks) > 2
                else f"{named(ranks)} both call themselves {name}.",
                "Logs name hosts; give each a name of its own (hostnamectl set-hostname).",
            )


def _ways(facts: Facts, cluster: Cluster) -> Iterator[Disagreement]:
    nodes = {node.rank: node for node in cluster.nodes}
    chosen: dict[str, list[int]] = defaultdict(list)
    for rank, f in facts.items():
        node = nodes[rank]
        head = None if rank == 0 else nodes[0].host
        mine = own(f, head, local_ip=node.local_ip, nic=node.nic)
        if mine.local_ip:
            chosen[mine.local_ip].append(rank)
        if mine.problem:
            given = bool(node.local_ip or node.nic)
            yield Disagreement(
                "address",
                "warns" if given else "blocks",
                (rank,),
                f"node {rank}: {mine.problem}.",
                "Mend local_ip and nic in its details, or clear them."
                if given
                else "Type local_ip and nic in its details.",
            )
        yield from _missing_routes(
            rank, f, nodes[rank].host, {n.host: n.rank for n in nodes.values()}
        )
    for address, ranks in chosen.items():
        if len(ranks) > 1:
            text = f"{named(ranks)} would all use the address {address}."
            right = "Type the local_ip that the others reach each one by in its details."
            yield Disagreement("same-address", "blocks", tuple(ranks), text, right)
    families = {":" in address for address in chosen}
    if len(families) > 1:
        six = [r for address, ranks in chosen.items() if ":" in address for r in ranks]
        text = f"{named(six)} would use IPv6, the others IPv4."
        right = "Type a local_ip of one family for all of them."
        yield Disagreement("families", "blocks", tuple(six), text, right)


def _missing_routes(
    rank: int, f: NodeFacts, host: str, ranks: Mapping[str, int]
) -> Iterator[Disagreement]:
    lost = {
        ranks[peer]: route.problem
        for peer, route in f.routes.items()
        if "no route" in route.problem or "route is" in route.problem
        if peer in ranks and peer != host
    }
    if lost:
        yield Disagreement(
            "no-route",
            "blocks",
            (rank, *lost),
            f"node {rank} cannot reach {named(list(lost))}: {next(iter(lost.values()))}.",
            "Check its routes (ip route), or give addresses of one network.",
        )


def _versions(facts: Facts) -> Iterator[Disagreement]:
    questions: tuple[tuple[str, str, Callable[[NodeFacts], str | None]], ...] = (
        ("driver", "Ascend driver", lambda f: f.driver or f.npu_smi),
        ("firmware", "NPU firmware", lambda f: f.firmware),
        ("os", "operating system", lambda f: f.os),
    )
    for name, words, key in questions:
        groups = _groups(facts, key)
        if len(groups) > 1:
            right = "Bring all nodes to one version."
            yield _differs(name, f"The {words} differs", groups, right)


def _differs(name: str, head: str, groups: Mapping[str, list[int]], right: str) -> Disagreement:
    """The rarer values are named first: the odd node is what people look for.

    Without a majority nobody is the odd one, so all of them are named.
    """
    order = sorted(groups.items(), key=lambda item: len(item[1]))
    text = "; ".join(f"{value} on {named(ranks)}" for value, ranks in order)
    most = len(order[-1][1])
    tie = len(order[-2][1]) == most
    odd = [r for _, ranks in (order if tie else order[:-1]) for r in ranks]
    return Disagreement(name, "warns", tuple(odd), f"{head}: {text}.", right)


def _runtime(facts: Facts, wanted: str) -> Iterator[Disagreement]:
    reasons = {
        "down": (f"{wanted} does not answer", f"Start it: systemctl start {wanted}."),
        "denied": (
            f"the login may not use {wanted}",
            f"Log in as root, or put the user into the group {wanted}.",
        ),
    }
    groups: dict[str, list[int]] = defaultdict(list)
    for rank, f in facts.items():
        engine = f.runtime(wanted)
        groups["missing" if engine is None else engine.state or "unknown"].append(rank)
    for state, ranks in groups.items():
        if state == "missing":
            others = sorted({r.name for rank in ranks for r in facts[rank].runtimes})
            has = f"; there is {', '.join(others)}" if others else ""
            text = f"{named(ranks)} {_has(ranks)} no {wanted}{has}."
            right = f"Install {wanted}, or choose another runtime for the containers."
        elif state in reasons:
            where = "there" if len(facts) == 1 else f"on {named(ranks)}"
            text, right = f"{reasons[state][0]} {where}.", reasons[state][1]
            text = text[0].upper() + text[1:]
        else:
            continue
        yield Disagreement("runtime", "warns", tuple(ranks), text, right)
    versions = _groups(facts, lambda f: e.version if (e := f.runtime(wanted)) else None)
    if len(versions) > 1:
        yield _differs(
            "runtime-version",
            f"The version of {wanted} differs",
            versions,
            "It may work; one version is what others have tested.",
        )
