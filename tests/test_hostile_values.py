"""Hostile values at every field of a preset: refused with the field's name, or they arrive.

"Arrive" means byte for byte in what bash passes to docker or vllm; fields that no script needs must
not change what it passes. Many scripts share one start of a driver, so that this stays quick.
"""

from __future__ import annotations

import copy
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.scripting import LABELS, NASTY, everywhere, make_tools
from wizard import scripts
from wizard.errors import PresetError
from wizard.lint import lint
from wizard.presets import Preset, check_preset, parse_preset

HOSTILE = [
    *("", " ", "a b", "'", '"', "it's", "\\", "a\\", "$(touch pwned)", "`touch pwned`", "$HOME"),
    *("${IFS}", ";touch pwned", "&& touch pwned", "| touch pwned", "> pwned", "a\nb", "a\r\nb"),
    *("-v", "--privileged", "-", "--", "--x=y", "é", "模型", "🙂", "a\u202eb", "\x1b[31m", "\0"),
    *("@NAME@", "@OPTIONS@", "$local_ip", "$nic_name", "*", "?", "[a]", "{a,b}", "~", "!x", "#x"),
    *("a:b", "/a:/b", "/x y:/it's $(touch pwned)", "/data:/data:ro", "a=b", "%s", "x" * 5000),
    *("null", "1", "true", "0x1f", "\t", "a\u2028b", NASTY, f"/{NASTY}"),
]
LAUNCH = ".v32-wizard/launches/20261124-1"
Argv, Env = list[str], dict[str, str]
Arrives = Callable[[str, Argv, Argv, Env], bool]  # value, docker's words, vllm's words, variables


def after(words: Argv, flag: str) -> list[str]:
    return [words[i + 1] for i, word in enumerate(words[:-1]) if word == flag]


@dataclass(frozen=True)
class Field:
    """One field: its path, how a value is put there, and what must then be seen."""

    path: str
    put: Callable[[dict[str, Any], str], None]
    arrives: Arrives | None  # None: no script needs it, and what is passed stays the same
    named: str = ""  # the path that a refusal names, when it is a shorter one


def at(*keys: str | int) -> Callable[[dict[str, Any], str], None]:
    def put(body: dict[str, Any], value: str) -> None:
        place: Any = body
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value

    return put


def as_key(group: str, name: str, value: object) -> Callable[[dict[str, Any], str], None]:
    return lambda body, key: body[group].__setitem__(name, {key: value})


