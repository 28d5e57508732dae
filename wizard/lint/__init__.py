"""What is wrong in the scripts, at the line. Pure but for :func:`bash_syntax`, which asks bash.

It reads the texts themselves, edited by hand or not, as bash would pass them. Errors block a
launch, warnings do not.
"""

from __future__ import annotations

from collections.abc import Sequence

from wizard.lint import between, containerrules, envrules, flagrules, noderules
from wizard.lint.call import Call, read
from wizard.lint.knownflags import known
from wizard.lint.model import Place, Remark, Severity
from wizard.lint.syntax import bash_syntax
from wizard.lint.words import Unreadable
from wizard.presetmodel import Preset
from wizard.scriptlines import CONTAINER, SERVE
from wizard.scripts import NodeScripts

__all__ = ["Remark", "Severity", "bash_syntax", "errors", "lint", "lint_all"]


def lint(preset: Preset, scripts: Sequence[NodeScripts]) -> list[Remark]:
    """Return what is wrong in the texts, by node, file and line; asks nobody, runs nothing."""
    takes = known(preset.recipe)
    serve = {node.rank: Place(node.rank, SERVE) for node in scripts}
    container = {node.rank: Place(node.rank, CONTAINER) for node in scripts}
    calls: list[Call] = []
    for node in scripts:
        place = container[node.rank]
        try:
            containerrules.check(node.container, preset, place)
        except Unreadable as error:
            _unreadable(error, place)
        place = serve[node.rank]
        try:
            call = read(node.serve, takes, place)
        except Unreadable as error:
            _unreadable(error, place)
            continue
        if call is None:
            continue
        calls.append(call)
        flagrules.check(call, takes, place)
        noderules.check(call, preset, place)
        envrules.check(call, preset.cluster.nodes[node.rank], takes, place)
    between.check(calls, preset, serve)
    return _sorted([r for p in (*container.values(), *serve.values()) for r in p.found])


async def lint_all(preset: Preset, scripts: Sequence[NodeScripts]) -> list[Remark]:
    """Return the remarks of :func:`lint` and of ``bash -n``, a local process with a time limit."""
    found = lint(preset, scripts)
    syntax = await bash_syntax(scripts)
    broken = {(remark.rank, remark.file) for remark in syntax}
    # bash's own word on a text that does not parse says more than our reader's
    kept = [r for r in found if r.id != "unreadable" or (r.rank, r.file) not in broken]
    return _sorted([*kept, *syntax])


def errors(remarks: Sequence[Remark]) -> list[Remark]:
    """Return those that block a launch."""
    return [remark for remark in remarks if remark.severity is Severity.ERROR]


def _unreadable(error: Unreadable, place: Place) -> None:
    place.error(error.line, "unreadable", f"From here on {error}", "Close it.")


def _sorted(remarks: list[Remark]) -> list[Remark]:
    return sorted(remarks, key=lambda r: (r.rank, r.file, r.line, r.severity != "error", r.id))
