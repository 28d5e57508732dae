"""Nothing that we run on a node needs more than bash 4.3, which is what a node may have."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.launch.bench import preset
from wizard.checks.catalogue import CHECKS
from wizard.discovery.asking import questions
from wizard.launch.runtime import Runtime
from wizard.remote import privileges, shell, transfer
from wizard.remote.api import Job
from wizard.scripts import render

# what came with 4.4, 5.0, 5.1, 5.2 and 5.3 (bash's NEWS)
NEWER = re.compile(
    r"\bwait\s+(?:-\w+\s+)*-\w*[pf]|\bEPOCH(?:REALTIME|SECONDS)\b|\bSRANDOM\b|\bBASH_ARGV0\b|\bPS0\b"
    r"|\$\{[^}]*@[A-Za-z]\}|\b(?:mapfile|readarray)\s+(?:-\w+\s+)*-\w*d|\blocal\s+-(?:\s|;|$)"
    r"|\binherit_errexit\b|\blocalvar_inherit\b|\bassoc_expand_once\b|\bdeclare\s+-\w*I"
    r"|\bread\s+-\w*E|\$\{[ |]|\bGLOBSORT\b|\bBASH_TRAPSIG\b|\bBASH_MONOSECONDS\b",
    re.MULTILINE,
)


@pytest.mark.parametrize(
    "text",
    [
        "wait -n -p pid",
        "wait -f $pid",
        'echo "$EPOCHREALTIME"',
        'echo "${x@Q}"',
        "mapfile -t -d '' lines",
        "local -; set +x",
        "shopt -s inherit_errexit",
        "x=${ echo fork-free; }",
    ],
)
def test_what_is_newer_is_seen(text: str) -> None:
    assert NEWER.search(text)


def texts() -> Iterator[tuple[str, str]]:
    jobs = [Job("a", "true"), Job("b", "false", lane="x")]
    yield "supervised", shell.supervised("id", nonce="n", timeout_s=5, stdin_size=3).decode()
    yield (
        "supervised, merged",
        shell.supervised("id", nonce="n", timeout_s=0, stdin_size=0, merge=True).decode(),
    )
    yield "batch", shell.batch(jobs, nonce="n", width=2).decode()
    yield "desk", shell.desk(nonce="n").decode()
    for password in (False, True):
        yield f"sudo {password}", shell.sudo_entry("n", password=password)
    yield "probe", privileges.PROBE
    yield "check of a password", privileges.CHECK
    yield "upload", transfer.script("~/x", {"a.sh": b"x"})
    for job in questions(["10.0.0.1", "node1"], ["/data"]):
        yield f"discovery {job.id}", job.command
    for name, check in CHECKS.items():
        if "{" not in check.command.replace("{device}", "").replace("{address}", ""):
            yield f"check {name}", check.shell(0, "10.0.0.9")
    for program in ("docker", "podman"):
        runtime = Runtime(program)
        yield f"{program} listing", runtime.of_preset("lab")
        yield f"{program} logs", runtime.logs("id", follow=True, stamps=True, since="x", tail=0)
        yield f"{program} keeps the log", runtime.save_log("id", "/home/a b/x", "~/x")
    for number, scripts in enumerate(render(preset())):
        yield f"container.sh {number}", scripts.container


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in texts()])
def test_our_scripts_are_old_enough(text: str) -> None:
    found = NEWER.search(text)
    assert found is None, found
    done = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
