"""Images that the simulated nodes have or can pull, and what the engine says of itself."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

from wizard.cluster import Series
from wizard.simulator.containers.options import Options
from wizard.simulator.containers.template import render

ENGINE_VERSION = "24.0.9"
PODMAN_VERSION = "4.9.4"
SIZE = 17_300_000_000  # bytes of an image, unpacked
_LAYER_BYTES = 1 << 21
REGISTRY = "quay.io"
_REGISTRIES = (REGISTRY, "quay.nju.edu.cn", "m.daocloud.io/quay.io")
_VERSIONS = ("v0.11.0", "v0.18.0", "v0.23.0")


def tags(series: Series) -> list[str]:
    """Return the tags of vllm-ascend that are made for a series."""
    a3 = "-a3" if series is Series.A3 else ""
    special = f"v0.11.0rc0{a3}"
    names = [f"{special}-deepseek-v3.2-exp", f"{special}-openeuler-deepseek-v3.2-exp"]
    return names + [f"{v}{a3}{system}" for v in _VERSIONS for system in ("", "-openeuler")]


def stocked(series: Series) -> set[str]:
    """Return the images that a node of a series has at the start."""
    return {f"{r}/ascend/vllm-ascend:{t}" for r in _REGISTRIES for t in tags(series)}


def known(image: str) -> bool:
    """Whether a registry has the image."""
    return any(image in stocked(series) for series in Series)


def identity(image: str) -> str:
    """Return the digest that stands for an image."""
    return "sha256:" + image.encode().hex().ljust(64, "0")[:64]


def archive(names: list[str]) -> bytes:
    """Return what ``docker save`` makes, with a layer in it that holds nothing."""
    layer = bytes(_LAYER_BYTES)
    entries = [{"Config": "config.json", "RepoTags": names, "Layers": ["layer.tar"]}]
    files = {"layer.tar": layer, "manifest.json": json.dumps(entries).encode()}
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return made.getvalue()


def describe(image: str) -> dict[str, Any]:
    """Return what `docker image inspect` shows."""
    return {
        "Id": identity(image),
        "RepoTags": [image],
        "RepoDigests": [],
        "Architecture": "arm64",
        "Os": "linux",
        "Size": SIZE,
    }


def table(names: list[str], options: Options) -> str:
    """Return what `docker images` prints."""
    rows = []
    for name in names:
        repository, _, tag = name.rpartition(":")
        if options.rest and options.rest[0] not in (name, repository):
            continue
        identity = name.encode().hex()[-12:]
        rows.append({"Repository": repository, "Tag": tag, "ID": identity, "Size": "17.3GB"})
    form = options.last("format")
    if form is not None:
        return "".join(render(form, row) + "\n" for row in rows)
    if "quiet" in options.switches:
        return "".join(f"{row['ID']}\n" for row in rows)
    lines = [f"{'REPOSITORY':<44} {'TAG':<44} {'IMAGE ID':<14} SIZE\n"]
    lines += [f"{r['Repository']:<44} {r['Tag']:<44} {r['ID']:<14} {r['Size']}\n" for r in rows]
    return "".join(lines)


def engine(containers: int, tool: str) -> dict[str, Any]:
    """Return what `docker info`, or `podman info`, shows."""
    if tool == "podman":
        store = {"GraphRoot": "/var/lib/containers/storage", "ContainerStore": {}}
        return {"Store": store, "Version": {"Version": PODMAN_VERSION}}
    return {
        "Containers": containers,
        "ServerVersion": ENGINE_VERSION,
        "Driver": "overlay2",
        "CgroupDriver": "systemd",
        "OperatingSystem": "openEuler 22.03 (simulated)",
        "Architecture": "aarch64",
        "NCPU": 192,
        "DockerRootDir": "/var/lib/docker",
    }
