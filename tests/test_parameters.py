"""Parameters as typed: they become the preset's keys, or stay as typed with what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.scripting import preset
from wizard import recipes, tuning
from wizard.draft import Draft
from wizard.errors import PresetError
from wizard.parameters import BY_ID, PARAMETERS, concerned, text_of, with_text
from wizard.presets import Preset
from wizard.recipevalues import recipe_values
from wizard.scripts import api_port

SERVE: dict[str, Any] = {
    "model": "/data/DeepSeek",
    "port": 9000,
    "rpc_port": 13390,
    "args": {
        "--max-num-seqs": 32,
        "--gpu-memory-utilization": 0.85,
        "--additional-config": {"a": {"b": [1, 2]}},
        "--flag": True,
        "--text": "two words",
        "--seed": None,
    },
    "env": {"HCCL_CONNECT_TIMEOUT": "1200", "EMPTY": "", "OMP_NUM_THREADS": None},
}
CONTAINER = {
    "runtime": "podman",
    "registry": "quay.example/x",
    "name": "other",
    "shm_size": None,
    "mounts": ["/data:/data:ro", "/a b:/c"],
}


REST: dict[str, Any] = {"deviations": {"shm": False, "init": False}, "strict_guide": True}


def keys(chosen: Preset) -> dict[str, Any]:
    return Draft.from_preset(chosen.model_dump(mode="json", exclude_defaults=True)).extra


def test_every_key_is_in_a_field_and_comes_back_out_of_it() -> None:
    before = keys(preset("A3", "bf16", serve=SERVE, container=CONTAINER, **REST))
    assert set(before) == {"serve", "container", *REST}
    after: dict[str, Any] = {}
    for parameter in PARAMETERS:
        after = with_text(after, parameter, text_of(before, parameter))
    # an object is only known as one beside its own old value; as text it is passed as the same
    after["serve"]["args"]["--additional-config"] = {"a": {"b": [1, 2]}}
    assert after == before
    for parameter in PARAMETERS:
        assert with_text(before, parameter, text_of(before, parameter)) == before


def test_a_switch_is_answered_by_yes_or_no() -> None:
    wanted = with_text({}, BY_ID["api_key"], "Y")
    assert wanted == {"serve": {"api_key": True}}
    assert text_of(wanted, BY_ID["api_key"]) == "yes"
    assert with_text(wanted, BY_ID["api_key"], "no") == {"serve": {"api_key": False}}
    off = with_text({}, BY_ID["deviations"], "shm, init\nexec\n")
    assert off == {"deviations": {"shm": False, "init": False, "exec": False}}


def test_a_field_that_is_cleared_goes_back_to_the_recipe() -> None:
    found = keys(preset("A3", "bf16", serve=SERVE, container=CONTAINER, **REST))
    for parameter in PARAMETERS:
        found = with_text(found, parameter, " ")
    assert found == {}


@pytest.mark.parametrize(
    ("name", "typed", "why"),
    [
        ("port", "80x", "'80x' is not a whole number"),
        ("--max-num-seqs", "many", "not a whole number, or none to leave it out"),
        ("--gpu-memory-utilization", "90%", "not a number like 0.9"),
        ("args", "--a 1\nseed 3", "line 2: 'seed 3' is not --name, --name value or drop --name"),
        ("args", "--a 1\n--a 2", "line 2: --a is there twice"),
        ("args", "--port 9000", "line 1: --port has a field of its own, API port"),
        ("args", "--max-num-seqs 3", "line 1: --max-num-seqs has a field of its own, Max seq"),
        ("args", "--a 'x", "line 1: a quotation mark is not closed"),
        ("args", "--a 'x' y", "is more than one value"),
        ("api_key", "s3cret", "'s3cret' is neither yes nor no"),
        ("strict_guide", "maybe", "'maybe' is neither yes nor no"),
        ("env", "A=1\nB", "line 2: 'B' is not NAME=value or drop NAME"),
    ],
)
def test_what_is_no_value_stays_as_typed_and_blocks_the_preset(
    name: str, typed: str, why: str
) -> None:
    draft, parameter = Draft(), BY_ID[name]
    assert tuning.put(draft, parameter, typed)
    assert tuning.text(draft, parameter) == typed
    assert why in tuning.problems(draft)[name]
    again = Draft.from_state(draft.to_state())
    assert tuning.text(again, parameter) == typed
    with pytest.raises(PresetError) as caught:
        tuning.refuse_problems(again)
    assert caught.value.path == parameter.key
    assert tuning.put(draft, parameter, "")
    tuning.refuse_problems(draft)


def test_lines_of_a_script_can_be_pasted() -> None:
    found = with_text({}, BY_ID["args"], "--a '{\"b\": 1}' \\\n--c=d \\\n  --e\n")
    assert found["serve"]["args"] == {"--a": '{"b": 1}', "--c": "d", "--e": True}
    found = with_text({}, BY_ID["env"], "export A=\"x y\"\nB='1'\nC=a=b\n")
    assert found["serve"]["env"] == {"A": "x y", "B": "1", "C": "a=b"}


@given(st.sampled_from(PARAMETERS), st.text(max_size=30))
def test_nothing_that_is_typed_is_lost(parameter: Any, typed: str) -> None:
    draft = Draft()
    tuning.put(draft, parameter, typed)
    shown = tuning.text(draft, parameter)
    assert shown == typed or with_text({}, parameter, shown) == with_text({}, parameter, typed)


@pytest.mark.parametrize(
    ("recipe", "series", "precision"),
    [
        (r, c.series.value, c.precision.value)
        for r in recipes.names()
        for c in recipes.choices(r)
        if c.possible
    ],
)
def test_every_field_tells_what_it_has_when_empty(recipe: str, series: str, precision: str) -> None:
    chosen = preset(series, precision, recipe=recipe, serve={"port": 9000})
    found = recipe_values(chosen)
    assert set(found) == set(BY_ID)
    assert all(value.told for value in found.values())
    assert found["port"].text == str(api_port(preset(series, precision, recipe=recipe)))
    assert found["image"].text.startswith(found["registry"].text + ":")
    assert (found["rpc_port"].text == "") == (len(chosen.nodes) == 1)


def test_where_nodes_differ_both_values_are_told() -> None:
    found = recipe_values(preset("A3", "bf16"))["--gpu-memory-utilization"]
    assert found.told == "guide: 0.9, other nodes 0.92"


@pytest.mark.parametrize(
    ("path", "message", "name"),
    [
        ("serve.port", "x", "port"),
        ("serve.args", "--max-num-seqs: x", "--max-num-seqs"),
        ("serve.args", "--x: y", "args"),
        ("serve.args.--tensor-parallel-size", "x", "args"),
        ("serve.env", "X: y", "env"),
        ("container.mounts[1]", "x", "mounts"),
        ("container.os", "x", "os"),
        ("serve.api_key", "x", "api_key"),
        ("deviations", "x", "deviations"),
        ("nodes[0].host", "x", None),
    ],
)
def test_an_error_finds_its_field(path: str, message: str, name: str | None) -> None:
    found = concerned(path, message)
    assert (found.id if found else None) == name
