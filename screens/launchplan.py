"""What stands on the page of the launch before it is begun: the steps, and what is warned of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from textual.content import Content

from screens.widgets.glyphs import glyph
from screens.widgets.palette import COLOURS, plain, status_text
from wizard.launchplanning import LaunchPlanning
from wizard.review import Review
from wizard.roomtypes import LaunchLike

if TYPE_CHECKING:
    from wizard.launch.launchplan import LaunchPlan


def plan_text(
    launch: LaunchLike, review: Review, planning: LaunchPlanning, *, checking: bool = False
) -> Content:
    """Return what stands in the way, what to know, what the nodes said, and the steps.

    ``checking``: the checks run just now.
    """
    plan = planning.of(launch)
    lines: list[Content] = []
    if plan is not None:
        lines += _titled("In the way", [*_own(plan), *plan.but_own], "fail")
        lines += _titled("To fetch", plan.to_fetch, "warn")
    warnings = [*review.warnings, *(plan.node_doubts if plan else ())]
    lines += _titled("To know", warnings, "warn")
    if planning.error:
        lines.append(status_text("warn", f"The nodes could not be asked: {planning.error}"))
    elif planning.busy:
        lines.append(plain("Asking the nodes: image, ports, NPUs, weights, room ..."))
    if plan is not None:
        lines += _answers(plan, checking=checking)
    steps = launch.plan() if plan is None else plan.step_lines()
    lines += [_title("Steps"), *(plain(line) for line in steps)]
    return Content("\n").join(lines)


def _own(plan: LaunchPlan) -> list[str]:
    """Return that the preset is launched already, and the key that asks what to do about it."""
    if plan.own is None:
        return []
    return [f"{plan.own.sentence()} l asks whether to go to it, or to launch anew."]


def _answers(plan: LaunchPlan, *, checking: bool) -> list[Content]:
    lines: list[Content] = []
    if nodes := plan.nodes():
        lines.append(_title("Nodes"))
        lines += [
            plain(f"{label}  ") + status_text(word, word) + plain(f"  {text}")
            for label, word, text in nodes
        ]
        lines.append(_title("Containers there now"))
        lines += [plain(line) for line in plan.container_lines()]
    checks = plan.checks
    told = "never run" if checks is None else checks.sentence(datetime.now(UTC))
    sign = checks.verdict if checks is not None else "warn"
    if checking:
        told, sign = "they run now", "running"
    lines += [_title("Last checks"), status_text(sign, told)]
    lines += [_title("Time"), plain(plan.estimate())]
    return lines


def _title(text: str) -> Content:
    return plain(text, "bold")


def _titled(title: str, entries: Sequence[str], status: str) -> list[Content]:
    if not entries:
        return []
    rows = [plain(f"{glyph(status)} {text}", COLOURS[status]) for text in entries]
    return [_title(title), *rows]


def nothing_yet(review: Review, plan: LaunchPlan | None) -> str:
    """Return that nothing runs, and what stands above the plan."""
    if plan is not None and plan.own is not None:
        return "This preset is launched already, by somebody else or from elsewhere:"
    if plan is not None and (blockers := plan.but_the_image):
        return f"Nothing runs yet; {_stand(len(blockers))} in the way:"
    what = "This is what Launch does:"
    if not review.warnings:
        return f"Nothing runs yet. {what}"
    return f"Nothing runs yet; the scripts have {_warnings(review)}. {what}"


def _stand(count: int) -> str:
    return "1 thing stands" if count == 1 else f"{count} things stand"


def doubt_of_scripts(review: Review) -> str:
    """Return what is to be said of the warnings when the launch is asked for, or ""."""
    if not review.warnings:
        return ""
    return f"{_warnings(review)} about the scripts; none blocks the launch."


def doubt_of_nodes(plan: LaunchPlan | None) -> str:
    """Return what the nodes say against a launch when it is asked for, or ""."""
    if plan is None:
        return "The nodes did not say yet how they are; the launch looks before it starts."
    others = plan.but_the_image
    if not others:
        return ""
    first = "The first: " if len(others) > 1 else ""
    count = _stand(len(others))
    return (
        f"{count} in the way. {first}{others[0]} The launch looks again, and starts nothing then."
    )


def question_of_image(plan: LaunchPlan | None) -> str:
    """Return what is to be asked of an image that is missing, or ""."""
    if plan is None or not plan.lacking:
        return ""
    where = ", ".join(str(rank) for rank in plan.lacking)
    nodes = f"node{'s' if len(plan.lacking) > 1 else ''} {where}"
    how = f"It is fetched first ({plan.fetch_command}); that can take long."
    return f"The image is not on {nodes}. {how}"


def _warnings(review: Review) -> str:
    count = len(review.warnings)
    return f"{count} warning{'s' if count > 1 else ''}"
