"""The linter reads words as bash does, and whatever a text holds, it never falls over."""

from __future__ import annotations

import shlex
import subprocess
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.scripting import NASTY, preset
from wizard import scripts
from wizard.lint import errors, lint
from wizard.lint.words import Unreadable, commands
from wizard.scripts import NodeScripts

QUIET = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
PLAIN = st.text(
    st.characters(blacklist_categories=("Cs", "Cc")) | st.sampled_from("'\"\\$`! \t{}~#;&|<>()*?"),
    min_size=1,
    max_size=12,
)


def double(text: str) -> str:
    return '"' + "".join(f"\\{c}" if c in '$`"\\' else c for c in text) + '"'


def escaped(text: str) -> str:
    return "".join(c if c.isalnum() and c.isascii() else f"\\{c}" for c in text)


def ansi(text: str) -> str:
    return "$'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


STYLES = (shlex.quote, double, escaped, ansi, lambda t: shlex.quote(t) + double(t))


def as_bash(line: str) -> list[str]:
    script = f"show() {{ printf '%s\\0' \"$@\"; }}\nset -f\n{line}\n"
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        capture_output=True,
        check=True,
        timeout=20,
        env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
    )
    return done.stdout.decode().split("\0")[:-1]


@QUIET
@given(words=st.lists(st.tuples(PLAIN, st.sampled_from(STYLES)), min_size=5, max_size=30))
def test_words_are_what_bash_passes(words: list[tuple[str, object]]) -> None:
    quoted = [style(text) for text, style in words]  # type: ignore[operator]
    line = "show " + " \\\n  ".join(quoted)
    (command,) = commands(line)
    assert [word.value({}) for word in command.words[1:]] == as_bash(line)


@pytest.mark.parametrize(
    "line",
    [
        'A=1; B="x $A"; show "$B" ${A}2 "a${A}b" # comment',
        "show a 2>/dev/null; show b 2>&1 c </dev/null",
        "cat <<'E' >/dev/null\nshow no\nE\nshow yes",
        "if true; then show in; fi; ! show not || show or; true && show and",
        "x=(one 'two three' # four\n five); show after",
        "X=1 Y='2 3' show prefix",
        "show a#b '#c' \\#d",
    ],
)
def test_commands_are_what_bash_runs(line: str) -> None:
    variables: dict[str, str | None] = {}
    found: list[str | None] = []
    for command in commands(line):
        words = [w for w in command.words if w.literal not in {"if", "then", "fi", "!"}]
        while words and words[0].assigns and not command.array:
            word = words.pop(0)
            text = word.value(variables)
            if not words and text is not None:
                variables[word.assigns] = text.partition("=")[2]
        if words and not command.array and words[0].literal == "show":
            found += [word.value(variables) for word in words[1:]]
    assert found == as_bash(line)


@pytest.mark.parametrize("text", ["'a", '"a', "$'a", "`a", "$(a", "${a", "cat <<\n"])
def test_what_is_never_closed_is_said_with_its_line(text: str) -> None:
    with pytest.raises(Unreadable) as caught:
        commands(f"true\n{text}\nb\n")
    assert caught.value.line == 2


@cache
def node() -> tuple[object, NodeScripts]:
    chosen = preset("A3", "w8a8", serve={"args": {"--x": NASTY}})
    return chosen, scripts.render(chosen)[0]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    at=st.integers(0, 4000),
    length=st.integers(0, 60),
    text=st.text(max_size=20)
    | st.sampled_from(["'", '"', "\\", "\n", "$(", "(", ")", "<<E\n", "=", "--"]),
)
def test_a_text_spoiled_anywhere_never_breaks_the_linter(at: int, length: int, text: str) -> None:
    chosen, whole = node()
    serve = whole.serve[:at] + text + whole.serve[at + length :]
    container = whole.container[:at] + text + whole.container[at + length :]
    found = lint(chosen, [NodeScripts(0, container, serve)])  # type: ignore[arg-type]
    lines = {"serve.sh": serve.count("\n") + 1, "container.sh": container.count("\n") + 1}
    assert all(0 <= remark.line <= lines[remark.file] for remark in found)
    assert all(remark.text and remark.right and remark.id for remark in found)
    assert errors(found) == [r for r in found if r.severity == "error"]