FIELDS = [
    Field("version", at("version"), lambda *_: False),
    Field("name", at("name"), lambda v, d, *_: f"v32-wizard.preset={LABELS.preset}" in d),
    Field("series", at("series"), lambda *_: False),
    Field("precision", at("precision"), lambda *_: False),
    Field("recipe", at("recipe"), lambda *_: False),
    Field("strict_guide", at("strict_guide"), lambda *_: False),
    Field("nodes[0].host", at("nodes", 0, "host"), None, "nodes"),
    Field("nodes[0].port", at("nodes", 0, "port"), lambda *_: False),
    Field("nodes[0].user", at("nodes", 0, "user"), None),
    Field("nodes[0].identity_file", at("nodes", 0, "identity_file"), None),
    Field("nodes[0].jump", at("nodes", 0, "jump"), None),
    Field("nodes[0].known_hosts", at("nodes", 0, "known_hosts"), None),
    Field("nodes[0].local_ip", at("nodes", 0, "local_ip"), lambda v, d, a, e: e["HCCL_IF_IP"] == v),
    Field("nodes[0].nic", at("nodes", 0, "nic"), lambda v, d, a, e: e["GLOO_SOCKET_IFNAME"] == v),
    Field("serve.model", at("serve", "model"), lambda v, d, a, e: a[1] == v),
    Field("serve.port", at("serve", "port"), lambda *_: False),
    Field("serve.rpc_port", at("serve", "rpc_port"), lambda *_: False),
    Field("serve.probe_s", at("serve", "probe_s"), lambda *_: False),
    Field("serve.api_key", at("serve", "api_key"), lambda *_: False),
    Field("serve.args", as_key("serve", "args", "x"), lambda v, d, a, e: after(a, v) == ["x"]),
    Field(
        "serve.args.--x",
        at("serve", "args", "--x"),
        lambda v, d, a, e: after(a, "--x") == [v],
        "serve.args",
    ),
    Field("serve.env", as_key("serve", "env", "x"), lambda v, d, a, e: e.get(v) == "x"),
    Field("serve.env.X", at("serve", "env", "X"), lambda v, d, a, e: e["X"] == v, "serve.env"),
    Field("container.runtime", at("container", "runtime"), lambda *_: False),
    Field("container.registry", at("container", "registry"), lambda v, d, *_: _image(v, d)),
    Field("container.image", at("container", "image"), lambda v, d, *_: v in d),
    Field("container.image_archive", at("container", "image_archive"), None),
    Field("container.os", at("container", "os"), lambda *_: False),
    Field("container.name", at("container", "name"), lambda v, d, *_: after(d, "--name") == [v]),
    Field("container.shm_size", at("container", "shm_size"), lambda v, d, *_: _shm(v, d)),
    Field(
        "container.mounts[0]", at("container", "mounts", 0), lambda v, d, *_: v in after(d, "-v")
    ),
    Field("deviations", lambda b, v: b.__setitem__("deviations", {v: False}), lambda *_: False),
    Field("patches", lambda b, v: b.__setitem__("patches", {v: "x"}), lambda *_: False),
]
TAKEN = {"precision": {"w8a8"}, "recipe": {"guide"}}


def _image(value: str, words: Argv) -> bool:
    return any(word.startswith(f"{value}:") for word in words)


def _shm(value: str, words: Argv) -> bool:
    return f"--shm-size={value}" in words


def base() -> dict[str, Any]:
    nodes = [
        {"host": f"10.0.0.{11 + i}", "local_ip": f"10.0.0.{11 + i}", "nic": "eth0"}
        for i in range(2)
    ]
    return {
        "version": 1,
        "name": "lab",
        "series": "A2",
        "precision": "w8a8",
        "nodes": nodes,
        "serve": {"args": {}, "env": {}},
        "container": {"mounts": ["/data:/data"]},
    }


def taken(field: Field, value: str) -> Preset | None:
    """The preset with the value at the field, or None where it is refused, with the name."""
    body = copy.deepcopy(base())
    field.put(body, value)
    try:
        return check_preset(body)
    except PresetError as error:
        named = field.named or field.path
        said = str(error)
        assert said.startswith(named), (field.path, value, said)
        assert "\x1b" not in said
        return None


