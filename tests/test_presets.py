"""Presets: what is accepted, what is refused and in which words, and how they are kept."""

from __future__ import annotations

import os
import re
import threading
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


# --- refused, with the path of the key ---------------------------------------------------------


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


REFUSED = {
    "unknown key": (GOOD + "sereis: A2\n", "sereis", "there is no such key"),
    "unknown key of a node": (changed("host:", "prot: 22, host:"), "nodes[0].prot", "no such key"),
    "no version": (changed("version: 1\n", ""), "version", "is missing"),
    "a version to come": (changed("version: 1", "version: 2"), "version", "must be 1"),
    "true is no version": (changed("version: 1", "version: true"), "version", "must be 1"),
    "a series": (changed("A3", "A4"), "series", "must be 'A2' or 'A3', not 'A4'"),
    "a recipe": (GOOD + "recipe: v9\n", "recipe", "no recipe 'v9'; known: guide"),
    "a name as a path": (changed("lab", "../lab"), "name", "a name of letters"),
    "no nodes": (changed("nodes:", "nodes: []\nx:"), "nodes", "at least 1"),
    "a port": (changed("host:", "port: 65536, host:"), "nodes[0].port", "65535"),
    "a port as text": (changed("host:", "port: '22', host:"), "nodes[0].port", "not a whole"),
    "an option as user": (changed("host:", "user: -oX, host:"), "nodes[0].user", "dash"),
    "an option as host": (changed("host: 10.0.0.11", "host: -oX"), "nodes[0].host", "host name"),
    "an address": (changed("local_ip: 10.0.0.11", "local_ip: 10.0.0"), "nodes[0].local_ip", "IP"),
    "an interface": (changed("nic: eth0", "nic: 'e;reboot'"), "nodes[0].nic", "network interface"),
    "twins": (changed("host: 10.0.0.12", "host: 10.0.0.11"), "nodes", "nodes 0 and 1 are the same"),
    "a newline": (GOOD + 'serve: {model: "/a\\nb"}\n', "serve.model", "control character"),
    "text that turns": (GOOD + 'serve: {model: "/a\\u202Eb"}\n', "serve.model", "control char"),
    "a flag as model": (GOOD + "serve: {model: -x}\n", "serve.model", "dash"),
    "ports that meet": (GOOD + "serve: {port: 1, rpc_port: 1}\n", "serve.rpc_port", "the API too"),
    "the port as argument": (GOOD + "serve: {args: {--port: 1}}\n", "serve.args", "serve.port"),
    "computed": (GOOD + "serve: {args: {--headless: true}}\n", "serve.args", "from the nodes"),
    "false": (GOOD + "serve: {args: {--x: false}}\n", "serve.args", "null drops"),
    "a date": (GOOD + "serve: {args: {--x: 2026-01-01}}\n", "serve.args", "put it in quotes"),
    "infinity": (GOOD + "serve: {args: {--x: .inf}}\n", "serve.args", "finite"),
    "too many NPUs": (
        GOOD + "serve: {args: {--tensor-parallel-size: 32}}\n",
        "serve.args.--tensor-parallel-size",
        "does not fit the 16 NPUs",
    ),
    "a number as variable": (GOOD + "serve: {env: {A: 1}}\n", "serve.env", "put it in quotes"),
    "the shell's variable": (GOOD + "serve: {env: {IFS: ' '}}\n", "serve.env", "belongs to the sh"),
    "no variable": (GOOD + "serve: {env: {A=B: x}}\n", "serve.env", "not the name of a variable"),
    "a relative mount": (GOOD + "container: {mounts: ['a:/b']}\n", "container.mounts[0]", "absol"),
    "the root": (GOOD + "container: {mounts: ['/a:/']}\n", "container.mounts[0]", "mounted over"),
    "a runtime": (GOOD + "container: {runtime: sh}\n", "container.runtime", "'docker' or 'podman'"),
    "another version's image": (
        GOOD + "container: {image: 'quay.io/ascend/vllm-ascend:v0.18.0-a3'}\n",
        "container.image",
        "of another version than recipe guide",
    ),
    "another series' image": (
        GOOD + "container: {image: 'x/vllm-ascend:v0.11.0rc0-deepseek-v3.2-exp'}\n",
        "container.image",
        "not an image for A3",
    ),
    "a password": (changed("host:", "password: x, host:"), "nodes[0].password", "no secret"),
    "a key for the API": (GOOD + "serve: {args: {--api-key: x}}\n", "serve.args", "no secret"),
    "a token": (GOOD + "serve: {env: {HF_TOKEN: x}}\n", "serve.env", "no secret"),
    "a password in an address": (
        GOOD + "serve: {env: {P: 'http://u:secret@proxy'}}\n",
        "serve.env",
        "holds a password",
    ),
}


