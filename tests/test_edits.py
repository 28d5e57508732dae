"""Edits in the text of scripts: kept in the preset, rendered, told, and refused if unfit."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.scripting import LABELS, preset
from wizard import edits, scripts
from wizard.errors import PresetError
from wizard.presets import Preset, dump_preset, parse_preset

KEY = "node1/serve.sh"


def generated(chosen: Preset, key: str = KEY) -> str:
    return next(s.generated for s in scripts.edited(chosen) if s.key == key)


def with_edit(chosen: Preset, old: str, new: str, key: str = KEY) -> Preset:
    rank, name = int(key[4]), key[6:]
    text = generated(chosen, key)
    assert text.count(old) == 1
    kept = edits.keep(chosen, rank, name, text, text.replace(old, new))
    return parse_preset(dump_preset(kept))


def test_an_edit_is_in_the_preset_the_script_and_the_launched_script_and_nowhere_else() -> None:
    plain = preset("A3", "bf16")
    chosen = with_edit(plain, "--seed 1024", "--seed 7")
    assert list(chosen.patches) == [KEY]
    for launch in (None, LABELS):
        before, after = (scripts.render(p, launch=launch) for p in (plain, chosen))
        assert "--seed 7 \\\n" in after[1].serve
        assert edits.MARK in after[1].serve
        assert edits.unmarked(after[1].serve) == before[1].serve.replace(
            "1024 \\\n--serv", "7 \\\n--serv"
        )
        assert (after[0], after[1].container) == (before[0], before[1].container)


def test_it_is_written_as_lines_that_people_can_read() -> None:
    text = dump_preset(with_edit(preset("A3", "bf16"), "--seed 1024", "--seed 7"))
    assert "  node1/serve.sh: |\n    @@ " in text
    assert "    +--seed 7 \\\n" in text


def test_it_is_told_as_the_users_own() -> None:
    chosen = with_edit(preset("A3", "bf16"), "--seed 1024", "--seed 7")
    (told,) = [d for d in scripts.deviations(chosen) if d.why == edits.WHY]
    assert (told.where, told.guide, told.ours) == (
        "node 1 serve.sh",
        "--seed 1024 \\",
        "--seed 7 \\",
    )
    assert "(guide: --seed 1024 \\): yours" in scripts.render_guide_diff(chosen)


def test_it_stays_with_strict_guide_and_says_when_it_does_not_fit_there() -> None:
    chosen = with_edit(preset("A3", "bf16"), "--seed 1024", "--seed 7")
    strict = chosen.model_copy(update={"strict_guide": True})
    assert "--seed 7" in scripts.render(strict)[1].serve
    bash = with_edit(chosen, "set -eu", "set -eux").model_copy(update={"strict_guide": True})
    with pytest.raises(PresetError, match=r"patches.node1/serve.sh: an edit that makes 'set -eu'"):
        scripts.render(bash)


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "--max-num-seqs": st.integers(1, 99),
    "--max-model-len": st.integers(1, 99),
    "--max-num-batched-tokens": st.integers(1, 99),
    "--gpu-memory-utilization": st.floats(0.1, 1),
    "--additional-config": st.dictionaries(st.sampled_from("abc"), st.booleans()),
    "--new": st.just(True),
}


@given(st.fixed_dictionaries({}, optional=VALUES), st.integers(1024, 9999), st.booleans())
def test_it_survives_other_parameters(args: dict[str, Any], port: int, variable: bool) -> None:
    chosen = with_edit(preset("A3", "bf16"), "--seed 1024", "--seed 7")
    serve = {"args": args, "port": port, "env": {"MINE": "1"} if variable else {}}
    changed = preset("A3", "bf16", serve=serve, patches=dict(chosen.patches))
    plain = preset("A3", "bf16", serve=serve)
    text = scripts.render(changed)[1].serve
    assert edits.unmarked(text) == generated(plain).replace("--seed 1024", "--seed 7")


def test_an_edit_of_a_line_that_the_form_changed_as_well_is_refused_not_dropped() -> None:
    chosen = with_edit(preset("A3", "bf16"), "--max-num-seqs 16", "--max-num-seqs 8")
    both = chosen.model_copy(
        update={"serve": chosen.serve.model_copy(update={"args": {"--max-num-seqs": 4}})}
    )
    with pytest.raises(PresetError) as caught:
        scripts.render(both)
    assert caught.value.path == f"patches.{KEY}"
    assert "finds those lines changed or gone" in str(caught.value)
    (script,) = [s for s in scripts.edited(both) if s.conflicts]
    assert "--max-num-seqs 4" in script.text


def test_taking_an_edit_back_leaves_no_patch() -> None:
    plain = preset("A3", "bf16")
    chosen = with_edit(plain, "--seed 1024", "--seed 7")
    marked = next(s.text for s in scripts.edited(chosen) if s.key == KEY)
    again = edits.keep(chosen, 1, "serve.sh", generated(plain), marked)
    assert again == chosen
    back = edits.keep(
        chosen, 1, "serve.sh", generated(plain), marked.replace("seed 7", "seed 1024")
    )
    assert back == plain


def test_windows_ends_of_lines_are_no_edit() -> None:
    plain = preset("A3", "bf16")
    text = generated(plain).replace("\n", "\r\n")
    assert edits.keep(plain, 1, "serve.sh", generated(plain), text) == plain


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("a\x1b[31m", "holds the control character"),
        ("export HF_TOKEN=hf_abc", r"holds a secret \(HF_TOKEN\)"),
        ("  --api-key s3cret", r"holds a secret \(api-key\)"),
        ("export http_proxy=http://me:pw@proxy", "an address with a password"),
    ],
)
def test_what_no_script_may_hold_is_refused_with_its_line(line: str, why: str) -> None:
    plain = preset("A3", "bf16")
    head, _, rest = generated(plain).partition("set -eu\n")
    text = f"{head}{line}\n{rest}"
    with pytest.raises(PresetError, match=re.escape(f"patches.{KEY}: line 5 ") + ".*" + why):
        edits.keep(plain, 1, "serve.sh", generated(plain), text)


def test_a_secret_that_the_shell_fetches_is_no_secret_in_the_text() -> None:
    with_edit(preset("A3", "bf16"), "set -eu\n", 'set -eu\nexport HF_TOKEN="$(cat /root/token)"\n')


@pytest.mark.parametrize(
    ("key", "patch", "why"),
    [
        ("node2/serve.sh", "@@ -1 +1 @@\n-a\n+b\n", "there is no node 2; the preset has 2"),
        ("node0/run.sh", "@@ -1 +1 @@\n-a\n+b\n", "is not the name of a script; right is node0/"),
        ("../serve.sh", "@@ -1 +1 @@\n-a\n+b\n", "is not the name of a script"),
        ("node0/serve.sh", "--- a\n+++ b\n", "line 1 is not the head of a change"),
        ("node0/serve.sh", "@@ -1 +1 @@\n-a\n+\0\n", "line 3 holds the control character"),
        ("node0/serve.sh", "@@ -1 +1 @@\n-a\n+export A_TOKEN=x\n", "line 3 holds a secret"),
        ("node0/serve.sh", "", "at least 1 character"),
        ("node0/serve.sh", 5, "text (in quotes if need be) is expected"),
    ],
)
def test_a_bad_patch_is_refused_with_its_key(key: str, patch: object, why: str) -> None:
    with pytest.raises(PresetError) as caught:
        preset("A3", "bf16", patches={key: patch})
    assert caught.value.path == f"patches.{key}"
    assert why in str(caught.value)
