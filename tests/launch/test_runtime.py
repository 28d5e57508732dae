"""What is sent to a container engine, and what is read out of its answers."""

from __future__ import annotations

import json
import shlex

import pytest

from wizard.errors import LaunchError
from wizard.launch.runtime import (
    Container,
    Runtime,
    engine_error,
    home_path,
    listens,
    parse_listing,
    parse_time,
)
from wizard.launch.state import NodeStatus, StatusReport
from wizard.remote.api import Completed


def done(status: int = 0, out: str = "", err: str = "") -> Completed:
    return Completed("x", status, out.encode(), err.encode(), 0.0)


def test_names_are_quoted() -> None:
    nasty = "a'b; rm -rf $HOME"
    runtime = Runtime("docker")
    for command in (runtime.start(nasty), runtime.stop(nasty), runtime.remove(nasty)):
        assert shlex.split(command)[-1] == nasty
    assert f"label=v32-wizard.preset={nasty}" in shlex.split(
        runtime.of_preset(nasty).partition("$(")[2].partition(") || exit")[0]
    )
    assert home_path("~/a b") == "\"$HOME\"/'a b'"
    assert home_path("/a$b") == "'/a$b'"


@pytest.mark.parametrize("number", ["../../etc", "", "a/b", "-x", ".."])
def test_what_no_wizard_writes_as_a_launch_is_none_of_ours(number: str) -> None:
    assert Container("i", "n", "running", labels={"v32-wizard.launch": number}).launch == ""


def test_logs_are_asked_for_from_a_moment_on() -> None:
    command = Runtime("podman").logs("abc", follow=True, stamps=True, since="2026-11-20T10:00:04Z")
    assert command == "exec podman logs -f -t --since 2026-11-20T10:00:04Z abc 2>&1"
    assert "--tail 0" in Runtime("docker").logs("abc", follow=False, tail=0)


def test_a_listing_of_docker() -> None:
    entry = {
        "Id": "ab" * 32,
        "Name": "/vllm-ascend",
        "Created": "2026-11-20T10:00:00.123456789Z",
        "State": {
            "Status": "exited",
            "ExitCode": 137,
            "OOMKilled": True,
            "StartedAt": "2026-11-20T10:00:01Z",
            "FinishedAt": "2026-11-20T10:00:03+00:00",
        },
        "Config": {"Image": "i", "Labels": {"v32-wizard.launch": "x", "v32-wizard.preset": "lab"}},
    }
    found = parse_listing(done(out=f"1700000000.5\n{json.dumps([entry])}"), where="n", program="d")
    (container,) = found.containers
    assert found.clock == 1700000000.5
    assert (container.name, container.launch, container.preset) == ("vllm-ascend", "x", "lab")
    assert container.finished_at is not None
    assert container.started_at is not None
    assert container.finished_at - container.started_at == 2
    assert container.how_it_ended() == "the kernel killed it for want of host memory"
    assert not container.running


def test_how_containers_end() -> None:
    killed = Container("1", "n", "exited", exit_code=137)
    assert killed.how_it_ended() == "exited with code 137 (signal 9)"
    broken = Container("1", "n", "exited", exit_code=127, error="exec: bash: not found")
    assert broken.how_it_ended() == "exited with code 127: exec: bash: not found"
    assert Container("1", "n", "configured").unstarted
    assert Container("1", "n", "restarting").running


@pytest.mark.parametrize("clock", ["1700000000.%N", ""])
def test_a_node_without_a_fine_clock(clock: str) -> None:
    assert parse_listing(done(out=f"{clock}\n[]"), where="n", program="d").clock is None


@pytest.mark.parametrize("text", ["", "1\n", "1\nnull", '1\n[{"Id": 1}]', "1\n[1]", "1\n{}x"])
def test_an_answer_that_is_none(text: str) -> None:
    with pytest.raises(LaunchError, match="what docker says on node 1 is not understood"):
        parse_listing(done(out=text), where="node 1", program="docker")
    with pytest.raises(LaunchError, match="docker failed on node 1: so"):
        parse_listing(done(1, out=text, err="so"), where="node 1", program="docker")


