"""What a preset's scripts are compared with, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.launch.bench import FakeFleet
from tests.scripting import preset
from wizard import cli, edits, scriptdiffs, scripts
from wizard.errors import RemoteError
from wizard.launch import deployed
from wizard.launch.node import directory
from wizard.presets import Preset, PresetStore, dump_preset
from wizard.scriptlines import LaunchLabels
from wizard.textdiff import FileDiff, unified

OLD, NEW = "20261120-101500-aaaaaa", "20261124-210000-bbbbbb"


def with_seed(chosen: Preset, seed: str = "7") -> Preset:
    text = next(s.generated for s in scripts.edited(chosen) if s.key == "node1/serve.sh")
    return edits.keep(chosen, 1, "serve.sh", text, text.replace("--seed 1024", f"--seed {seed}"))


def changed(diffs: list[FileDiff]) -> dict[str, list[str]]:
    found = {}
    for diff in diffs:
        lines = [x for x in unified(diff) if x[:1] in "+-" and x[:3] not in ("---", "+++")]
        lines += [x for x in unified(diff) if x.startswith("---seed")]
        if lines:
            found[diff.title] = lines
    return found


def test_the_guide_with_every_reason_at_its_script() -> None:
    diffs = scriptdiffs.with_guide(with_seed(preset("A3", "bf16")))
    assert [diff.title for diff in diffs] == [
        f"node{n}/{name}" for n in (0, 1) for name in ("container.sh", "serve.sh")
    ]
    notes = [" ".join(diff.notes) for diff in diffs]
    assert ["--shm-size" in text for text in notes] == [True, False, True, False]
    assert ["--seed 7" in text and "yours" in text for text in notes] == [False] * 3 + [True]


def test_as_saved() -> None:
    saved = preset("A3", "bf16")
    now = with_seed(preset("A3", "bf16", serve={"port": 9000}))
    found = changed(scriptdiffs.with_saved(now, saved))
    assert list(found) == ["node0/serve.sh", "node1/serve.sh"]
    assert "+--seed 7 \\" in found["node1/serve.sh"]
    assert changed(scriptdiffs.with_saved(saved, saved)) == {}


def test_as_saved_with_fewer_nodes_and_without_addresses() -> None:
    now = preset("A2", "bf16")
    bare = [node.model_copy(update={"local_ip": None, "nic": None}) for node in now.nodes]
    saved = preset("A2", "w8a8").model_copy(update={"nodes": bare[:2]})
    diffs = scriptdiffs.with_saved(now, saved)
    assert [d.title for d in diffs if d.notes == ("the saved preset has no such node",)] == [
        f"node{n}/{name}" for n in (2, 3) for name in ("container.sh", "serve.sh")
    ]


def test_between_nodes_only_what_may_differ_does() -> None:
    container, serve = scriptdiffs.between_nodes(preset("A3", "bf16"))
    assert changed([container])["container.sh"][0].startswith("-# container.sh of node 0")
    lines = " ".join(changed([serve])["serve.sh"])
    for name in ("--headless", "--data-parallel-start-rank", "local_ip=", "0.92"):
        assert name in lines
    assert "--max-model-len" not in lines


def deploy(fleet: FakeFleet, rank: int, launch_id: str, chosen: Preset) -> None:
    folder = fleet.nodes[rank].home / ".v32-wizard" / "launches" / launch_id
    folder.mkdir(parents=True)
    labels = LaunchLabels(chosen.name, launch_id, directory(launch_id))
    for name, text in scripts.render(chosen, launch=labels)[rank].files.items():
        (folder / name).write_text(text)


async def test_the_newest_launch_of_this_preset_is_found_and_compared(tmp_path: Path) -> None:
    now = preset("A3", "bf16")
    fleet = FakeFleet(now, tmp_path)
    deploy(fleet, 0, OLD, preset("A3", "bf16", serve={"port": 1111}))
    deploy(fleet, 0, NEW, preset("A3", "bf16", serve={"port": 9000}))
    for name in ("lab2", "la", "l.b"):  # other presets, launched later
        other = now.model_copy(update={"name": name})
        deploy(fleet, 0, f"20261125-000000-{name}", other)
    (fleet.nodes[0].home / ".v32-wizard/launches/strange $(touch pwned)").mkdir()
    first, second = await deployed.find(fleet.remotes, "lab")
    assert (first.launch_id, second.launch_id, second.files) == (NEW, "", {})
    labels = LaunchLabels("lab", NEW, directory(NEW))
    diffs = scriptdiffs.with_deployed(now, 0, labels, first.files)
    assert {"---port 9000 \\", "+--port 8000 \\"} <= {*unified(diffs[1])}
    assert list(changed(diffs)) == ["node0/serve.sh"]
    assert not list(tmp_path.rglob("pwned"))


async def test_a_node_that_cannot_be_asked_is_an_error_of_its_own(tmp_path: Path) -> None:
    now = preset("A3", "bf16")
    fleet = FakeFleet(now, tmp_path)
    deploy(fleet, 1, NEW, now)
    fleet.nodes[0].unreachable = True
    first, second = await deployed.find(fleet.remotes, "lab")
    assert isinstance(first.error, RemoteError)
    assert (second.launch_id, second.error) == (NEW, None)


def test_what_lies_there_is_cleaned_and_a_cut_answer_does_no_harm() -> None:
    answer = b"id-1\ncontainer.sh 9\na\x1b[31mb\n\nserve.sh 4\nabc\n"
    assert deployed.read(answer) == ("id-1", {"container.sh": "ab\n\n", "serve.sh": "abc\n"})
    for end in range(len(answer)):
        assert set(deployed.read(answer[:end])[1]) <= {"container.sh", "serve.sh"}
    assert deployed.read(b"") == ("", {})


@pytest.mark.parametrize("against", ["guide", "saved", "nodes"])
def test_the_command_line_compares(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    against: str,
) -> None:
    monkeypatch.setenv("V32_WIZARD_HOME", str(tmp_path / "home"))
    path = tmp_path / "lab.yaml"
    path.write_text(dump_preset(with_seed(preset("A3", "bf16"))))
    if against == "saved":
        assert cli.main(["render", str(path), "--diff", against]) == 2
        assert "There is no preset named 'lab'" in capsys.readouterr().err
        PresetStore().save(preset("A3", "bf16"))
    assert cli.main(["render", str(path), "--diff", against]) == 0
    assert "+--seed 7 \\" in capsys.readouterr().out
    if against == "saved":
        PresetStore().save(with_seed(preset("A3", "bf16")))
        assert cli.main(["render", "lab", "--diff", against]) == 0
        assert capsys.readouterr().out == "# nothing differs\n"


def test_the_nodes_are_not_asked_offline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text(dump_preset(preset("A3", "bf16")))
    assert cli.main(["render", str(path), "--diff", "deployed", "--offline"]) == 2
    assert "--diff deployed asks the nodes" in capsys.readouterr().err
