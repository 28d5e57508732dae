"""vLLM's own parser and configuration accept every script that we generate (make test-vllm).

Opt-in, because it installs vLLM: the file's name keeps it out of the ordinary run. Each script is
run by bash with a recording stand-in, and what bash passed is fed to ``vllm serve``'s parser, its
own validation, and ``create_engine_config`` with vLLM-Ascend's cross-checks.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.scripting import make_tools, run
from tests.vllm.environment import VERSIONS, CannotBeHad, python_of
from wizard import recipes, scripts
from wizard.lint import errors, lint
from wizard.presets import Preset, parse_preset

HERE = Path(__file__).parent
_LIMIT_S = 3600


@cache
def interpreter(recipe: str) -> Path:
    try:
        return python_of(*VERSIONS[recipe])
    except CannotBeHad as error:
        pytest.fail(f"vLLM {VERSIONS[recipe][0]} cannot be had here: {error}")


def local(series: str, precision: str, nodes: int, **extra: Any) -> Preset:
    """A preset of nodes on this machine's loopback, whose addresses can be bound."""
    rows = [{"host": f"127.0.0.{i + 1}", "local_ip": f"127.0.0.{i + 1}"} for i in range(nodes)]
    body = {"version": 1, "name": "lab", "series": series, "precision": precision}
    return parse_preset(yaml.safe_dump(body | {"nodes": [r | {"nic": "lo"} for r in rows]} | extra))


def presets(recipe: str) -> dict[str, Preset]:
    found = {}
    for scenario in recipes.load(recipe).scenarios:
        name = f"{scenario.series}-{scenario.precision}-{scenario.nodes}"
        what = (scenario.series.value, scenario.precision.value, scenario.nodes)
        found[f"{name}-ours"] = local(*what, recipe=recipe)
        found[f"{name}-strict"] = local(*what, recipe=recipe, strict_guide=True)
    return found


def model(folder: Path, precision: str) -> Path:
    """A folder that looks like the weights to vLLM's configuration."""
    place = folder / precision
    place.mkdir(exist_ok=True)
    shutil.copy(HERE / "model_config.json", place / "config.json")
    if precision == "w8a8":
        (place / "quant_model_description.json").write_text('{"model_quant_type": "W8A8"}')
    return place


def judged(recipe: str, cases: dict[str, Any], weights: Path) -> dict[str, str]:
    """What the recipe's vLLM says against each case, "" where it accepts it."""
    python = interpreter(recipe)
    done = subprocess.run(
        [python, "-W", "ignore", HERE / "feed.py", weights],
        input=json.dumps(cases),
        env={"PYTHONPATH": str(HERE), "PATH": os.environ["PATH"], "HOME": str(weights)},
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


def recorded(chosen: Preset, tools: Path, folder: Path) -> dict[int, dict[str, Any]]:
    shell = "sh" if chosen.strict_guide else "bash"
    found = {}
    for node in scripts.render(chosen):
        argv, env = run(node.serve, tools, folder, shell=shell)
        found[node.rank] = {"argv": argv, "env": env}
    return found


@pytest.mark.parametrize("precision", ["bf16", "w8a8"])
@pytest.mark.parametrize("recipe", recipes.names())
def test_vllm_accepts_what_we_generate(recipe: str, precision: str, tmp_path: Path) -> None:
    tools = make_tools(tmp_path)
    cases = {
        f"{name}-node{rank}": case
        for name, chosen in presets(recipe).items()
        if chosen.precision.value == precision
        for rank, case in recorded(chosen, tools, tmp_path).items()
    }
    if not cases:
        pytest.skip(f"{recipe} has no {precision}")
    said = judged(recipe, cases, model(tmp_path, precision))
    refused = {name: text for name, text in said.items() if text}
    print(f"\nvLLM {VERSIONS[recipe][0]}: {len(said) - len(refused)} of {len(said)} accepted")
    if recipe == "v0.18.0":  # its documentation says what its own code refuses; ours does not
        strict = {name for name in said if "-strict-" in name}
        assert all("layer_sharding" in refused.pop(name) for name in strict)
    assert refused == {}


SPOILED = {  # what the linter calls an error, and what vLLM says to the same
    "unknown-flag": ("--seed 1024", "--sede 1024", "unrecognized arguments"),
    "wrong-type": ("--seed 1024", "--seed abc", "cannot be converted"),
    "unknown-choice": ("--seed 1024", "--dtype bfloat61", "invalid choice"),
    "bad-json": ("}}'", "}'", ""),
    "batched-tokens": ("batched-tokens 17450", "batched-tokens 1000", "max_num_batched_tokens"),
    "torchair-eager": ("--seed 1024", "--enforce-eager", ""),
    "tensor-parallel": ("-parallel-size 16", "-parallel-size 7", ""),
    "memory-share": ("utilization 0.92", "utilization 92", "tilization"),
    "graph-batch-sizes": ('"enabled":true,"graph', '"graph', "graph_batch_sizes"),
}


def test_what_the_linter_calls_an_error_vllm_refuses(tmp_path: Path) -> None:
    chosen = local("A3", "w8a8", 1)
    (node,) = scripts.render(chosen)
    tools, cases = make_tools(tmp_path), {}
    for rule, (old, new, _) in SPOILED.items():
        assert node.serve.count(old) == 1, old
        text = node.serve.replace(old, new)
        spoiled = scripts.NodeScripts(0, node.container, text)
        assert rule in {remark.id for remark in errors(lint(chosen, [spoiled]))}
        argv, env = run(text, tools, tmp_path)
        cases[rule] = {"argv": argv, "env": env}
    answers = judged("guide", cases, model(tmp_path, "w8a8"))
    for rule, answer in answers.items():
        assert answer, f"vLLM accepts what the linter calls {rule}"
        assert SPOILED[rule][2] in answer, (rule, answer)


@pytest.mark.parametrize("recipe", ["v0.11.0", "v0.18.0", "v0.23.0"])
def test_the_linters_flags_are_this_vllms(recipe: str) -> None:
    done = subprocess.run(
        [interpreter(recipe), "-W", "ignore", HERE / "dump_flags.py"],
        env={"PYTHONPATH": str(HERE), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    fresh = done.stdout[done.stdout.index('{"vllm"') :]
    kept = Path(recipes.__file__).parent.parent / f"lint/flags/{recipe}.json"
    assert json.loads(fresh) == json.loads(kept.read_text())