def test_times() -> None:
    assert parse_time("0001-01-01T00:00:00Z") is None
    assert parse_time(None) is None
    assert parse_time("1970-01-01T00:00:01.5Z") == 1.5
    assert parse_time("1970-01-01 08:00:02 +0800 CST") == 2.0


@pytest.mark.parametrize(
    ("status", "said", "words"),
    [
        (127, "bash: docker: command not found", "node 1 has no docker"),
        (1, "Cannot connect to the Docker daemon at unix:///x", "docker does not run on node 1"),
        (1, "permission denied while trying to connect to the socket", "may not use docker"),
        (1, "a\nwrite /x: no space left on device", "no space is left for docker on node 1"),
        (125, "first\nlast words", "docker failed on node 1: last words"),
        (9, "", "docker failed on node 1: exit status 9"),
    ],
)
def test_what_an_engine_complains_about(status: int, said: str, words: str) -> None:
    assert words in str(engine_error(done(status, err=said), where="node 1", program="docker"))


def test_words_of_an_engine_act_on_no_terminal() -> None:
    hostile = "\x1b]0;owned\x07\x1b[2Jdead\u202e"
    state = {"Status": hostile, "Error": hostile}
    config = {"Image": hostile, "Labels": {"v32-wizard.preset": hostile}}
    entry = {"Id": "ab", "Name": f"/{hostile}", "State": state, "Config": config}
    (found,) = parse_listing(
        done(out=f"1\n{json.dumps([entry])}"), where="n", program="d"
    ).containers
    assert (found.name, found.status, found.error, found.image) == ("dead",) * 4
    assert found.labels == {"v32-wizard.preset": "dead"}
    error = engine_error(done(1, err=hostile), where="node 1", program="docker")
    assert str(error) == "docker failed on node 1: dead"


SS = """State  Recv-Q Send-Q Local Address:Port Peer Address:Port Process
LISTEN 0      128          0.0.0.0:8000       0.0.0.0:*
LISTEN 0      128             [::]:13389         [::]:*
ESTAB  0      0          127.0.0.1:9000     127.0.0.1:5555
"""


def test_who_listens() -> None:
    assert [port for port in (80, 8000, 3389, 13389, 9000) if listens(SS, port)] == [8000, 13389]


def report(*states: str, serving: bool = False) -> StatusReport:
    nodes = tuple(NodeStatus(i, f"10.0.0.{i}", state) for i, state in enumerate(states))
    return StatusReport("lab", "x" if serving else "", serving, "m", nodes)


def test_status_reports() -> None:
    assert report("running", serving=True).exit_status == 0
    assert report("running", "absent").exit_status == 1
    assert report("running", "unreachable").exit_status == 3
    assert report("running", "unknown").exit_status == 3  # its engine could not be asked
    assert report("running", serving=True).to_text().startswith("lab: serving m (launch x)\n")
    text = report("absent").to_text()
    assert text == "lab: not serving\n  node 0 (10.0.0.0): absent\n"
    body = report("absent").to_json()
    assert body["schema"] == "v32-wizard/status/1"
    assert body["nodes"][0] == {
        "node": 0,
        "host": "10.0.0.0",
        "state": "absent",
        "container": "",
        "started_at": None,
        "stage": "",
        "note": "",
        "error": "",
    }


@pytest.mark.parametrize(
    ("words", "npus"),
    [
        (
            ["podman", "create", "--device", "/dev/davinci3", "--device=/dev/davinci4:/dev/x:r"],
            {3, 4},
        ),
        (["podman", "create", "--privileged", "--device", "/dev/davinci_manager"], None),
        (None, None),
    ],
)
def test_of_a_privileged_podman_the_command_that_made_it_names_the_npus(
    words: list[str] | None, npus: set[int] | None
) -> None:
    entry = {
        "Id": "1",
        "State": {"Status": "running"},
        "Config": {"CreateCommand": words},
        "HostConfig": {"Devices": [], "Privileged": True},
    }
    out = f"1\n{json.dumps([entry])}"
    (found,) = parse_listing(done(0, out), where="n", program="podman").containers
    assert found.npus == npus
