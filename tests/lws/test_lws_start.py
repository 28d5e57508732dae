"""What a pod runs, run as a kubelet would: vLLM gets what the plan's serve.sh gives it."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.scripting import NASTY, make_tools, preset, run
from wizard import scripts
from wizard.lws import manifest
from wizard.presets import Preset

HEAD = "127.0.0.2"  # answers on loopback, and no interface is said to hold it
HERE = "127.0.0.1"


def expand(text: str, env: dict[str, str]) -> str:
    """Kubernetes' expansion (API reference of command, args and env.value)."""

    def one(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return env.get(match[1], match[0])

    return re.sub(r"\$\$|\$\(([^)]*)\)", one, text)


class Pod:
    """A pod of the manifest, with what Kubernetes and LeaderWorkerSet tell it."""

    def __init__(self, chosen: Preset, index: int, folder: Path, tools: Path) -> None:
        group = next(yaml.safe_load_all(manifest(chosen)))["spec"]["leaderWorkerTemplate"]
        key = "workerTemplate" if index or "leaderTemplate" not in group else "leaderTemplate"
        (inside,) = group[key]["spec"]["containers"]
        given = {"LWS_LEADER_ADDRESS": HEAD, "LWS_WORKER_INDEX": str(index), "LWS_GROUP_SIZE": "9"}
        for variable in inside["env"]:
            value = expand(variable["value"], given) if "value" in variable else HERE
            given[variable["name"]] = value
        self.argv = [expand(word, given) for word in [*inside["command"], *inside["args"]]]
        self.given = given
        self._folder = folder
        path = f"{tools}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        # as the image's profile does: a login shell begins with a path of its own
        (folder / ".bash_profile").write_text(f"export PATH={shlex.quote(path)} PROFILE=read\n")
        record = {"RECORD_ARGV": str(folder / "argv"), "RECORD_ENV": str(folder / "env")}
        self._env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
            **record,
            **given,
        }

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.argv,
            env=self._env,
            cwd=self._folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self) -> tuple[list[str], dict[str, str]]:
        """Return the arguments that vLLM got, and its variables but for those of the pod."""
        with self.start() as process:
            said, _ = process.communicate(timeout=60)
        assert process.returncode == 0, said
        argv = (self._folder / "argv").read_bytes().decode().split("\0")[:-1]
        lines = (self._folder / "env").read_bytes().decode().split("\0")[:-1]
        env = dict(line.split("=", 1) for line in lines)
        own = {"LWS_LEADER_ADDRESS", "LWS_WORKER_INDEX", "LWS_GROUP_SIZE", "POD_IP"}
        shell = {"PWD", "SHLVL", "_", "OLDPWD", "PATH", "HOME", "LC_ALL"}
        hidden = own | shell | {"RECORD_ARGV", "RECORD_ENV"}
        return argv, {k: v for k, v in env.items() if k not in hidden}


def arguments(argv: list[str]) -> list[tuple[str, ...]]:
    """Return ``serve MODEL``, then every option with its value, in no order."""
    groups: list[tuple[str, ...]] = []
    for word in argv[2:]:
        if word.startswith("--"):
            groups.append((word,))
        else:
            groups[-1] += (word,)
    return [tuple(argv[:2]), *sorted(groups)]


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_tools(tmp_path_factory.mktemp("tools"))
    (folder / "sleep").write_text("#!/bin/sh\nexec /bin/sleep 0.1\n")  # what waits asks often
    (folder / "sleep").chmod(0o755)
    return folder


@pytest.fixture
def head() -> Iterator[socket.socket]:
    """Node 0's address with a free port, which does not listen yet."""
    with socket.socket() as held:
        held.bind((HEAD, 0))
        yield held


def addressed(series: str, precision: str, rank: int, **extra: Any) -> Preset:
    """A preset in which the pod of that rank has the addresses that Kubernetes tells it here."""
    plain = preset(series, precision, **extra)
    nodes = [
        spec.model_copy(
            update={"local_ip": HERE if i == rank else HEAD if i == 0 else f"127.0.1.{i}"}
            | {"nic": "lo"}
        )
        for i, spec in enumerate(plain.nodes)
    ]
    return plain.model_copy(update={"nodes": nodes})


@pytest.mark.parametrize(
    ("series", "precision", "recipe", "rank"),
    [
        ("A3", "bf16", "guide", 0),
        ("A3", "bf16", "guide", 1),
        ("A2", "bf16", "guide", 3),
        ("A3", "w8a8", "guide", 0),
        ("A2", "w8a8", "v0.18.0", 0),
        ("A2", "w8a8", "v0.23.0", 0),
        ("A2", "w8a8", "v0.23.0", 1),
    ],
)
def test_a_pod_serves_as_the_plans_node_does(
    series: str,
    precision: str,
    recipe: str,
    rank: int,
    tools: Path,
    tmp_path: Path,
    head: socket.socket,
) -> None:
    rpc = {"rpc_port": head.getsockname()[1]} if rank else {}
    chosen = addressed(series, precision, rank, recipe=recipe, serve=rpc)
    head.listen()
    (tmp_path / "script").mkdir()
    wanted, env = run(scripts.render(chosen)[rank].serve, tools, tmp_path / "script")
    got, variables = Pod(chosen, rank, tmp_path, tools).run()
    assert arguments(got) == arguments(wanted)
    assert variables == {**env, "PROFILE": "read"}


def test_values_of_the_preset_reach_vllm_unchanged(tools: Path, tmp_path: Path) -> None:
    nasty = f"{NASTY} $(POD_IP) $$(POD_IP) $$ $"
    serve = {"model": f"/{nasty}", "args": {"--x": nasty}, "env": {"X": nasty, "Y": "$local_ip"}}
    got, env = Pod(addressed("A3", "bf16", 0, serve=serve), 0, tmp_path, tools).run()
    assert got[1] == f"/{nasty}"
    assert got[got.index("--x") + 1] == nasty
    assert (env["X"], env["Y"]) == (nasty, "$local_ip")
    assert not list(tmp_path.rglob("pwned"))


def test_a_worker_waits_for_node_0(tools: Path, tmp_path: Path, head: socket.socket) -> None:
    port = head.getsockname()[1]
    chosen = addressed("A3", "bf16", 1, serve={"rpc_port": port})
    with Pod(chosen, 1, tmp_path, tools).start() as process:
        assert process.stdout
        said = process.stdout.readline()
        assert said == f"waiting for node 0: port {port} of {HEAD} ({HEAD})\n"
        assert not (tmp_path / "argv").exists()
        head.listen()
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert (tmp_path / "argv").exists()


def test_an_address_that_no_interface_holds_is_said(tools: Path, tmp_path: Path) -> None:
    pod = Pod(addressed("A3", "bf16", 0), 0, tmp_path, tools)
    pod._env["POD_IP"] = "192.0.2.77"
    with pod.start() as process:
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "no network interface holds POD_IP=192.0.2.77" in said
    assert not (tmp_path / "argv").exists()


def test_the_shell_text_is_sound_and_left_alone_by_kubernetes() -> None:
    group = next(yaml.safe_load_all(manifest(preset("A3", "bf16"))))["spec"]["leaderWorkerTemplate"]
    for key in ("leaderTemplate", "workerTemplate"):
        script = group[key]["spec"]["containers"][0]["command"][-2]
        assert "$(" not in script
        assert "$$" not in script
        said = subprocess.run(
            [Path(sys.executable).parent / "shellcheck", "-s", "bash", "-"],
            input=script,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (said.stdout, said.returncode) == ("", 0)
