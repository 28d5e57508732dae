"""Presets: what is accepted, what is refused and in which words, and how they are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from wizard.cluster import Precision, Series
from wizard.errors import PresetError
from wizard.presets import PresetStore, dump_preset, load_preset, parse_preset

GOOD = """\
version: 1
name: lab
series: A3
precision: bf16
nodes:
  - {host: 10.0.0.11, local_ip: 10.0.0.11, nic: eth0}
  - {host: 10.0.0.12, local_ip: 10.0.0.12, nic: eth0}
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("V32_WIZARD_HOME", str(tmp_path))
    return tmp_path


def test_nodes_become_a_cluster_in_rank_order() -> None:
    cluster = parse_preset(GOOD).cluster
    assert (cluster.series, cluster.precision) == (Series.A3, Precision.BF16)
    assert [(n.rank, n.host, n.nic) for n in cluster.nodes] == [
        (0, "10.0.0.11", "eth0"),
        (1, "10.0.0.12", "eth0"),
    ]


@pytest.mark.parametrize("name", ["a2-bf16", "a2-w8a8", "a3-bf16", "a3-w8a8"])
def test_shipped_presets_are_valid_and_named_as_their_file(name: str) -> None:
    preset = load_preset(name)
    assert preset.name == name
    assert PresetStore().list() == []
    assert name in PresetStore().shipped()


def test_saved_presets_come_back_and_only_their_owner_reads_them(home: Path) -> None:
    store = PresetStore()
    preset = parse_preset(GOOD)
    path = store.save(preset)
    assert path.stat().st_mode & 0o777 == 0o600
    assert store.list() == ["lab"]
    assert store.load("lab") == load_preset("lab") == preset
    store.delete("lab")
    assert store.list() == []


def test_what_is_written_is_read_back() -> None:
    preset = parse_preset(GOOD)
    assert parse_preset(dump_preset(preset)) == preset


def test_wrong_number_of_nodes_says_how_many() -> None:
    with pytest.raises(PresetError, match="W8A8 on A3 needs 1 node; the preset has 2") as caught:
        parse_preset(GOOD.replace("bf16", "w8a8"))
    assert caught.value.path == "nodes"
