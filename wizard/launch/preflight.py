"""The last look before a start: the checks that a launch stands or falls with, asked once more.

They are the checks of :mod:`wizard.checks`, by their definitions: commands, parsers, verdicts and
the preset's ignores. Each node is asked over one channel, all nodes side by side.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wizard.checks.engine import CheckRun
from wizard.checks.model import Result, Status
from wizard.checks.problems import CONNECTION, Problem
from wizard.checks.report import Report, make_report
from wizard.errors import LaunchError, RemoteError, WizardError
from wizard.launch.imagecommands import how_to_fetch
from wizard.presets import Preset
from wizard.remote.api import Remote
from wizard.troubleshooting.findings import Finding, explain

if TYPE_CHECKING:
    from wizard.roomtypes import FindingLike

CHECKS = frozenset(
    {"ssh", "nic", "runtime", "image", "ports", "npu_idle", "devices", "mounts", "weights", "disk"}
)
# what a launch of the preset that still runs holds itself
HELD = frozenset({"ports", "npu_idle"})
# without an answer to these nothing can be started; of the others it is said that none came
_NEEDED = frozenset({"ssh", "runtime", "image", "ports"})
_TOLD = 3  # problems in one sentence


@dataclass(frozen=True)
class PreFlight:
    """What the nodes answered. ``report`` has every answer, in the light of the ignores."""

    preset: Preset
    report: Report

    @property
    def without_image(self) -> list[int]:
        """Ranks of the nodes that lack the image, and nothing else of it is wrong."""
        return [r.key.node for r in self.stops if _problem(r) == Problem.IMAGE_MISSING]

    @property
    def with_image(self) -> list[int]:
        """Ranks of the nodes that have the image."""
        board = self.report.board
        return [r.key.node for r in board if r.key.check == "image" and r.status is Status.PASS]

    @property
    def stops(self) -> list[Result]:
        """The answers that no start gets past: what is bad, and what must be known and is not.

        A node that could not be reached is told once, whatever was asked of it.
        """
        found: list[Result] = []
        away: set[int] = set()
        for result in filter(_stops, self.report.board):
            if _problem(result) in CONNECTION:
                if result.key.node in away:
                    continue
                away.add(result.key.node)
            found.append(result)
        return found

    @property
    def doubts(self) -> list[Result]:
        """The answers that a start gets past, but people should know of: warnings, unknowns."""
        bad = (Status.WARN, Status.ERROR, Status.FAIL)
        return [r for r in self.report.board if r.status in bad and not _stops(r)]

    @property
    def findings(self) -> list[Finding]:
        """The problems with their causes and fixes, worst first."""
        return list(self.report.findings)

    def refusal(self, *, fetching: bool = False) -> WizardError | None:
        """Return why nothing is started, None when nothing stands in the way.

        With ``fetching``, a missing image does not: it is fetched first.
        """
        stops = self._stops(fetching=fetching)
        if not stops:
            return None
        away = [r for r in stops if r.status is Status.ERROR]
        told = stops[:_TOLD]
        more = f" {len(stops) - _TOLD} more." if len(stops) > _TOLD else ""
        text = f"nothing was started. {' '.join(explain(result) for result in told)}{more}"
        kind = RemoteError if away else LaunchError
        return kind(text, node=told[0].key.node, hint=self._hint(told[0]))

    def blamed(self, *, fetching: bool = False) -> dict[int, tuple[str, str]]:
        """Return by rank the state of each node that stands in the way, and why."""
        found: dict[int, tuple[str, str]] = {}
        for result in self._stops(fetching=fetching):
            state = "unreachable" if _problem(result) in CONNECTION else "failed"
            found.setdefault(result.key.node, (state, result.summary))
        return found

    def _stops(self, *, fetching: bool) -> list[Result]:
        if not fetching:
            return self.stops
        return [r for r in self.stops if _problem(r) != Problem.IMAGE_MISSING]

    def _hint(self, result: Result) -> str:
        """Return what to do about one answer: its fix, or what tells more."""
        if _problem(result) == Problem.IMAGE_MISSING:
            return how_to_fetch(self.preset, result.key.node, self.with_image)
        finding = next((f for f in self.findings if f.id == _problem(result)), None)
        if finding is None:
            return ""
        steps = [*finding.fixes, *finding.next]
        text = f"Next, on the node: {steps[0]['command']} ({steps[0]['why']})." if steps else ""
        if result.key.check not in _NEEDED:
            text += f" What is fine all the same: v32-wizard ignores {self.preset.name} add."
        return text.strip()


@dataclass(frozen=True, slots=True)
class _Nodes:
    """The nodes of a launch, as a run of the checks takes them."""

    remotes: Sequence[Remote]


async def look(remotes: Sequence[Remote], preset: Preset, *, held: bool = False) -> PreFlight:
    """Ask the nodes, all side by side; what is wrong becomes an answer, never an exception.

    With ``held`` a launch of the preset still runs: what it holds itself is not asked about.
    """
    run = CheckRun.of(_Nodes(remotes), preset, only=CHECKS - HELD if held else CHECKS)
    await run.run()
    return PreFlight(preset, make_report(run, preset.name, ignores=preset.ignores))


def beyond(found: Iterable[FindingLike]) -> list[FindingLike]:
    """Return the findings of an earlier run of the checks that this look does not ask about."""
    return [finding for finding in found if not finding.checks <= CHECKS]


def _problem(result: Result) -> str:
    return str(result.value.get("problem", ""))


def _stops(result: Result) -> bool:
    if _problem(result) == Problem.IMAGE_MISSING:  # ignored or not: docker would pull in silence
        return True
    if result.status is Status.ERROR:
        return result.key.check in _NEEDED or _problem(result) in CONNECTION
    return result.status is Status.FAIL
