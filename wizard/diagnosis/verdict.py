"""One verdict from the logs of all nodes: the earliest real error first.

The loud line is never the cause: wrappers say that something else failed, consequences follow from
what happened on another node. They are told apart by the catalogue, and ordered by time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from wizard.diagnosis.clock import BEFORE_ALL, Clock
from wizard.diagnosis.known import Known
from wizard.diagnosis.marks import Hit, Mark, NodeLog
from wizard.diagnosis.ranks import Pair, RankMap, tls_differs
from wizard.diagnosis.signatures import Signature, by_key, catalogue, fill
from wizard.launch.progress import Phase

_MOST = 12  # causes told of
_SLACK_S = 5.0  # stamps of two logs that lie closer than this are as good as at once
_SILENT_S = 120.0  # a log that stopped this long before the others is worth a word
_CARRIES = 40  # lines after an exception that may hold what it is really about


@dataclass(frozen=True, slots=True)
class Cause:
    """One entry of a diagnosis.

    Attributes:
        node: the node to look at; the log that says so may be another's.
        file, mark: where it says so.
        confidence: ``cause``, ``consequence`` or ``possible``.
        values: what fills the ``{…}`` in the texts.
        pairs: links between NPUs that failed, if it names some.
    """

    signature: Signature
    node: int
    file: str
    mark: Mark
    confidence: str
    values: Mapping[str, object] = field(default_factory=dict)
    pairs: tuple[Pair, ...] = ()
    count: int = 1

    def meaning(self, lang: str = "en") -> str:
        """What it says about the cluster."""
        return fill(self.signature.texts[lang].meaning, self.values)

    def fix(self, lang: str = "en") -> str:
        """What the operator does about it."""
        return fill(self.signature.texts[lang].fix, self.values)

    @property
    def goto(self) -> dict[str, object]:
        """Where the fix leads: a step, and a check with its place or a key of the preset."""
        found: dict[str, object] = {
            name: fill(text, self.values) for name, text in self.signature.goto.items()
        }
        if found:
            found["node"] = self.node
        if "check" in found and self.pairs and self.pairs[0].source.node is not None:
            source, target = self.pairs[0].source, self.pairs[0].target
            found |= {"node": source.node, "device": source.device}
            if found["check"] == "ping":
                found |= {"peer_node": target.node, "peer_device": target.device}
        return found


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What became of a launch, most likely cause first; ``logs`` are what it was read from."""

    causes: tuple[Cause, ...]
    logs: tuple[NodeLog, ...]

    @property
    def cause(self) -> Cause | None:
        """The cause, or None when none is certain enough to be called so."""
        return next((c for c in self.causes if c.confidence == "cause"), None)


@dataclass(frozen=True, slots=True)
class _Found:
    """A hit, or an error that no signature knows, with its log and its time."""

    log: NodeLog
    mark: Mark
    when: float
    signature: Signature
    hit: Hit | None = None


def diagnose(logs: Sequence[NodeLog], known: Known | None = None) -> Diagnosis:
    """Return the verdict on the scans: a serve log per node, and perhaps plogs beside it."""
    return _Judge(logs, known or Known()).verdict()


