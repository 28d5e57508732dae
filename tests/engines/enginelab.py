"""Machines with a container engine and a small image, in which a script stands in for vLLM."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import yaml

from tests.engines.image import pack, wrap
from tests.engines.machines import CannotRun, Machine, Room, require
from wizard.presets import Preset, load_preset
from wizard.scripts import image

HERE = Path(__file__).parent
COMMAND = (sys.executable, "-m", "wizard.cli")
NAME = "vllm-ascend"  # of the container, as the guide has it
VLLM = "/usr/local/bin/vllm"  # in the container
WEIGHTS = "/root/.cache/weights"
_RUN_S = 300
_YOUNG_S = 5
# the ids of all containers of which a folder, a pid file, a mount or a monitor is there
_TRACES = (
    "{{ mount; find {folders} 2>/dev/null; ps -eo args; }} | "
    "grep -oE '(containers|runc|moby|-c|-id)[/ ][0-9a-f]{{64}}' | "
    "grep -oE '[0-9a-f]{{64}}' | sort -u"
)
# the engine of a node on which one of its commands waits
_HELD = """#!/bin/sh
case $1 in {word}) while :; do sleep 0.05; done ;; esac
exec {real}.held "$@"
"""


class EngineLab:
    """Two nodes with an engine, a preset for them, and the wizard's commands against it.

    Attributes:
        engine: its command.
        programs: what this computer must have.
        folders: where it keeps what it knows of its containers.
        logs: the driver that container.sh asks for.
        remove: its words for removing a container that runs, at once.
    """

    engine: ClassVar[str]
    programs: ClassVar[tuple[str, ...]]
    folders: ClassVar[str]
    logs: ClassVar[str]
    remove: ClassVar[str]

    def __init__(self, folder: Path, room: Room) -> None:
        self.folder, self.room = folder, room
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("SSH_")},
            "HOME": str(folder),
            "V32_WIZARD_HOME": str(folder / "wizard"),
        }

    @classmethod
    def require(cls) -> None:
        """Raise CannotRun where this computer is too small, or lacks something."""
        require(cls.engine, "busybox", *cls.programs)

    @property
    def nodes(self) -> list[Machine]:
        """The machines, in rank order."""
        return self.room.machines

    def files(self) -> list[Path]:
        """What else the machines get."""
        return [HERE / "node.sh", HERE / "npu-smi"]

    def shares(self) -> list[Path]:
        """Folders of this computer that the machines may read."""
        return []

    def pack(self, layer: Path) -> None:
        """Write the image's files."""
        pack(layer)

    def trial(self, reference: str) -> str:
        """Bash text that runs the image and prints ``runs``."""
        return f"{self.engine} run --rm --init --net=host {reference} echo runs"

    def preset(self, *, pause: float = 0.05, fault: str = "", **container: Any) -> Preset:
        """A preset for BF16 on these two A3 nodes, also in the file :attr:`path`.

        Args:
            pause: seconds between two lines of the stand-in.
            fault: what happens to it; see standin/vllm.
            container: keys of the preset's container.
        """
        environment = {"STAND_IN_PAUSE": str(pause), "STAND_IN_FAULT": fault}
        return self.made({"env": environment}, container)

    def made(self, serve: dict[str, Any], container: dict[str, Any]) -> Preset:
        """Write the preset's file, and load it."""
        body = {
            "version": 1,
            "name": "engine-lab",
            "series": "A3",
            "precision": "bf16",
            "nodes": self.room.nodes(),
            "serve": {"model": WEIGHTS, **serve},
            "container": {"runtime": self.engine, **container},
        }
        self.path.write_text(yaml.safe_dump(body))
        return load_preset(self.path)

    @property
    def path(self) -> Path:
        """The preset's file."""
        return self.folder / "preset.yaml"

    def start(self, *words: str, terminal: bool = False) -> subprocess.Popen[str]:
        """Start a command of the wizard in a process of its own, also as at a terminal."""
        command = (*COMMAND, *words)
        return subprocess.Popen(
            ("script", "-qec", shlex.join(command), "/dev/null") if terminal else command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wizard(
        self, *words: str, status: int = 0, terminal: bool = False, limit_s: float = _RUN_S
    ) -> str:
        """Run ``v32-wizard WORD PRESET MORE…`` to its end; return both streams."""
        process = self.start(words[0], str(self.path), *words[1:], terminal=terminal)
        out, err = process.communicate(timeout=limit_s)
        assert process.returncode == status, (words, process.returncode, out[-3000:], err[-3000:])
        return out + err

    def wizard_says(self, word: str) -> str:
        """Run ``v32-wizard WORD PRESET`` and return what it printed, whatever its status."""
        return self.start(word, str(self.path)).communicate(timeout=_RUN_S)[0]

    def containers(self) -> list[list[str]]:
        """By node, the names of all its containers with their state."""
        inspect = f"{self.engine} inspect -f '{{{{.Name}}}} {{{{.State.Status}}}}'"
        command = f'ids=$({self.engine} ps -aq); [ -z "$ids" ] || {inspect} $ids'
        listed = [machine.run(command).splitlines() for machine in self.nodes]
        return [sorted(line.removeprefix("/") for line in lines) for lines in listed]

    def stranger(self, machine: Machine, name: str, options: str = "") -> str:
        """Start a container that is none of this launch; return its :meth:`identity`."""
        reference = image(load_preset(self.path))
        machine.run(
            f"{self.engine} run -d --name {name} {options} --net=host {reference} sleep 1000"
        )
        return self.identity(machine, name)

    def identity(self, machine: Machine, name: str) -> str:
        """The id and the start of a container."""
        return machine.run(
            f"{self.engine} inspect -f '{{{{.Id}}}} {{{{.State.StartedAt}}}}' {name}"
        )

    def hold(self, machine: Machine, word: str) -> Callable[[], None]:
        """Let one of the engine's commands wait on a machine until what is returned is called.

        By then whoever gave it is dead, and it must have ended with him.
        """
        real = machine.run(f"command -v {self.engine}").strip()
        text = shlex.quote(_HELD.format(word=word, real=real))
        machine.run(f"mv {real} {real}.held && printf %s {text} >{real} && chmod +x {real}")

        def let_go() -> None:
            wait_for(lambda: not machine.processes(f"{real} {word}"), f"the end of {word}")
            machine.run(f"mv {real}.held {real}")

        return let_go

    def nothing_left(self, *strangers: str) -> None:
        """Assert that of a launch no container, process, mount, port or pid file is on any node.

        Args:
            strangers: the names of others' containers that run on every node.
        """
        theirs = sorted(f"{name} running" for name in strangers)
        for machine, containers in zip(self.nodes, self.containers(), strict=True):
            assert containers == theirs, f"{machine.name}: {containers}"
            ours = re.compile(rf"bin/vllm serve|serve\.sh|\b{self.engine} \w")
            left = [line for line in machine.processes("") if ours.search(line)]
            assert not left, f"left on {machine.name}: {left}"
            ports = machine.run("ss -Hltn | awk '{print $4}'").split()
            assert not [p for p in ports if p.endswith((":8000", ":13389"))], ports
            known = machine.run(f"{self.engine} ps -aq --no-trunc | sort").split()
            traces = machine.run(_TRACES.format(folders=self.folders)).split()
            assert traces == known, f"left on {machine.name}"


class PodmanLab(EngineLab):
    """Debian's podman, with runc."""

    engine = "podman"
    programs = ("runc", "conmon")
    folders = "/run/runc /run/containers/storage /var/lib/containers/storage/vfs-containers"
    logs = "k8s-file"
    remove = "rm -f -t 0"


class DockerLab(EngineLab):
    """Debian's docker, its daemon in each machine."""

    engine = "docker"
    programs = ("dockerd", "containerd", "containerd-shim-runc-v2", "runc", "tini-static")
    folders = "/run/docker /var/lib/containers/docker/containers"
    logs = "json-file"
    remove = "rm -f"

    def files(self) -> list[Path]:
        found = [shutil.which(name) for name in (self.engine, *self.programs)]
        listed = self.folder / "programs"
        listed.write_text("".join(f"{path}\n" for path in found))
        return [*super().files(), listed]


ENGINES: dict[str, type[EngineLab]] = {lab.engine: lab for lab in (PodmanLab, DockerLab)}


@contextmanager
def cgroups_swept() -> Iterator[None]:
    """Remove the cgroups that containers leave when their machine ends; they are this computer's.

    Only those that are new, and only empty ones, which is all that rmdir can remove. Very young
    ones may be those of tests beside these, about to be filled.
    """
    before = set(_cgroups())
    try:
        yield
    finally:
        for path in sorted(set(_cgroups()) - before, reverse=True):
            with suppress(OSError):
                if time.time() - path.stat().st_ctime > _YOUNG_S:
                    path.rmdir()


def _cgroups() -> list[Path]:
    places = [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").glob("*")]
    parents = [place / name for place in places for name in ("libpod_parent", "docker_parent")]
    found = [path for path in parents if path.is_dir()]
    # walk passes over what goes meanwhile with tests beside these
    return [Path(folder) for path in found for folder, _, _ in os.walk(path)]


Lab = TypeVar("Lab", bound=EngineLab)


@contextmanager
def engine_lab(folder: Path, kind: type[Lab]) -> Iterator[Lab]:
    """Two nodes of a kind; both have the image.

    Raises:
        CannotRun: they cannot be had on this computer.
    """
    with cgroups_swept(), Room(folder / "room") as room:
        lab = kind(folder, room)
        for _ in range(2):
            room.add(HERE / f"{lab.engine}.sh", *lab.files(), shares=lab.shares())
        reference, archive = image(lab.preset()), folder / "image.tar"
        lab.pack(folder / "layer.tar")
        wrap(folder / "layer.tar", reference, archive)
        for machine in room.machines:
            put(archive, machine, "/tmp/image.tar")
            said = machine.run(
                f"{lab.engine} load -q -i /tmp/image.tar && "
                f"rm /tmp/image.tar && {lab.trial(reference)}",
                status=None,
            )
            if said.splitlines()[-1:] != ["runs"]:
                raise CannotRun(f"{lab.engine} runs no container here: {said.strip()[-400:]}")
        yield lab


def put(source: Path, machine: Machine, path: str) -> None:
    """Copy a file of this computer onto a machine."""
    root = Path(f"/proc/{machine.pid}/root")
    shutil.copy(source, root / path.lstrip("/"))


def wait_for(seen: Callable[[], object], what: str, limit_s: float = _RUN_S) -> None:
    """Wait until something is seen; fail with ``what`` when it never is."""
    end = time.monotonic() + limit_s
    while not seen():
        assert time.monotonic() < end, f"never seen: {what}"
        time.sleep(0.05)
