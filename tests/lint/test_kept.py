"""Edits that say otherwise than what the launch takes from the preset."""

from __future__ import annotations

import pytest

from tests.scripting import preset
from wizard import edits, scripts
from wizard.lint import lint
from wizard.presets import Preset


def remarks(chosen: Preset, key: str, old: str, new: str) -> list[str]:
    (script,) = [s for s in scripts.edited(chosen) if s.key == key]
    assert old in script.generated
    text = script.generated.replace(old, new)
    kept = edits.keep(chosen, script.rank, script.name, script.generated, text)
    found = lint(kept, scripts.render(kept))
    return [f"{r.severity}: {r.text} {r.right}" for r in found if r.id == "preset-disagrees"]


@pytest.mark.parametrize(
    ("key", "old", "new", "why"),
    [
        ("node0/serve.sh", "--port 8000", "--port 9000", "Set serve.port in the preset"),
        ("node0/serve.sh", "-rpc-port 13389", "-rpc-port 13390", "Set serve.rpc_port in"),
        ("node0/serve.sh", "deepseek_v3.2 ", "other ", "--served-model-name in serve.args"),
        ("node0/container.sh", "name=vllm-ascend\n", "name=x\n", "Set container.name in"),
        ("node0/container.sh", "--name vllm-ascend", "--name x", "Set container.name in"),
        ("node0/container.sh", "runtime=docker", "runtime=podman", "Set container.runtime in"),
        ("node0/container.sh", "image=quay.io/", "image=quay.example/", "Set container.image in"),
    ],
)
def test_it_is_an_error_that_names_the_key_to_use(key: str, old: str, new: str, why: str) -> None:
    found = remarks(preset("A3", "bf16"), key, old, new)
    assert len(found) == 1
    assert found[0].startswith("error: ")
    assert why in found[0]


def test_what_the_preset_says_is_no_disagreement() -> None:
    chosen = preset("A3", "bf16", container={"name": "x", "runtime": "podman"})
    assert remarks(chosen, "node0/serve.sh", "--seed 1024", "--seed 7") == []