class _Judge:
    def __init__(self, logs: Sequence[NodeLog], known: Known) -> None:
        self.logs, self.dead = logs, known.dead
        self.serve_logs = [log for log in logs if not log.plog]
        self.ranks = RankMap(logs, known.npus_per_node, known.addresses, known.hosts)
        self.hosts = known.hosts
        self.clock = Clock(logs, known.offsets)
        self.signatures = by_key(catalogue())
        self.hits = sorted(
            (self._of(log, hit) for log in logs for hit in log.hits.values()), key=self._order
        )
        self.unknown = self._unknown()

    def verdict(self) -> Diagnosis:
        causes = self._fatal(self._promoted(self._of_kind("cause")))
        follows = self._narrowed(self._of_kind("consequence"))
        hints = [f for f in self._of_kind("hint") if f not in causes]
        rest = [*self.unknown, *self._of_kind("wrapper")]
        if causes:
            first = causes[0].signature
            told = [self._tell(f, "cause") for f in causes if f.signature is first]
            told += [self._tell(f, "possible") for f in causes if f.signature is not first]
        else:
            told, follows, rest = self._without_cause(follows, rest)
        told += [self._tell(f, "consequence") for f in follows]
        if not told or told[0].confidence == "possible":
            told += [self._tell(f, "possible") for f in rest]
            told += [] if told or self._serves() else [self._tell(f, "possible") for f in hints]
        entries = [entry for group in told for entry in self._blamed(group)]
        return Diagnosis(tuple(entries[:_MOST]), tuple(self.logs))

    def _without_cause(
        self, follows: list[_Found], rest: list[_Found]
    ) -> tuple[list[Cause], list[_Found], list[_Found]]:
        """Return the verdict where no line is a cause by itself: what is told, and what is left."""
        gone = self._vanished(follows)
        if gone is not None:
            return [gone], follows, rest
        alone = [f for f in follows if f.signature.alone == "cause"] or follows
        first = alone[0] if alone else None
        tracebacks = [u for u in self.unknown if u.mark in u.log.errors and not _of_a_request(u)]
        if tracebacks and (first is None or tracebacks[0].when <= first.when):
            return [self._tell(tracebacks[0], "possible")], follows, self._without(rest, tracebacks)
        if first is not None:
            told = [self._tell(first, first.signature.alone)]
            return told, [f for f in follows if f is not first], rest
        silent = [] if rest else self._silent()
        return silent, follows, rest

    # -- what was found

    def _of(self, log: NodeLog, hit: Hit) -> _Found:
        return _Found(log, hit.mark, self.clock.when(log.node, hit.mark), hit.signature, hit)

    @staticmethod
    def _order(found: _Found) -> tuple[bool, float, int, int]:
        # a request that was refused says nothing about the launch: last
        return found.signature.class_ == "CHAT", found.when, found.log.node, found.mark.line

    def _of_kind(self, kind: str) -> list[_Found]:
        return [f for f in self.hits if f.signature.kind == kind]

    @staticmethod
    def _without(found: list[_Found], first: list[_Found]) -> list[_Found]:
        return [f for f in found if f is not first[0]]

    def _unknown(self) -> list[_Found]:
        """Errors that no signature knows: exceptions before other lines, earliest first."""
        signature = self.signatures["unknown_error"]
        found = []
        for log in self.logs:
            known = [h.mark.line for h in log.hits.values() if h.signature.kind in _REAL]
            for mark in (*log.errors, *log.complaints):
                if not any(mark.line < line <= mark.line + _CARRIES for line in known):
                    when = self.clock.when(log.node, mark)
                    found.append(_Found(log, mark, when, signature))
            wrapped = any(h.signature.kind == "wrapper" for h in log.hits.values())
            if wrapped and not (log.errors or log.complaints or known) and log.before_traceback:
                mark = log.before_traceback
                found.append(_Found(log, mark, self.clock.when(log.node, mark), signature))
        return sorted(found, key=lambda f: (f.mark not in f.log.errors, *self._order(f)))

    def _promoted(self, causes: list[_Found]) -> list[_Found]:
        """Add the hints that explain a consequence which was really seen."""
        seen = {f.signature.key for f in self.hits}
        hints = [f for f in self._of_kind("hint") if f.signature.explains & seen]
        return sorted([*causes, *hints], key=self._order) if hints else causes

    @staticmethod
    def _fatal(causes: list[_Found]) -> list[_Found]:
        """Put what a node's start got past behind what it may have ended with.

        The KV cache is made when all workers of a node have loaded their weights: what stands
        before it in a log was no end (a port that an exporter did not get, and went on without).
        """
        return sorted(causes, key=_survived)

    def _narrowed(self, follows: list[_Found]) -> list[_Found]:
        """Put what says less about the same trouble behind what says more."""
        beaten = {key for f in follows for key in f.signature.outranks}
        return sorted(follows, key=lambda f: f.signature.key in beaten)

    def _serves(self) -> bool:
        return any(log.stage.phase is Phase.READY for log in self.serve_logs)

    # -- what no line says

    def _vanished(self, follows: list[_Found]) -> Cause | None:
        """Return the node whose log just ends while others lost it; None if none or several may."""
        lost = [f for f in follows if f.signature.peer_lost]
        quiet = [log for log in self.serve_logs if log.last and not log.failed and not log.ended]
        gone = [log for log in quiet if log.node in self.dead]
        if not gone and lost:
            until = lost[0].when + _SLACK_S
            gone = [log for log in quiet if log.last and self._when_last(log) <= until]
            hits = [(f.hit, f.log.node) for f in lost if f.hit is not None]
            named = {n for hit, node in hits for n in self.ranks.server(hit, node)}
            gone = [log for log in gone if log.node in named] or gone
        if not gone:
            return None
        log = min(gone, key=self._when_last)
        if log.told:
            return self._verdict("interrupted", log, "possible")
        sure = len(gone) == 1 or log.node in self.dead
        return self._verdict("peer_vanished", log, "cause" if sure else "possible")

    def _silent(self) -> list[Cause]:
        """Return the node that stopped long before the others went quiet, if nothing serves."""
        timed = [log for log in self.serve_logs if log.last and self._when_last(log) > BEFORE_ALL]
        if len(timed) < 2 or self._serves():
            return []
        log = min(timed, key=self._when_last)
        gap = max(map(self._when_last, timed)) - self._when_last(log)
        if gap < _SILENT_S or log.stage.phase >= Phase.ENGINE or log.ended:
            return []
        return [self._verdict("log_stopped", log, "possible")]

    def _when_last(self, log: NodeLog) -> float:
        return self.clock.when(log.node, log.last) if log.last else BEFORE_ALL

    def _verdict(self, key: str, log: NodeLog, confidence: str) -> Cause:
        assert log.last is not None
        return Cause(
            self.signatures[key], log.node, log.name, log.last, confidence, {"node": log.node}
        )

    # -- telling

    def _tell(self, found: _Found, confidence: str) -> Cause:
        log, hit = found.log, found.hit
        node = self.hosts.get(found.mark.address, log.node)
        values: dict[str, object] = {"node": str(node)}
        pairs: tuple[Pair, ...] = ()
        signature = found.signature
        if hit is not None:
            values |= hit.values
            pairs = self.ranks.pairs(hit)
            if "src_ip" in values and pairs:
                values |= {"src": pairs[0].source.label, "dest": pairs[0].target.label}
            if signature.table and tls_differs(self._all_pairs(signature)):
                signature = replace(self.signatures["tls_differs"], id=signature.id)
        count = hit.count if hit else 1
        return Cause(signature, node, log.name, found.mark, confidence, values, pairs, count)

    def _all_pairs(self, signature: Signature) -> list[Pair]:
        hits = [f.hit for f in self.hits if f.hit and f.signature is signature]
        return [pair for hit in hits for pair in self.ranks.pairs(hit)]

    def _blamed(self, cause: Cause) -> list[Cause]:
        """Return an entry for each node that a cause names, by its ranks or its address."""
        if not cause.signature.blames:
            return [cause]
        log = next(log for log in self.logs if log.name == cause.file and log.hits)
        hit = log.hits.get(cause.signature.key)
        nodes: list[int] = []
        if hit is not None and cause.signature.blames == "ranks":
            nodes = self.ranks.owners(hit)
        elif hit is not None:
            nodes = self.ranks.server(hit, log.node)
        return [
            replace(cause, node=node, values={**cause.values, "node": str(node)}) for node in nodes
        ] or [cause]


def _survived(found: _Found) -> bool:
    came = found.log.stage.phase
    return came >= Phase.KV_CACHE and found.mark.phase < Phase.KV_CACHE


def _of_a_request(found: _Found) -> bool:
    """Whether it is an error of a server that serves: a client's request was wrong, mostly."""
    return found.mark.phase is Phase.READY and found.mark.process.startswith("APIServer")


_REAL = ("cause", "consequence")