def pass_all(presets: dict[str, Preset], tools: Path, folder: Path) -> dict[str, Any]:
    """Run every preset's scripts of node 0 under one driver; return what was passed, by name.

    A text is run once: the very same script passes the same.
    """
    ran: dict[str, Path] = {}
    places: dict[str, tuple[Path, Path]] = {}
    for name, chosen in presets.items():
        node = scripts.render(chosen, launch=LABELS)[0]
        lint(chosen, [node])  # whatever a text holds, the linter must read it without a crash
        place = folder / name
        (place / LAUNCH).mkdir(parents=True)
        for file, text in (("c.sh", everywhere(node.container)), ("s.sh", node.serve)):
            if ran.setdefault(text, place) == place:
                (place / file).write_text(text, encoding="utf-8")
        places[name] = ran[everywhere(node.container)], ran[node.serve]
    driver = """
    for place in "$1"/*/; do
      cd "$place" || exit 1
      export HOME=$place
      if [ -e c.sh ]; then
        RECORD_ARGV=$place/docker RECORD_ENV=$place/denv bash ./c.sh create || exit 1
      fi
      if [ -e s.sh ]; then
        RECORD_ARGV=$place/vllm RECORD_ENV=$place/env bash ./s.sh || exit 1
      fi
    done
    """
    env = {"PATH": f"{tools}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
    subprocess.run(["bash", "-c", driver, "driver", folder], check=True, env=env, timeout=120)
    assert not list(folder.rglob("pwned"))
    return {name: _passed(*of) for name, of in places.items()}


def _passed(container: Path, serve: Path) -> tuple[Argv, Argv, Env]:
    docker, vllm, lines = (
        path.read_bytes().decode().split("\0")[:-1]
        for path in (container / "docker", serve / "vllm", serve / "env")
    )
    docker = [word.replace(str(container), "HOME") for word in docker]
    return docker, vllm, dict(line.split("=", 1) for line in lines)


def check(values: list[str], fields: list[Field], tools: Path, folder: Path) -> int:
    """Put every value at every field; return how many were taken."""
    presets: dict[str, Preset] = {"base": parse_preset(yaml.safe_dump(base()))}
    cases: dict[str, tuple[Field, str]] = {}
    for number, field in enumerate(fields):
        for index, value in enumerate(values):
            chosen = taken(field, value)
            if chosen is not None and value not in TAKEN.get(field.path, set()):
                name = f"{number}-{index}"
                presets[name], cases[name] = chosen, (field, value)
    passed = pass_all(presets, tools, folder)
    docker, vllm, _ = passed["base"]
    for name, (field, value) in cases.items():
        if field.arrives is None:
            assert passed[name][:2] == (docker, vllm), (field.path, value)
        else:
            assert field.arrives(value, *passed[name]), (field.path, value, passed[name])
    return len(cases)


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tools(tmp_path_factory.mktemp("tools"))


def test_yaml_carries_every_hostile_value_or_refuses_it_by_name() -> None:
    (field,) = [f for f in FIELDS if f.path == "serve.env.X"]
    for value in HOSTILE:
        body = base()
        field.put(body, value)
        chosen, text = taken(field, value), yaml.safe_dump(body)
        if chosen is not None:
            assert parse_preset(text) == chosen
            continue
        with pytest.raises(PresetError, match=r"serve\.env"):
            parse_preset(text)


def test_hostile_values_at_every_field(tools: Path, tmp_path: Path) -> None:
    assert check(HOSTILE, FIELDS, tools, tmp_path) > 100


FREE = [f for f in FIELDS if f.path in {"serve.model", "serve.args.--x", "serve.env.X"}]


def everywhere_free(body: dict[str, Any], value: str) -> None:
    for field in FREE:
        field.put(body, value)


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(values=st.lists(st.text(min_size=1, max_size=40), min_size=25, max_size=40))
def test_any_text_at_every_free_field(
    values: list[str], tools: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    together = Field(
        "serve",
        everywhere_free,
        lambda value, *passed: all(f.arrives is None or f.arrives(value, *passed) for f in FREE),
    )
    check(values, [together], tools, tmp_path_factory.mktemp("any"))


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(value=st.text(max_size=30))
def test_any_text_at_any_field_is_taken_or_refused_by_name(value: str) -> None:
    for field in FIELDS:
        taken(field, value)


def test_every_field_of_the_preset_is_tried() -> None:
    tried = {f.path.split(".")[0].split("[")[0] for f in FIELDS}
    assert set(Preset.model_fields) - tried == {"ignores"}  # tried where they are made
    for group in ("serve", "container"):
        inner = {f.path.split(".")[1].split("[")[0] for f in FIELDS if f.path.startswith(group)}
        model: Any = Preset.model_fields[group].annotation
        assert set(model.model_fields) == inner
    nodes = {f.path.split(".")[1] for f in FIELDS if f.path.startswith("nodes")}
    assert nodes == set(type(parse_preset(yaml.safe_dump(base())).nodes[0]).model_fields)
