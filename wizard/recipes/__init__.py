"""Versioned recipes (data) and the choices that they allow.

A recipe is one YAML file beside this module: what one version of vLLM-Ascend's documentation runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from wizard.cluster import Precision, Series
from wizard.errors import UsageError
from wizard.recipes.model import Os, Provenance, Recipe, Scenario, merged
from wizard.yamldata import load_data

__all__ = [
    "Choice",
    "OsChoice",
    "Recipe",
    "Scenario",
    "choices",
    "find",
    "image_tag",
    "load",
    "names",
    "nodes_for",
    "os_choices",
]

EXPERTS = 256  # routed experts of DeepSeek-V3.2: expert parallelism spreads them over DP x TP ranks
_ORDER = ("guide", "v0.11.0", "v0.18.0", "v0.23.0")  # the default first, then by age


@dataclass(frozen=True, slots=True)
class Choice:
    """One combination that a user may ask for, possible or not.

    Attributes:
        nodes: smallest number of nodes that it needs; 0 when the recipe does not have it.
        derived: no published script exists for it: it follows from one that does.
        note: why it is derived or cannot be chosen, or "".
        also: larger numbers of nodes that the recipe describes too.
    """

    series: Series
    precision: Precision
    nodes: int
    derived: bool
    note: str
    also: tuple[int, ...] = ()

    @property
    def possible(self) -> bool:
        """Whether the recipe has it."""
        return self.nodes > 0


@dataclass(frozen=True, slots=True)
class OsChoice:
    """An operating system of the image, possible or not; ``tag`` is "" when it is not."""

    os: Os
    tag: str
    note: str


def os_choices(recipe: str, series: Series) -> list[OsChoice]:
    """Return the operating systems that there are images of, the impossible ones with the reason.

    Raises:
        UsageError: there is no recipe of that name.
    """
    found = []
    for os in Os:
        try:
            found.append(OsChoice(os, image_tag(recipe, series, os), ""))
        except UsageError as error:
            found.append(OsChoice(os, "", error.message))
    return found


def names() -> list[str]:
    """Return the recipes that exist, the default one (``guide``) first."""
    return list(_ORDER)


@cache
def load(recipe: str) -> Recipe:
    """Read a recipe by its name.

    Raises:
        UsageError: there is no recipe of that name.
    """
    if recipe not in _ORDER:
        raise UsageError(f"There is no recipe {recipe!r}.", hint=f"Known: {', '.join(_ORDER)}.")
    return Recipe.model_validate(_data(recipe))


def _data(recipe: str) -> dict[str, Any]:
    text = resources.files(__name__).joinpath(f"{recipe}.yaml").read_text(encoding="utf-8")
    data: dict[str, Any] = load_data(text)
    return merged(data, _data(data["like"])) if "like" in data else data


def nodes_for(recipe: str, series: Series, precision: Precision) -> int:
    """Return the smallest number of nodes that the combination needs.

    Raises:
        UsageError: the recipe does not have the combination; says why.
    """
    fitting = _scenarios(recipe, series, precision)
    if not fitting:
        raise UsageError(_missing(load(recipe), series, precision))
    return min(s.nodes for s in fitting)


def choices(recipe: str) -> list[Choice]:
    """Return all four combinations of series and precision, the impossible ones with the reason."""
    found = []
    for series in Series:
        for precision in Precision:
            fitting = sorted(_scenarios(recipe, series, precision), key=lambda s: s.nodes)
            if fitting:
                first = fitting[0]
                derived = first.provenance is Provenance.DERIVED
                also = tuple(s.nodes for s in fitting[1:])
                found.append(Choice(series, precision, first.nodes, derived, first.note, also))
            else:
                note = _missing(load(recipe), series, precision)
                found.append(Choice(series, precision, 0, False, note))
    return found


def find(recipe: str, series: Series, precision: Precision, n_nodes: int) -> Scenario:
    """Return the scenario for exactly ``n_nodes`` nodes.

    More nodes than any scenario names are allowed where data parallelism can grow by whole nodes;
    the result is then labelled derived.

    Raises:
        UsageError: no such combination, or a number of nodes that cannot be; says what would do.
    """
    needed = nodes_for(recipe, series, precision)
    fitting = _scenarios(recipe, series, precision)
    for scenario in fitting:
        if scenario.nodes == n_nodes:
            return scenario
    counted = f"{n_nodes} node{'' if n_nodes == 1 else 's'}"
    what = f"{precision.label} on {series.value}"
    need = f"{what} needs {needed} node{'' if needed == 1 else 's'}; the preset has {n_nodes}"
    base = max(fitting, key=lambda s: s.nodes)
    if n_nodes < base.nodes or base.nodes == 1:
        raise UsageError(need)
    ranks = base.dp_local * n_nodes * base.tp
    if EXPERTS % ranks:
        why = f"the {EXPERTS} experts do not spread evenly over {ranks} ranks"
        raise UsageError(f"{need}, and {why}")
    note = (
        f"derived: {counted} instead of the {base.nodes} that {recipe} describes; "
        f"data parallelism grows to {base.dp_local * n_nodes}"
    )
    grown = {"nodes": n_nodes, "dp": base.dp_local * n_nodes, "note": note}
    return base.model_copy(update={**grown, "provenance": Provenance.DERIVED})


def image_tag(recipe: str, series: Series, os: Os = Os.UBUNTU) -> str:
    """Return the tag of the image that the recipe's arguments belong to.

    Raises:
        UsageError: no image of that operating system is documented for the series.
    """
    tags = load(recipe).image_tags
    key = series.value if os is Os.UBUNTU else f"{series.value}-{os.value}"
    if key not in tags:
        raise UsageError(
            f"Recipe {recipe} documents no {os.value} image for {series.value}.",
            hint=f"It has {', '.join(tags)}; or give the whole reference as container.image.",
        )
    return tags[key]


def _scenarios(recipe: str, series: Series, precision: Precision) -> list[Scenario]:
    every = load(recipe).scenarios
    return [s for s in every if s.series is series and s.precision is precision]


def _missing(recipe: Recipe, series: Series, precision: Precision) -> str:
    what = f"{precision.label} on {series.value} is not in recipe {recipe.name}"
    reason = recipe.absent.get(precision.value, "")
    return f"{what}: {reason}" if reason else what