@pytest.mark.parametrize(("text", "path", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_with_the_path_of_the_key(text: str, path: str, words: str) -> None:
    with pytest.raises(PresetError) as caught:
        parse_preset(text)
    message = str(caught.value)
    assert path in {caught.value.path, *[p.split(":")[0] for p in message.split("; ")]}
    assert words in message
    assert "\n" not in message
    assert caught.value.exit_status == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must hold keys and values"),
        ("[1]", "must hold keys and values"),
        ("a: [", "is not valid YAML at line"),
        ("a: 1\na: 2\n", "the key 'a' is there twice"),
        ("a: &x [1]\nb: *x\n", "an alias"),
        ("a: !!python/object/apply:os.system [true]", "is not valid YAML"),
        ("[" * 5000, "is not valid YAML"),
        ("a: " + "x" * 300_000, "larger than 256 KiB"),
        ("a: \x07", "is not valid YAML"),
    ],
)
def test_what_is_no_preset_at_all(text: str, words: str) -> None:
    with pytest.raises(PresetError, match=words) as caught:
        parse_preset(text, "my.yaml")
    assert str(caught.value).startswith("my.yaml ")


def test_no_secret_is_repeated_in_an_error() -> None:
    for text in (
        GOOD + "serve: {env: {HF_TOKEN: s3cr3t}}\n",
        GOOD + "serve: {args: {--x: 'http://u:s3cr3t@h'}}\n",
        changed("host:", "password: s3cr3t, host:"),
    ):
        with pytest.raises(PresetError) as caught:
            parse_preset(text)
        assert "s3cr3t" not in str(caught.value)


def test_a_list_form_stands_for_nodes_that_share_the_rest() -> None:
    text = (
        "{version: 1, name: x, series: A2, precision: bf16, nodes: [{host: 'n[08-11]', port: 9}]}"
    )
    nodes = parse_preset(text).cluster.nodes
    assert [(n.host, n.port) for n in nodes] == [(f"n{i:02d}", 9) for i in (8, 9, 10, 11)]


@pytest.mark.parametrize(
    "extra",
    [
        "serve: {args: {--x: {a: [1, 2.5, null, 'true']}, --y: null, --z: true}}",
        "serve: {env: {A: '', B: null}}",
        "container: {shm_size: null, mounts: ['/a b:/c:ro'], runtime: podman}",
        "strict_guide: true",
        "serve: {model: '/dätä/x y', port: 9000}",
    ],
)
def test_everything_set_comes_back(extra: str) -> None:
    preset = parse_preset(GOOD + extra + "\n")
    assert parse_preset(dump_preset(preset)) == preset


def test_a_file_wins_over_a_name_and_names_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a3-bf16").write_text(GOOD)
    assert load_preset("a3-bf16").name == "lab"
    with pytest.raises(PresetError, match=r"no preset named 'nobody'.*a2-bf16"):
        load_preset("nobody")
    for path in ("../nobody", "nobody.yaml"):
        with pytest.raises(PresetError, match=f"no preset file '{re.escape(path)}'"):
            load_preset(path)
    os.mkfifo("pipe")
    writer = threading.Thread(target=Path("pipe").write_text, args=[GOOD])
    writer.start()
    assert load_preset("pipe").name == "lab"
    writer.join()
    Path("bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PresetError, match="is not a text file in UTF-8"):
        load_preset("bytes.yaml")
