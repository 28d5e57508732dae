"""Exported folders: written whole, told from foreign files, taken in again with what was edited."""

from __future__ import annotations

import errno
import json
import re
import shlex
import stat
from pathlib import Path

import pytest

from tests.scripting import FOUR, preset
from wizard import cli, edits, export, exportdir, exportreadme, scripts
from wizard.errors import UsageError
from wizard.presets import Preset, PresetStore, dump_preset, load_preset


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("V32_WIZARD_HOME", str(tmp_path / "home"))


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    path = tmp_path / "lab.yaml"
    path.write_text(dump_preset(preset("A3", "bf16")))
    return path


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    status = cli.main(["render", *(str(word) for word in words)])
    return status, *capsys.readouterr()


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


# --- writing ------------------------------------------------------------------------------------


def test_a_folder_has_scripts_a_readme_and_a_manifest_with_the_right_sums(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "deep" / "out"
    status, stdout, _ = run(capsys, lab, "-o", out)
    assert status == 0
    assert stdout.split() == [str(out / path) for path in export.bundle(load_preset(lab))]
    modes = {
        str(p.relative_to(out)): stat.S_IMODE(p.stat().st_mode) for p in [out, *out.rglob("*")]
    }
    assert modes == {
        **dict.fromkeys([".", "node0", "node1"], 0o700),
        **{f"node{n}/{name}": 0o700 for n in (0, 1) for name in ("container.sh", "serve.sh")},
        "README.md": 0o600,
        "manifest.json": 0o600,
    }
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["schema"] == "v32-wizard/export/1"
    assert (manifest["preset"], manifest["recipe"]) == ("lab", "guide")
    assert manifest["image"] == scripts.image(load_preset(lab))
    for entry in manifest["files"]:
        assert export.digest((out / entry["path"]).read_text()) == entry["sha256"]
    assert len(manifest["files"]) == 5
    assert [p.name for p in out.parent.iterdir()] == ["out"]  # nothing half-made beside it


def test_an_export_of_ours_is_replaced_and_what_fell_away_is_removed(tmp_path: Path) -> None:
    exportdir.write(tmp_path, export.bundle(preset("A2", "bf16")))
    mine = tmp_path / "mine.txt"
    mine.write_text("stays")
    (tmp_path / "node3" / "own").write_text("stays")
    exportdir.write(tmp_path, export.bundle(preset("A3", "bf16")))
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()) == [
        "README.md",
        "manifest.json",
        "mine.txt",
        "node0/container.sh",
        "node0/serve.sh",
        "node1/container.sh",
        "node1/serve.sh",
        "node3/own",
    ]
    assert not (tmp_path / "node2").exists()


