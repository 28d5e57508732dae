"""What a container is made with, as the options of ``docker create`` name it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wizard.simulator.containers.options import Options


@dataclass(slots=True)
class Mount:
    """A bind mount: paths as the node and the container name them."""

    source: str
    target: str
    mode: str


@dataclass(slots=True)
class Spec:
    """What `docker create` was given."""

    name: str
    image: str
    command: list[str]
    labels: dict[str, str]
    env: dict[str, str]
    mounts: list[Mount]
    devices: list[str]
    workdir: str | None
    host: dict[str, Any]  # HostConfig, as inspect shows it
    auto_remove: bool = False


def read_spec(o: Options, name: str, image: str, command: list[str]) -> Spec:
    """Return what the options of `docker create` ask for."""
    mounts = []
    for text in o.all("volume"):
        source, target, mode = [*text.split(":"), "", ""][:3]
        mounts.append(Mount(source.rstrip("/") or "/", (target or source), mode))
    for text in o.all("mount"):
        part = dict(p.partition("=")[::2] for p in text.split(","))
        source = part.get("source", part.get("src", ""))
        target = part.get("target", part.get("dst", part.get("destination", "")))
        mounts.append(Mount(source, target, "ro" if "readonly" in part or "ro" in part else ""))
    entrypoint = o.last("entrypoint")
    return Spec(
        name=name,
        image=image,
        command=[entrypoint, *command] if entrypoint else command,
        labels=dict(text.partition("=")[::2] for text in o.all("label")),
        env=dict(text.partition("=")[::2] for text in o.all("env")),
        mounts=mounts,
        devices=[text.split(":")[0] for text in o.all("device")],
        workdir=o.last("workdir"),
        host={
            "NetworkMode": o.last("network", "net") or "bridge",
            "ShmSize": _bytes(o.last("shm-size") or "64m"),
            "Binds": o.all("volume"),
            "Devices": [_device(text) for text in o.all("device")],
            "Init": "init" in o.switches,
            "Privileged": "privileged" in o.switches,
            "AutoRemove": "rm" in o.switches,
            "RestartPolicy": {"Name": o.last("restart") or "no"},
            "LogConfig": {
                "Type": o.last("log-driver") or "json-file",
                "Config": dict(t.partition("=")[::2] for t in o.all("log-opt")),
            },
        },
        auto_remove="rm" in o.switches,
    )


def _device(text: str) -> dict[str, str]:
    host, inside, rights = [*text.split(":"), "", ""][:3]
    return {
        "PathOnHost": host,
        "PathInContainer": inside or host,
        "CgroupPermissions": rights or "rwm",
    }


def _bytes(text: str) -> int:
    unit = text.lower().rstrip("b")[-1:]
    power = "kmgt".find(unit) + 1 if unit in "kmgt" else 0
    number = text.lower().rstrip("b").rstrip("kmgt")
    return int(float(number or 0) * 1024**power)
