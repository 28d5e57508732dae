"""``v32-wizard discover`` and ``presets new``, on simulated nodes."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from wizard import cli
from wizard.cluster import Precision, Series
from wizard.commands.discover import discover
from wizard.presets import PresetStore, dump_preset, load_preset
from wizard.simulator.cluster import SimulatedCluster


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("V32_WIZARD_HOME", str(tmp_path / "wizard"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


def bare(source: Path, target: Path) -> Path:
    """A copy of a preset without local_ip and nic, but node 0's own nic."""
    preset = load_preset(source)
    nodes = [n.model_copy(update={"local_ip": None, "nic": None}) for n in preset.nodes]
    target.write_text(dump_preset(preset.model_copy(update={"nodes": nodes})))
    return target


async def test_a_table_then_the_preset_is_completed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with SimulatedCluster(
        series=Series.A3, precision=Precision.BF16, scenario="nodes-disagree", speed=50
    ) as sim:
        path = bare(sim.preset_path, tmp_path / "p.yaml")
        assert await discover(cli.parse(["discover", str(path), "--no-input", "--write"])) == 0
        out, err = capsys.readouterr()
        lines = out.splitlines()
        assert lines[0].split() == [
            *("node", "host", "host", "name", "NPUs", "arch", "driver", "address,", "NIC"),
            *("runtime", "free", "clock", "weights"),
        ]
        assert f"{sim.nodes[1].address} bond0" in lines[2]
        assert "A3 x16  aarch64  24.1.rc3" in lines[2]
        assert "BF16 161/163" in lines[2]
        warned = [line for line in lines if line.startswith("WARNS   ")]
        assert len(warned) >= 5
        assert not any(line.startswith("BLOCKS") for line in lines)
        assert f"nodes[1].local_ip: {sim.nodes[1].address}" in err
        found = load_preset(path)
        assert [(n.local_ip, n.nic) for n in found.nodes] == [
            (sim.nodes[0].address, "enp66s0f0"),
            (sim.nodes[1].address, "bond0"),
        ]
        assert await discover(cli.parse(["discover", str(path), "--write"])) == 0
        assert "nothing to write" in capsys.readouterr().err


async def test_what_blocks_and_who_is_away_are_exit_statuses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with SimulatedCluster(
        series=Series.A3, precision=Precision.BF16, scenario="wrong-hardware", speed=50
    ) as sim:
        arguments = cli.parse(["discover", str(sim.preset_path), "--format", "json"])
        assert await discover(arguments) == 1
        report = json.loads(capsys.readouterr().out)
        assert report["schema"] == "v32-wizard/discovery/1"
        assert [n["series"] for n in report["nodes"]] == ["A3", "A2"]
        assert report["nodes"][1]["facts"]["devices"] == 8
        (item,) = report["disagreements"]
        assert (item["id"], item["severity"], item["nodes"]) == ("series", "blocks", [1])
        await sim._servers[1].stop()
        assert await discover(cli.parse(["discover", str(sim.preset_path)])) == 3
        out = capsys.readouterr().out
        assert "NOT ANSWERED" in out
        assert "ERROR   node 1" in out


def test_a_preset_of_a_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["presets", "new", "lab", "--series", "A2", "--precision", "bf16"]
    (tmp_path / "hosts").write_text("10.0.0.3 c\nops@10.0.0.4:2200\n")
    more = ["--nodes", "root@n[1-2]", "--nodes-file", str(tmp_path / "hosts")]
    assert cli.main([*words, *more]) == 0
    found = PresetStore().load("lab")
    assert [(n.user, n.host, n.port) for n in found.nodes] == [
        ("root", "n1", None),
        ("root", "n2", None),
        (None, "10.0.0.3", None),
        ("ops", "10.0.0.4", 2200),
    ]
    assert cli.main([*words, *more]) == 2
    assert "saved already. Use --force" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin", io.StringIO("a\n@b\nc[2-1]\n"))
    assert cli.main([*words, "--force", "--nodes-file", "-"]) == 2
    err = capsys.readouterr().err
    assert "Line 2: @b is a group" in err
    assert "Line 3:" in err
    assert cli.main([*words, "--force", "--nodes", "only"]) == 2
    assert "BF16 on A2 needs 4 nodes; the preset has 1" in capsys.readouterr().err
    assert cli.main([*words, "--force"]) == 2
    assert "no node is named" in capsys.readouterr().err
    assert cli.main([*words, "--force", "--nodes-file", str(tmp_path / "none")]) == 2
    assert "does not exist" in capsys.readouterr().err
    assert len(PresetStore().load("lab").nodes) == 4