@pytest.mark.parametrize("name", ["node0/serve.sh", "README.md"])
def test_foreign_files_and_edits_are_not_replaced_without_force(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    out = tmp_path / "out"
    (out / name).parent.mkdir(parents=True)
    (out / name).write_text("foreign")
    status, _, stderr = run(capsys, lab, "-o", out)
    assert (status, (out / name).read_text()) == (2, "foreign")
    assert f"{out / name} is not of an export of ours. Use --force" in stderr
    assert not (out / "manifest.json").exists()
    assert run(capsys, lab, "-o", out, "--force")[0] == 0
    (out / name).write_text("edited")
    status, _, stderr = run(capsys, lab, "-o", out)
    assert (status, (out / name).read_text()) == (2, "edited")
    assert "was edited by hand since it was exported. Take the edit in with --import" in stderr


def test_a_disk_that_is_full_is_named_and_nothing_half_made_stays(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(exportdir, "write_private", full)
    status, _, stderr = run(capsys, lab, "-o", tmp_path / "out")
    assert status == 2
    assert f"{tmp_path / 'out'} cannot be written: No space left on device." in stderr
    assert [p.name for p in tmp_path.iterdir()] == ["lab.yaml"]


def test_a_folder_whose_edits_were_taken_in_is_exported_to_again(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    run(capsys, lab, "-o", out)
    edit(out / "node0/serve.sh", "--seed 1024", "--seed 7")
    assert run(capsys, lab, "-o", out)[0] == 2  # it would be lost
    assert run(capsys, lab, "--import", out, "--yes")[0] == 0
    assert run(capsys, lab, "-o", out)[0] == 0
    assert edits.MARK in (out / "node0/serve.sh").read_text()
    assert "nothing to take in" in run(capsys, lab, "--import", out, "--yes")[1]


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    (out / "node0").symlink_to(elsewhere)
    with pytest.raises(UsageError, match="is a link"):
        exportdir.write(out, export.bundle(preset("A3", "w8a8")), force=True)
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(("series", "precision"), FOUR)
@pytest.mark.parametrize("strict", [False, True])
def test_the_readme_has_every_step_in_order(series: str, precision: str, strict: bool) -> None:
    chosen = preset(series, precision, strict_guide=strict)
    text = exportreadme.text(chosen)
    steps = re.findall(r"^## (\d+)\. (.*)$", text, re.M)
    assert [int(n) for n, _ in steps] == list(range(1, len(steps) + 1))
    started = [title for _, title in steps if title.startswith("Start node")]
    assert len(started) == len(chosen.nodes)
    titles = [title for _, title in steps]
    if len(chosen.nodes) > 1:
        wait = titles.index("Wait until node 0's RPC port 13389 listens")
        assert titles.index(started[0]) < wait < titles.index(started[1])
    assert "http://127.0.0.1:8000/health" in text
    for block in re.findall(r"```bash\n(.*?)```", text, re.S):
        for line in block.splitlines():
            shlex.split(line, comments=True)
    copies = [line for line in text.splitlines() if line.startswith("scp ")]
    assert [shlex.split(line)[-1] for line in copies] == [
        f"{n.host}:v32-wizard-lab/node{i}/" for i, n in enumerate(chosen.nodes)
    ]


def test_the_readme_gives_the_key_without_writing_it_down() -> None:
    text = exportreadme.text(preset("A3", "bf16", serve={"api_key": True}))
    titles = re.findall(r"^## \d+\. (.*)$", text, re.M)
    assert titles[:3] == [
        "Copy the scripts",
        "Give node 0 the API key",
        "Start node 0 (10.0.0.11)",
    ]
    put = next(line for line in text.splitlines() if line.startswith("printf '%s"))
    assert "cat >v32-wizard-lab/node0/key/api-key" in put
    assert text.count('"$KEY"') == 3  # to the file, to /v1/models, to the question
    assert (
        "key/api-key" in scripts.render(preset("A3", "bf16", serve={"api_key": True}))[0].container
    )


@pytest.mark.parametrize("switch", ["detached", "command"])
def test_without_a_deviation_the_readme_keeps_a_terminal_open(switch: str) -> None:
    text = exportreadme.text(preset("A3", "w8a8", deviations={switch: False}))
    assert "ssh -t 10.0.0.11" in text
    assert ("bash -l /root/.cache/serve.sh" in text) == (switch == "command")
    assert "docker stop" not in text


# --- taking in ----------------------------------------------------------------------------------


def test_what_was_edited_by_hand_becomes_the_presets_and_is_rendered(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    run(capsys, lab, "-o", out)
    edit(out / "node1/serve.sh", "--seed 1024", "--seed 7")
    status, stdout, _ = run(capsys, lab, "--import", out, "--yes")
    assert status == 0
    assert "+++ folder/node1/serve.sh" in stdout
    assert "---seed 1024 \\\n+--seed 7 \\\n" in stdout
    assert list(load_preset(lab).patches) == ["node1/serve.sh"]
    assert "--seed 7" in run(capsys, lab)[1]
    # edited once more in the same folder; the first edit is in it
    edit(out / "node1/serve.sh", "set -eu", "set -eux")
    status, stdout, _ = run(capsys, lab, "--import", out, "--yes")
    assert "--seed" not in "".join(x for x in stdout.splitlines() if x[:1] in "+-")
    text = scripts.render(load_preset(lab))[1].serve
    assert "set -eux\n" in text
    assert "--seed 7" in text
    # an export with the edits in it is no edit
    run(capsys, lab, "-o", tmp_path / "again")
    assert edits.MARK in (tmp_path / "again/node1/serve.sh").read_text()
    assert "no script was edited" in run(capsys, lab, "--import", tmp_path / "again")[1]


def test_a_saved_preset_is_saved_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    PresetStore().save(preset("A3", "w8a8"))
    run(capsys, "lab", "-o", tmp_path / "out")
    edit(tmp_path / "out/node0/container.sh", "--restart no", "--restart no --cpus 8")
    assert run(capsys, "lab", "--import", tmp_path / "out", "--yes")[0] == 0
    assert "--cpus 8" in scripts.render(PresetStore().load("lab"))[0].container


def test_without_a_yes_nothing_is_taken_in(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, lab, "-o", tmp_path / "out")
    edit(tmp_path / "out/node1/serve.sh", "--seed 1024", "--seed 7")
    before = lab.read_text()
    status, _, stderr = run(capsys, lab, "--import", tmp_path / "out")
    assert (status, lab.read_text()) == (2, before)
    assert "add --yes" in stderr


def test_what_else_is_wrong_in_the_folder_is_said(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    run(capsys, lab, "-o", out)
    edit(out / "node0/serve.sh", "--seed 1024", "--seed 7")
    (out / "README.md").write_text("mine")
    (out / "node0/serve.sh~").write_text("backup")
    status, _, stderr = run(capsys, lab, "--import", out, "--yes")
    assert status == 0
    assert "README.md was changed; it is not taken in." in stderr
    assert "node0/serve.sh~ is not of the export; it is left alone." in stderr
    (out / "node1/container.sh").unlink()
    status, _, stderr = run(capsys, lab, "--import", out, "--yes")
    assert status == 2
    assert "node1/container.sh is missing from the folder" in stderr


def tampered(out: Path, what: str) -> None:
    script, manifest = out / "node0/serve.sh", out / "manifest.json"
    body = json.loads(manifest.read_text())
    match what:
        case "link":
            script.unlink()
            script.symlink_to("/etc/passwd")
        case "control":
            script.write_text(script.read_text() + "\x1b]0;x\x07\n")
        case "empty":
            script.write_text("")
        case "binary":
            script.write_bytes(b"\xff\xfe")
        case "huge":
            script.write_text("#" * 300_000)
        case "secret":
            script.write_text(script.read_text() + "export HF_TOKEN=hf_x\n")
        case "escape":
            body["files"].append({"path": "../../etc/passwd", "sha256": "0" * 64})
        case "schema":
            body["schema"] = "v32-wizard/export/9"
        case "preset":
            body["preset"] = "other"
        case "generated":
            body["files"][0]["generated_sha256"] = "0" * 64
        case "shape":
            body = ["?"]
        case "none":
            manifest.unlink()
            return
    manifest.write_text(json.dumps(body))


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("link", "node0/serve.sh is a link; only plain files are read"),
        ("control", "patches.node0/serve.sh: line 37 holds the control character"),
        ("empty", "patches.node0/serve.sh: nothing is left of the script"),
        ("binary", "node0/serve.sh is not a text file in UTF-8"),
        ("huge", "node0/serve.sh is larger than 256 KiB"),
        ("secret", "holds a secret (HF_TOKEN)"),
        ("escape", "'../../etc/passwd' is not a file of an exported folder"),
        ("schema", "the schema 'v32-wizard/export/9' is not v32-wizard/export/1"),
        ("preset", "exported with preset 'other'; the preset has 'lab'"),
        ("generated", "node0/container.sh was exported when the preset or the wizard"),
        ("shape", "manifest.json is not a manifest of ours"),
        ("none", "it has no manifest.json"),
    ],
)
def test_what_was_tampered_with_is_refused(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str, why: str
) -> None:
    run(capsys, lab, "-o", tmp_path / "out")
    tampered(tmp_path / "out", what)
    before = lab.read_text()
    status, _, stderr = run(capsys, lab, "--import", tmp_path / "out", "--yes")
    assert (status, lab.read_text()) == (2, before)
    assert re.sub(r"line \d+", "line 37", why) in re.sub(r"line \d+", "line 37", stderr)


def test_a_folder_of_the_preset_as_it_was_is_refused(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, lab, "-o", tmp_path / "out")
    edit(tmp_path / "out/node0/serve.sh", "--seed 1024", "--seed 7")
    changed: Preset = preset("A3", "bf16", serve={"port": 9000})
    lab.write_text(dump_preset(changed))
    status, _, stderr = run(capsys, lab, "--import", tmp_path / "out", "--yes")
    assert status == 2
    assert "rendered another script. Export again" in stderr
