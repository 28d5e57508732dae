"""Recipes: what they hold, what may be chosen, and how a mistake in one is named."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from wizard import recipes
from wizard.cluster import Precision, Series
from wizard.errors import UsageError
from wizard.recipes.model import Os, Provenance, Recipe

A2, A3, BF16, W8A8 = Series.A2, Series.A3, Precision.BF16, Precision.W8A8


def guide() -> dict[str, Any]:
    return recipes._data("guide")


def refused(data: dict[str, Any]) -> tuple[str, str]:
    """The key that a mistake is named by, and what is said of it."""
    with pytest.raises(ValidationError) as caught:
        Recipe.model_validate(data)
    (detail,) = caught.value.errors()
    return ".".join(map(str, detail["loc"])), detail["msg"]


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_is_valid_and_named_as_its_file(name: str) -> None:
    recipe = recipes.load(name)
    assert recipe.name == name
    assert {"A2", "A3"} <= set(recipe.image_tags)
    assert all(recipe.version in tag for tag in recipe.image_tags.values())


def test_the_default_comes_first() -> None:
    assert recipes.names()[0] == "guide"


def test_an_unknown_recipe_names_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"no recipe 'v9'.*guide, v0\.11\.0"):
        recipes.load("v9")


# --- a mistake is named by its key ---------------------------------------------------------------


def test_an_unknown_key() -> None:
    data = guide()
    data["container"]["shm_szie"] = "1g"
    assert refused(data) == ("container.shm_szie", "Extra inputs are not permitted")


def test_a_missing_key() -> None:
    data = guide()
    del data["scenarios"][2]["tp"]
    assert refused(data) == ("scenarios.2.tp", "Field required")


def test_a_number_where_the_spelling_matters() -> None:
    data = guide()
    data["args"]["--port"] = 8000
    with pytest.raises(ValidationError) as caught:
        Recipe.model_validate(data)
    assert {detail["loc"][:2] for detail in caught.value.errors()} == {("args", "--port")}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("dp", 3, "must tile"),
        ("tp", 32, "exceeds the 16 NPUs of a node"),
        ("rpc_port", None, "rpc_port belongs to every scenario of several nodes"),
        ("provenance", "derived", "says in its note"),
        ("head", {"--x": "1"}, "head and workers must name the same arguments"),
    ],
)
def test_a_layout_that_cannot_be(key: str, value: object, message: str) -> None:
    data = guide()
    assert (data["scenarios"][0]["series"], data["scenarios"][0]["nodes"]) == ("A3", 2)
    data["scenarios"][0][key] = value
    where, said = refused(data)
    assert where == "scenarios.0"
    assert message in said


def test_an_argument_without_a_place_in_the_order() -> None:
    data = guide()
    data["args"]["--surprise"] = "1"
    assert "no place for ['--surprise']" in refused(data)[1]


def test_a_note_on_nothing() -> None:
    data = guide()
    data["scenarios"][0]["notes"] = {"--no-such": {"provenance": "ours", "reason": "x"}}
    assert "notes on unknown ['--no-such']" in refused(data)[1]


# --- choices ------------------------------------------------------------------------------------


def test_the_guides_four_choices() -> None:
    found = {(c.series, c.precision): (c.nodes, c.derived) for c in recipes.choices("guide")}
    assert found == {
        (A2, BF16): (4, True),
        (A2, W8A8): (2, False),
        (A3, BF16): (2, False),
        (A3, W8A8): (1, False),
    }
    (derived,) = [c for c in recipes.choices("guide") if c.derived]
    assert "prints no script for it" in derived.note


@pytest.mark.parametrize("name", ["v0.18.0", "v0.23.0"])
def test_a_choice_that_is_gone_says_why(name: str) -> None:
    gone = [c for c in recipes.choices(name) if not c.possible]
    assert [(c.series, c.precision) for c in gone] == [(A2, BF16), (A3, BF16)]
    assert all("removed upstream" in c.note for c in gone)
    with pytest.raises(UsageError, match="removed upstream"):
        recipes.nodes_for(name, A2, BF16)


# --- numbers of nodes ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("series", "precision", "nodes", "words"),
    [
        (A2, BF16, 2, "BF16 on A2 needs 4 nodes; the preset has 2"),
        (A3, BF16, 1, "BF16 on A3 needs 2 nodes; the preset has 1"),
        (A3, W8A8, 2, "W8A8 on A3 needs 1 node; the preset has 2"),
        (A3, BF16, 3, "256 experts do not spread evenly over 48 ranks"),
    ],
)
def test_a_number_of_nodes_that_cannot_be(
    series: Series, precision: Precision, nodes: int, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        recipes.find("guide", series, precision, nodes)


def test_more_nodes_grow_data_parallelism_and_are_derived() -> None:
    grown = recipes.find("guide", A3, BF16, 4)
    assert (grown.dp, grown.tp, grown.provenance) == (4, 16, Provenance.DERIVED)
    assert "derived: 4 nodes instead of the 2" in grown.note
    assert [list(ranks) for ranks in grown.ranks_per_node] == [[0], [1], [2], [3]]
    arguments = recipes.load("guide").arguments(grown, 3)
    assert arguments["--data-parallel-start-rank"] == "3"
    assert arguments["--headless"] is True


@pytest.mark.parametrize("name", recipes.names())
def test_start_ranks_tile_and_the_head_has_none(name: str) -> None:
    recipe = recipes.load(name)
    for scenario in recipe.scenarios:
        starts = []
        for rank in range(scenario.nodes):
            arguments = recipe.arguments(scenario, rank)
            assert ("--headless" in arguments) == (rank > 0)
            starts.append(int(str(arguments.get("--data-parallel-start-rank", 0))))
        assert starts == [r.start for r in scenario.ranks_per_node]
        assert scenario.ranks_per_node[-1].stop == scenario.dp


# --- images and inheritance ----------------------------------------------------------------------


def test_images() -> None:
    assert recipes.image_tag("guide", A3, Os.OPENEULER).startswith("v0.11.0rc0-a3-openeuler")
    with pytest.raises(UsageError, match=r"no openeuler image for A2.*container\.image"):
        recipes.image_tag("guide", A2, Os.OPENEULER)


def test_a_recipe_that_is_like_another_overrides_by_key() -> None:
    base, like = recipes.load("guide"), recipes.load("v0.18.0")
    assert like.container.devices == base.container.devices
    assert like.container.shm_size == "1g"
    assert like.container.registry == "quay.io/ascend/vllm-ascend"
    assert like.args["--max-num-seqs"] == base.args["--max-num-seqs"]
    assert like.args["--max-model-len"] == "8192"


def test_operating_systems_of_the_image() -> None:
    found = {c.os: (c.tag, c.note) for c in recipes.os_choices("guide", A2)}
    assert found[Os.UBUNTU] == ("v0.11.0rc0-deepseek-v3.2-exp", "")
    assert found[Os.OPENEULER] == ("", "Recipe guide documents no openeuler image for A2.")
    assert all(c.tag for c in recipes.os_choices("v0.18.0", A2))


@pytest.mark.parametrize("series", [A2, A3])
def test_what_differs_from_the_guide_in_v0_11_0_is_noted_with_what_the_guide_says(
    series: Series,
) -> None:
    for precision in (BF16, W8A8):
        nodes = recipes.nodes_for("guide", series, precision)
        old = recipes.find("guide", series, precision, nodes)
        new = recipes.find("v0.11.0", series, precision, nodes)
        differing = {n: old.env[n] for n in old.env if new.env.get(n) != old.env[n]}
        assert {n: note.guide for n, note in new.notes.items()} == differing
        assert (old.args, old.head, old.workers) == (new.args, new.head, new.workers)
        assert all(note.reason for note in new.notes.values())


@pytest.mark.parametrize("name", recipes.names())
def test_devices_suffice_and_head_and_workers_agree(name: str) -> None:
    own = {"--headless", "--data-parallel-start-rank", "--data-parallel-address"}
    own.add("--gpu-memory-utilization")
    recipe = recipes.load(name)
    for scenario in recipe.scenarios:
        assert scenario.tp * scenario.dp_local == scenario.series.devices
        head = recipe.arguments(scenario, 0)
        for rank in range(1, scenario.nodes):
            worker = recipe.arguments(scenario, rank)
            differing = {n for n in {*head, *worker} if head.get(n) != worker.get(n)}
            assert differing <= own
            assert worker["--data-parallel-address"] == "$node0_ip"
        assert recipe.note(scenario, "model").reason
