"""Machines with podman and a small image, in which a script stands in for vLLM."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import yaml

from tests.engines.image import pack
from tests.engines.machines import CannotRun, Machine, Room, require
from wizard.launch import Launch
from wizard.presets import Preset, load_preset
from wizard.remote.fleet import SSHFleet
from wizard.scripts import image

HERE = Path(__file__).parent
COMMAND = (sys.executable, "-m", "wizard.cli")
NAME = "vllm-ascend"  # of the container, as the guide has it
WEIGHTS = "/root/.cache/weights"
_RUN_S = 180


class PodmanLab:
    """Two nodes with podman, a preset for them, and the wizard's commands against it."""

    def __init__(self, folder: Path, room: Room) -> None:
        self.folder, self.room = folder, room
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("SSH_")},
            "HOME": str(folder),
            "V32_WIZARD_HOME": str(folder / "wizard"),
        }

    @property
    def nodes(self) -> list[Machine]:
        """The machines, in rank order."""
        return self.room.machines

    def files(self) -> list[Path]:
        """What else the machines get; see podman.sh."""
        return []

    def shares(self) -> list[Path]:
        """Folders of this computer that the machines may read."""
        return []

    def pack(self, archive: Path) -> None:
        """Write the image's files."""
        pack(archive)

    def trial(self, reference: str) -> str:
        """Bash text that runs the image and prints ``runs``."""
        return f"podman run --rm --init --net=host {reference} echo runs"

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
            "name": "podman-lab",
            "series": "A3",
            "precision": "bf16",
            "nodes": self.room.nodes(),
            "serve": {"model": WEIGHTS, **serve},
            "container": {"runtime": "podman", **container},
        }
        self.path.write_text(yaml.safe_dump(body))
        return load_preset(self.path)

    @property
    def path(self) -> Path:
        """The preset's file."""
        return self.folder / "preset.yaml"

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command of the wizard in a process of its own."""
        return subprocess.Popen(
            (*COMMAND, *words),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wizard(self, *words: str, status: int = 0) -> str:
        """Run ``v32-wizard WORD PRESET MORE…`` to its end; return both streams."""
        process = self.start(words[0], str(self.path), *words[1:])
        out, err = process.communicate(timeout=_RUN_S)
        assert process.returncode == status, (words, process.returncode, out[-3000:], err[-3000:])
        return out + err

    def wizard_says(self, word: str) -> str:
        """Run ``v32-wizard WORD PRESET`` and return what it printed, whatever its status."""
        return self.start(word, str(self.path)).communicate(timeout=_RUN_S)[0]

    def containers(self) -> list[list[str]]:
        """By node, the names of all its containers with their state."""
        listed = [json.loads(m.run("podman ps -a --format json")) for m in self.nodes]
        return [sorted(f"{c['Names'][0]} {c['State']}" for c in found) for found in listed]

    def nothing_left(self) -> None:
        """Assert that no container, process or port of a launch is on any node."""
        for machine, containers in zip(self.nodes, self.containers(), strict=True):
            words = ("bin/vllm serve", "serve.sh", "conmon", "podman ")
            left = containers + [line for word in words for line in machine.processes(word)]
            assert not left, f"left on {machine.name}: {left}"
            ports = machine.run("ss -Hltn | awk '{print $4}'").split()
            assert not [p for p in ports if p.endswith((":8000", ":13389"))], ports


@contextmanager
def cgroups_swept() -> Iterator[None]:
    """Remove the cgroups that containers leave when their machine ends; they are this computer's.

    Only those that are new, and only empty ones, which is all that rmdir can remove.
    """
    before = set(_cgroups())
    try:
        yield
    finally:
        for path in sorted(set(_cgroups()) - before, reverse=True):
            with suppress(OSError):
                path.rmdir()


def _cgroups() -> list[Path]:
    places = [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").glob("*")]
    found = [path / "libpod_parent" for path in places if (path / "libpod_parent").is_dir()]
    return found + [inner for path in found for inner in path.rglob("*") if inner.is_dir()]


Lab = TypeVar("Lab", bound=PodmanLab)


@contextmanager
def podman_lab(folder: Path, kind: type[Lab]) -> Iterator[Lab]:
    """Two nodes of a kind; both have the image.

    Raises:
        CannotRun: they cannot be had on this computer.
    """
    require("podman", "runc", "conmon", "busybox")
    with cgroups_swept(), Room(folder / "room") as room:
        lab = kind(folder, room)
        for _ in range(2):
            room.add(HERE / "podman.sh", HERE / "npu-smi", *lab.files(), shares=lab.shares())
        reference, archive = image(lab.preset()), folder / "image.tar"
        lab.pack(archive)
        for machine in room.machines:
            put(archive, machine, "/tmp/image.tar")
            said = machine.run(
                f"podman import -q --os linux --arch arm64 /tmp/image.tar {reference} && "
                f"rm /tmp/image.tar && {lab.trial(reference)}",
                status=None,
            )
            if said.splitlines()[-1:] != ["runs"]:
                raise CannotRun(f"podman runs no container here: {said.strip()[-400:]}")
        yield lab


def put(source: Path, machine: Machine, path: str) -> None:
    """Copy a file of this computer onto a machine."""
    root = Path(f"/proc/{machine.pid}/root")
    shutil.copy(source, root / path.lstrip("/"))


def wait_for(seen: Callable[[], object], what: str, limit_s: float = 60.0) -> None:
    """Wait until something is seen; fail with ``what`` when it never is."""
    end = time.monotonic() + limit_s
    while not seen():
        assert time.monotonic() < end, f"never seen: {what}"
        time.sleep(0.05)


def launch_of(fleet: SSHFleet, preset: Preset, **options: Any) -> Launch:
    """A launch that asks often, so that tests wait little."""
    return Launch(fleet, preset, **{"interval_s": 0.2, "grace_s": 3} | options)
