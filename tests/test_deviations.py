"""Each deviation of ours can be switched off by itself; what is then run has it no more."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.scripting import LABELS, everywhere, make_tools, preset, run
from wizard import deviations, recipes, scripts
from wizard.deviations import CONTAINER_SWITCHES, NEEDED, SERVE_SWITCHES
from wizard.errors import PresetError, UsageError
from wizard.launch import Launch

CORRECTIONS = {
    (name, c.switch) for name in recipes.names() for c in recipes.load(name).corrections.values()
}


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tools(tmp_path_factory.mktemp("tools"))


def off(*names: str, recipe: str = "guide", **extra: Any) -> Any:
    return preset("A3", "w8a8", recipe=recipe, deviations=dict.fromkeys(names, False), **extra)


def container(chosen: Any, tools: Path, folder: Path, *words: str) -> list[str]:
    (folder / ".v32-wizard/launches/20261124-1").mkdir(parents=True, exist_ok=True)
    text = scripts.render(chosen, launch=LABELS)[0].container
    if "test_mounts" not in chosen.deviations:
        text = everywhere(text)
    return run(text, tools, folder, *words)[0]


GONE = {  # what docker is not given any more
    "labels": lambda argv: "--label" not in argv,
    "command": lambda argv: argv[-1] == "bash" and "/v32-wizard" not in " ".join(argv),
    "login_shell": lambda argv: argv[-2:] == ["bash", "/v32-wizard/serve.sh"],
    "restart": lambda argv: "--restart" not in argv,
    "init": lambda argv: "--init" not in argv,
    "log_limits": lambda argv: "--log-opt" not in argv,
    "shm": lambda argv: not any(word.startswith("--shm-size") for word in argv),
    "plog": lambda argv: not any("ascend-log" in word for word in argv),
    "registry": lambda argv: any(word.startswith("quay.nju.edu.cn/") for word in argv),
    "detached": lambda argv: argv[:2] == ["run", "--rm"] and "-it" in argv,
}


@pytest.mark.parametrize("name", GONE)
def test_one_deviation_of_the_container_is_off_and_the_others_stay(
    name: str, tools: Path, tmp_path: Path
) -> None:
    words = () if name == "detached" else ("create",)
    before = container(off(), tools, tmp_path, "create")
    after = container(off(name), tools, tmp_path, *words)
    assert GONE[name](after), after
    assert not GONE[name](before), before
    others = [n for n in GONE if n not in {name, "login_shell" if name == "command" else name}]
    kept = {n for n in others if not GONE[n](after)}
    expected = set(others) - ({"restart"} if name == "detached" else set())
    assert kept == expected


def test_hccn_conf_is_mounted_where_it_exists_unless_switched_off(tmp_path: Path) -> None:
    assert "[ -e /etc/hccn.conf ]" in scripts.render(off())[0].container
    assert "hccn.conf" not in scripts.render(off("hccn_conf"))[0].container.partition("set -eu")[2]
    documented = scripts.render(off("hccn_conf", recipe="v0.23.0"))[0].container
    assert "  -v /etc/hccn.conf:/etc/hccn.conf\n" in documented
    assert "[ -e /etc/hccn.conf ]" not in documented


def test_mounts_are_tested_unless_switched_off(tools: Path, tmp_path: Path) -> None:
    assert '[ -e "$source" ]' in scripts.render(off())[0].container
    assert container(off("test_mounts"), tools, tmp_path, "create")[0] == "create"


@pytest.mark.parametrize("name", SERVE_SWITCHES)
def test_one_deviation_of_serve_is_off(name: str, tools: Path, tmp_path: Path) -> None:
    text = scripts.render(off(name))[0].serve
    argv, _ = run(text, tools, tmp_path)
    assert ("\nset -eu\n" in text) == (name != "set_eu")
    assert ("exec vllm serve" in text) == (name != "exec")
    assert argv[1].startswith("/root/.cache/") == (name != "local_model")


@pytest.mark.parametrize(("recipe", "name"), sorted(CORRECTIONS))
def test_a_recipes_correction_is_off(recipe: str, name: str, tools: Path, tmp_path: Path) -> None:
    ours, _ = run(scripts.render(off(recipe=recipe))[0].serve, tools, tmp_path)
    theirs, _ = run(scripts.render(off(name, recipe=recipe))[0].serve, tools, tmp_path)
    strict = scripts.render(preset("A3", "w8a8", recipe=recipe, strict_guide=True))[0].serve
    documented, _ = run(strict, tools, tmp_path)
    (flag,) = [f for f, c in recipes.load(recipe).corrections.items() if c.switch == name]
    assert (flag in theirs) == (flag in documented)
    assert (flag in ours) != (flag in documented)


@pytest.mark.parametrize("recipe", recipes.names())
def test_all_off_one_by_one_is_strict_guide(recipe: str, tools: Path, tmp_path: Path) -> None:
    chosen = off(*deviations.switches(), recipe=recipe)
    strict = preset("A3", "w8a8", recipe=recipe, strict_guide=True)
    assert scripts.deviations(chosen) == [] == scripts.deviations(strict)
    for ours, theirs in zip(scripts.render(chosen), scripts.render(strict), strict=True):
        for name, shell in (("container.sh", "bash"), ("serve.sh", "sh")):
            mine = run(ours.files[name], tools, tmp_path, shell=shell)
            assert mine == run(theirs.files[name], tools, tmp_path, shell=shell)


@pytest.mark.parametrize("name", [n for n in deviations.switches() if n != "detached"])
def test_what_is_off_is_no_deviation_any_more(name: str) -> None:
    for recipe in recipes.names():
        before = scripts.deviations(off(recipe=recipe))
        after = scripts.deviations(off(name, recipe=recipe))
        assert len(after) <= len(before)
        assert {d.where for d in after} <= {d.where for d in before}


def test_an_unknown_name_is_refused_with_the_list() -> None:
    with pytest.raises(PresetError, match=r"^deviations: 'shn' is no deviation; .*shm.*layer_sh"):
        off("shn")
    with pytest.raises(PresetError, match=r"^deviations\.shm: true or false is expected"):
        preset("A3", "w8a8", deviations={"shm": "no"})


@pytest.mark.parametrize("name", NEEDED)
async def test_a_launch_without_what_supervision_needs_is_refused(name: str) -> None:
    fleet = cast(Any, SimpleNamespace(remotes=[object()]))
    with pytest.raises(UsageError, match=rf"deviations\.{name}: .* cannot be supervised"):
        await Launch(fleet, off(name)).refuse()
    assert "does not launch this" in scripts.render(off(name))[0].container
    assert set(NEEDED) <= set(CONTAINER_SWITCHES)
