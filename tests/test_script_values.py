"""Values of a preset in the generated scripts: each reaches its program byte for byte."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.scripting import LABELS, NASTY, everywhere, make_tools, preset, run
from wizard import scripts
from wizard.errors import UsageError
from wizard.presets import parse_preset
from wizard.safetext import check_text
from wizard.scripts import NodeScripts


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tools(tmp_path_factory.mktemp("tools"))


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
