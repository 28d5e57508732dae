"""A launch of scripts that were edited by hand: what runs is what was edited."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.launch.bench import until
from tests.launch.test_over_ssh import LIMIT_S, cluster, fleet_of, launch, running_tools
from wizard import cli, edits, scripts
from wizard.commands.render import render
from wizard.discovery import complete
from wizard.errors import PresetError, RemoteError
from wizard.launch import deployed
from wizard.presets import Preset, dump_preset
from wizard.textdiff import unified

UTILISATION = "--gpu-memory-utilization"  # one of the few that may differ between nodes


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("V32_WIZARD_HOME", str(tmp_path / "wizard"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


def with_edit(preset: Preset, key: str, old: str, new: str) -> Preset:
    (script,) = [s for s in scripts.edited(preset) if s.key == key]
    assert script.generated.count(old) == 1
    text = script.generated.replace(old, new)
    return edits.keep(preset, script.rank, script.name, script.generated, text)


async def test_the_edited_script_is_what_runs_and_what_lies_on_the_node(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with cluster() as (simulated, given), fleet_of(given) as fleet, asyncio.timeout(LIMIT_S):
        plain = await complete(given, fleet)
        preset = with_edit(plain, "node0/serve.sh", f"{UTILISATION} 0.9 ", f"{UTILISATION} 0.85 ")
        work = launch(fleet, preset)
        await work.refuse()
        await work.start()
        await work.follow(until_ready=True)
        assert work.state == "ready"
        serving = running_tools(simulated, UTILISATION)
        assert any(f"{UTILISATION} 0.85 " in line for line in serving)
        assert any(f"{UTILISATION} 0.92 " in line for line in serving)  # node 1 was not edited
        assert not any(f"{UTILISATION} 0.9 " in line for line in serving)
        diffs, messages = await deployed.compare(preset, fleet.remotes)
        assert messages == []
        assert [diff.title for diff in diffs if diff.rows] == []
        diffs, _ = await deployed.compare(plain, fleet.remotes)
        (changed,) = [diff for diff in diffs if diff.rows]
        assert changed.title == "node0/serve.sh"
        told = {f"-{UTILISATION} 0.85 \\", f"+{UTILISATION} 0.9 \\"}
        assert told <= {*unified(changed)}
        gone = plain.nodes[1].model_copy(update={"port": 1})
        dead = plain.model_copy(update={"nodes": [plain.nodes[0], gone]})
        for chosen, status in ((plain, 0), (dead, 3)):  # what one node has is told all the same
            (tmp_path / "lab.yaml").write_text(dump_preset(chosen))
            arguments = cli.parse(["render", str(tmp_path / "lab.yaml"), "--diff", "deployed"])
            if status:
                with pytest.raises(RemoteError, match="node 1"):
                    await render(arguments)
            else:
                assert await render(arguments) == 0
            said = capsys.readouterr().out
            assert told <= {*said.splitlines()}
            assert f"# node 0: launch {work.launch_id}" in said
        assert await work.stop() == []
        await until(lambda: not running_tools(simulated, "vllm"), limit_s=LIMIT_S)


async def test_an_edit_that_does_not_fit_stops_a_launch_before_it_begins() -> None:
    async with cluster() as (_, given), fleet_of(given) as fleet, asyncio.timeout(LIMIT_S):
        plain = await complete(given, fleet)
        preset = with_edit(plain, "node1/serve.sh", "--max-num-seqs 16", "--max-num-seqs 8")
        changed = preset.serve.model_copy(update={"args": {"--max-num-seqs": 4}})
        labels = with_edit(plain, "node0/container.sh", "launch=manual", "launch=mine")
        for wrong, why in (
            (preset.model_copy(update={"serve": changed}), "finds those lines changed or gone"),
            (labels, "because a launch has its own line there"),
        ):
            work = launch(fleet, wrong)
            for step in (work.refuse, work.start):
                with pytest.raises(PresetError, match=why):
                    await step()
            assert work.state == "pending"
        assert [found.launch_id for found in await deployed.find(fleet.remotes, plain.name)] == [
            "",
            "",
        ]
