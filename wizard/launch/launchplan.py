"""The plan that people confirm: steps, remarks, last checks, what runs there, and the time. Pure.

One object for the command line, its JSON, and the screen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, ClassVar

from wizard.checks.model import Result, Status
from wizard.checks.problems import Problem
from wizard.errors import WizardError
from wizard.launch import durations
from wizard.launch.conflict import Holder, Taken, hint_of
from wizard.launch.imagecommands import fetch_text, from_a_node, how_to_fetch
from wizard.launch.plan import Step, headline, numbered, promises, steps
from wizard.launch.progress import Phase
from wizard.launch.survey import Survey
from wizard.lint.model import Remark
from wizard.presets import Preset
from wizard.scripts import image
from wizard.troubleshooting.findings import explain
from wizard.wording import ago

_TOLD = ("runtime", "image", "weights", "npu_idle", "disk")  # of a node that is well
_OPEN = ("fail", "error")


@dataclass(frozen=True, slots=True)
class LastChecks:
    """The last kept run of the checks. ``open``: titles of what failed and is not ignored."""

    id: str
    verdict: str
    at: datetime
    open: tuple[str, ...]

    @classmethod
    def of(cls, run_id: str, report: Mapping[str, Any]) -> LastChecks:
        """Read them from a kept report."""
        at = datetime.strptime(report["started_at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        bad = [f["title"] for f in report["findings"] if f["severity"] in _OPEN]
        return cls(run_id, str(report["verdict"]), at, tuple(bad))

    def sentence(self, now: datetime) -> str:
        """Say how they ended and how old they are."""
        text = (
            f"{self.verdict}, {self.at:%Y-%m-%d %H:%M} UTC, {ago((now - self.at).total_seconds())}"
        )
        if self.open:
            more = f", and {len(self.open) - 2} more" if len(self.open) > 2 else ""
            text += f"; not ignored: {'; '.join(self.open[:2])}{more}"
        return text


@dataclass(frozen=True)
class LaunchPlan:
    """See the module.

    Attributes:
        fetching: whether the image may be brought to nodes that lack it.
        survey: what the nodes said; None when they were not asked (yet).
        remarks: the linter's.
        checks: the last kept run; None when there is none.
        replaces: the launch of the preset that runs and is stopped for this one, in words; "" for
            none. What it holds is then in nobody's way.
    """

    SCHEMA: ClassVar[str] = "v32-wizard/launch-plan/1"

    preset: Preset
    launch_id: str
    fetching: bool = False
    survey: Survey | None = None
    remarks: tuple[Remark, ...] = ()
    checks: LastChecks | None = None
    replaces: str = ""

    @property
    def lacking(self) -> list[int]:
        """Ranks of the nodes without the image."""
        return self.survey.found.without_image if self.survey else []

    @property
    def steps(self) -> list[Step]:
        """What is done, in order."""
        fetch = self.lacking if self.fetching else ()
        return steps(self.preset, self.launch_id, fetch, self.replaces)

    @property
    def blockers(self) -> list[str]:
        """What the start would refuse, with what to do about it."""
        wrong = [str(remark) for remark in self.remarks if remark.severity == "error"]
        return wrong + self.node_blockers

    @property
    def node_blockers(self) -> list[str]:
        """What the start would refuse because of the nodes."""
        if self.survey is None:
            return []
        found = [f"{h.sentence()} {hint_of(h)}" for h in self.survey.holders]
        held = {holder.node for holder in self.survey.holders}
        for result in self.survey.found.stops:
            if result.key.node in self.lacking and result.key.check == "image":
                if not self.fetching:
                    hint = how_to_fetch(self.preset, result.key.node, self.survey.found.with_image)
                    found.append(f"{explain(result)} {hint}")
            elif not (result.key.check == "npu_idle" and result.key.node in held):
                found.append(explain(result))
        return list(dict.fromkeys(found))  # who may not ask the engine is told so of each question

    @property
    def own(self) -> Holder | None:
        """The launch of the preset that is there already: one goes to it, or launches anew."""
        holders = self.survey.holders if self.survey else ()
        return next((h for h in holders if h.followable), None)

    @property
    def anew(self) -> LaunchPlan:
        """The same once what is there of the preset, under whatever engine, is stopped for it."""
        if self.survey is None:
            return self
        others = tuple(h for h in self.survey.holders if h.what != "preset")
        return replace(self, survey=replace(self.survey, holders=others))

    @property
    def but_own(self) -> list[str]:
        """As :attr:`but_the_image`, without what is asked of :attr:`own` anyway."""
        return (self if self.own is None else self.anew).but_the_image

    @property
    def but_the_image(self) -> list[str]:
        """What of the nodes stands in the way even if the image is fetched."""
        return replace(self, fetching=True).node_blockers

    @property
    def to_fetch(self) -> list[str]:
        """Where the image is missing, what brings it there, and who has it."""
        if self.survey is None or not self.lacking:
            return []
        names = [self.preset.cluster.nodes[rank].label for rank in self.lacking]
        text = f"The image is not on {', '.join(names)}. It comes by {self.fetch_command}."
        other = from_a_node(self.preset, self.lacking[0], self.survey.found.with_image)
        return [f"{text} {other}".rstrip()]

    @property
    def fetch_command(self) -> str:
        """What brings the image to a node, in words."""
        return fetch_text(self.preset)

    @property
    def doubts(self) -> list[str]:
        """What the start gets past, but people should know of."""
        warned = [str(remark) for remark in self.remarks if remark.severity != "error"]
        return warned + self.node_doubts

    @property
    def node_doubts(self) -> list[str]:
        """What the nodes said, or did not say, that people should know of."""
        if self.survey is None:
            return []
        found = [explain(r) for r in self.survey.found.doubts if self.own is None or not _own(r)]
        stops = " ".join(result.summary for result in self.survey.found.stops)
        found += [
            f"What runs on node {rank} is not known: {why}"
            for rank, why in self.survey.unknown.items()
            if why not in stops  # that stands in the way, and is told there
        ]
        return found

    @property
    def refusal(self) -> WizardError | None:
        """Return what the start would raise about the nodes, None when nothing."""
        if self.survey is None:
            return None
        if self.survey.holders:
            return Taken(self.survey.holders[0])
        return self.survey.found.refusal(fetching=self.fetching)

    @property
    def exit_status(self) -> int:
        """0 it can start, 1 something stands in the way, 3 a node could not be asked."""
        if self.survey and any(r.status is Status.ERROR for r in self.survey.found.stops):
            return 3
        return 1 if self.blockers else 0

    def nodes(self) -> list[tuple[str, str, str]]:
        """Return for each node its label, a status, and what is well or wrong there."""
        if self.survey is None:
            return []
        found = []
        for node in self.preset.cluster.nodes:
            board = self.survey.found.report.board
            results = {r.key.check: r for r in board if r.key.node == node.rank}
            bad = [r for r in results.values() if r.status not in (Status.PASS, Status.SKIPPED)]
            told = bad or [results[name] for name in _TOLD if name in results]
            status = _worst(bad) if bad else Status.PASS
            said = dict.fromkeys(map(self._summary, told))  # out of reach is every answer at once
            found.append((node.label, status.value, "; ".join(said)))
        return found

    def container_lines(self) -> list[str]:
        """Return which containers that matter there are on the nodes, as far as that is known."""
        if self.survey is None:
            return []
        lines = [f"node {i.node}: {i.sentence()}" for i in self.survey.running]
        lines += [f"node {rank}: not known" for rank in sorted(self.survey.unknown)]
        return lines or ["none of ours, and none that holds the NPUs"]

    def _summary(self, result: Result) -> str:
        engine = f"{self.preset.container.runtime} " if result.key.check == "runtime" else ""
        return engine * (result.status is Status.PASS) + result.summary

    def estimate(self) -> str:
        """Say how long it takes, and of what."""
        weights, graph = durations.PHASES[Phase.WEIGHTS], durations.PHASES[Phase.GRAPH]
        text = (
            f"{durations.WHOLE.words} (weights {weights.words}, graphs {graph.words}); on a slow "
            f"disk up to {durations.WHOLE.slow_s / 60:.0f} minutes"
        )
        if self.fetching and self.lacking:
            text += "; before that the image, as long as its gigabytes take"
        return text

    def step_lines(self) -> list[str]:
        """Return the steps, numbered, and what holds besides them."""
        return [*numbered(self.steps), *promises(self.preset)]

    def to_lines(self, now: datetime | None = None) -> list[str]:
        """Return the plan for people. What stands in the way comes last, where it is read."""
        now = now or datetime.now(UTC)
        lines = [headline(self.preset, self.launch_id)]
        checks = "never run" if self.checks is None else self.checks.sentence(now)
        lines.append(f"Checks: {checks}")
        lines.append(f"Scripts: {_count(self.remarks)}")
        if self.survey is not None:
            lines += [
                "Nodes:",
                *(f"  {label}  {word}: {text}" for label, word, text in self.nodes()),
            ]
            lines += ["Containers there now:", *(f"  {line}" for line in self.container_lines())]
        lines += ["Steps:", *(f"  {line}" for line in numbered(self.steps))]
        lines += [f"Time: {self.estimate()}.", *promises(self.preset)]
        lines += _listed("To know:", self.doubts)
        lines += _listed("In the way:", self.blockers)
        return lines

    def to_text(self) -> str:
        """Return :meth:`to_lines` as one text."""
        return "".join(f"{line}\n" for line in self.to_lines())

    def to_json(self) -> dict[str, Any]:
        """Return the plan for scripts."""
        whole, survey = durations.WHOLE, self.survey
        return {
            "schema": self.SCHEMA,
            "preset": self.preset.name,
            "launch": self.launch_id,
            "image": image(self.preset),
            "fetch": {
                "nodes": self.lacking,
                "allowed": self.fetching,
                "command": self.fetch_command,
            },
            "nodes": [self._node(node.rank, node.host) for node in self.preset.cluster.nodes],
            "running": [
                {
                    "node": i.node,
                    "container": i.container.name,
                    "id": i.container.id,
                    "image": i.container.image,
                    "status": i.container.status,
                    "engine": i.container.engine or self.preset.container.runtime,
                    "preset": i.container.preset,
                    "launch": i.container.launch,
                    "owner": i.container.owner,
                    "npus": list(i.npus),
                    "since": i.since,
                }
                for i in (survey.running if survey else ())
            ],
            "checks": None
            if self.checks is None
            else {
                "run": self.checks.id,
                "verdict": self.checks.verdict,
                "started_at": f"{self.checks.at:%Y-%m-%dT%H:%M:%SZ}",
                "open": list(self.checks.open),
            },
            "remarks": [
                {"where": r.where, "severity": r.severity.value, "id": r.id, "text": r.text}
                for r in self.remarks
            ],
            "steps": [
                {"action": s.action, "nodes": list(s.nodes), "text": s.text} for s in self.steps
            ],
            "estimate_s": {"low": whole.low_s, "high": whole.high_s, "slow": whole.slow_s},
            "doubts": self.doubts,
            "blockers": self.blockers,
        }

    def _node(self, rank: int, host: str) -> dict[str, Any]:
        answers = self.survey.found.report.board if self.survey else ()
        results = [r for r in answers if r.key.node == rank]
        checks = {r.key.check: {"status": r.status.value, "summary": r.summary} for r in results}
        return {"node": rank, "host": host, "checks": checks}


def _own(result: Result) -> bool:
    """Whether an answer only says again that the preset is launched already."""
    return result.value.get("problem") == Problem.OWN_LAUNCH


def _worst(results: Sequence[Result]) -> Status:
    order = (Status.WARN, Status.ERROR, Status.FAIL)
    return max((r.status for r in results), key=order.index)


def _count(remarks: Sequence[Remark]) -> str:
    """Return how many errors and warnings there are, in words."""
    counts = Counter(remark.severity.value for remark in remarks)
    told = [f"{n} {word}{'s' * (n > 1)}" for word, n in sorted(counts.items())]
    return ", ".join(told) or "nothing to remark"


def _listed(title: str, entries: Sequence[str]) -> list[str]:
    return [title, *(f"  {entry}" for entry in entries)] if entries else []
