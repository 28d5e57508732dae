"""Errors of the linter stop a launch before a node is touched; the commands show all remarks."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.scripting import preset
from wizard.cli import main
from wizard.errors import UsageError
from wizard.launch import Launch
from wizard.presets import dump_preset

MISSPELT = {"args": {"--sede": 1}}


def untouchable(count: int) -> Any:
    """A fleet whose nodes fail at whatever is asked of them."""
    return cast(Any, SimpleNamespace(remotes=[object()] * count))


@pytest.mark.parametrize("step", ["refuse", "start"])
async def test_a_launch_with_an_error_in_its_scripts_touches_no_node(step: str) -> None:
    work = Launch(untouchable(2), preset("A3", "bf16", serve=MISSPELT))
    with pytest.raises(
        UsageError, match=r"node0/serve\.sh:\d+: .*--sede.*--seed\? 1 more"
    ) as caught:
        await getattr(work, step)()
    assert caught.value.node == 0
    assert work.state == "pending"


def test_lint_as_text_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(dump_preset(preset("A3", "bf16", serve=MISSPELT)))
    assert main(["lint", str(path)]) == 1
    text = capsys.readouterr().out
    assert "error: vLLM 0.11.0 does not know --sede. Did you mean --seed? [unknown-flag]" in text
    assert text.endswith("2 errors, 1 warning\n")
    assert main(["lint", str(path), "--format", "json"]) == 1
    body = json.loads(capsys.readouterr().out)
    assert body["schema"] == "v32-wizard/lint/1"
    assert body["summary"] == {"error": 2, "warning": 1}
    keys = {"severity", "rank", "file", "line", "id", "text", "right"}
    assert all(set(remark) == keys for remark in body["remarks"])


def test_lint_without_errors_ends_well_and_render_tells_on_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(dump_preset(preset("A3", "w8a8")))
    assert main(["lint", str(path)]) == 0
    assert capsys.readouterr().out.endswith("0 errors, 1 warning\n")
    assert main(["render", str(path)]) == 0
    said = capsys.readouterr()
    assert "[open-endpoint]" in said.err
    assert "[open-endpoint]" not in said.out
